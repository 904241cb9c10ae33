import { expect, test } from 'vitest';
import { describeConfig } from '../../../src/config/describe.js';
import { configOf, errorLines } from './fixtures.js';

const point = (keys: string, more = ''): string => `gateway: { id: gw }
buses: { here: { driver: mqtt } }
devices: { esp: { bus: here, points: { p: { ${keys} } } } }
${more}`;
const AT = 'devices.esp.points.p';

test.each([
  [
    'topic: "a/#/b"',
    [
      `3:52: ${AT}.topic: found "a/#/b", allowed: a topic filter, with + for a whole level and # for all that follow at the end`,
    ],
  ],
  ['topic: "{devise}/x"', [`3:52: ${AT}.topic: found {devise}, allowed here: {gateway}`]],
  ['json: a.b', [`3:43: ${AT}.topic: found nothing, needed: a topic filter`]],
  [
    'topic: t, json: "a..b"',
    [
      `3:61: ${AT}.json: found "a..b", allowed: a path such as AM2301.Temperature, readings[0].value or ["a key"].x`,
    ],
  ],
  ['topic: t, json: a, pattern: b', [`3:64: ${AT}.pattern: found pattern beside json, allowed: one of them`]],
  ['topic: t, pattern: "(["', [`3:64: ${AT}.pattern: found ([, which is no regular expression`]],
  [
    'register: holding/1',
    [`3:45: ${AT}.register: found register, but the device is on a bus with driver mqtt, needed: topic`],
  ],
])('%s is refused', (keys, lines) => {
  expect(errorLines(point(keys))).toEqual(lines);
});

test('names stand in its topic, and it is expected once a minute unless it says otherwise', () => {
  const config = configOf(point('topic: "tele/{gateway}/{device}/S", json: a.b'));
  expect(config.devices.esp).toMatchObject({ poll: 60_000, points: { p: { topic: 'tele/gw/esp/S' } } });
  const slower = configOf(point('topic: t').replace('bus: here,', 'bus: here, poll: 1s,'));
  expect(slower.devices.esp?.poll).toBe(1000);
});

test('is described by its topic, and a rule that publishes there is warned of', () => {
  const config = configOf(
    point('topic: "t/+", json: a.b', 'mappings: [ { from: "esp/*", topic: "t/{point}" } ]\n'),
  );
  const report = describeConfig(config);
  expect(report.devices[0]?.points[0]).toMatchObject({ source: 't/+ a.b', pollMs: 60_000 });
  expect(report.warnings).toEqual([
    'topic t/p is where esp/p comes in: what the gateway itself publishes is not taken as a reading',
  ]);
});
