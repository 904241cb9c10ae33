import { expect, test } from 'vitest';
import { describeConfig } from '../../../src/config/describe.js';
import { BASE, configOf, errorLines } from './fixtures.js';

const derived = (...lines: string[]): string =>
  `${BASE}derived:\n${lines.map((line) => `  ${line}\n`).join('')}`;

test.each<[string[], string[]]>([
  [
    ['a: meter/power +'],
    ['14:19: derived.a: found the end, needed: a number, a DEVICE/POINT, a function or ('],
  ],
  [
    ['a: "meter/pover * 2"'],
    ['14:7: derived.a: found no point pover of device meter, did you mean power? allowed: power'],
  ],
  [
    ['a: 2 * metre/power'],
    ['14:10: derived.a: found no device metre, did you mean meter? allowed: meter, tank, fake, derived'],
  ],
  [
    ['a: tank/level-tank/high'],
    [
      '14:22: derived.a: found high, allowed: DEVICE/POINT, a function with its arguments, true, false, pi or e; - and / between points need blanks around them',
    ],
  ],
  [
    ['a: 1 + 2'],
    [
      '14:6: derived.a: found an expression without a point, so that nothing makes it change; needed: at least one DEVICE/POINT',
    ],
  ],
  [
    ['a: { expr: tank/level + x }'],
    [
      '14:27: derived.a.expr: found x, allowed: DEVICE/POINT, a function with its arguments, true, false, pi or e',
    ],
  ],
  [
    ['a: { unit: V }'],
    [
      '14:6: derived.a.expr: found nothing, needed: an expression such as meter/voltage * meter/current / 1000',
    ],
  ],
  [
    ['a: { expr: tank/level, pol: 1s }'],
    [
      '14:26: derived.a.pol: found an unknown key, allowed: expr, invert, enum, flags, rate, scale, offset, table, raw_unit, unit, valid, clamp, smooth, resolution, alarm',
    ],
  ],
  [
    ['a: 5'],
    [
      '14:6: derived.a: found 5, allowed: an expression such as meter/voltage * meter/current / 1000, or a mapping with expr',
    ],
  ],
  [
    ['a: { expr: tank/level, raw_unit: V }'],
    ['14:26: derived.a.raw_unit: found raw_unit without unit, needed: unit, what it is converted to'],
  ],
  [
    ['a: derived/b + 1', 'b: derived/c * 2', 'c: tank/level + derived/a'],
    [
      '16:19: derived.c: found a circle: derived/a from derived/b from derived/c from derived/a, allowed: points that are not computed from themselves',
    ],
  ],
  [
    ['a: derived/a + tank/level'],
    [
      '14:6: derived.a: found a circle: derived/a from derived/a, allowed: points that are not computed from themselves',
    ],
  ],
  [
    ['a: |', '  tank/level', '  + ?'],
    ['14:6: derived.a: found ?, needed: a number, a DEVICE/POINT, a function or ('],
  ],
])('%j', (lines, errors) => {
  expect(errorLines(derived(...lines))).toEqual(errors);
});

test('a device cannot have the name that computed points are under', () => {
  const yaml = `gateway: { id: a }
buses: { s: { driver: simulator } }
devices: { derived: { bus: s, points: { x: { simulate: {} } } } }
derived: { y: derived/y }
`;
  expect(errorLines(yaml)[0]).toBe(
    '3:12: devices.derived: found a device derived, which is where computed points are; give it another name',
  );
});

test('a computed point is mapped like any other, and described with what it is computed from', () => {
  const config = configOf(
    `${derived('level_m: { expr: "tank/level * derived/k", unit: m }', 'k: "fake/x / 100"')}mappings: [ { from: "derived/*", topic: "t/{device}/{point}/{unit}" }, { from: "derived/none", topic: x } ]
`.replace(', { from: "derived/none", topic: x }', ''),
  );
  expect(describeConfig(config).devices.at(-1)).toMatchObject({
    device: 'derived',
    driver: 'computed',
    points: [
      { point: 'k', source: 'fake/x / 100', pollMs: 1000, publishes: [{ topic: 't/derived/k/_' }] },
      {
        point: 'level_m',
        source: 'tank/level * derived/k',
        unit: 'm',
        publishes: [{ topic: 't/derived/level_m/m' }],
      },
    ],
  });
  const wrong = `${derived('k: fake/x')}mappings: [ { from: "derived/kk", topic: x } ]\n`;
  expect(errorLines(wrong)).toEqual([
    '15:21: mappings[0].from: found no point kk of device derived, did you mean k? allowed: k',
  ]);
});
