import { expect, test } from 'vitest';
import { configOf, errorLines } from './fixtures.js';

const point = (keys: string, more = ''): string => `gateway: { id: a }
buses: { s: { driver: simulator } }
devices: { d: { bus: s, points: { p: { simulate: {}, ${keys} } } } }
${more}`;
const AT = 'devices.d.points.p.alarm';

test.each([
  ['alarm: { clear: 5 }', [`3:61: ${AT}: found no condition, needed: one of high, low, equals and bad`]],
  [
    'alarm: { high: 5, low: 1 }',
    [`3:61: ${AT}: found high and low, needed: one of high, low, equals and bad; write a list of alarms`],
  ],
  ['alarm: { high: 5, clear: 6 }', [`3:79: ${AT}.clear: found 6, allowed with high: 5: a number up to 5`]],
  ['alarm: { low: 5, clear: 4 }', [`3:78: ${AT}.clear: found 4, allowed with low: 5: a number from 5`]],
  [
    'alarm: { bad: true, clear: 4 }',
    [`3:74: ${AT}.clear: found clear with bad, allowed: only with high or low`],
  ],
  [
    'alarm: [ { high: 5 }, { high: 6 } ]',
    [`3:76: ${AT}[1]: found a second alarm high of this point, needed: a name of its own`],
  ],
  [
    'alarm: { hihg: 5 }',
    [
      `3:61: ${AT}: found no condition, needed: one of high, low, equals and bad`,
      `3:63: ${AT}.hihg: found an unknown key, did you mean high? allowed: name, high, low, equals, bad, clear, delay, priority, message`,
    ],
  ],
  [
    'alarm: [ { high: 5, delay: 5 } ]',
    [
      `3:81: ${AT}[0].delay: found 5, allowed: a duration from 0ms to 365d, such as 250ms, 5s, 10m, 2h or 30d`,
    ],
  ],
  [
    'alarm: high',
    [`3:61: ${AT}: found high, allowed: an alarm such as { high: 80, clear: 75 }, or a list of them`],
  ],
])('%s', (keys, lines) => {
  expect(errorLines(point(keys))).toEqual(lines);
});

test('one alarm is a list of one', () => {
  const { points } = configOf(point('alarm: { high: 80, clear: 75, delay: 5s, priority: high }')).devices.d!;
  expect(points.p?.alarm).toEqual([{ high: 80, clear: 75, delay: 5000, priority: 'high' }]);
});

test('the topic of alarms is a template like any other, with two places more', () => {
  expect(errorLines(point('', 'alarms: { topic: "a/{priority}/{alram}" }\n'))).toEqual([
    '4:18: alarms.topic: found {alram}, did you mean {alarm}? allowed: {gateway}, {device}, {point}, {unit}, {alarm}, {priority}',
  ]);
});

test('an aggregate is told by its window alone', () => {
  const rule = (keys: string): string => point('', `mappings: [ { from: "d/p", topic: t, ${keys} } ]\n`);
  expect(errorLines(rule('aggregate: { window: 1m }, report: { on: change }, group: device'))).toEqual([
    '4:65: mappings[0].report: found report beside aggregate; remove it, a window is told when it ends',
    '4:89: mappings[0].group: found group beside aggregate; remove it, each point has windows of its own',
  ]);
  expect(errorLines(rule('aggregate: { window: 1m, emit: [min, max] }, payload: value'))).toEqual([
    '4:92: mappings[0].payload: found value with an aggregate of several figures, allowed: json, or one figure in emit',
  ]);
  expect(errorLines(rule('aggregate: { window: 1m, emit: [avg] }'))).toEqual([
    '4:70: mappings[0].aggregate.emit[0]: found avg, allowed: min, max, mean, last, count, sum, stddev or time_in_state',
  ]);
  expect(errorLines(rule('report: { on: change, every: 1s, min_interval: 5s }'))).toEqual([
    '4:67: mappings[0].report.every: found 1s, which is shorter than min_interval, allowed: 5s or longer',
  ]);
  expect(configOf(rule('aggregate: { window: 1m }')).mappings[0]?.aggregate?.emit).toEqual([
    'min',
    'max',
    'mean',
    'last',
    'count',
  ]);
});
