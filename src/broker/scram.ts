/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): one exchange, pure.
 *
 *   start ──client-first──▶ challenged ──client-final──▶ done
 *     └────────── anything wrong ──────────┴──▶ failed
 *
 * The password never travels, and what the file holds is not enough to log in. Channel binding is not offered, so only
 * `n` and `y` are taken. An unknown user is challenged like any other, with a salt that is always the same for that
 * name, and fails at the end: nobody learns who exists.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { SCRAM_ITERATIONS_MIN, type ScramFile, type ScramVerifier } from '../config/scram-file.js';
import type { Authentication, AuthenticationStep } from './authorizer.js';
import { saslprep } from './saslprep.js';

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

/** Ours has 24 characters; the rest of a long one would only be copied to and fro. */
const NONCE_LENGTH_MAX = 1024;

interface Challenge {
  readonly username: string;
  readonly verifier: ScramVerifier;
  readonly isKnown: boolean;
  /** client-first-message-bare "," server-first-message */
  readonly said: string;
  /** Base64 of the GS2 header, as it must come back. */
  readonly binding: string;
  readonly nonce: string;
}

export class ScramServer implements Authentication {
  readonly #users: ScramUsers;
  readonly #serverNonce: string;
  #challenge: Challenge | undefined;
  #over = false;

  /** `serverNonce`: fresh and unguessable for each exchange, of printable characters without a comma. */
  constructor(users: ScramUsers, serverNonce: string) {
    this.#users = users;
    this.#serverNonce = serverNonce;
  }

  step(data: Uint8Array | undefined): AuthenticationStep {
    // The client speaks first: without a first message it is asked for one with an empty challenge.
    if (data === undefined) {
      const again = this.#over || this.#challenge !== undefined;
      return again ? this.#fail('nothing came') : { kind: 'continue', data: new Uint8Array(0) };
    }
    if (this.#over) return failed('the exchange is over');
    const text = textOf(data);
    if (text === undefined) return this.#fail('a message is not UTF-8');
    return this.#challenge === undefined ? this.#first(text) : this.#final(text, this.#challenge);
  }

  #first(text: string): AuthenticationStep {
    const header = /^(?:[ny]|p=[^,]*),(?:a=([^,]*))?,/.exec(text);
    if (header === null) return this.#fail('the first message has no GS2 header');
    if (text.startsWith('p')) return this.#fail('channel binding is not offered');
    const bare = text.slice(header[0].length);
    const fields = /^n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?$/s.exec(bare);
    // `m=` would come first: an extension that must be understood, and none is.
    if (fields === null) return this.#fail('the first message is not n=USER,r=NONCE');
    const username = nameOf(fields[1] as string);
    if (username === undefined) return this.#fail('the user name is not one');
    const clientNonce = fields[2] as string;
    if (clientNonce.length > NONCE_LENGTH_MAX) return this.#fail('the nonce is too long');
    if (header[1] !== undefined && header[1] !== '' && nameOf(header[1]) !== username) {
      return this.#fail('nobody may act for another user');
    }
    const { verifier, isKnown } = this.#users.get(username);
    const nonce = clientNonce + this.#serverNonce;
    const serverFirst = `r=${nonce},s=${base64(verifier.salt)},i=${verifier.iterations}`;
    this.#challenge = {
      username,
      verifier,
      isKnown,
      said: `${bare},${serverFirst}`,
      binding: base64(Buffer.from(header[0])),
      nonce,
    };
    return { kind: 'continue', data: Buffer.from(serverFirst) };
  }

  #final(text: string, challenge: Challenge): AuthenticationStep {
    const fields = /^(c=([^,]*),r=([^,]*)(?:,.*)?),p=([A-Za-z0-9+/]{43}=)$/s.exec(text);
    if (fields === null) return this.#fail('the final message is not c=BINDING,r=NONCE,p=PROOF');
    const [, withoutProof, binding, nonce, proofText] = fields;
    if (binding !== challenge.binding) return this.#fail('the channel binding changed');
    if (nonce !== challenge.nonce) return this.#fail('the nonce changed');
    const { verifier, isKnown, username } = challenge;
    const authMessage = `${challenge.said},${withoutProof}`;
    const signature = hmac(verifier.storedKey, authMessage);
    const clientKey = Buffer.from(proofText as string, 'base64').map((byte, at) => byte ^ signature[at]!);
    const isRight = timingSafeEqual(sha256(clientKey), verifier.storedKey);
    if (!isRight || !isKnown) return this.#fail('the proof is wrong');
    this.#over = true;
    const serverSignature = hmac(verifier.serverKey, authMessage);
    return { kind: 'done', username, data: Buffer.from(`v=${base64(serverSignature)}`) };
  }

  #fail(why: string): AuthenticationStep {
    this.#over = true;
    return failed(why);
  }
}

/** Who can be challenged: everyone, though only those in the file can answer. */
export class ScramUsers {
  readonly #file: ScramFile;
  /** Secret, and the same as long as the file is. */
  readonly #secret: Uint8Array;
  readonly #iterations: number;
  readonly #saltBytes: number;

  constructor(file: ScramFile) {
    this.#file = file;
    const secret = createHash('sha256');
    for (const { serverKey } of file.values()) secret.update(serverKey);
    this.#secret = secret.digest();
    // Looks like the neighbours, so that it does not stand out among them.
    const [some] = file.values();
    this.#iterations = some?.iterations ?? SCRAM_ITERATIONS_MIN;
    this.#saltBytes = some?.salt.length ?? 16;
  }

  get(username: string): { readonly verifier: ScramVerifier; readonly isKnown: boolean } {
    const verifier = this.#file.get(username);
    const invented = this.#invent(username);
    return verifier === undefined ? { verifier: invented, isKnown: false } : { verifier, isKnown: true };
  }

  #invent(username: string): ScramVerifier {
    const salt = Buffer.alloc(this.#saltBytes, hmac(this.#secret, `salt ${username}`));
    const storedKey = hmac(this.#secret, `key ${username}`);
    return { iterations: this.#iterations, salt, storedKey, serverKey: storedKey };
  }
}

/** From `saltedPassword` = PBKDF2-HMAC-SHA256(password, salt, iterations), 32 bytes. */
export function verifierFrom(
  saltedPassword: Uint8Array,
  salt: Uint8Array,
  iterations: number,
): ScramVerifier {
  return {
    iterations,
    salt,
    storedKey: sha256(hmac(saltedPassword, 'Client Key')),
    serverKey: hmac(saltedPassword, 'Server Key'),
  };
}

/** `=2C` and `=3D` stand for comma and equals sign, and no other = may be there. */
function nameOf(saslname: string): string | undefined {
  if (/=(?!2C|3D)/.test(saslname)) return undefined;
  return saslprep(saslname.replaceAll('=2C', ',').replaceAll('=3D', '='));
}

function failed(why: string): AuthenticationStep {
  return { kind: 'failed', why };
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
