import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bench } from './lasting.js';

const simulate = {};

function bench(aggregate: object, rule: object = {}, point: object = {}): Bench {
  return new Bench({
    devices: { d: { bus: 's', poll: '10s', points: { x: { simulate, ...point } } } },
    mappings: [{ from: 'd/x', topic: 't', aggregate: { window: '1m', ...aggregate }, ...rule }],
  });
}

describe('a window', () => {
  test('is told when it ends, with the figures that were asked for', () => {
    const of = bench({}, {}, { unit: 'W' });
    expect(of.read({ x: 0.1 }, 5000)).toEqual([]);
    expect(of.read({ x: 0.2 }, 15_000)).toEqual([]);
    expect(of.read({ x: 0.3 }, 25_000)).toEqual([]);
    expect(of.ticks(59_999)).toEqual([]);
    expect(of.ticks(60_000)).toEqual([
      't {"ts":60,"min":0.1,"max":0.3,"mean":0.2,"last":0.3,"count":3,"window":60000,"unit":"W"}',
    ]);
  });

  test('tells sum and standard deviation without dust', () => {
    const of = bench({ emit: ['sum', 'stddev'] });
    for (const [index, x] of [2, 4, 4, 4, 5, 5, 7, 9].entries()) of.read({ x }, index * 1000);
    expect(of.ticks(60_000)).toEqual(['t {"ts":60,"sum":40,"stddev":2.1380899352994,"window":60000}']);
    for (let index = 0; index < 10; index += 1) of.read({ x: 0.1 }, 60_000 + index * 1000);
    expect(of.ticks(120_000)).toEqual(['t {"ts":120,"sum":1,"stddev":0,"window":60000}']);
  });

  test('is aligned to the clock, not to the first reading', () => {
    const of = bench({ window: '15m', emit: ['count'] });
    of.wallOffsetMs += 7 * 60_000;
    of.read({ x: 1 }, 0);
    expect(of.ticks(8 * 60_000 - 1)).toEqual([]);
    expect(of.ticks(8 * 60_000)).toEqual(['t {"ts":900,"count":1,"window":900000}']);
  });

  test('is ended by a reading of a later one, too, if that comes first', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 5000);
    const readings = [
      { device: 'd', point: 'x', stamp: of.stamp(60_001), value: 2, quality: 'good' as const },
    ];
    expect(of.mapper.readings('d', readings, 60_001)).toHaveLength(1);
    expect(of.ticks(120_000)).toEqual(['t {"ts":120,"count":1,"window":60000}']);
  });

  test('in which nothing was read is not told', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 0);
    expect(of.ticks(600_000)).toEqual(['t {"ts":60,"count":1,"window":60000}']);
  });

  test('in which all was bad says so, once', () => {
    const of = bench({ emit: ['mean', 'count'] });
    of.read({ x: null }, 0);
    expect(of.ticks(60_000)).toEqual(['t {"ts":60,"count":0,"quality":"bad","reason":"timeout"}']);
    of.read({ x: null }, 70_000);
    expect(of.ticks(130_000)).toEqual([]);
    of.read({ x: 4 }, 130_000);
    of.read({ x: null }, 131_000);
    expect(of.ticks(180_000)).toEqual(['t {"ts":180,"mean":4,"count":1,"window":60000}']);
    of.read({ x: null }, 190_000);
    expect(of.ticks(240_000)).toHaveLength(1);
  });

  test('of a value that is no number has no mean', () => {
    const of = bench({});
    of.read({ x: 'auto' }, 0);
    expect(of.ticks(60_000)).toEqual(['t {"ts":60,"last":"auto","count":1,"window":60000}']);
  });

  test('keeps an integer beyond 2^53 exact, also over a restart', () => {
    const of = bench({ emit: ['min', 'last'] });
    of.read({ x: 2n ** 60n + 1n }, 0);
    of.restart(1000);
    expect(of.ticks(60_000)).toEqual([
      't {"ts":60,"min":1152921504606846977,"last":1152921504606846977,"window":60000}',
    ]);
  });

  test('can be one bare value', () => {
    const of = bench({ emit: ['mean'] }, { payload: 'value' });
    of.read({ x: 4 }, 0);
    of.read({ x: 5 }, 1000);
    expect(of.ticks(60_000)).toEqual(['t 4.5']);
  });
});

