import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deadlines } from '../../../src/broker/deadlines.js';

test('keys come out in order of their times, moved ones at their new time, removed ones never', () => {
  const deadlines = new Deadlines<string>();
  deadlines.set('a', 30);
  deadlines.set('b', 10);
  deadlines.set('c', 20);
  deadlines.set('b', 40);
  deadlines.delete('c');
  expect(deadlines.nextMs).toBe(30);
  expect(deadlines.shiftDue(29)).toBeUndefined();
  expect(deadlines.shiftDue(100)).toBe('a');
  expect(deadlines.shiftDue(100)).toBe('b');
  expect(deadlines.shiftDue(100)).toBeUndefined();
  expect(deadlines.nextMs).toBe(Number.POSITIVE_INFINITY);
});

test('Infinity means not any more', () => {
  const deadlines = new Deadlines<string>();
  deadlines.set('a', 5);
  deadlines.set('a', Number.POSITIVE_INFINITY);
  expect(deadlines.nextMs).toBe(Number.POSITIVE_INFINITY);
  expect(deadlines.size).toBe(0);
});

test('any sequence of moves behaves like a sorted list', () => {
  const move = fc.tuple(fc.nat(20), fc.nat(1000), fc.boolean());
  fc.assert(
    fc.property(fc.array(move, { maxLength: 400 }), (moves) => {
      const deadlines = new Deadlines<number>();
      const expected = new Map<number, number>();
      for (const [key, atMs, removes] of moves) {
        if (removes) {
          deadlines.delete(key);
          expected.delete(key);
        } else {
          deadlines.set(key, atMs);
          expected.set(key, atMs);
        }
        expect(deadlines.nextMs).toBe(Math.min(Number.POSITIVE_INFINITY, ...expected.values()));
      }
      const order: number[] = [];
      for (let key = deadlines.shiftDue(1000); key !== undefined; key = deadlines.shiftDue(1000)) {
        order.push(expected.get(key)!);
        expected.delete(key);
      }
      expect(order).toEqual([...order].sort((a, b) => a - b));
      expect(expected.size).toBe(0);
    }),
  );
});
