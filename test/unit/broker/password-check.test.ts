import { createHash, pbkdf2Sync } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { type DeriveKey, type PasswordAnswer, PasswordCheck } from '../../../src/broker/password-check.js';
import { type PasswordHash, parsePasswordFile } from '../../../src/config/password-file.js';

/** Written by mosquitto_passwd 2.0.11 for the password "secret". */
const BY_MOSQUITTO =
  'alice:$7$101$gvPGDuar3pY2zUzK$Ts0vpQcelw6DH/GuR0HjoJmkLDRS5AUCORR+4C+MVnUEjCyFMm5bUpMn11/OadHcIE5or1igBlTSa+GRDSibWg==';

const salt = Buffer.from('salt of twelve');
const pbkdf2 = (password: string, iterations: number): PasswordHash => ({
  kind: 'pbkdf2',
  iterations,
  salt,
  hash: pbkdf2Sync(password, salt, iterations, 64, 'sha512'),
});
const sha512 = (password: string): PasswordHash => ({
  kind: 'sha512',
  salt,
  hash: createHash('sha512').update(password).update(salt).digest(),
});

const FILE = new Map([
  ['weak', sha512('w')],
  ['some', pbkdf2('s', 10)],
  ['most', pbkdf2('m', 100)],
]);

/** Derives at once, or when told; counts the iterations that were paid for. */
let work: number[];
let held: (() => void)[] | undefined;
const derive: DeriveKey = (password, ofSalt, iterations, done) => {
  work.push(iterations);
  const run = (): void => done(null, pbkdf2Sync(password, ofSalt, iterations, 64, 'sha512'));
  if (held === undefined) run();
  else held.push(run);
};
const release = (): void => {
  while ((held?.length ?? 0) > 0) held!.shift()!();
};

beforeEach(() => {
  work = [];
  held = undefined;
});

function ask(check: PasswordCheck, user: string, password: string): PasswordAnswer | undefined {
  let answer: PasswordAnswer | undefined;
  check.check(user, Buffer.from(password), (given) => {
    expect(answer).toBeUndefined();
    answer = given;
  });
  return answer;
}

test('what mosquitto_passwd wrote is right, in a thread, and another password is wrong', async () => {
  const { users, problems } = parsePasswordFile(`# by mosquitto\n\n${BY_MOSQUITTO}\n`);
  expect(problems).toEqual([]);
  const check = new PasswordCheck(users);
  const answers = ['secret', 'Secret', ''].map(
    (password) =>
      new Promise<PasswordAnswer>((resolve) => check.check('alice', Buffer.from(password), resolve)),
  );
  expect(await Promise.all(answers)).toEqual(['right', 'wrong', 'wrong']);
});

test.each([
  ['weak', 'w', 'right'],
  ['weak', 'x', 'wrong'],
  ['some', 's', 'right'],
  ['some', '', 'wrong'],
  ['most', 'm', 'right'],
  ['nobody', 's', 'wrong'],
  ['', '', 'wrong'],
])('%s with %j is %s', (user, password, answer) => {
  expect(ask(new PasswordCheck(FILE, derive), user, password)).toBe(answer);
});

describe('the time it takes tells nothing', () => {
  test.each([
    ['a user with the costliest hash', 'most'],
    ['one with a cheaper hash', 'some'],
    ['one with the old kind of hash', 'weak'],
    ['one that does not exist', 'nobody'],
  ])('%s costs the same work', (_who, user) => {
    ask(new PasswordCheck(FILE, derive), user, 'wrong');
    expect(work.reduce((sum, iterations) => sum + iterations, 0)).toBe(100);
  });
});

describe('what was right stays known', () => {
  test('and costs nothing more, for that user and that password alone', () => {
    const check = new PasswordCheck(FILE, derive);
    ask(check, 'most', 'm');
    work = [];
    for (let again = 0; again < 1000; again += 1) expect(ask(check, 'most', 'm')).toBe('right');
    expect(work).toEqual([]);
    expect(ask(check, 'most', 'M')).toBe('wrong');
    expect(ask(check, 'mos', 'tm')).toBe('wrong');
    expect(work.length).toBeGreaterThan(0);
  });

  test('what was wrong does not', () => {
    const check = new PasswordCheck(FILE, derive);
    ask(check, 'some', 'x');
    const once = work.length;
    ask(check, 'some', 'x');
    expect(work.length).toBe(2 * once);
  });

  test('until the file is read again', () => {
    const check = new PasswordCheck(FILE, derive);
    expect(ask(check, 'some', 's')).toBe('right');
    check.replace(new Map([['some', pbkdf2('changed', 10)]]));
    expect(ask(check, 'some', 's')).toBe('wrong');
    expect(ask(check, 'some', 'changed')).toBe('right');
  });

  test('of a bounded number of users: the oldest is checked anew', () => {
    const many = new Map([...Array(1025).keys()].map((user) => [String(user), pbkdf2('p', 1)] as const));
    const check = new PasswordCheck(many, derive);
    for (const user of many.keys()) ask(check, user, 'p');
    work = [];
    ask(check, '1024', 'p');
    expect(work).toEqual([]);
    ask(check, '0', 'p');
    expect(work).toEqual([1]);
  });
});

describe('many at once', () => {
  test('two are checked at a time, the others wait their turn, and all are answered', () => {
    held = [];
    const check = new PasswordCheck(FILE, derive);
    const answers: PasswordAnswer[] = [];
    for (let at = 0; at < 20; at += 1) {
      check.check('most', Buffer.from(at % 2 === 0 ? 'm' : 'x'), (answer) => answers.push(answer));
    }
    expect(held).toHaveLength(2);
    release();
    expect(answers).toHaveLength(20);
    expect(answers.filter((answer) => answer === 'right')).toHaveLength(10);
  });

  test('beyond those that may wait, it is busy', () => {
    held = [];
    const check = new PasswordCheck(FILE, derive);
    const answers: PasswordAnswer[] = [];
    for (let at = 0; at < 2 + 1024 + 3; at += 1) {
      check.check('most', Buffer.from('x'), (answer) => answers.push(answer));
    }
    expect(answers).toEqual(['busy', 'busy', 'busy']);
  });

  test('a check under way when the file changes is judged by the new one', () => {
    held = [];
    const check = new PasswordCheck(FILE, derive);
    let answer: PasswordAnswer | undefined;
    check.check('most', Buffer.from('m'), (given) => {
      answer = given;
    });
    check.replace(new Map());
    release();
    expect(answer).toBe('wrong');
  });

  test('a derivation that fails lets nobody in', () => {
    const broken: DeriveKey = (_password, _salt, _iterations, done) => done(new Error('no'), Buffer.alloc(0));
    expect(ask(new PasswordCheck(FILE, broken), 'most', 'm')).toBe('wrong');
  });
});
