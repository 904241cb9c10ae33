import { expect, test } from 'vitest';
import { Bench } from './lasting.js';

const simulate = {};

function bench(report: object = {}, rule: object = {}): Bench {
  return new Bench({
    devices: { d: { bus: 's', poll: '1s', points: { x: { simulate } } } },
    mappings: [{ from: 'd/x', topic: 't', report: { on: 'trend', tolerance: 0.2, ...report }, ...rule }],
  });
}

/** One a second, from second 0. */
function readAll(of: Bench, values: readonly (number | null)[], fromSecond = 0): string[] {
  return values.flatMap((x, index) => of.read({ x }, 1000 * (fromSecond + index)));
}

test('the ends of lines are told, later than they were read and with the time at which they were', () => {
  expect(readAll(bench(), [0, 1, 2, 3, 3, 3])).toEqual(['t {"ts":0,"value":0}', 't {"ts":3,"value":3}']);
});

test('a value that turns bad tells what was held before it', () => {
  expect(readAll(bench(), [1, 1, 1, null, 1])).toEqual([
    't {"ts":0,"value":1}',
    't {"ts":2,"value":1}',
    't {"ts":3,"value":null,"quality":"bad","reason":"timeout"}',
    't {"ts":4,"value":1}',
  ]);
});

test('a value that turns stale is told once; a bare one, which cannot say so, tells what was held', () => {
  const of = bench();
  readAll(of, [1, 1, 1]);
  expect(of.ticks(10_000)).toEqual(['t {"ts":2,"value":1}', 't {"ts":2,"value":1,"quality":"stale"}']);
  const bare = bench({}, { payload: 'value' });
  expect(readAll(bare, [1, 1.1, 1.2])).toEqual(['t 1']);
  expect(bare.ticks(10_000)).toEqual(['t 1.2']);
});

test('every tells the newest, also where nothing more is read', () => {
  const of = bench({ every: '2s' });
  expect(readAll(of, [1, 1, 1])).toEqual(['t {"ts":0,"value":1}', 't {"ts":2,"value":1}']);
  expect(of.ticks(4500)).toEqual(['t {"ts":2,"value":1}']);
});

test('what is held when the process is killed is told first by the next one', () => {
  const of = bench();
  expect(readAll(of, [0, 1, 2, 2.6])).toEqual(['t {"ts":0,"value":0}']);
  expect(of.restart(10_000)).toEqual(['t {"ts":2,"value":2}', 't {"ts":3,"value":2.6}']);
  expect(of.restart(11_000)).toEqual([]);
  expect(readAll(of, [5, 5], 12)).toEqual(['t {"ts":12,"value":5}']);
  expect(of.restart(20_000)).toEqual(['t {"ts":13,"value":5}']);
});

test('integers beyond 2^53 are kept over a restart as they are', () => {
  const of = bench();
  const big = 2n ** 60n;
  of.read({ x: big }, 0);
  of.read({ x: big }, 1000);
  expect(of.restart(2000)).toEqual([`t {"ts":1,"value":${big}}`]);
});

test('nothing is left on disk once nothing is held', () => {
  const of = bench();
  readAll(of, [1, 1, null]);
  expect(of.pairs.size).toBe(0);
});
