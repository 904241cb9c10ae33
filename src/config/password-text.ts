/** The password in a file or in what a program wrote: its first line. */
import { firstBadByte } from './read-file.js';

export type PasswordText =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'problem'; readonly problem: string };

/** What an MQTT packet can carry. */
export const PASSWORD_BYTES_MAX = 65_535;

export function passwordIn(bytes: Buffer): PasswordText {
  const problem = (text: string): PasswordText => ({ kind: 'problem', problem: text });
  if (firstBadByte(bytes) !== undefined) return problem('bytes that are not UTF-8');
  const [first = ''] = bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/, 1);
  if (first === '') return problem('an empty first line');
  if (Buffer.byteLength(first) > PASSWORD_BYTES_MAX) {
    return problem(`a first line of more than ${PASSWORD_BYTES_MAX} bytes, which MQTT cannot carry`);
  }
  return { kind: 'password', password: first };
}
