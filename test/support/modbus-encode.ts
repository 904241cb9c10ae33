/** Values to register bytes: the other direction of decode.ts, written apart from it for its tests. */

import type { RegisterType } from '../../src/config/register.js';

export function encodeRegisters(
  value: number | bigint | boolean,
  type: RegisterType,
  wordOrder: 'big' | 'little',
  byteOrder: 'big' | 'little',
): Uint8Array {
  const bytes = bigEndian(value, type);
  const words: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 2) words.push(bytes.slice(at, at + 2));
  if (wordOrder === 'little') words.reverse();
  if (byteOrder === 'little') for (const word of words) word.reverse();
  return Uint8Array.from(words.flatMap((word) => [...word]));
}

function bigEndian(value: number | bigint | boolean, type: RegisterType): Buffer {
  const bits = Number(/\d+$/.exec(type)?.[0] ?? 16);
  const bytes = Buffer.alloc(bits / 8);
  switch (type) {
    case 'float32':
      bytes.writeFloatBE(Number(value));
      return bytes;
    case 'float64':
      bytes.writeDoubleBE(Number(value));
      return bytes;
    default: {
      // Two's complement, whatever the width.
      let rest = BigInt.asUintN(bits, BigInt(value));
      for (let at = bytes.length - 1; at >= 0; at--) {
        bytes[at] = Number(rest & 0xffn);
        rest >>= 8n;
      }
      return bytes;
    }
  }
}
