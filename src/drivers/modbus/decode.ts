/**
 * Register bytes, as the wire has them, to a value: pure.
 *
 * Numbers keep the sensor's own precision (`float.ts`), and an integer beyond 2^53 is a bigint. Bytes that are no
 * value at all say why.
 */

import type { Value } from '../../core/value.js';
import { shortestFloat16, shortestFloat32 } from './float.js';
import { fromWire, type Layout } from './layout.js';

/** Bytes that the device sent and that are no value; a Value is never an object. */
export interface NoValue {
  readonly reason: string;
}

export const NOT_A_NUMBER: NoValue = { reason: 'not a number' };
const NOT_BCD: NoValue = { reason: 'not BCD' };

/** `wire` are exactly the registers of one value. */
export function decodeRegisters(wire: Uint8Array, layout: Layout): Value | NoValue {
  const bytes = fromWire(wire, layout);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (layout.type) {
    case 'bool':
      return view.getUint16(0) !== 0;
    case 'int8':
      return view.getInt8(layout.byte === 'high' ? 0 : 1);
    case 'uint8':
      return view.getUint8(layout.byte === 'high' ? 0 : 1);
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
    case 'bcd16':
      return decimals(view.getUint16(0), 4);
    case 'bcd32':
      return decimals(view.getUint32(0), 8);
    case 'string':
      return textIn(bytes.subarray(0, layout.length));
  }
}

/** Bit `index` of a coil or discrete reply: the first is the lowest bit of the first byte. */
export function decodeBit(bytes: Uint8Array, index: number): boolean {
  return (((bytes[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

export function exact(value: bigint): number | bigint {
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

function finite(value: number): number | NoValue {
  return Number.isFinite(value) ? value : NOT_A_NUMBER;
}

/** Four bits a digit. */
function decimals(bits: number, digits: number): number | NoValue {
  let value = 0;
  for (let index = digits - 1; index >= 0; index--) {
    const digit = (bits >>> (index * 4)) & 0xf;
    if (digit > 9) return NOT_BCD;
    value = value * 10 + digit;
  }
  return value;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const latin1 = new TextDecoder('latin1');

/** Up to the first NUL, without the spaces that pad it; what is no UTF-8 is taken as Latin-1. */
function textIn(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  const written = nul === -1 ? bytes : bytes.subarray(0, nul);
  try {
    return utf8.decode(written).trimEnd();
  } catch {
    return latin1.decode(written).trimEnd();
  }
}
