/** The way back of a written value: from what the point's readings are to what the device understands. Pure. */
import type { PointConfig } from '../config/schema.js';
import { makeScale } from '../core/scale.js';
import type { Value } from '../core/value.js';
import { asNumber, checkRange, type Range } from './written-value.js';

/** Throws an UnfitValue where it is no number, or out of range. */
export function unscaled(value: Value, config: PointConfig & Range): number | bigint {
  const named = Object.entries(config.enum ?? {}).find(([, name]) => name === value)?.[0];
  const number = asNumber(named ?? value);
  checkRange(number, config);
  const { scale = 1, offset = 0 } = config;
  const shifted = makeScale(1, -offset)?.(number) ?? number;
  if (scale === 1 || typeof shifted === 'bigint') return shifted as number | bigint;
  // Fifteen digits are what a double holds for sure: 21.5 / 0.1 is 215, not 214.99999999999997.
  return Number((Number(shifted) / scale).toPrecision(15));
}
