/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) as a client speaks it, from the standards and not from src/broker. Users whose
 * names and passwords are plain ASCII only.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

export const METHOD = 'SCRAM-SHA-256';
/** Whom a peer with `scram` knows. */
export const SCRAM_USERS: Readonly<Record<string, string>> = { alice: 'wonderland', bob: 'builder' };
const ITERATIONS = 4096;
const KEY_BYTES = 32;

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const xor = (a: Uint8Array, b: Uint8Array): Buffer =>
  Buffer.from(a.map((octet, at) => octet ^ (b[at] as number)));

/** What a server keeps in place of a password. */
export interface Verifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export function verifierOf(password: string): Verifier {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, KEY_BYTES, 'sha256');
  return {
    iterations: ITERATIONS,
    salt,
    storedKey: hash(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key'),
  };
}

export class ScramClient {
  readonly #user: string;
  readonly #password: string;
  readonly #nonce = randomBytes(12).toString('base64');
  #expected: string | undefined;

  constructor(user: string, password: string = SCRAM_USERS[user] ?? '') {
    this.#user = user;
    this.#password = password;
  }

  get #bare(): string {
    return `n=${this.#user},r=${this.#nonce}`;
  }

  get first(): Buffer {
    return Buffer.from(`n,,${this.#bare}`);
  }

  /** The answer to the server's challenge. */
  final(challenge: Uint8Array): Buffer {
    const serverFirst = Buffer.from(challenge).toString();
    const [nonce, salt, iterations] = ['r', 's', 'i'].map((name) =>
      serverFirst
        .split(',')
        .find((field) => field.startsWith(`${name}=`))
        ?.slice(2),
    );
    if (nonce?.startsWith(this.#nonce) !== true || nonce === this.#nonce) {
      throw new Error(`the server's nonce does not continue ours: ${serverFirst}`);
    }
    const saltBytes = Buffer.from(salt ?? '', 'base64');
    const salted = pbkdf2Sync(this.#password, saltBytes, Number(iterations), KEY_BYTES, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const withoutProof = `c=biws,r=${nonce}`;
    const said = `${this.#bare},${serverFirst},${withoutProof}`;
    const proof = xor(clientKey, hmac(hash(clientKey), said));
    this.#expected = `v=${hmac(hmac(salted, 'Server Key'), said).toString('base64')}`;
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  /** What the server has to end with: it proves that it knows the user too. */
  get serverFinal(): string {
    return this.#expected ?? '';
  }
}
