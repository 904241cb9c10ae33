import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Quality, Sample } from '../../../src/core/sample.js';
import type { Value } from '../../../src/core/value.js';
import { Report, type ReportPolicy } from '../../../src/mapping/report.js';

const stamp = { wallMs: 0, monotonicMs: 0, bootId: 'boot', trusted: true };

function sample(value: Value | null, quality: Quality = 'good'): Sample {
  return { device: 'd', point: 'p', value, quality, stamp };
}

const onChange: ReportPolicy = { onChange: true, everyMs: Infinity, pollMs: 1000 };

/** Feeds values a second apart; answers with those that were told. */
function told(policy: ReportPolicy, values: readonly (Value | null | Sample)[]): unknown[] {
  const report = new Report(policy);
  return values.flatMap((value, index) => {
    const next = typeof value === 'object' && value !== null ? value : sample(value);
    if (!report.wants(next, index * 1000)) return [];
    report.told(next, index * 1000);
    return [next.quality === 'good' ? next.value : next.quality];
  });
}

describe('on: always', () => {
  test('tells each good value, the same one too', () => {
    expect(told({ ...onChange, onChange: false }, [1, 1, 2])).toEqual([1, 1, 2]);
  });

  test('tells bad once', () => {
    const bad = sample(null, 'bad');
    expect(told({ ...onChange, onChange: false }, [1, bad, bad, 1, bad])).toEqual([1, 'bad', 1, 'bad']);
  });
});

describe('on: change', () => {
  test('tells the first value and each different one', () => {
    expect(told(onChange, [1, 1, 2, 2, 1, 'a', 'a', true, true, false])).toEqual([1, 2, 1, 'a', true, false]);
  });

  test('tells a return from bad or stale with the value unchanged', () => {
    expect(told(onChange, [5, sample(null, 'bad'), 5, sample(5, 'stale'), sample(5, 'stale'), 5])).toEqual([
      5,
      'bad',
      5,
      'stale',
      5,
    ]);
  });

  test('compares integers beyond 2^53 exactly', () => {
    expect(told(onChange, [2n ** 60n, 2n ** 60n, 2n ** 60n + 1n])).toEqual([2n ** 60n, 2n ** 60n + 1n]);
    const band: ReportPolicy = { ...onChange, deadband: { kind: 'absolute', size: 2000 } };
    expect(told(band, [2n ** 60n, 2n ** 60n + 2000n, 2n ** 60n + 4096n])).toEqual([
      2n ** 60n,
      2n ** 60n + 4096n,
    ]);
  });
});

describe('an absolute deadband', () => {
  const policy: ReportPolicy = { ...onChange, deadband: { kind: 'absolute', size: 0.2 } };

  test('is left by more than its size, whatever binary fractions make of that', () => {
    expect(told(policy, [0.6, 0.8, 0.81, 1.01, 0.8, 1.1])).toEqual([0.6, 0.81, 1.1]);
  });

  test('lies around the value last told, so that a slow drift is told', () => {
    expect(told(policy, [10, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6])).toEqual([10, 10.3, 10.6]);
  });

  test('does not hold back what is no number', () => {
    expect(told(policy, [true, false, 'a', 'b'])).toEqual([true, false, 'a', 'b']);
  });

  test('never hides more than its size: the value last told is within it of every value read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 }),
        fc.integer({ min: 0, max: 50 }),
        (tenths, band) => {
          const report = new Report({ ...onChange, deadband: { kind: 'absolute', size: band / 10 } });
          let last = 0;
          for (const [index, here] of tenths.entries()) {
            const next = sample(here / 10);
            const wants = report.wants(next, index);
            expect(wants).toBe(index === 0 || Math.abs(here - last) > band);
            if (!wants) continue;
            report.told(next, index);
            last = here;
          }
        },
      ),
    );
  });
});

test('a deadband in per cent is of the value last told; from zero any change is told', () => {
  const policy: ReportPolicy = { ...onChange, deadband: { kind: 'relative', size: 0.01 } };
  expect(told(policy, [100, 101, 101.1, 102.1, 102.2, -50, -50.5, -50.6, 0, 0.001])).toEqual([
    100, 101.1, 102.2, -50, -50.6, 0, 0.001,
  ]);
});

describe('every', () => {
  test('lets the poll speak after which the next would be too late', () => {
    const report = new Report({ ...onChange, everyMs: 10_000 });
    report.told(sample(1), 0);
    expect(report.wants(sample(1), 9000)).toBe(false);
    expect(report.wants(sample(1), 10_000)).toBe(true);
  });

  test.each([
    [3000, 9000],
    [4000, 8000],
    [5000, 10_000],
    [7000, 7000],
    [20_000, 20_000],
  ])('with a poll each %d ms speaks at %d ms', (pollMs, atMs) => {
    const report = new Report({ ...onChange, pollMs, everyMs: 10_000 });
    report.told(sample(1), 0);
    let nowMs = pollMs;
    while (!report.wants(sample(1), nowMs)) nowMs += pollMs;
    expect(nowMs).toBe(atMs);
  });

  test('has a deadline for when no poll comes, while the value is good', () => {
    const report = new Report({ ...onChange, everyMs: 10_000 });
    expect(report.deadlineMs).toBe(Infinity);
    report.told(sample(1), 100);
    expect(report.deadlineMs).toBe(10_600);
    report.told(sample(null, 'bad'), 200);
    expect(report.deadlineMs).toBe(Infinity);
  });
});

describe('min_interval', () => {
  const report = (onChange: boolean): Report =>
    new Report({ onChange, everyMs: Infinity, pollMs: 1000, minIntervalMs: 5000 });

  test('holds what changes too soon until it is over', () => {
    const of = report(true);
    expect(of.wants(sample(1), 0)).toBe(true);
    of.told(sample(1), 0);
    expect(of.heldUntilMs).toBe(Infinity);
    expect(of.wants(sample(2), 1000)).toBe(false);
    expect(of.heldUntilMs).toBe(5000);
    expect(of.deadlineMs).toBe(5000);
    expect(of.wants(sample(2), 5000)).toBe(true);
  });

  test('holds nothing where the value is back at what was told', () => {
    const of = report(true);
    of.told(sample(1), 0);
    of.wants(sample(2), 1000);
    expect(of.wants(sample(1), 2000)).toBe(false);
    expect(of.heldUntilMs).toBe(Infinity);
  });

  test('thins readings that are all told', () => {
    const of = report(false);
    of.told(sample(1), 0);
    const told = [1000, 2000, 3000, 4000, 5000].map((atMs) => of.wants(sample(1), atMs));
    expect(told).toEqual([false, false, false, false, true]);
  });

  test('does not keep a value from turning bad, nor good again', () => {
    const of = report(true);
    of.told(sample(1), 0);
    const bad = sample(null, 'bad');
    expect(of.wants(bad, 1000)).toBe(true);
    of.told(bad, 1000);
    expect(of.wants(sample(1), 1500)).toBe(true);
  });
});
