import { expect, test } from 'vitest';
import { configOf, errorLines } from './fixtures.js';

const rule = (keys: string): string => `gateway: { id: a }
buses: { s: { driver: simulator } }
devices: { d: { bus: s, points: { p: { simulate: {} } } } }
mappings: [ { from: "d/p", topic: t, ${keys} } ]
`;

test('a trend has a tolerance, and nothing that would choose beside it', () => {
  expect(configOf(rule('report: { on: trend, tolerance: 0.2, every: 10m }')).mappings[0]?.report).toEqual({
    ...{ on: 'trend', tolerance: 0.2, every: 600_000 },
  });
  expect(errorLines(rule('report: { on: trend, deadband: 1 }, group: device'))).toEqual([
    '4:46: mappings[0].report.tolerance: found nothing, needed: tolerance, which on: trend needs',
    '4:59: mappings[0].report.deadband: found deadband with on: trend, which chooses itself; remove it',
    '4:74: mappings[0].group: found group with report.on: trend, which chooses for each point by itself; remove one',
  ]);
  expect(errorLines(rule('report: { on: change, tolerance: 1 }'))).toEqual([
    '4:60: mappings[0].report.tolerance: found tolerance without on: trend, which it needs; add on: trend or remove it',
  ]);
  expect(errorLines(rule('report: { tolerance: 1 }'))).toEqual([
    '4:48: mappings[0].report.tolerance: found tolerance without on: trend, which it needs; add on: trend or remove it',
  ]);
});
