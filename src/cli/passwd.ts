/**
 * `godwit passwd FILE USER`: adds, changes or (-D) removes a user in a password file of mosquitto's format, or with
 * --scram in a SCRAM file. The rest of the file stays as it is.
 */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { saslprep } from '../broker/saslprep.js';
import { verifierFrom } from '../broker/scram.js';
import { PASSWORD_HASH_BYTES, parsePasswordFile, passwordLine } from '../config/password-file.js';
import { firstBadByte, readFileBounded } from '../config/read-file.js';
import { parseScramFile, scramLine } from '../config/scram-file.js';
import { userNameProblem, withUserLine } from '../config/user-lines.js';
import { GodwitError } from '../core/error.js';
import { askPassword } from './ask-password.js';
import { ExitCode } from './exit-code.js';
import { replaceFile } from './replace-file.js';

export interface PasswdOptions {
  readonly remove: boolean;
  readonly scram: boolean;
}

/**
 * mosquitto_passwd takes 101. Forty times as many still let a thousand users of a Raspberry Pi 4 come back within
 * `connect_timeout` after a power cut; and RFC 7677 wants no fewer for SCRAM, whose cost is the client's.
 */
const ITERATIONS = 4096;
const SALT_BYTES = 12;
const SCRAM_SALT_BYTES = 16;
const FILE_BYTES_MAX = 16 * 1024 * 1024;

export async function passwd(file: string, name: string, options: PasswdOptions): Promise<ExitCode> {
  const user = options.scram ? saslprep(name) : name;
  const problem = user === undefined ? 'has characters that no name may have' : userNameProblem(user);
  if (user === undefined || problem !== undefined) {
    process.stderr.write(`godwit: the user name ${problem}; choose another\n`);
    return ExitCode.usage;
  }
  const before = textOf(file, options);
  const line = options.remove ? undefined : lineFor(user, await askPassword(user), options.scram);
  const after = withUserLine(before, user, line);
  if (after === undefined) {
    throw new GodwitError('USER_UNKNOWN', `there is no user ${user} in ${file}; nothing was changed`);
  }
  replaceFile(file, after);
  return ExitCode.done;
}

/** A file that is none of this kind is not written to: it was named by mistake. */
function textOf(file: string, { scram, remove }: PasswdOptions): string {
  if (!remove && !existsSync(file)) return '';
  const read = readFileBounded(file, FILE_BYTES_MAX);
  if (read.kind === 'problem')
    throw new GodwitError('FILE_NOT_READ', `${file} cannot be read: ${read.problem}`);
  const text = read.bytes.toString('utf8');
  const bad = firstBadByte(read.bytes);
  const problems =
    bad === undefined
      ? (scram ? parseScramFile(text) : parsePasswordFile(text)).problems
      : [{ position: bad, message: 'found a byte that is not UTF-8' }];
  const [first] = problems;
  if (first === undefined) return text;
  const { line, column } = first.position;
  throw new GodwitError(
    'FILE_NOT_READ',
    `${file}:${line}:${column}: ${first.message}; nothing was changed, correct the line first`,
  );
}

function lineFor(user: string, password: string, scram: boolean): string {
  if (!scram) {
    const salt = randomBytes(SALT_BYTES);
    const hash = pbkdf2Sync(password, salt, ITERATIONS, PASSWORD_HASH_BYTES, 'sha512');
    return passwordLine(user, { kind: 'pbkdf2', iterations: ITERATIONS, salt, hash });
  }
  const prepared = saslprep(password);
  if (prepared === undefined) {
    throw new GodwitError(
      'PASSWORD_INVALID',
      'the password has characters that SCRAM does not allow (SASLprep, RFC 4013); nothing was changed',
    );
  }
  const salt = randomBytes(SCRAM_SALT_BYTES);
  const salted = pbkdf2Sync(prepared, salt, ITERATIONS, 32, 'sha256');
  return scramLine(user, verifierFrom(salted, salt, ITERATIONS));
}
