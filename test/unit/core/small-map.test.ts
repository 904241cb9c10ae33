import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SmallMap } from '../../../src/core/small-map.js';

test('holds what a Map would hold, through every change', () => {
  const change = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.option(fc.constantFrom('', 'x', 'y'), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const small = new SmallMap<string, string>();
      const map = new Map<string, string>();
      for (const { key, value } of changes) {
        if (value === undefined) {
          small.delete(key);
          map.delete(key);
        } else {
          small.set(key, value);
          map.set(key, value);
        }
        expect(small.size).toBe(map.size);
        for (const each of ['a', 'b', 'c']) expect(small.get(each)).toBe(map.get(each));
        const values: string[] = ['before'];
        small.addValuesTo(values);
        expect(values.sort()).toEqual(['before', ...map.values()].sort());
      }
    }),
  );
});
