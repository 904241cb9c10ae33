/** The same bytes as every type that they could be. */
import { expect, test } from 'vitest';
import { interpretations } from '../../../src/drivers/interpretations.js';

const of = (hex: string): Record<string, string> =>
  Object.fromEntries(interpretations(Buffer.from(hex, 'hex')));

test('a register is a number with and without sign, in both byte orders, and its bits', () => {
  expect(of('ff38')).toEqual({
    hex: 'ff 38',
    'int16 AB': '-200',
    'uint16 AB': '65336',
    'int16 BA': '14591',
    'uint16 BA': '14591',
    bits: '11111111 00111000',
  });
});

test('two registers show 230.5 where the words are in order, and where they are swapped', () => {
  expect(of('43668000')['float32 ABCD']).toBe('230.5');
  expect(of('80004366')['float32 CDAB']).toBe('230.5');
  expect(of('66430080')['float32 BADC']).toBe('230.5');
  expect(of('00806643')['float32 DCBA']).toBe('230.5');
});

test('four registers show whole numbers beyond 2^53 exactly, and doubles', () => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(9_007_199_254_740_993n);
  expect(of(bytes.toString('hex'))['uint64 ABCDEFGH']).toBe('9007199254740993');
  bytes.writeDoubleBE(-1.5);
  expect(of(bytes.toString('hex'))['float64 ABCDEFGH']).toBe('-1.5');
});

test('decimal digits are BCD, letters a text, and neither is claimed of other bytes', () => {
  expect(of('1234')['bcd16 AB']).toBe('1234');
  expect(of('12ab')['bcd16 AB']).toBeUndefined();
  expect(of('4f4b').string).toBe('"OK"');
  expect(of('4f01').string).toBeUndefined();
  expect(of('53444d313230000000').string).toBe('"SDM120"');
});
