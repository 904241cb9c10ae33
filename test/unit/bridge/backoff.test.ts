import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff, LASTED_MS } from '../../../src/bridge/backoff.js';

const limits = { min: 1000, max: 300_000 };

test('every wait lies between min and min × 2ⁿ, and never above max', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 60 }),
      (randoms) => {
        let next = 0;
        const backoff = new Backoff(limits, () => randoms[next++] ?? 0);
        randoms.forEach((_, attempt) => {
          const delayMs = backoff.delayMs();
          expect(delayMs).toBeGreaterThanOrEqual(limits.min);
          expect(delayMs).toBeLessThanOrEqual(Math.min(limits.max, limits.min * 2 ** (attempt + 1)));
        });
      },
    ),
  );
});

test('the jitter is full: the whole span is used', () => {
  const least = new Backoff(limits, () => 0);
  const most = new Backoff(limits, () => 1 - Number.EPSILON);
  for (let n = 0; n < 5; n += 1) {
    expect(least.delayMs()).toBe(1000);
    expect(Math.round(most.delayMs())).toBe(1000 * 2 ** (n + 1));
  }
});

test('a session that lasted resets it, a short one does not', () => {
  const backoff = new Backoff(limits, () => 1 - Number.EPSILON);
  for (let n = 0; n < 4; n += 1) backoff.delayMs();
  expect(Math.round(backoff.delayMs(LASTED_MS - 1))).toBe(32_000);
  expect(Math.round(backoff.delayMs(LASTED_MS))).toBe(2000);
});

test('after a thousand failures it still waits max at most', () => {
  const backoff = new Backoff(limits, () => 1 - Number.EPSILON);
  for (let n = 0; n < 1000; n += 1) backoff.delayMs();
  expect(Math.round(backoff.delayMs())).toBe(limits.max);
});
