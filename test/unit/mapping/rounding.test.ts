import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roundingTo, withoutDust } from '../../../src/mapping/rounding.js';

/** Decimals as sensors write them: whole numbers of the last place. */
const decimal = fc
  .tuple(fc.integer({ min: -9_999_999, max: 9_999_999 }), fc.integer({ min: 0, max: 6 }))
  .map(([digits, places]) => Number(`${digits}e-${places}`));

describe('a number without dust', () => {
  test.each([
    [0.1 + 0.2, 0.3],
    [-(0.1 + 0.2), -0.3],
    [0.1 * 3, 0.3],
    [1.1 + 2.2, 3.3],
    [9.95 * 100, 995],
    [1e-300 * 3, 3e-300],
    [1 / 3, 0.33333333333333],
    [-0, 0],
    [2 ** 53, 2 ** 53],
    [123_456_789_012_345, 123_456_789_012_345],
  ])('%d is %d', (reckoned, meant) => {
    expect(withoutDust(reckoned)).toBe(meant);
  });

  test('NaN and infinities stay what they are', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) expect(withoutDust(value)).toBe(value);
  });

  test('is what sums and products of decimals are on paper, whatever the decimals', () => {
    fc.assert(
      fc.property(decimal, decimal, (a, b) => {
        // On paper: in whole numbers of the twelfth place.
        const [x, y] = [BigInt(Math.round(a * 1e6)), BigInt(Math.round(b * 1e6))];
        expect(withoutDust(a + b)).toBeCloseTo(Number(`${x + y}e-6`), 6);
        const product = Number(`${x * y}e-12`);
        expect(withoutDust(a * b)).toBe(withoutDust(product));
      }),
    );
  });

  test('added up in steps of 0.1 stays in steps of 0.1', () => {
    let sum = 0;
    for (let step = 1; step <= 10_000; step += 1) {
      sum = withoutDust(sum + 0.1);
      expect(sum).toBe(step / 10);
    }
  });
});

describe('a resolution', () => {
  test.each([
    [0.1, 21.54, 21.5],
    [0.1, 21.55, 21.6],
    [0.1, -21.55, -21.6],
    [0.05, 21.537, 21.55],
    [0.01, 1.005, 1.01],
    [0.5, 0.24, 0],
    [0.5, -0.24, 0],
    [10, 1234, 1230],
    [5, 12.5, 15],
    [0.25, 0.3, 0.25],
    [1e-7, 0.00000012345, 1e-7],
    [1e21, 5, 0],
  ])('of %d makes %d to %d', (resolution, value, rounded) => {
    expect(roundingTo(resolution)(value)).toBe(rounded);
  });

  test('makes the double that is nearest to a decimal multiple, and a second time changes nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 99 }),
        fc.integer({ min: 0, max: 5 }),
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        (digits, places, value) => {
          const round = roundingTo(Number(`${digits}e-${places}`));
          const rounded = round(value);
          const multiple = Math.round((rounded * 10 ** places) / digits);
          expect(rounded).toBe(Number(`${multiple * digits}e-${places}`) + 0);
          expect(round(rounded)).toBe(rounded);
        },
      ),
    );
  });

  test('leaves alone what is too large to have such places', () => {
    expect(roundingTo(0.001)(2 ** 53 + 2)).toBe(2 ** 53 + 2);
    expect(roundingTo(0.1)(Number.NaN)).toBeNaN();
  });
});
