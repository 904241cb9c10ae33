/** What is written is what is read: encode then decode, for every type and every order of bytes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeRegisters } from '../../../../src/drivers/modbus/decode.js';
import { encodeRegisters } from '../../../../src/drivers/modbus/encode.js';
import { layoutOf } from '../../../../src/drivers/modbus/layout.js';

const integers = [8, 16, 32, 64].flatMap((bits) => [
  [`int${bits}`, fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n })] as const,
  [`uint${bits}`, fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })] as const,
]);
const others = [
  ['bcd16', fc.bigInt({ min: 0n, max: 9999n })],
  ['bcd32', fc.bigInt({ min: 0n, max: 99_999_999n })],
] as const;
const half = fc.constantFrom('big' as const, 'little' as const);

test.each([...integers, ...others])('%s comes back in every order', (name, values) => {
  const type = name as 'uint16';
  const letters = 'ABCDEFGH'.slice(0, 2 * layoutOf({ type }).registers);
  const order = fc.option(
    fc.shuffledSubarray([...letters], { minLength: letters.length }).map((all) => all.join('')),
    { nil: undefined },
  );
  fc.assert(
    fc.property(
      values,
      half,
      half,
      order,
      fc.constantFrom('high' as const, 'low' as const),
      (value, word, byte, any, which) => {
        const layout = layoutOf({ type, wordOrder: word, byteOrder: byte, order: any, byte: which });
        expect(BigInt(decodeRegisters(encodeRegisters(value, layout), layout) as number)).toBe(value);
      },
    ),
  );
});

test('floats come back as the nearest that their type has', () => {
  fc.assert(
    fc.property(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      half,
      half,
      (value, wordOrder, byteOrder) => {
        const layout = layoutOf({ type: 'float32', wordOrder, byteOrder });
        expect(Math.fround(decodeRegisters(encodeRegisters(value, layout), layout) as number)).toBe(value);
      },
    ),
  );
});

test('text comes back without its padding', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[!-~]([ -~]{0,10}[!-~])?$/),
      half,
      fc.constantFrom('nul' as const, 'space' as const),
      (text, byteOrder, pad) => {
        const layout = layoutOf({ type: 'string', length: 12, byteOrder });
        expect(decodeRegisters(encodeRegisters(text, layout, pad), layout)).toBe(text);
      },
    ),
  );
});

test.each([
  ['uint16', 65_536],
  ['int16', -32_769],
  ['uint8', 256],
  ['bcd16', 10_000],
  ['float16', 65_520],
  ['float32', 1e39],
  ['uint64', 2n ** 64n],
] as const)('%s does not take %s', (type, value) => {
  expect(() => encodeRegisters(value, layoutOf({ type }))).toThrow('does not fit');
});
