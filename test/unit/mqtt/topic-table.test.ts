import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TopicTable } from '../../../src/mqtt/topic-table.js';

interface Named {
  readonly name: string;
}

function counting(topicsMax?: number): {
  look(name: string): Named;
  made: string[];
  table: TopicTable<Named>;
} {
  const made: string[] = [];
  const table = new TopicTable<Named>((bytes, start, end) => {
    const name = bytes.toString('utf8', start, end);
    made.push(name);
    return { name };
  }, topicsMax);
  return {
    made,
    table,
    look(name) {
      // Never at the start of a chunk, so that offsets count.
      const bytes = Buffer.from(`xyz${name}xyz`);
      return table.get(bytes, 3, bytes.length - 3);
    },
  };
}

describe('TopicTable', () => {
  test('gives each name its own entry and equal names the same one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), {
          maxLength: 300,
        }),
        (names) => {
          const { look, made } = counting();
          for (const name of [...names, ...names]) expect(look(name).name).toBe(name);
          expect(made.length).toBe(new Set(names).size);
        },
      ),
    );
  });

  test('tells names apart that differ in one character anywhere', () => {
    const { look, made } = counting();
    const base = 'site/north/machine/temperature';
    const names = [base];
    for (let at = 0; at < base.length; at += 1) {
      for (const other of '0123456789') names.push(base.slice(0, at) + other + base.slice(at + 1));
    }
    for (const name of names) expect(look(name).name).toBe(name);
    for (const name of names) expect(look(name).name).toBe(name);
    expect(made.length).toBe(names.length);
  });

  test('keeps ten thousand topics whatever their order', () => {
    const { look, made } = counting();
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 10_000; index += 1) look(`plant/line${(index * 7919) % 10_000}/temp`);
    }
    expect(made.length).toBe(10_000);
  });

  test('a name in steady use survives a flood of names seen once', () => {
    const { look, made } = counting(100);
    for (let index = 0; index < 5000; index += 1) {
      look(`flood/${index}`);
      look('steady');
    }
    expect(made.filter((name) => name === 'steady')).toEqual(['steady']);
  });

  test('forgets what was not used while twice its size of others came', () => {
    const { look, made } = counting(100);
    look('once');
    for (let index = 0; index < 200; index += 1) look(`flood/${index}`);
    look('once');
    expect(made.filter((name) => name === 'once').length).toBe(2);
  });

  test('holds as many as were reserved, up to a bound', () => {
    const { look, made, table } = counting(100);
    table.reserve(1000);
    table.reserve(10);
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 1000; index += 1) look(`plant/${index}`);
    }
    expect(made.length).toBe(1000);
  });

  test('long names take the room of several', () => {
    const { look, made } = counting(100);
    const long = 'x'.repeat(500);
    // 100 × 128 bytes in a half: 25 of these.
    for (let index = 10; index < 70; index += 1) look(`${long}${index}`);
    look(`${long}10`);
    expect(made.length).toBe(61);
    look(`${long}69`);
    expect(made.length).toBe(61);
  });

  test('names too long to keep are made each time', () => {
    const { look, made } = counting();
    const name = 'y'.repeat(60_000);
    expect(look(name).name).toBe(name);
    expect(look(name).name).toBe(name);
    expect(made.length).toBe(2);
  });

  test('keeps nothing of a name that is refused', () => {
    let refusals = 0;
    const table = new TopicTable<Named>(() => {
      refusals += 1;
      throw new Error('not a name');
    });
    const bytes = Buffer.from('a/+');
    for (let round = 0; round < 2; round += 1) expect(() => table.get(bytes, 0, 3)).toThrow('not a name');
    expect(refusals).toBe(2);
  });
});
