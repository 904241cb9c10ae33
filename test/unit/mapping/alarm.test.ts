import { describe, expect, test } from 'vitest';
import { Bench } from './lasting.js';

const simulate = {};

function bench(alarm: object, point: object = {}): Bench {
  const of = new Bench({
    devices: { d: { bus: 's', poll: '1s', points: { x: { simulate, alarm, ...point } } } },
    alarms: { topic: 'alarm/{priority}/{device}/{point}/{alarm}' },
  });
  of.restart(0);
  return of;
}

/** Reads these values a second apart; what was told, by second. */
function told(of: Bench, values: readonly (number | boolean | string | null)[], fromMs = 0): string[] {
  return values.flatMap((x, index) =>
    of.read({ x }, fromMs + index * 1000).map((line) => `@${index} ${line.replace(/^\S+ /, '')}`),
  );
}

const states = (lines: readonly string[]): string[] =>
  lines.map((line) => `${line.split(' ')[0]} ${/"state":"(\w+)"/.exec(line)?.[1]}`);

describe('an alarm', () => {
  test('tells its state, value, limit and since when, on its topic', () => {
    const of = bench({ high: 80, clear: 75, priority: 'high', message: 'Overflow' }, { unit: '%' });
    of.read({ x: 79 }, 0);
    expect(of.read({ x: 81.5 }, 1000)).toEqual([
      'alarm/high/d/x/high {"ts":1,"alarm":"d/x/high","state":"active","value":81.5,"limit":80,"priority":"high","since":1,"acknowledged":false,"message":"Overflow","unit":"%"}',
    ]);
    expect(of.read({ x: 74 }, 2000)).toEqual([
      'alarm/high/d/x/high {"ts":2,"alarm":"d/x/high","state":"cleared","value":74,"limit":80,"priority":"high","since":2,"acknowledged":false,"message":"Overflow","unit":"%"}',
    ]);
  });

  test('is active from its limit on and clears at `clear`, not between', () => {
    expect(states(told(bench({ high: 80, clear: 75 }), [79.9, 80, 79, 76, 80, 75, 79]))).toEqual([
      '@1 active',
      '@5 cleared',
    ]);
    expect(states(told(bench({ high: 80 }), [80, 79.9]))).toEqual(['@0 active', '@1 cleared']);
    expect(states(told(bench({ low: 10, clear: 12 }), [11, 10, 11, 12]))).toEqual([
      '@1 active',
      '@3 cleared',
    ]);
  });

  test('can be for a value that equals something', () => {
    expect(states(told(bench({ equals: true }), [false, true, true, false]))).toEqual([
      '@1 active',
      '@3 cleared',
    ]);
    expect(states(told(bench({ equals: 'fault' }), ['run', 'fault']))).toEqual(['@1 active']);
    expect(states(told(bench({ equals: 3 }), [2, 3, 4]))).toEqual(['@1 active', '@2 cleared']);
  });

  test('can be for a value that is bad or stale', () => {
    const of = bench({ bad: true });
    expect(states(told(of, [1, null, 1]))).toEqual(['@1 active', '@2 cleared']);
    expect(of.ticks(4999)).toEqual([]);
    expect(of.ticks(5000)).toEqual([
      'alarm/normal/d/x/bad {"ts":5,"alarm":"d/x/bad","state":"active","value":1,"priority":"normal","since":5,"acknowledged":false}',
    ]);
  });

  test('of a value is decided by good values alone', () => {
    const of = bench({ high: 80 });
    expect(states(told(of, [85, null, 85, null]))).toEqual(['@0 active']);
  });

  test('waits for its delay, which begins anew when the value was back', () => {
    const of = bench({ high: 80, delay: '3s' });
    expect(told(of, [81, 82, 79, 81, 82, 83])).toEqual([]);
    expect(states(of.ticks(5999).map((line) => `@ ${line}`))).toEqual([]);
    expect(of.ticks(6000)[0]).toMatch(/"ts":6,.*"state":"active","value":83,.*"since":6/);
  });

  test('can be one of several of a point', () => {
    const of = bench([{ high: 80 }, { high: 90, name: 'very-high', priority: 'high' }, { low: 10 }]);
    expect(of.read({ x: 95 }, 0).map((line) => line.split(' ')[0])).toEqual([
      'alarm/normal/d/x/high',
      'alarm/high/d/x/very-high',
    ]);
    expect(of.mapper.alarms()).toMatchObject([
      { alarm: 'd/x/high', state: 'active', value: 95, acknowledged: false },
      { alarm: 'd/x/very-high', priority: 'high' },
    ]);
  });
});

