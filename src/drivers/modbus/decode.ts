/**
 * Register bytes, as the wire has them, to a value: pure.
 *
 * A register is two bytes, high byte first; a value of several registers comes high register first. `word_order:
 * little` turns the registers round, `byte_order: little` the bytes within each: ABCD, CDAB, BADC, DCBA.
 *
 * Numbers keep the sensor's own precision: a float32 is the double with the shortest decimal that reads back as
 * that float32 (21.1, not 21.100000381469727), and an integer beyond 2^53 is a bigint.
 */

import type { Value } from '../../core/value.js';

export type RegisterType =
  | 'bool'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float16'
  | 'float32'
  | 'float64';

export interface ByteLayout {
  readonly type: RegisterType;
  readonly wordOrder: 'big' | 'little';
  readonly byteOrder: 'big' | 'little';
}

/** How many registers a value of each type spans. */
export const REGISTERS: { readonly [type in RegisterType]: number } = {
  bool: 1,
  int16: 1,
  uint16: 1,
  float16: 1,
  int32: 2,
  uint32: 2,
  float32: 2,
  int64: 4,
  uint64: 4,
  float64: 4,
};

/** `bytes` are exactly the registers of one value. undefined: the bytes are no number (NaN, infinite). */
export function decodeRegisters(bytes: Uint8Array, layout: ByteLayout): Value | undefined {
  const ordered = inBigEndian(bytes, layout);
  const view = new DataView(ordered.buffer, ordered.byteOffset, ordered.byteLength);
  switch (layout.type) {
    case 'bool':
      return view.getUint16(0) !== 0;
    case 'int16':
      return view.getInt16(0);
    case 'uint16':
      return view.getUint16(0);
    case 'int32':
      return view.getInt32(0);
    case 'uint32':
      return view.getUint32(0);
    case 'int64':
      return exact(view.getBigInt64(0));
    case 'uint64':
      return exact(view.getBigUint64(0));
    case 'float16':
      return finite(shortestFloat16(view.getUint16(0)));
    case 'float32':
      return finite(shortestFloat32(view.getFloat32(0)));
    case 'float64':
      return finite(view.getFloat64(0));
  }
}

/** Bit `index` of a coil or discrete reply: the first is the lowest bit of the first byte. */
export function decodeBit(bytes: Uint8Array, index: number): boolean {
  return (((bytes[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

/** The double with the shortest decimal that rounds to this float32. */
export function shortestFloat32(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  // Six digits survive decimal → float32 → decimal, so six recover any shorter decimal; subnormals have fewer.
  const least = Math.abs(value) < 2 ** -126 ? 1 : 6;
  return shortest(value, least, 9, (candidate) => Math.fround(candidate) === value);
}

/** The double with the shortest decimal that rounds to the float16 with these bits. */
export function shortestFloat16(bits: number): number {
  const value = float16FromBits(bits);
  if (!Number.isFinite(value) || value === 0) return value;
  const least = Math.abs(value) < 2 ** -14 ? 1 : 3;
  return shortest(value, least, 5, (candidate) => float16ToBits(candidate) === bits);
}

export function float16FromBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to the nearest float16, ties to even. */
export function float16ToBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65_520) return sign | 0x7c00;
  // In units of the last place: subnormals and the smallest normals share one, so carries run on by themselves.
  let place = Math.max(-14, Math.floor(Math.log2(magnitude)));
  // log2 may round across a power of two.
  if (magnitude >= 2 ** (place + 1)) place += 1;
  else if (place > -14 && magnitude < 2 ** place) place -= 1;
  return sign | ((place + 14) * 1024 + roundToEven(magnitude / 2 ** (place - 10)));
}

function inBigEndian(bytes: Uint8Array, { wordOrder, byteOrder }: ByteLayout): Uint8Array {
  const registers = bytes.length / 2;
  const ordered = new Uint8Array(bytes.length);
  for (let index = 0; index < registers; index++) {
    const from = wordOrder === 'big' ? index : registers - 1 - index;
    const high = bytes[from * 2] ?? 0;
    const low = bytes[from * 2 + 1] ?? 0;
    ordered[index * 2] = byteOrder === 'big' ? high : low;
    ordered[index * 2 + 1] = byteOrder === 'big' ? low : high;
  }
  return ordered;
}

function exact(value: bigint): number | bigint {
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function shortest(value: number, least: number, most: number, fits: (candidate: number) => boolean): number {
  for (let digits = least; digits < most; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (fits(candidate)) return candidate;
  }
  return Number(value.toPrecision(most));
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
