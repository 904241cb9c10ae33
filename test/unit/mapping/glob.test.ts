import { expect, test } from 'vitest';
import { globMatches } from '../../../src/mapping/glob.js';

test.each([
  ['*/*', 'tank', 'level', true],
  ['tank/*', 'tank', 'level', true],
  ['tank/*', 'tank2', 'level', false],
  ['tank-*/*', 'tank-north', 'level', true],
  ['tank-*/*', 'tank', 'level', false],
  ['*/temp*', 'any', 'temperature', true],
  ['*/*temp', 'any', 'outdoor_temp', true],
  ['*/*temp', 'any', 'temperature', false],
  ['*/t*e', 'any', 'temperature', true],
  ['a*b*c/*', 'abbc', 'x', true],
  ['a*b*c/*', 'acb', 'x', false],
  ['meter/power', 'meter', 'power', true],
  ['meter/power', 'meter', 'power2', false],
  ['meter/power', 'metre', 'power', false],
  ['a.b/c', 'axb', 'c', false],
  ['**/x', '', 'x', true],
])('%s and %s/%s: %s', (glob, device, point, matches) => {
  expect(globMatches(glob, device, point)).toBe(matches);
});

test('a glob of many stars answers at once for a name that almost fits', () => {
  const glob = `${'*a'.repeat(30)}b/*`;
  expect(globMatches(glob, 'a'.repeat(64), 'x')).toBe(false);
});
