/**
 * A password file as mosquitto_passwd writes it. Pure: text in, hashes out, and back.
 *
 *   alice:$7$101$SALT$HASH     PBKDF2-HMAC-SHA512 with 101 iterations
 *   bob:$6$SALT$HASH           SHA512 of password and salt, as mosquitto before 2.0 wrote it
 */
import { bytesOf, iterationsOf, parseUserLines, type UserLines } from './user-lines.js';

export type PasswordHash =
  | {
      readonly kind: 'pbkdf2';
      readonly iterations: number;
      readonly salt: Uint8Array;
      readonly hash: Uint8Array;
    }
  | { readonly kind: 'sha512'; readonly salt: Uint8Array; readonly hash: Uint8Array };

export type PasswordFile = ReadonlyMap<string, PasswordHash>;

/** Both are SHA512. */
export const PASSWORD_HASH_BYTES = 64;
const SALT_BYTES_MAX = 1024;

export function parsePasswordFile(text: string): UserLines<PasswordHash> {
  return parseUserLines(
    text,
    hashOf,
    'user:$7$… or user:$6$…, as `godwit passwd` and mosquitto_passwd write them',
  );
}

export function passwordLine(user: string, hash: PasswordHash): string {
  const [salt, digest] = [hash.salt, hash.hash].map((bytes) => Buffer.from(bytes).toString('base64'));
  return hash.kind === 'pbkdf2'
    ? `${user}:$7$${hash.iterations}$${salt}$${digest}`
    : `${user}:$6$${salt}$${digest}`;
}

function hashOf(text: string): PasswordHash | undefined {
  const [before, kind, ...fields] = text.split('$');
  if (before !== '') return undefined;
  const iterations = kind === '7' ? iterationsOf(fields.shift() ?? '') : undefined;
  if (kind === '7' ? iterations === undefined : kind !== '6') return undefined;
  if (fields.length !== 2) return undefined;
  const salt = bytesOf(fields[0] as string, 1, SALT_BYTES_MAX);
  const hash = bytesOf(fields[1] as string, PASSWORD_HASH_BYTES, PASSWORD_HASH_BYTES);
  if (salt === undefined || hash === undefined) return undefined;
  return iterations === undefined
    ? { kind: 'sha512', salt, hash }
    : { kind: 'pbkdf2', iterations, salt, hash };
}
