/**
 * The value that someone wants to have written, which may be text from a command line or an MQTT payload, as the
 * type that the point takes: pure. What does not fit is an UnfitValue that says what would.
 */

import type { Value } from '../core/value.js';
import { UnfitValue } from './write-result.js';

const TRUE = new Set(['true', 'on', '1']);
const FALSE = new Set(['false', 'off', '0']);
const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/;
const INTEGER = /^[-+]?\d+$/;

export function asBoolean(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  const text = String(value).trim().toLowerCase();
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw unfit(value, 'true or false, on or off, 1 or 0');
}

/** An integer beyond 2^53 is a bigint. */
export function asNumber(value: Value): number | bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value !== 'string') throw unfit(value, 'a number');
  const text = value.trim();
  if (!NUMBER.test(text)) throw unfit(value, 'a number');
  const number = Number(text);
  if (INTEGER.test(text) && !Number.isSafeInteger(number)) return BigInt(text);
  if (!Number.isFinite(number)) throw unfit(value, 'a number');
  return number;
}

export interface Range {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

export function checkRange(value: number | bigint, { min, max }: Range): void {
  if ((min === undefined || value >= min) && (max === undefined || value <= max)) return;
  const allowed =
    min === undefined ? `at most ${max}` : max === undefined ? `at least ${min}` : `${min} to ${max}`;
  throw new UnfitValue('out of range', `${value} is out of range, allowed: ${allowed}`);
}

export function unfit(value: Value, allowed: string): UnfitValue {
  const found = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value);
  return new UnfitValue('wrong type', `${found} does not fit, allowed: ${allowed}`);
}
