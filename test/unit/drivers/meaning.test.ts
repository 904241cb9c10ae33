import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  heldBoolean,
  heldFlags,
  heldNumber,
  type PointMeaning,
  worth,
} from '../../../src/drivers/meaning.js';

test.each<[PointMeaning, number | boolean, unknown]>([
  [{ scale: 0.1, offset: -40 }, 615, 21.5],
  [{ enum: { 0: 'off', 1: 'auto' } }, 1, 'auto'],
  [{ enum: { 0: 'closed', 1: 'open' } }, true, 'open'],
  [{ invert: true }, true, false],
  [{ invert: true, enum: { 0: 'closed', 1: 'open' } }, true, 'closed'],
  [{ flags: { 0: 'hot', 5: 'dry' } }, 0x21, 'hot,dry'],
  [{ flags: { 0: 'hot' } }, 0, 'none'],
  [{ raw_unit: '°F', unit: '°C' }, 212, 100],
  [{ raw_unit: '°F', unit: '°C', scale: 0.1 }, 320, 0],
])('%j: what is held as %s is worth %s, and the way back leads there', (point, held, value) => {
  expect(worth(point, held)).toBe(value);
  const back = value as string | number | boolean;
  if (point.flags !== undefined) expect(heldFlags(point.flags, back).bits).toBe(BigInt(held));
  else if (typeof held === 'boolean') expect(heldBoolean(point, back)).toBe(held);
  else expect(heldNumber(point, back)).toBe(held);
});

test('a number that is scaled comes back as it was held, whatever the scale', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 31), max: 2 ** 32 }),
      fc.integer({ min: 1, max: 999 }),
      fc.integer({ min: -4, max: 2 }),
      fc.integer({ min: -1000, max: 1000 }),
      (held, digits, exponent, offset) => {
        const point = { scale: Number(`${digits}e${exponent}`), offset };
        expect(Math.round(Number(heldNumber(point, worth(point, held))))).toBe(held);
      },
    ),
  );
});

test('the bits of flags that have no name stay as they are', () => {
  expect(heldFlags({ 0: 'hot', 63: 'far' }, 'far, hot')).toEqual({
    bits: (1n << 63n) | 1n,
    mask: (1n << 63n) | 1n,
  });
  expect(heldFlags({ 0: 'hot' }, 'none')).toEqual({ bits: 0n, mask: 1n });
  expect(() => heldFlags({ 0: 'hot' }, 'cold')).toThrow('allowed: hot with commas between, or none');
});

test('a name that the point does not have is refused with those that it has', () => {
  expect(() => heldNumber({ enum: { 0: 'off', 1: 'auto' } }, 'fast')).toThrow('allowed: off, auto');
  expect(heldNumber({ enum: { 0: 'off', 1: 'auto' } }, ' 1 ')).toBe(1);
});
