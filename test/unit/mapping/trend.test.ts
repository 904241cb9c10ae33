import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Quality, Sample } from '../../../src/core/sample.js';
import type { Value } from '../../../src/core/value.js';
import { Trend } from '../../../src/mapping/trend.js';

const FOREVER = { tolerance: 0.2, latestMs: Infinity, pollMs: 1000 };

function sample(atMs: number, value: Value | null, quality: Quality = 'good'): Sample {
  const stamp = { wallMs: atMs, monotonicMs: atMs, bootId: 'b', trusted: true };
  return { device: 'tank', point: 'level', value, quality, stamp };
}

/** One a second. */
function told(trend: Trend, values: readonly number[]): number[] {
  return values
    .flatMap((value, index) => trend.take(sample(1000 * index, value), 1000 * index))
    .map(atSecond);
}

const atSecond = ({ stamp }: Sample): number => stamp.wallMs / 1000;

/** By how much the value that was read at most differs from the line between what was told. */
function deviation(read: readonly Sample[], said: readonly Sample[]): number {
  let worst = 0;
  for (const one of read) {
    const { wallMs } = one.stamp;
    const after = said.findIndex(({ stamp }) => stamp.wallMs >= wallMs);
    const [a, b] = [said[Math.max(0, after - 1)] as Sample, said[after] as Sample];
    if (after < 0) throw new Error(`nothing was told at or after ${wallMs}`);
    const [from, to] = [Number(a.value), Number(b.value)];
    const span = b.stamp.wallMs - a.stamp.wallMs;
    const line = span === 0 ? to : from + ((to - from) * (wallMs - a.stamp.wallMs)) / span;
    worst = Math.max(worst, Math.abs(Number(one.value) - line));
  }
  return worst;
}

const series = fc
  .array(
    fc.record({ gapMs: fc.integer({ min: 1, max: 5000 }), value: fc.integer({ min: -300, max: 300 }) }),
    {
      minLength: 1,
      maxLength: 200,
    },
  )
  .map((steps) => {
    let atMs = 0;
    return steps.map(({ gapMs, value }) => {
      atMs += gapMs;
      return sample(atMs, value / 100);
    });
  });

test('every value that was read lies within the tolerance of the line between what is told', () => {
  fc.assert(
    fc.property(series, fc.integer({ min: 0, max: 200 }), (read, hundredths) => {
      const tolerance = hundredths / 100;
      const trend = new Trend({ ...FOREVER, tolerance });
      const said = read.flatMap((one) => trend.take(one, one.stamp.wallMs));
      said.push(...trend.flush(read.at(-1)?.stamp.wallMs ?? 0));
      expect(deviation(read, said)).toBeLessThanOrEqual(tolerance + 1e-9);
      // What was read, as it was read, in order, and none twice.
      expect(said).toEqual(read.filter((one) => said.includes(one)));
    }),
    { numRuns: 500 },
  );
});

test('it tells no more than a door that ends a line as soon as the next value is out of its reach', () => {
  fc.assert(
    fc.property(series, (read) => {
      const trend = new Trend(FOREVER);
      const said = read.flatMap((one) => trend.take(one, one.stamp.wallMs));
      said.push(...trend.flush(0));
      expect(said.length).toBeLessThanOrEqual(plainDoor(read, FOREVER.tolerance));
    }),
  );
});

/** How many the plain one tells. */
function plainDoor(read: readonly Sample[], tolerance: number): number {
  let hinge = read[0] as Sample;
  let [lo, hi] = [Number.NEGATIVE_INFINITY, Infinity];
  let count = 1;
  let before = hinge;
  for (const one of read.slice(1)) {
    const slope = (to: Sample, by: number): number =>
      (Number(to.value) + by - Number(hinge.value)) / (to.stamp.wallMs - hinge.stamp.wallMs);
    if (slope(one, 0) < lo || slope(one, 0) > hi) {
      count += 1;
      hinge = before;
      [lo, hi] = [Number.NEGATIVE_INFINITY, Infinity];
    }
    lo = Math.max(lo, slope(one, -tolerance));
    hi = Math.min(hi, slope(one, tolerance));
    before = one;
  }
  return count + (before === hinge ? 0 : 1);
}

describe('a line', () => {
  test('however long is told by its ends', () => {
    const trend = new Trend(FOREVER);
    expect(
      told(
        trend,
        Array.from({ length: 500 }, (_, index) => index / 10),
      ),
    ).toEqual([0]);
    expect(trend.flush(500_000).map(atSecond)).toEqual([499]);
  });

  test('is told at its bend, once the values after it cannot be reached from before it', () => {
    expect(told(new Trend(FOREVER), [0, 1, 2, 3, 3, 3, 3])).toEqual([0, 3]);
  });

  test('bends for a step, and noise within the tolerance bends nothing', () => {
    const noise = [0, 0.1, -0.1, 0.1, 0, -0.1, 0.1, 0];
    expect(told(new Trend(FOREVER), [...noise, ...noise.map((value) => value + 50)])).toEqual([0, 7, 8]);
  });

  test('that never bends is told at last, so that what is held is bounded', () => {
    const trend = new Trend(FOREVER);
    expect(told(trend, new Array<number>(2500).fill(1)).length).toBe(3);
  });
});

describe('all that is held is told', () => {
  test('before a change of quality, which is told at once; what is bad is told once', () => {
    const trend = new Trend(FOREVER);
    told(trend, [1, 1, 1]);
    expect(trend.take(sample(3000, null, 'bad'), 3000)).toEqual([sample(2000, 1), sample(3000, null, 'bad')]);
    expect(trend.take(sample(4000, null, 'bad'), 4000)).toEqual([]);
    expect(trend.take(sample(5000, 1), 5000)).toEqual([sample(5000, 1)]);
  });

  test('at every, and by the poll before it where the next would come too late', () => {
    const trend = new Trend({ ...FOREVER, latestMs: 3500 });
    expect(told(trend, [1, 1, 1, 1, 1, 1, 1])).toEqual([0, 3, 6]);
    expect(trend.deadlineMs).toBe(9500);
  });

  test('when the clock steps back, and the line starts anew', () => {
    const trend = new Trend(FOREVER);
    told(trend, [1, 1, 1]);
    expect(trend.take(sample(500, 1), 3000)).toEqual([sample(2000, 1), sample(500, 1)]);
  });

  test('and known beforehand, so that it can be kept over a restart', () => {
    const trend = new Trend(FOREVER);
    told(trend, [0, 1, 2, 2.6]);
    expect(trend.unsaid).toEqual([sample(2000, 2), sample(3000, 2.6)]);
    expect(trend.unsaid).toEqual(trend.flush(0));
    expect(trend.unsaid).toEqual([]);
  });
});

test('what is no number is told when it changes', () => {
  const trend = new Trend(FOREVER);
  const values = ['auto', 'auto', 'off', true, true, false];
  expect(
    values.flatMap((value, index) => trend.take(sample(1000 * index, value), 0)).map(({ value }) => value),
  ).toEqual(['auto', 'off', true, false]);
});

test('a number and text of the same point do not meet on a line', () => {
  const trend = new Trend(FOREVER);
  const values = [1, 1, 'error', 1, 1];
  expect(values.flatMap((value, index) => trend.take(sample(1000 * index, value), 0)).map(atSecond)).toEqual([
    0, 1, 2, 3,
  ]);
});
