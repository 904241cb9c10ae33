/**
 * A value for a point, as an operator gives it, to what must be in the device's registers afterwards: pure. What
 * does not fit the point is an UnfitValue, before any byte reaches the bus.
 *
 *   value ──name, bit, range, scale──▶ raw ──layout──▶ Change: a coil, whole registers, or some bits of them
 */

import type { Value } from '../../core/value.js';
import { heldBoolean, heldFlags, heldNumber } from '../meaning.js';
import { UnfitValue } from '../write-result.js';
import { encodeRegisters } from './encode.js';
import { type Layout, toWire } from './layout.js';
import type { Question } from './pdu.js';
import { isBits, type ModbusPoint } from './point.js';
import {
  maskRegister,
  writeAndRead,
  writeCoil,
  writeCoils,
  writeRegister,
  writeRegisters,
} from './write-pdu.js';

/** As the wire has it. */
export type Change =
  | { readonly kind: 'coil'; readonly on: boolean }
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  /** Only where `mask` has ones. */
  | { readonly kind: 'bits'; readonly bytes: Uint8Array; readonly mask: Uint8Array };

/** @param exponent that of the scale register, where the point has one */
export function changeFor(point: ModbusPoint, value: Value, exponent = 0): Change {
  const { config, layout, bits } = point;
  if (isBits(point.table)) return { kind: 'coil', on: heldBoolean(config, value) };
  if (config.flags !== undefined) {
    const flags = heldFlags(config.flags, value);
    return bitsChange(layout, flags.bits, flags.mask);
  }
  if (bits !== undefined) {
    const most = 2n ** BigInt(bits.to - bits.from + 1) - 1n;
    const number =
      bits.from === bits.to ? BigInt(heldBoolean(config, value)) : wholeIn(heldNumber(config, value), most);
    return bitsChange(layout, number << BigInt(bits.from), most << BigInt(bits.from));
  }
  if (layout.type === 'string') {
    return { kind: 'whole', bytes: encodeRegisters(String(value), layout, config.pad) };
  }
  const raw = layout.type === 'bool' ? heldBoolean(config, value) : heldNumber(config, value, exponent);
  const bytes = encodeRegisters(raw, layout);
  if (layout.type !== 'int8' && layout.type !== 'uint8') return { kind: 'whole', bytes };
  // Its neighbour in the register is another value.
  const mask = encodeRegisters(layout.type === 'int8' ? -1 : 0xff, layout);
  return { kind: 'bits', bytes, mask };
}

/** Whatever the scale register will say, the value alone may be wrong. */
export function checkValue(point: ModbusPoint, value: Value): void {
  if (point.scaleAddress === undefined) changeFor(point, value);
  else heldNumber(point.config, value);
}

/** Whether the registers of the value, as read, are as the change wants them. */
export function isChanged(change: Change, raw: Uint8Array): boolean {
  if (change.kind === 'coil') return raw[0] === (change.on ? 1 : 0);
  const mask = change.kind === 'bits' ? change.mask : undefined;
  return change.bytes.every((byte, index) => ((byte ^ (raw[index] ?? 0)) & (mask?.[index] ?? 0xff)) === 0);
}

/** What is in the registers now, with the change made in it. */
export function merged(change: Extract<Change, { kind: 'bits' }>, raw: Uint8Array): Uint8Array {
  return Uint8Array.from(raw, (byte, index) => {
    const mask = change.mask[index] ?? 0;
    return (byte & ~mask) | ((change.bytes[index] ?? 0) & mask);
  });
}

/** The mask write that makes the change; undefined: it has bits of several registers. */
export function maskFor(point: ModbusPoint, change: Extract<Change, { kind: 'bits' }>): Question | undefined {
  let found: Question | undefined;
  for (let index = 0; index < change.mask.length; index += 2) {
    const mask = ((change.mask[index] ?? 0) << 8) | (change.mask[index + 1] ?? 0);
    if (mask === 0) continue;
    if (found !== undefined) return undefined;
    const bits = ((change.bytes[index] ?? 0) << 8) | (change.bytes[index + 1] ?? 0);
    found = maskRegister(point.valueAddress + index / 2, ~mask & 0xffff, bits & mask);
  }
  return found;
}

export function coilQuestion(point: ModbusPoint, on: boolean): Question {
  return point.config.write_function === 15 ? writeCoils(point.address, [on]) : writeCoil(point.address, on);
}

export function registersQuestion(point: ModbusPoint, bytes: Uint8Array): Question {
  const { valueAddress, config } = point;
  if (config.write_function === 23) return writeAndRead(valueAddress, bytes);
  if (config.write_function !== 16 && bytes.length === 2) return writeRegister(valueAddress, bytes);
  return writeRegisters(valueAddress, bytes);
}

function wholeIn(value: number | bigint, most: bigint): bigint {
  const whole = typeof value === 'bigint' ? value : BigInt(Math.round(value));
  if (whole < 0n || whole > most)
    throw new UnfitValue('out of range', `${whole} does not fit its bits, allowed: 0 to ${most}`);
  return whole;
}

/** `value` and `mask` are numbers as wide as the registers; an 8-bit layout is asked for by its byte instead. */
function bitsChange(layout: Layout, value: bigint, mask: bigint): Change {
  return { kind: 'bits', bytes: wide(layout, value), mask: wide(layout, mask) };
}

function wide(layout: Layout, value: bigint): Uint8Array {
  if (layout.type === 'uint8') return encodeRegisters(value, layout);
  const bytes = new Uint8Array(layout.registers * 2);
  for (let index = bytes.length - 1, rest = value; index >= 0; index--, rest >>= 8n)
    bytes[index] = Number(rest & 0xffn);
  return toWire(bytes, layout);
}
