import { describe, expect, test } from 'vitest';
import { serialBinaryPointSchema } from '../../../../src/config/serial-schema.js';
import { valueInFrame } from '../../../../src/drivers/serial/binary-value.js';
import { type TextRules, valueOfText } from '../../../../src/drivers/serial/text-value.js';

const rules = (of: Partial<TextRules> = {}): TextRules => ({
  type: 'number',
  decimal: 'point',
  texts: undefined,
  ...of,
});

describe('text', () => {
  test.each([
    ['12.50', 12.5],
    ['+  12.345', 12.345],
    ['-  0.5', -0.5],
    ['000123', 123],
    ['9007199254740993', 9007199254740993n],
    ['1e3', 1000],
    ['.5', 0.5],
    ['--1', undefined],
    ['', undefined],
    ['12.3.4', undefined],
    ['OL', undefined],
    ['1e999', undefined],
    ['99999999999999999999999999', undefined],
  ])('%j as a number is %s', (text, value) => expect(valueOfText(text, rules())).toBe(value));

  test('a comma before the decimals, points between thousands', () => {
    expect(valueOfText('1.234,5', rules({ decimal: 'comma' }))).toBe(1234.5);
  });

  test.each([
    ['ON', true],
    ['0', false],
    ['maybe', undefined],
  ])('%j as a truth value is %s', (text, value) =>
    expect(valueOfText(text, rules({ type: 'bool' }))).toBe(value),
  );

  test('hexadecimal, text, and texts that stand for something', () => {
    expect(valueOfText('0x1F', rules({ type: 'hex' }))).toBe(31);
    expect(valueOfText('xyz', rules({ type: 'hex' }))).toBeUndefined();
    expect(valueOfText(' ready ', rules({ type: 'string' }))).toBe('ready');
    const texts = { ST: true, US: false };
    expect(valueOfText('US', rules({ texts }))).toBe(false);
    expect(valueOfText('toString', rules({ texts }))).toBeUndefined();
  });
});

describe('binary', () => {
  const frame = Uint8Array.from(Buffer.from('aa0102fffe41b8cccd12344100ab0080', 'hex'));
  test.each([
    [{ at: 1 }, 1],
    [{ at: 1, type: 'uint16' }, 0x0102],
    [{ at: 1, type: 'uint16', byte_order: 'little' }, 0x0201],
    [{ at: 3, type: 'int16' }, -2],
    [{ at: 3, type: 'int24' }, -447],
    [{ at: 1, type: 'uint24' }, 0x0102ff],
    [{ at: 5, type: 'float32' }, 23.1],
    [{ at: 9, type: 'bcd16' }, 1234],
    [{ at: 13, type: 'bcd8' }, { kind: 'no number' }],
    [{ at: 11, type: 'string', length: 3 }, 'A'],
    [{ at: -1, type: 'int8' }, -128],
    [{ at: 1, type: 'uint16', bit: 8 }, true],
    [{ at: 0, type: 'bool' }, true],
    [{ at: 15, type: 'uint16' }, { kind: 'short' }],
    [{ at: 2, type: 'uint64' }, 0x02fffe41b8cccd12n],
  ])('%j', (point, value) => {
    const decoded = valueInFrame(frame, serialBinaryPointSchema.parse(point));
    if (typeof value === 'object') expect(decoded).toEqual(value);
    else expect(decoded).toMatchObject({ kind: 'value', value });
  });
});
