/**
 * What password files and SCRAM files have in common: one `user:secret` a line, lines that begin with # for people.
 * What is wrong is told with its place and never with its text: a line that is no hash may be a password.
 */
import { ERRORS_MAX, type Position } from './config-error.js';

export interface LineProblem {
  readonly position: Position;
  /** What was found, what is allowed. */
  readonly message: string;
}

export interface UserLines<Secret> {
  readonly users: ReadonlyMap<string, Secret>;
  readonly problems: readonly LineProblem[];
}

/** MQTT cannot carry a longer one. */
const NAME_BYTES_MAX = 65_535;

export function parseUserLines<Secret>(
  text: string,
  secretOf: (secret: string) => Secret | undefined,
  allowed: string,
): UserLines<Secret> {
  const users = new Map<string, Secret>();
  const lineOf = new Map<string, number>();
  const problems: LineProblem[] = [];
  for (const [index, whole] of linesOf(text)) {
    if (problems.length >= ERRORS_MAX) break;
    const line = index + 1;
    const tell = (column: number, message: string): void => {
      problems.push({ position: { line, column }, message });
    };
    const colon = whole.indexOf(':');
    if (colon === -1) {
      tell(1, `found a line without a colon, allowed: ${allowed}`);
      continue;
    }
    // mosquitto trims both sides too.
    const user = whole.slice(0, colon).trim();
    const problem = userNameProblem(user);
    const secret = secretOf(whole.slice(colon + 1).trim());
    const earlier = lineOf.get(user);
    if (problem !== undefined) tell(1, `found a user name that ${problem}`);
    else if (secret === undefined)
      tell(colon + 2, `found something else after the colon, allowed: ${allowed}`);
    else if (earlier !== undefined) tell(1, `found this user a second time, the first is in line ${earlier}`);
    else {
      users.set(user, secret);
      lineOf.set(user, line);
    }
  }
  return { users, problems };
}

/** What keeps a name from standing in such a file; undefined: nothing. */
export function userNameProblem(user: string): string | undefined {
  if (user === '') return 'is empty';
  if (user.includes(':')) return 'contains a colon, which ends the name in the file';
  if (user.startsWith('#')) return 'begins with #, which makes its line a comment';
  if (user !== user.trim()) return 'begins or ends with a space';
  if (/\p{Cc}/u.test(user)) return 'contains a control character';
  if (Buffer.byteLength(user) > NAME_BYTES_MAX) return `has more than ${NAME_BYTES_MAX} bytes`;
  return undefined;
}

/**
 * The text with one user's line replaced, added at the end, or (`line` undefined) taken out; everything else stays as
 * it is, comments too. Undefined: there is no such user to take out.
 */
export function withUserLine(text: string, user: string, line: string | undefined): string | undefined {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const at = lines.findIndex((one) => !one.startsWith('#') && one.split(':', 1)[0]?.trim() === user);
  if (line === undefined) {
    if (at === -1) return undefined;
    lines.splice(at, 1);
  } else if (at === -1) {
    lines.push(line);
  } else {
    lines[at] = line;
  }
  return lines.map((one) => `${one}\n`).join('');
}

/** Lines that say something, with their index from 0. */
export function* linesOf(text: string): Generator<readonly [index: number, line: string]> {
  let index = 0;
  for (const line of text.replace(/^\uFEFF/, '').split('\n')) {
    const said = line.trimEnd();
    if (said !== '' && !said.startsWith('#')) yield [index, said];
    index += 1;
  }
}

/** Undefined where the text is not Base64 of a length that is allowed. */
export function bytesOf(base64: string, least: number, most: number): Buffer | undefined {
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length >= least && bytes.length <= most ? bytes : undefined;
}

/** More would keep one CONNECT waiting for seconds on a small board. */
const ITERATIONS_MAX = 10_000_000;

export function iterationsOf(text: string): number | undefined {
  if (!/^[1-9]\d{0,7}$/.test(text)) return undefined;
  const iterations = Number(text);
  return iterations <= ITERATIONS_MAX ? iterations : undefined;
}
