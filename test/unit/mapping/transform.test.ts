import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { simulatorPointSchema } from '../../../src/config/schema.js';
import type { Value } from '../../../src/core/value.js';
import { Unfit } from '../../../src/mapping/step.js';
import { makeTransform, Transform } from '../../../src/mapping/transform.js';

function transform(keys: object): Transform {
  return new Transform(simulatorPointSchema.parse({ simulate: {}, ...keys }));
}

/** What becomes of each value, read a second apart: a value, the reason why it is none, or nothing. */
function through(keys: object, ...values: Value[]): unknown[] {
  const of = transform(keys);
  return values.map((value, second) => shown(of.apply(value, second * 1000)));
}

function shown(result: Value | Unfit): unknown {
  return result instanceof Unfit ? (result.reason ?? undefined) : result;
}

test('where there is nothing to do there is no transform', () => {
  expect(makeTransform(simulatorPointSchema.parse({ simulate: {}, unit: 'V' }))).toBeUndefined();
});

describe('invert', () => {
  test('turns true to false and 1 to 0, and leaves alone what is neither', () => {
    expect(through({ invert: true }, true, false, 1, 0, 5, 'on')).toEqual([false, true, 0, 1, 5, 'on']);
  });
});

describe('names', () => {
  test('stand for numbers and booleans; a number without one stays a number', () => {
    const names = { enum: { 0: 'off', 1: 'auto', '-1': 'fault' } };
    expect(through(names, 0, 1, -1, 7, true, 'auto')).toEqual(['off', 'auto', 'fault', 7, 'auto', 'auto']);
  });

  test('of flags are those of the bits that are set, in their order', () => {
    const flags = { flags: { 0: 'pump', 3: 'door' } };
    expect(through(flags, 0, 1, 9, 2, -1 & 0xff, 2n ** 63n)).toEqual([
      'none',
      'pump',
      'pump,door',
      'bit1',
      'pump,bit1,bit2,door,bit4,bit5,bit6,bit7',
      'bit63',
    ]);
  });
});

describe('a table', () => {
  const points = [
    [0, 0],
    [10, 100],
    [20, 150],
  ];
  test('is straight between its points and holds at its ends', () => {
    expect(through({ table: { points } }, -5, 0, 3, 10, 15, 20, 25)).toEqual([0, 0, 30, 100, 125, 150, 150]);
  });

  test('goes on beyond its ends, or is bad there, where that is said', () => {
    expect(through({ table: { points, outside: 'extend' } }, -5, 30)).toEqual([-50, 200]);
    expect(through({ table: { points, outside: 'bad' } }, -5, 5, 30)).toEqual([
      'outside the table',
      50,
      'outside the table',
    ]);
  });

  test('meets every one of its points exactly, and makes no dust between decimals', () => {
    const ntc = [
      [3.27, -40],
      [32.65, 0.1],
      [100, 25.3],
    ];
    expect(through({ table: { points: ntc } }, 3.27, 32.65, 100)).toEqual([-40, 0.1, 25.3]);
    expect(
      through(
        {
          table: {
            points: [
              [0, 0],
              [1, 0.3],
            ],
          },
        },
        0.1,
        0.2,
        1 / 3,
      ),
    ).toEqual([0.03, 0.06, 0.1]);
  });

  test('rises where its points rise', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 2, maxLength: 30 }),
        fc.integer({ min: -1100, max: 1100 }),
        fc.integer({ min: 0, max: 500 }),
        (xs, from, more) => {
          const rising = [...xs].sort((a, b) => a - b).map((x) => [x, x * 3 + 1]);
          const [low, high] = through({ table: { points: rising } }, from, from + more) as [number, number];
          expect(low).toBeLessThanOrEqual(high);
        },
      ),
    );
  });
});

