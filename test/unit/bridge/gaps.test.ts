import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK, GAPS_MAX, type Gap, Gaps, type HistoryOrder } from '../../../src/bridge/gaps.js';
import { NewestSent } from '../../../src/bridge/newest-sent.js';
import type { KeyValueDoor } from '../../../src/core/key-value.js';

test.each(['oldest-first', 'newest-first'] as const)(
  '%s: each offset of each gap comes exactly once',
  (order) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(500), fc.integer({ min: 1, max: 3 * BLOCK })), { maxLength: 20 }),
        (steps) => {
          const gaps = new Gaps([]);
          let at = 1;
          let offsets = 0;
          for (const [apart, length] of steps) {
            gaps.add(at + apart, at + apart + length);
            at += apart + length;
            offsets += length;
          }
          const taken: Gap[] = [];
          for (let gap = gaps.take(order); gap !== undefined; gap = gaps.take(order)) taken.push(gap);
          const ascending = [...taken].sort((one, other) => one[0] - other[0]);
          expect(ascending.reduce((sum, [from, to]) => sum + to - from, 0)).toBe(offsets);
          ascending.forEach(([from], index) => {
            expect(from).toBeGreaterThanOrEqual(ascending[index - 1]?.[1] ?? 0);
          });
          expect(taken).toEqual(order === 'oldest-first' ? ascending : ascending.reverse());
        },
      ),
    );
  },
);

test.each(['oldest-first', 'newest-first'] as HistoryOrder[])('%s: nothing is left at the end', (order) => {
  const gaps = new Gaps([[1, 10]]);
  expect(gaps.take(order)).toEqual([1, 10]);
  expect(gaps.take(order)).toBeUndefined();
  expect(gaps.isEmpty).toBe(true);
});

test('ranges that touch are one, and their number is bounded', () => {
  const gaps = new Gaps([]);
  gaps.add(1, 5);
  gaps.add(5, 9);
  expect(gaps.all).toEqual([[1, 9]]);
  for (let n = 1; n < GAPS_MAX; n += 1) gaps.add(n * 100, n * 100 + 1);
  expect(gaps.isFull).toBe(true);
});

class MapDoor implements KeyValueDoor {
  readonly map = new Map<string, Uint8Array>();
  puts = 0;
  get(key: string): Uint8Array | undefined {
    return this.map.get(key);
  }
  put(key: string, value: Uint8Array): void {
    this.puts += 1;
    this.map.set(key, value);
  }
  remove(key: string): void {
    this.map.delete(key);
  }
  entries(): Iterable<readonly [string, Uint8Array]> {
    return this.map.entries();
  }
}

test('the newest sent of a topic outlives a restart, is written once behind the last gap, and is forgotten with the gaps', () => {
  const door = new MapDoor();
  const newest = new NewestSent(door);
  for (let offset = 500; offset < 600; offset += 1) newest.sent('site/pump', offset, 400);
  expect(door.puts).toBe(1);
  const after = new NewestSent(door);
  expect(after.isNewerThan('site/pump', 399)).toBe(true);
  expect(after.isNewerThan('site/pump', 700)).toBe(false);
  expect(after.isNewerThan('site/other', 1)).toBe(false);
  // Another outage: what waits of it is newer than what was sent before.
  after.sent('site/pump', 900, 800);
  expect(after.isNewerThan('site/pump', 750)).toBe(true);
  after.clear();
  expect(new NewestSent(door).isNewerThan('site/pump', 1)).toBe(false);
});
