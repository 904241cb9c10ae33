import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BoundedQueue } from '../../../src/core/bounded-queue.js';

test('what does not fit is said, not kept', () => {
  const queue = new BoundedQueue<number>(2);
  expect([queue.push(1), queue.push(2), queue.push(3)]).toEqual([true, true, false]);
  expect([queue.shift(), queue.shift(), queue.shift()]).toEqual([1, 2, undefined]);
});

test('it behaves like an array with a limit, whatever the order of calls', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(), { nil: undefined }), { maxLength: 400 }), (calls) => {
      const queue = new BoundedQueue<number>(50);
      const model: number[] = [];
      for (const call of calls) {
        if (call === undefined) {
          expect(queue.peek()).toBe(model[0]);
          expect(queue.shift()).toBe(model.shift());
        } else {
          const fits = model.length < 50;
          if (fits) model.push(call);
          expect(queue.push(call)).toBe(fits);
        }
        expect(queue.size).toBe(model.length);
      }
    }),
  );
});
