/**
 * Between what a device holds and what its point is worth, one value at a time, both ways: for writes, and for the
 * answer to whoever wrote or reads by hand. Pure.
 *
 *   held ──invert ▶ enum | flags ▶ scale, offset ▶ raw_unit──▶ worth
 *
 * What needs more than the one value (rates, smoothing), or has no way back (curves), is the mapping's alone.
 */

import type { PointTransform } from '../config/point-transform.js';
import { makeScale, normalInteger } from '../core/scale.js';
import { conversionOf } from '../core/unit.js';
import type { Value } from '../core/value.js';
import { UnfitValue } from './write-result.js';
import { asBoolean, asNumber, checkRange, type Range, unfit } from './written-value.js';

export type PointMeaning = Pick<
  PointTransform,
  'invert' | 'enum' | 'flags' | 'scale' | 'offset' | 'raw_unit' | 'unit'
>;

/** More would be a person's guess at the last digits of a double. */
const DIGITS = 15;
/** A conversion of units takes several steps, each with its dust. */
const DIGITS_CONVERTED = 12;

export function worth(point: PointMeaning, held: Value): Value {
  const value = point.invert === true ? inverted(held) : held;
  if (typeof value === 'string') return value;
  if (point.enum !== undefined) return point.enum[String(Number(value))] ?? value;
  if (point.flags !== undefined && typeof value !== 'boolean') return flagsSet(point.flags, value);
  if (typeof value === 'boolean') return value;
  const scaled = makeScale(point.scale, point.offset)?.(value) ?? value;
  const convert = conversion(point.raw_unit, point.unit);
  if (convert === undefined) return typeof scaled === 'bigint' ? normalInteger(scaled) : scaled;
  return exactly(convert(Number(scaled)), DIGITS_CONVERTED);
}

/** What the device must hold where it holds true or false. */
export function heldBoolean(point: PointMeaning, value: Value): boolean {
  const code = codeOf(point.enum, value);
  return asBoolean(code ?? value) !== (point.invert === true);
}

/** What the device must hold where it holds a number; `exponent` is that of a scale register. */
export function heldNumber(point: PointMeaning & Range, value: Value, exponent = 0): number | bigint {
  const code = codeOf(point.enum, value);
  if (code !== undefined) return heldBy(point, code);
  const number = asNumber(value);
  checkRange(number, point);
  const { scale = 1, offset = 0 } = point;
  const convert = conversion(point.unit, point.raw_unit);
  if (scale === 1 && offset === 0 && exponent === 0 && convert === undefined) {
    return typeof number === 'bigint' ? number : heldBy(point, number);
  }
  const read = convert === undefined ? Number(number) : convert(Number(number));
  const held = exactly(
    ((read - offset) / scale) * Number(`1e${-exponent}`),
    convert === undefined ? DIGITS : DIGITS_CONVERTED,
  );
  if (!Number.isFinite(held)) throw new UnfitValue('out of range', `${number} cannot be scaled back`);
  return heldBy(point, held);
}

/** The bits that have names, set or not; the others are not the point's to change. */
export function heldFlags(
  flags: NonNullable<PointMeaning['flags']>,
  value: Value,
): { readonly bits: bigint; readonly mask: bigint } {
  const named = Object.entries(flags).map(([bit, name]) => [2n ** BigInt(bit), name] as const);
  let bits = 0n;
  for (const word of String(value).split(',')) {
    const name = word.trim();
    if (name === '' || name === NO_FLAG) continue;
    const flag = named.find(([, each]) => each === name);
    if (flag === undefined) {
      throw unfit(value, `${named.map(([, each]) => each).join(', ')} with commas between, or ${NO_FLAG}`);
    }
    bits |= flag[0];
  }
  return { bits, mask: named.reduce((all, [bit]) => all | bit, 0n) };
}

/** As the mapping says it. */
const NO_FLAG = 'none';

function flagsSet(flags: NonNullable<PointMeaning['flags']>, value: number | bigint): Value {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return value;
  const set: string[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (let bit = 0; left > 0n; bit += 1, left >>= 1n) {
    if ((left & 1n) === 1n) set.push(flags[bit] ?? `bit${bit}`);
  }
  return set.length === 0 ? NO_FLAG : set.join(',');
}

/** By its name, or by the number itself where it has one; undefined where the point has no names. */
function codeOf(names: PointMeaning['enum'], value: Value): number | undefined {
  if (names === undefined) return undefined;
  const text = typeof value === 'boolean' ? String(Number(value)) : String(value).trim();
  for (const [code, name] of Object.entries(names)) if (name === text) return Number(code);
  if (names[text] === undefined) throw unfit(value, Object.values(names).join(', '));
  return Number(text);
}

function inverted(value: Value): Value {
  if (typeof value === 'boolean') return !value;
  return value === 0 || value === 1 ? 1 - Number(value) : value;
}

function conversion(
  from: string | undefined,
  to: string | undefined,
): ((value: number) => number) | undefined {
  return from === undefined || to === undefined || from === to ? undefined : conversionOf(from, to);
}

function heldBy(point: PointMeaning, value: number): number {
  return point.invert === true ? Number(inverted(value)) : value;
}

/** 21.5 / 0.1 is 215, not 215.00000000000003. */
function exactly(value: number, digits: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : value;
}
