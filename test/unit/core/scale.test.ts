import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeScale, normalInteger } from '../../../src/core/scale.js';

/** Decimal arithmetic by another way than the code's: whole numbers of the smallest place. */
function exact(rawDigits: bigint, rawPlaces: number, scaleDigits: bigint, scalePlaces: number): number {
  return Number(`${rawDigits * scaleDigits}e-${rawPlaces + scalePlaces}`);
}

describe('a scale', () => {
  test.each([
    [215, 0.1, 0, 21.5],
    [3, 0.1, 0, 0.3],
    [1234, 0.01, -1, 11.34],
    [7, 1.1, 0, 7.7],
    [-40, 0.1, 0, -4],
    [0, -0.1, 0, 0],
    [21.5, 1.8, 32, 70.7],
    [0.1, 0.1, 0, 0.01],
    [1, 0.2, 0.1, 0.3],
    [229.9, 1000, 0, 229_900],
    [1, 1e-7, 0, 1e-7],
    [65_535, 0.0025, 0, 163.8375],
    [2 ** 31, 0.001, 0, 2147483.648],
  ])('%d × %d + %d is %d', (raw, scale, offset, result) => {
    expect(makeScale(scale, offset)?.(raw)).toBe(result);
  });

  test('of 1 with no offset is nothing to do', () => {
    expect(makeScale()).toBeUndefined();
    expect(makeScale(1, 0)).toBeUndefined();
  });

  test('leaves booleans, strings, NaN and infinities as they are', () => {
    const scale = makeScale(0.1, 5);
    for (const value of [true, 'open', Number.NaN, Infinity, -Infinity]) expect(scale?.(value)).toBe(value);
  });

  test('of 0.1, 0.01 and so on never prints more places than the scale has', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 32 }),
        fc.integer({ min: 1, max: 6 }),
        (raw, places) => {
          const result = makeScale(Number(`1e-${places}`))?.(raw);
          expect(result).toBe(exact(BigInt(raw), 0, 1n, places));
          expect((String(result).split('e')[0]?.split('.')[1] ?? '').length).toBeLessThanOrEqual(
            String(result).includes('e') ? 17 : places,
          );
        },
      ),
    );
  });

  test('of any decimal on any float32 is the double nearest to the exact decimal result', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -9_999_999, max: 9_999_999 }),
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: -9_999_999, max: 9_999_999 }).filter((digits) => digits !== 0),
        fc.integer({ min: 0, max: 12 }),
        (rawDigits, rawPlaces, scaleDigits, scalePlaces) => {
          const raw = Number(`${rawDigits}e-${rawPlaces}`);
          const scale = Number(`${scaleDigits}e-${scalePlaces}`);
          const result = makeScale(scale)?.(raw) ?? raw;
          expect(result).toBe(exact(BigInt(rawDigits), rawPlaces, BigInt(scaleDigits), scalePlaces) + 0);
        },
      ),
    );
  });

  test('on any double is within rounding of the plain product, and finite values give no NaN', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(double, fc.double({ noNaN: true, min: -1e6, max: 1e6 }), (raw, scale) => {
        const result = makeScale(scale, 0.5)?.(raw);
        if (typeof result === 'bigint') return;
        expect(typeof result).toBe('number');
        const plain = raw * scale + 0.5;
        if (!Number.isFinite(plain)) return;
        const slack = 1e-9 * Math.max(Math.abs(raw * scale), 1);
        expect(Math.abs(Number(result) - plain)).toBeLessThanOrEqual(slack);
      }),
    );
  });

  test('keeps 64-bit integers exact, also where the scale is an integer or divides them', () => {
    const big = 9_223_372_036_854_775_807n;
    expect(makeScale(1, 1)?.(big - 1n)).toBe(big);
    expect(makeScale(2)?.(4_611_686_018_427_387_903n)).toBe(9_223_372_036_854_775_806n);
    expect(makeScale(0.1)?.(92_233_720_368_547_758_070n / 10n)).toBe(Number('922337203685477580.7'));
    expect(makeScale(0.1)?.(90_071_992_547_409_930n)).toBe(9_007_199_254_740_993n);
    expect(makeScale(1000)?.(4_294_967_295)).toBe(4_294_967_295_000);
    expect(makeScale(1e9)?.(4_294_967_295)).toBe(4_294_967_295_000_000_000n);
  });

  test('of an enormous factor gives a number, not a string of digits without end', () => {
    expect(makeScale(1e300)?.(5)).toBe(5e300);
    expect(makeScale(1e300)?.(2n ** 60n)).toBe(Number(2n ** 60n) * 1e300);
    expect(makeScale(1e308)?.(1e10)).toBe(Infinity);
  });
});

test('a bigint stays one only beyond 2^53', () => {
  expect(normalInteger(5n)).toBe(5);
  expect(normalInteger(-(2n ** 53n) + 1n)).toBe(-(2 ** 53) + 1);
  expect(normalInteger(2n ** 53n)).toBe(2n ** 53n);
  expect(normalInteger(-(2n ** 63n))).toBe(-(2n ** 63n));
});
