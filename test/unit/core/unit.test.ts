import fc from 'fast-check';
import { expect, test } from 'vitest';
import { conversionOf, unitNamed, unitsLike } from '../../../src/core/unit.js';
import { withoutDust } from '../../../src/mapping/rounding.js';

const converted = (value: number, from: string, to: string): number | undefined => {
  const convert = conversionOf(from, to);
  return convert === undefined ? undefined : withoutDust(convert(value));
};

test.each([
  [212, '°F', '°C', 100],
  [-40, 'F', 'C', -40],
  [21.5, '°C', 'K', 294.65],
  [0, 'K', '°C', -273.15],
  [98.6, '°F', '°C', 37],
  [1, 'bar', 'kPa', 100],
  [14.5, 'psi', 'bar', 0.99973980750936],
  [760, 'mmHg', 'hPa', 1013.250144354],
  [10, 'gal/min', 'L/min', 37.85411784],
  [1, 'm³/h', 'L/s', 0.27777777777778],
  [3.6, 'm3/h', 'L/min', 60],
  [1, 'm^3/h', 'L/h', 1000],
  [1, 'kWh', 'MJ', 3.6],
  [1500, 'W', 'kW', 1.5],
  [100, 'km/h', 'm/s', 27.777777777778],
  [1, 'lb', 'g', 453.59237],
  [12, 'in', 'ft', 1],
  [60, 'rpm', 'Hz', 1],
  [360, '°', 'rad', 6.2831853071796],
  [450, 'ppm', '%', 0.045],
])('%d %s are %d %s … %d', (value, from, to, result) => {
  expect(converted(value, from, to)).toBe(result);
});

test('a unit that is unknown, or measures something else, is not converted to', () => {
  expect(conversionOf('°C', 'bar')).toBeUndefined();
  expect(conversionOf('furlong', 'm')).toBeUndefined();
  expect(unitsLike('bar')).toContain('psi');
  expect(unitsLike('bar')).not.toContain('°C');
  expect(unitsLike('furlong').length).toBeGreaterThan(100);
});

test('there and back is the same number, for every pair of units', () => {
  const all = unitsLike('?');
  fc.assert(
    fc.property(
      fc.constantFrom(...all),
      fc.nat(),
      fc.integer({ min: -99_999, max: 99_999 }),
      (from, pick, digits) => {
        const like = unitsLike(from);
        const to = like[pick % like.length] as string;
        const value = digits / 100;
        const there = conversionOf(from, to)?.(value) as number;
        const back = conversionOf(to, from)?.(there) as number;
        // A temperature loses in the last places what its offset is larger than the value.
        const slack = unitNamed(from)?.quantity === 'temperature' ? 1e-10 : 1e-12 * Math.abs(value);
        expect(Math.abs(back - value)).toBeLessThanOrEqual(slack);
      },
    ),
  );
});
