/**
 * How a value lies in its registers: type, length, and where on the wire each of its bytes is. Pure.
 *
 * A register is two bytes, high byte first; a value of several registers comes high register first. `wordOrder:
 * little` turns the registers round, `byteOrder: little` the bytes within each: ABCD, CDAB, BADC, DCBA. `order` names
 * any other: the letters as the bytes come, A the highest.
 */

import { type RegisterType, widthOf } from '../../config/register.js';

export interface Layout {
  readonly type: RegisterType;
  readonly registers: number;
  /** The n-th byte of the value, highest first, is this byte of the wire; undefined: they are the same. */
  readonly wireIndex: readonly number[] | undefined;
  /** Which byte of the register an int8 is. */
  readonly byte: 'high' | 'low';
  /** Of a string, in bytes. */
  readonly length: number;
}

export interface LayoutKeys {
  readonly type: RegisterType;
  readonly wordOrder?: 'big' | 'little';
  readonly byteOrder?: 'big' | 'little';
  readonly order?: string | undefined;
  readonly byte?: 'high' | 'low' | undefined;
  readonly length?: number | undefined;
}

export function layoutOf(keys: LayoutKeys): Layout {
  const registers = widthOf(keys.type, keys.length);
  const bytes = registers * 2;
  const wireIndex = Array.from({ length: bytes }, (_, index) =>
    keys.order === undefined ? byOrders(index, registers, keys) : byLetter(index, keys.order.toUpperCase()),
  );
  return {
    type: keys.type,
    registers,
    wireIndex: wireIndex.every((wire, index) => wire === index) ? undefined : wireIndex,
    byte: keys.byte ?? 'low',
    length: keys.length ?? bytes,
  };
}

/** The value's bytes, highest first. */
export function fromWire(wire: Uint8Array, { wireIndex }: Layout): Uint8Array {
  return wireIndex === undefined ? wire : Uint8Array.from(wireIndex, (index) => wire[index] ?? 0);
}

export function toWire(bytes: Uint8Array, { wireIndex }: Layout): Uint8Array {
  if (wireIndex === undefined) return bytes;
  const wire = new Uint8Array(bytes.length);
  for (const [index, at] of wireIndex.entries()) wire[at] = bytes[index] ?? 0;
  return wire;
}

function byOrders(index: number, registers: number, { wordOrder, byteOrder }: LayoutKeys): number {
  const word = wordOrder === 'little' ? registers - 1 - (index >> 1) : index >> 1;
  return word * 2 + (byteOrder === 'little' ? 1 - (index & 1) : index & 1);
}

function byLetter(index: number, letters: string): number {
  return letters.indexOf(String.fromCharCode(65 + index));
}
