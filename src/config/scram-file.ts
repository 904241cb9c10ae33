/**
 * A file of SCRAM-SHA-256 verifiers, in the form that RFC 5803 gives them (PostgreSQL's too):
 *
 *   alice:SCRAM-SHA-256$4096:SALT$StoredKey:ServerKey
 *
 * They cannot be made from the hashes of a password file: `godwit passwd --scram` makes them from the password.
 */
import { bytesOf, iterationsOf, parseUserLines, type UserLines } from './user-lines.js';

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export type ScramFile = ReadonlyMap<string, ScramVerifier>;

const KEY_BYTES = 32;
const SALT_BYTES_MAX = 1024;
/** RFC 7677: clients may refuse fewer. */
export const SCRAM_ITERATIONS_MIN = 4096;

export function parseScramFile(text: string): UserLines<ScramVerifier> {
  return parseUserLines(
    text,
    verifierOf,
    `user:SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY with at least ${SCRAM_ITERATIONS_MIN} iterations, as \`godwit passwd --scram\` writes it`,
  );
}

export function scramLine(user: string, verifier: ScramVerifier): string {
  const [salt, storedKey, serverKey] = [verifier.salt, verifier.storedKey, verifier.serverKey].map((bytes) =>
    Buffer.from(bytes).toString('base64'),
  );
  return `${user}:SCRAM-SHA-256$${verifier.iterations}:${salt}$${storedKey}:${serverKey}`;
}

function verifierOf(text: string): ScramVerifier | undefined {
  const fields = /^SCRAM-SHA-256\$(\d+):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text);
  if (fields === null) return undefined;
  const iterations = iterationsOf(fields[1] as string);
  const salt = bytesOf(fields[2] as string, 1, SALT_BYTES_MAX);
  const storedKey = bytesOf(fields[3] as string, KEY_BYTES, KEY_BYTES);
  const serverKey = bytesOf(fields[4] as string, KEY_BYTES, KEY_BYTES);
  if (iterations === undefined || iterations < SCRAM_ITERATIONS_MIN) return undefined;
  if (salt === undefined || storedKey === undefined || serverKey === undefined) return undefined;
  return { iterations, salt, storedKey, serverKey };
}
