/**
 * Bytes as the configuration writes them: text of which each character is one byte (`"T\r\n"`, `"\x02"`), or
 * `{ hex: "02 41 0d" }`. They stay as written in the Config, which is compared as JSON, and become bytes here.
 */
import { words } from './kind.js';
import { z } from './zod.js';

const HEX = /^\s*[0-9A-Fa-f]{2}(\s*[0-9A-Fa-f]{2})*\s*$/;

/** Longer than any request that a serial device understands. */
const CHARACTERS_MAX = 1024;

const ALLOWED = 'text of one-byte characters such as "T\\r\\n", or { hex: "02 41 0d" }';
const characters = z
  .string()
  .min(1, { error: ALLOWED })
  .max(CHARACTERS_MAX, { error: ALLOWED })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what devices are spoken to with.
  .regex(/^[\x00-\xff]*$/, { error: ALLOWED });
const hex = z.strictObject({
  hex: z
    .string({ error: 'pairs of hexadecimal digits such as "02 41 0d"' })
    .max(3 * CHARACTERS_MAX, { error: 'at most 1024 bytes' })
    .regex(HEX, { error: 'pairs of hexadecimal digits such as "02 41 0d"' })
    .describe('Pairs of hexadecimal digits, spaces between them allowed.'),
});

export type ByteText = string | { readonly hex: string };

export const byteText = () => z.union([characters, hex]).register(words, { allowed: ALLOWED });

export function bytesFrom(text: ByteText): Uint8Array {
  return typeof text === 'string'
    ? Uint8Array.from(Buffer.from(text, 'latin1'))
    : Uint8Array.from(Buffer.from(text.hex.replace(/\s+/g, ''), 'hex'));
}

/** For a person: control characters escaped, anything else as it is. */
export function showBytes(text: ByteText): string {
  return typeof text === 'string' ? JSON.stringify(text) : text.hex.trim();
}
