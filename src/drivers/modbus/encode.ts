/**
 * A raw number, text or boolean to register bytes, as the wire has them: pure. The way back of `decode.ts`. What
 * does not fit its type is an UnfitValue.
 */

import type { Value } from '../../core/value.js';
import { UnfitValue } from '../write-result.js';
import { float16ToBits } from './float.js';
import { type Layout, toWire } from './layout.js';

const INTEGER = /^(u?)int(8|16|32|64)$/;
const BCD = /^bcd(16|32)$/;
/** The largest that does not round to infinity. */
const FLOAT16_MAX = 65_519;
const FLOAT32_MAX = 3.4028235677973366e38;

/** `value` is raw: without scale and names. An int8 takes its byte, and the other one is 0. */
export function encodeRegisters(value: Value, layout: Layout, pad: 'nul' | 'space' = 'nul'): Uint8Array {
  return toWire(bigEndian(value, layout, pad), layout);
}

function bigEndian(value: Value, layout: Layout, pad: 'nul' | 'space'): Uint8Array {
  const { type } = layout;
  if (type === 'string') return textBytes(String(value), layout, pad);
  const bytes = new Uint8Array(layout.registers * 2);
  const view = new DataView(bytes.buffer);
  if (type === 'bool') {
    view.setUint16(0, value === true ? 1 : 0);
    return bytes;
  }
  const number = typeof value === 'bigint' ? value : Number(value);
  const integer = INTEGER.exec(type);
  const bcd = BCD.exec(type);
  if (integer !== null) {
    const bits = Number(integer[2]);
    const whole = toInteger(number, type, integer[1] === 'u' ? [0n, 2n ** BigInt(bits) - 1n] : signed(bits));
    putInteger(bytes, BigInt.asUintN(bits, whole), bits, layout.byte);
  } else if (bcd !== null) {
    const digits = Number(bcd[1]) / 4;
    const whole = toInteger(number, type, [0n, 10n ** BigInt(digits) - 1n]);
    putInteger(bytes, BigInt(`0x${whole}`), digits * 4, layout.byte);
  } else {
    putFloat(view, Number(number), type);
  }
  return bytes;
}

function signed(bits: number): [bigint, bigint] {
  return [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n];
}

function toInteger(value: number | bigint, type: string, [least, most]: [bigint, bigint]): bigint {
  const whole = typeof value === 'bigint' ? value : BigInt(Math.round(value));
  if (whole < least || whole > most) {
    throw new UnfitValue(
      'out of range',
      `${whole} does not fit ${type}, allowed: ${least} to ${most} in the register`,
    );
  }
  return whole;
}

function putInteger(bytes: Uint8Array, value: bigint, bits: number, byte: 'high' | 'low'): void {
  const from = bits === 8 && byte === 'high' ? 0 : bytes.length - bits / 8;
  for (let index = bits / 8 - 1, rest = value; index >= 0; index--, rest >>= 8n) {
    bytes[from + index] = Number(rest & 0xffn);
  }
}

function putFloat(view: DataView, value: number, type: string): void {
  const most = type === 'float16' ? FLOAT16_MAX : type === 'float32' ? FLOAT32_MAX : Number.MAX_VALUE;
  if (!(Math.abs(value) <= most)) throw new UnfitValue('out of range', `${value} does not fit ${type}`);
  if (type === 'float16') view.setUint16(0, float16ToBits(value));
  else if (type === 'float32') view.setFloat32(0, value);
  else view.setFloat64(0, value);
}

function textBytes(text: string, { registers, length }: Layout, pad: 'nul' | 'space'): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  if (encoded.length > length) {
    throw new UnfitValue('out of range', `the text has ${encoded.length} bytes, allowed: ${length}`);
  }
  const bytes = new Uint8Array(registers * 2);
  if (pad === 'space') bytes.fill(0x20, 0, length);
  bytes.set(encoded);
  return bytes;
}