describe('a rate', () => {
  test('is what a counter counts between two readings, per second, minute or hour', () => {
    expect(through({ rate: {} }, 100, 103, 103)).toEqual([undefined, 3, 0]);
    expect(through({ rate: { per: 'm' } }, 0, 2)).toEqual([undefined, 120]);
    expect(through({ rate: { per: 'h' }, scale: 0.0025 }, 0, 4)).toEqual([undefined, 36]);
  });

  test('goes over a counter that ran over', () => {
    expect(through({ rate: { wrap: 65_536 } }, 65_530, 4)).toEqual([undefined, 10]);
    expect(through({ rate: { wrap: 2 ** 32 } }, 2 ** 32 - 1, 0)).toEqual([undefined, 1]);
  });

  test('says nothing of the time in which a counter was reset, and goes on from there', () => {
    expect(through({ rate: {} }, 5000, 3, 10)).toEqual([undefined, undefined, 7]);
    expect(through({ rate: { wrap: 65_536 } }, 5000, 3, 10)).toEqual([undefined, undefined, 7]);
  });

  test('is exact beyond 2^53', () => {
    expect(through({ rate: {} }, 2n ** 60n, 2n ** 60n + 5n)).toEqual([undefined, 5]);
  });

  test('takes the time between good readings, whatever was bad between them', () => {
    const of = transform({ rate: {}, smooth: { mean: 4 } });
    of.apply(0, 0);
    expect(of.apply(10, 1000)).toBe(10);
    of.interrupted();
    expect(of.apply(60, 6000)).toBe(10);
  });

  test('of two readings at one instant is nothing, not infinite', () => {
    const of = transform({ rate: {} });
    expect([of.apply(0, 5), of.apply(1, 5), of.apply(2, 1005)].map(shown)).toEqual([undefined, undefined, 2]);
  });
});

describe('units', () => {
  test('are converted by name after scaling', () => {
    expect(through({ scale: 0.1, raw_unit: '°F', unit: '°C' }, 2120, 680)).toEqual([100, 20]);
  });
});

describe('limits', () => {
  test('clamp what is outside to the nearest inside', () => {
    expect(through({ clamp: { min: 0, max: 100 } }, -1, 50, 101, 'x')).toEqual([0, 50, 100, 'x']);
    expect(through({ clamp: { min: 0 } }, -1, 2n ** 60n)).toEqual([0, 2n ** 60n]);
  });

  test('of what is valid make bad what is outside', () => {
    expect(through({ scale: 0.1, valid: { min: -40, max: 80 } }, 215, 32_767)).toEqual([
      21.5,
      'out of range',
    ]);
  });
});

describe('smoothing', () => {
  test('by mean and median is over the last readings, as many as there are', () => {
    expect(through({ smooth: { mean: 3 } }, 1, 2, 6, 10)).toEqual([1, 1.5, 3, 6]);
    expect(through({ smooth: { median: 3 } }, 1, 9, 2, 3)).toEqual([1, 5, 2, 3]);
    expect(through({ smooth: { mean: 3 } }, 0.1, 0.2, 0.3)).toEqual([0.1, 0.15, 0.2]);
  });

  test('by share moves the value that much of the way', () => {
    expect(through({ smooth: { exponential: 0.5 } }, 0, 8, 8)).toEqual([0, 4, 6]);
  });

  test('begins anew after a bad reading', () => {
    for (const smooth of [{ mean: 5 }, { median: 5 }, { exponential: 0.1 }]) {
      const of = transform({ smooth });
      of.apply(1000, 0);
      of.interrupted();
      expect(of.apply(1, 1000)).toBe(1);
    }
  });

  test('by median ignores a spike, and stays within what was read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -999, max: 999 }), { minLength: 1, maxLength: 40 }),
        (values) => {
          const of = transform({ smooth: { median: 7 } });
          for (const [index, value] of values.entries()) {
            const last = values.slice(Math.max(0, index - 6), index + 1);
            const result = of.apply(value, index) as number;
            expect(result).toBeGreaterThanOrEqual(Math.min(...last));
            expect(result).toBeLessThanOrEqual(Math.max(...last));
          }
        },
      ),
    );
  });
});

test('the steps come in the order that is documented', () => {
  const all = {
    rate: { per: 's' },
    scale: 2,
    offset: 1,
    table: {
      points: [
        [0, 32],
        [100, 232],
      ],
    },
    raw_unit: '°F',
    unit: '°C',
    clamp: { max: 30 },
    smooth: { mean: 2 },
    resolution: 0.5,
  };
  // 5/s ▶ 11 ▶ 54 °F ▶ 12.22 °C ▶ rounded; then 100/s ▶ 30 by clamp ▶ mean of both ▶ rounded
  expect(through(all, 0, 5, 105)).toEqual([undefined, 12, 21]);
});

test('0.1 steps stay 0.1 steps through scale, offset, conversion and smoothing', () => {
  fc.assert(
    fc.property(fc.integer({ min: -40_000, max: 40_000 }), (raw) => {
      for (const keys of [
        { scale: 0.1 },
        { scale: 0.1, offset: -27.3 },
        { scale: 0.1, resolution: 0.1 },
        { scale: 100, raw_unit: 'mbar', unit: 'bar' },
        { scale: 0.1, smooth: { median: 3 } },
      ]) {
        const [value] = through(keys, raw) as [number];
        expect(value).toBe(Math.round(value * 10) / 10);
      }
    }),
  );
});
