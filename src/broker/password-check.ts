/**
 * Whether a password is right, without stopping the event loop and without telling who exists.
 *
 *   check ──▶ cache of successes ──hit──▶ right
 *               └──▶ queue ──two at a time──▶ PBKDF2 in a thread ──▶ right, wrong
 *
 * Every check of one file costs the same work, that of its costliest hash: a user that does not exist, or one with
 * fewer iterations, is not told apart by the time it takes.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { PASSWORD_HASH_BYTES, type PasswordFile, type PasswordHash } from '../config/password-file.js';
import { BoundedQueue } from '../core/bounded-queue.js';

/** `busy`: too many are being checked; nothing is said about this one. */
export type PasswordAnswer = 'right' | 'wrong' | 'busy';

export type DeriveKey = (
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  done: (fault: Error | null, key: Uint8Array) => void,
) => void;

/** libuv has four threads, and files, names and the storage's neighbours need some of them. */
const RUNNING_MAX = 2;
/** As many clients as may be connected; whoever comes then tries again. */
const WAITING_MAX = 1024;
/**
 * A thousand clients that come back after a power cut would cost a thousand derivations, so what was right stays known:
 * as a hash under a key of this process, never as the password. It is forgotten when the file is read again.
 */
const KNOWN_MAX = 1024;

interface Job {
  readonly user: string;
  readonly password: Uint8Array;
  readonly digest: string;
  readonly answer: (answer: PasswordAnswer) => void;
}

const NOBODY: PasswordHash = {
  kind: 'sha512',
  salt: randomBytes(12),
  hash: randomBytes(PASSWORD_HASH_BYTES),
};

export class PasswordCheck {
  readonly #derive: DeriveKey;
  readonly #cacheKey = randomBytes(32);
  readonly #known = new Set<string>();
  readonly #waiting = new BoundedQueue<Job>(WAITING_MAX);
  #users: PasswordFile;
  #iterationsMax: number;
  #running = 0;

  /** `derive`: PBKDF2-HMAC-SHA512 to 64 bytes; replaced in tests. */
  constructor(users: PasswordFile, derive: DeriveKey = deriveInThread) {
    this.#users = users;
    this.#iterationsMax = mostIterations(users);
    this.#derive = derive;
  }

  /** The file was read again: whoever was right before is checked anew. */
  replace(users: PasswordFile): void {
    this.#users = users;
    this.#iterationsMax = mostIterations(users);
    this.#known.clear();
  }

  /** Calls `answer` once, perhaps before it returns. */
  check(user: string, password: Uint8Array, answer: (answer: PasswordAnswer) => void): void {
    const digest = this.#digest(user, password);
    if (this.#known.has(digest)) {
      answer('right');
      return;
    }
    // A slice of the chunk that brought CONNECT, which a waiting check must not hold on to.
    const job: Job = { user, password: new Uint8Array(password), digest, answer };
    if (this.#running < RUNNING_MAX) this.#run(job);
    else if (!this.#waiting.push(job)) answer('busy');
  }

  #run(job: Job): void {
    this.#running += 1;
    const users = this.#users;
    this.#verify(job, (isRight) => {
      this.#running -= 1;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#run(next);
      // The file changed meanwhile: what the old one said counts no more.
      if (users !== this.#users) {
        this.check(job.user, job.password, job.answer);
        return;
      }
      if (isRight) this.#remember(job.digest);
      job.answer(isRight ? 'right' : 'wrong');
    });
  }

  #verify({ user, password }: Job, done: (isRight: boolean) => void): void {
    const known = this.#users.get(user);
    const stored = known ?? NOBODY;
    const judge = (key: Uint8Array): void => {
      const isEqual = timingSafeEqual(key, stored.hash);
      done(isEqual && known !== undefined);
    };
    const rest = this.#iterationsMax - (stored.kind === 'pbkdf2' ? stored.iterations : 0);
    this.#ownKey(stored, password, (key) => {
      if (rest <= 0) judge(key);
      else this.#key(NOBODY.salt, password, rest, () => judge(key));
    });
  }

  #ownKey(stored: PasswordHash, password: Uint8Array, done: (key: Uint8Array) => void): void {
    if (stored.kind === 'pbkdf2') this.#key(stored.salt, password, stored.iterations, done);
    else done(createHash('sha512').update(password).update(stored.salt).digest());
  }

  #key(salt: Uint8Array, password: Uint8Array, iterations: number, done: (key: Uint8Array) => void): void {
    this.#derive(password, salt, iterations, (fault, key) => {
      // Nothing that a client sends can make it fail; if it does, nobody gets in.
      done(fault === null ? key : randomBytes(PASSWORD_HASH_BYTES));
    });
  }

  #remember(digest: string): void {
    if (this.#known.size >= KNOWN_MAX) {
      for (const oldest of this.#known) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.add(digest);
  }

  #digest(user: string, password: Uint8Array): string {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    const name = Buffer.from(user);
    const length = Buffer.from(`${name.length}:`);
    return createHmac('sha256', this.#cacheKey).update(length).update(name).update(password).digest('base64');
  }
}

const deriveInThread: DeriveKey = (password, salt, iterations, done) => {
  pbkdf2(password, salt, iterations, PASSWORD_HASH_BYTES, 'sha512', done);
};

function mostIterations(users: PasswordFile): number {
  let most = 0;
  for (const hash of users.values()) if (hash.kind === 'pbkdf2') most = Math.max(most, hash.iterations);
  return most;
}
