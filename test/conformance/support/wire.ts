/**
 * Bytes as the two standards lay them down, for tests only. Nothing here comes from src/mqtt: a mistake made
 * there must not be made here as well, or it could not be seen.
 */

/** A text, or bytes that stand where a text should: that is how invalid UTF-8 is sent. */
export type Text = string | Uint8Array;

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Variable Byte Integer: seven bits an octet, the low ones first. */
export function vbi(value: number): Buffer {
  const octets: number[] = [];
  let rest = value;
  do {
    octets.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(octets);
}

/** Length and octets: UTF-8 strings and Binary Data look alike on the wire. */
export function text(value: Text): Buffer {
  const octets = Buffer.from(value as string);
  return Buffer.concat([u16(octets.length), octets]);
}

/** '10 0C 00 04' and the like; blanks are for the reader. */
export function hex(digits: string): Buffer {
  const plain = digits.replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(plain)) throw new Error(`no hexadecimal octets: ${digits}`);
  return Buffer.from(plain, 'hex');
}

/** A packet: first octet, Remaining Length, the rest. */
export function packet(firstOctet: number, ...parts: readonly Uint8Array[]): Buffer {
  const rest = Buffer.concat(parts);
  return Buffer.concat([u8(firstOctet), vbi(rest.length), rest]);
}

/** Octets that are no UTF-8 although they stand in a text field, by what is wrong with them. */
export const INVALID_UTF8: ReadonlyArray<readonly [string, Buffer]> = [
  ['a surrogate', hex('61 ED A0 80')],
  ['the last surrogate', hex('ED BF BF')],
  ['an overlong NUL', hex('C0 80')],
  ['an overlong slash', hex('E0 80 AF')],
  ['a truncated sequence', hex('61 E2 82')],
  ['a stray continuation', hex('80')],
  ['a code point beyond U+10FFFF', hex('F4 90 80 80')],
];
