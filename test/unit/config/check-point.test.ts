import { expect, test } from 'vitest';
import { configOf, errorLines } from './fixtures.js';

const point = (keys: string): string => `gateway: { id: a }
buses: { s: { driver: simulator } }
devices: { d: { bus: s, points: { p: { simulate: {}, ${keys} } } } }
`;
const AT = 'devices.d.points.p';

test.each([
  [
    'raw_unit: °F',
    `3:54: ${AT}.raw_unit: found raw_unit without unit, needed: unit, what it is converted to`,
  ],
  [
    'raw_unit: pSi, unit: bar',
    `3:64: ${AT}.raw_unit: found pSi, which cannot be converted, did you mean psi? allowed: Pa, hPa, kPa, MPa, bar, mbar, atm, psi, mmHg, Torr, inHg, mH2O, … (17)`,
  ],
  [
    'raw_unit: °C, unit: K, table: { points: [[1, 1], [1, 2]] }',
    `3:103: ${AT}.table.points[1]: found 1 after 1, allowed: pairs whose first numbers rise`,
  ],
  [
    'raw_unit: Wh, unit: °C',
    `3:64: ${AT}.raw_unit: found Wh, a unit of energy, but °C is one of temperature, allowed: K, °C, C, °F, F, °R`,
  ],
  [
    'enum: { 0: "off" }, scale: 0.1',
    `3:74: ${AT}.scale: found scale beside enum, whose values are names; remove one of them`,
  ],
  [
    'enum: { 0: "off" }, flags: { 1: on }',
    `3:74: ${AT}.flags: found flags beside enum, whose values are names; remove one of them`,
  ],
  [
    'enum: { low: "off" }',
    `3:62: ${AT}.enum.low: found low as a name, allowed: a whole number from -2147483648 to 18446744073709551615`,
  ],
  ['flags: { 64: x }', `3:63: ${AT}.flags.64: found 64 as a name, allowed: a bit number from 0 to 63`],
  ['clamp: { min: 5, max: 1 }', `3:68: ${AT}.clamp.min: found min 5 above max 1, allowed: min up to max`],
  ['valid: {}', `3:61: ${AT}.valid: found nothing, needed: min, max or both`],
  [
    'smooth: { mean: 3, median: 3 }',
    `3:54: ${AT}.smooth: found 2 ways to smooth, allowed: one of mean, median and exponential`,
  ],
  ['smooth: { mean: 1 }', `3:70: ${AT}.smooth.mean: found 1, allowed: a whole number from 2 to 1000`],
  [
    'table: { points: [[1, 2]] }',
    `3:71: ${AT}.table.points: found a list, allowed: at least two pairs [what is read, what it means]`,
  ],
  [
    'table: { points: [[1, 2], 7] }',
    `3:80: ${AT}.table.points[1]: found 7, allowed: a pair [what is read, what it means]`,
  ],
  ['rate: { per: day }', `3:67: ${AT}.rate.per: found day, allowed: s, m or h`],
])('%s is refused', (keys, line) => {
  expect(errorLines(point(keys))).toEqual([line]);
});

test('everything that a point may say of its value is taken', () => {
  const keys = `invert: false, rate: { wrap: 65536 }, scale: 2, offset: 1, table: { points: [[0, 0], [1, 5]] },
    raw_unit: °F, unit: °C, valid: { min: 0 }, clamp: { max: 5 }, smooth: { median: 5 }, resolution: 0.1`;
  expect(configOf(point(keys)).devices.d?.points.p).toMatchObject({
    rate: { per: 's', wrap: 65_536 },
    table: { outside: 'hold' },
  });
});
