import { describe, expect, test } from 'vitest';
import { asBoolean, asNumber, checkRange } from '../../../src/drivers/written-value.js';

describe('a value to be written', () => {
  test.each([
    [true, true],
    ['on', true],
    [' TRUE ', true],
    [1, true],
    ['0', false],
    [0n, false],
    ['off', false],
  ] as const)('%s as a boolean is %s', (value, wanted) => {
    expect(asBoolean(value)).toBe(wanted);
  });

  test.each([
    ['21.5', 21.5],
    [' -3 ', -3],
    ['1e3', 1000],
    ['.5', 0.5],
    [7n, 7n],
    ['18446744073709551615', 18_446_744_073_709_551_615n],
  ] as const)('%s as a number is %s', (value, wanted) => {
    expect(asNumber(value)).toBe(wanted);
  });

  test.each([['maybe'], [2], ['']])('%j is no boolean', (value) => {
    expect(() => asBoolean(value)).toThrow('allowed: true or false, on or off, 1 or 0');
  });

  test.each([['12 bar'], [true], [''], ['0x10'], [Number.NaN], ['1e999']])('%j is no number', (value) => {
    expect(() => asNumber(value)).toThrow('allowed: a number');
  });

  test('the range includes its ends and says what is allowed', () => {
    expect(() => checkRange(0, { min: 0, max: 80 })).not.toThrow();
    expect(() => checkRange(80n, { min: 0, max: 80 })).not.toThrow();
    expect(() => checkRange(81, { min: 0, max: 80 })).toThrow('81 is out of range, allowed: 0 to 80');
    expect(() => checkRange(-1, { min: 0 })).toThrow('at least 0');
    expect(() => checkRange(9, { max: 8 })).toThrow('at most 8');
  });
});