describe('a window over a restart', () => {
  test('goes on with what was read before, as if nothing had been', () => {
    const [whole, cut] = [
      bench({ emit: ['min', 'max', 'mean', 'sum', 'stddev', 'last', 'count'] }),
      bench({ emit: ['min', 'max', 'mean', 'sum', 'stddev', 'last', 'count'] }),
    ];
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 50 }),
        (values) => {
          const tell = (of: Bench, restarts: boolean): string[] => {
            of.pairs.clear();
            of.restart(0);
            for (const [index, value] of values.entries()) {
              of.read({ x: value / 10 }, index * 1000);
              if (restarts) expect(of.restart(index * 1000 + 500)).toEqual([]);
            }
            return of.ticks(60_000);
          };
          expect(tell(cut, true)).toEqual(tell(whole, false));
        },
      ),
    );
  });

  test('is told at once where it has ended meanwhile', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 50_000);
    expect(of.restart(200_000)).toEqual(['t {"ts":60,"count":1,"window":60000}']);
    expect(of.restart(201_000)).toEqual([]);
  });

  test('is not told twice, nor kept for ever', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 50_000);
    expect(of.pairs.size).toBe(1);
    expect(of.ticks(60_000)).toHaveLength(1);
    expect(of.pairs.size).toBe(0);
    expect(of.restart(61_000)).toEqual([]);
  });

  test('begins anew where what was kept is damaged or of another rule', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 1000);
    for (const key of of.pairs.keys()) of.pairs.set(key, Buffer.from('{"oh'));
    of.pairs.set('window d/gone 60000 t', Buffer.from('[]'));
    expect(of.restart(2000)).toEqual([]);
    of.read({ x: 1 }, 3000);
    expect(of.ticks(60_000)).toEqual(['t {"ts":60,"count":1,"window":60000}']);
    expect([...of.pairs.keys()]).toEqual([]);
  });
});

describe('a clock that is set', () => {
  test('forward ends the window, and none is told for the time between', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 10_000);
    of.wallOffsetMs += 3_600_000;
    expect(of.read({ x: 1 }, 20_000)).toEqual(['t {"ts":60,"count":1,"window":60000}']);
    expect(of.ticks(60_000)).toEqual(['t {"ts":3660,"count":1,"window":60000}']);
  });

  test('back ends the window and begins the earlier one; nothing that was read is lost', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 10_000);
    of.wallOffsetMs -= 3_600_000;
    expect(of.read({ x: 1 }, 20_000)).toEqual(['t {"ts":60,"count":1,"window":60000}']);
    expect(of.ticks(60_000)).toEqual(['t {"ts":-3540,"count":1,"window":60000}']);
  });

  test('back by a little changes nothing: no window is told twice', () => {
    const of = bench({ emit: ['count'] });
    of.read({ x: 1 }, 59_000);
    expect(of.ticks(60_000)).toHaveLength(1);
    of.wallOffsetMs -= 2000;
    expect(of.read({ x: 1 }, 61_000)).toEqual([]);
    expect(of.ticks(122_000)).toEqual(['t {"ts":120,"count":1,"window":60000}']);
  });
});

describe('time in state', () => {
  const states = { emit: ['time_in_state', 'count'] };

  test('is how long each value held, from one reading to the next and to the end of the window', () => {
    const of = bench(states);
    of.read({ x: 'off' }, 0);
    of.read({ x: 'on' }, 10_000);
    of.read({ x: 'on' }, 20_000);
    of.read({ x: 'off' }, 40_000);
    expect(of.ticks(60_000)).toEqual([
      't {"ts":60,"time_in_state":{"off":30000,"on":30000},"count":4,"window":60000}',
    ]);
  });

  test('goes on into the next window, until the value is stale', () => {
    const of = bench(states, {}, { poll: '40s' });
    of.read({ x: true }, 30_000);
    expect(of.ticks(600_000)).toEqual([
      't {"ts":60,"time_in_state":{"true":30000},"count":1,"window":60000}',
      't {"ts":120,"time_in_state":{"true":60000},"count":0,"window":60000}',
      't {"ts":180,"time_in_state":{"true":30000},"count":0,"window":60000}',
    ]);
  });

  test('does not count the time in which nobody looked: bad, or the process away', () => {
    const of = bench(states);
    of.read({ x: true }, 0);
    of.read({ x: null }, 10_000);
    of.read({ x: true }, 20_000);
    of.restart(45_000);
    of.read({ x: true }, 50_000);
    expect(of.ticks(60_000)).toEqual(['t {"ts":60,"time_in_state":{"true":20000},"count":3,"window":60000}']);
  });

  test('of ever new values shares a name beyond the first 64', () => {
    const of = bench({ emit: ['time_in_state'] });
    for (let index = 0; index < 100; index += 1) of.read({ x: `s${index}` }, index * 100);
    const [line = ''] = of.ticks(60_000);
    const told = JSON.parse(line.slice(2)) as { time_in_state: Record<string, number> };
    expect(Object.keys(told.time_in_state)).toHaveLength(65);
    expect(Object.values(told.time_in_state).reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(30_000);
  });
});