describe('acknowledging', () => {
  const acknowledge = (of: Bench, atMs: number): boolean =>
    of.mapper.acknowledge('d/x/high', of.stamp(atMs)) !== undefined;

  test('is told, and is remembered when the alarm clears', () => {
    const of = bench({ high: 80 });
    of.read({ x: 81 }, 0);
    expect(acknowledge(of, 1000)).toBe(true);
    expect(of.mapper.alarms()).toMatchObject([{ state: 'active', acknowledged: true }]);
    expect(of.read({ x: 70 }, 2000)[0]).toMatch(/"state":"cleared".*"acknowledged":true/);
    expect(of.mapper.alarms()).toEqual([]);
    expect(of.read({ x: 81 }, 3000)[0]).toMatch(/"state":"active".*"acknowledged":false/);
  });

  test('of one that has cleared ends it; a second time, or of an unknown one, is refused', () => {
    const of = bench({ high: 80 });
    expect(acknowledge(of, 0)).toBe(false);
    of.read({ x: 81 }, 0);
    of.read({ x: 70 }, 1000);
    expect(of.mapper.alarms()).toMatchObject([{ state: 'cleared' }]);
    expect(acknowledge(of, 2000)).toBe(true);
    expect(acknowledge(of, 2000)).toBe(false);
    expect(of.mapper.acknowledge('d/x/none', of.stamp(0))).toBeUndefined();
    expect(of.pairs.size).toBe(0);
  });
});

describe('over a restart', () => {
  test('an active alarm stays active and is not told again; its clearing is told', () => {
    const of = bench({ high: 80 });
    of.read({ x: 81 }, 0);
    expect(of.restart(1000)).toEqual([]);
    expect(of.mapper.alarms()).toMatchObject([{ state: 'active', since: of.stamp(0).wallMs, value: 81 }]);
    expect(of.read({ x: 82 }, 2000)).toEqual([]);
    of.restart(3000);
    expect(of.read({ x: 70 }, 4000)[0]).toMatch(/"state":"cleared"/);
  });

  test('that it was acknowledged is known', () => {
    const of = bench({ high: 80 });
    of.read({ x: 81 }, 0);
    of.mapper.acknowledge('d/x/high', of.stamp(0));
    of.restart(1000);
    expect(of.mapper.alarms()).toMatchObject([{ acknowledged: true }]);
  });

  test('an alarm that left the configuration is forgotten, and so is what is retained of it', () => {
    const of = bench({ high: 80 });
    of.read({ x: 81 }, 0);
    const without = new Bench({ devices: { d: { bus: 's', points: { x: { simulate } } } } });
    for (const [key, value] of of.pairs) without.pairs.set(key, value);
    expect(without.restart(1000)).toEqual(['alarm/normal/d/x/high ']);
    expect(without.pairs.size).toBe(0);
  });

  test('what is damaged makes it begin anew', () => {
    const of = bench({ high: 80 });
    of.read({ x: 81 }, 0);
    for (const key of of.pairs.keys()) of.pairs.set(key, Buffer.from('nonsense'));
    of.restart(1000);
    expect(states(told(of, [81], 2000))).toEqual(['@0 active']);
  });
});
