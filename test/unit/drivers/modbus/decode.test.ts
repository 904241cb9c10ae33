import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RegisterType } from '../../../../src/config/register.js';
import { decodeBit, decodeRegisters as decodeLayout } from '../../../../src/drivers/modbus/decode.js';
import {
  float16FromBits,
  float16ToBits,
  shortestFloat16,
  shortestFloat32,
} from '../../../../src/drivers/modbus/float.js';
import { type LayoutKeys, layoutOf } from '../../../../src/drivers/modbus/layout.js';
import { encodeRegisters } from '../../../support/modbus-encode.js';

function decodeRegisters(wire: Uint8Array, keys: LayoutKeys) {
  return decodeLayout(wire, layoutOf(keys));
}

const order = fc.constantFrom('big' as const, 'little' as const);

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function decode(
  hex: string,
  type: RegisterType,
  wordOrder: 'big' | 'little' = 'big',
  byteOrder: 'big' | 'little' = 'big',
) {
  return decodeRegisters(bytes(hex), { type, wordOrder, byteOrder });
}

describe('registers to values', () => {
  test('the four orders of a 32-bit value are ABCD, CDAB, BADC and DCBA', () => {
    expect(decode('1234 5678', 'uint32', 'big', 'big')).toBe(0x12345678);
    expect(decode('5678 1234', 'uint32', 'little', 'big')).toBe(0x12345678);
    expect(decode('3412 7856', 'uint32', 'big', 'little')).toBe(0x12345678);
    expect(decode('7856 3412', 'uint32', 'little', 'little')).toBe(0x12345678);
  });

  test.each([
    ['bool', '0000', false],
    ['bool', '0100', true],
    ['int16', 'ff33', -205],
    ['uint16', 'ffff', 65_535],
    ['int32', '8000 0000', -(2 ** 31)],
    ['float16', '3c00', 1],
    ['float16', '0001', 6e-8],
    ['float32', '41a8 cccd', 21.1],
    ['float32', '0000 0001', 1e-45],
    ['float32', '7f7f ffff', 3.4028235e38],
    ['float64', '4035 1999 9999 999a', 21.1],
    ['uint64', '0000 0000 0000 0001', 1],
    ['uint64', '001f ffff ffff ffff', Number.MAX_SAFE_INTEGER],
    ['uint64', '0020 0000 0000 0000', 2n ** 53n],
    ['uint64', 'ffff ffff ffff ffff', 2n ** 64n - 1n],
    ['int64', '8000 0000 0000 0000', -(2n ** 63n)],
    ['int64', 'ffff ffff ffff ffff', -1],
  ] as const)('%s %s is %s', (type, hex, value) => {
    expect(decode(hex, type)).toBe(value);
  });

  test.each([
    ['float16', '7c00'],
    ['float16', '7e01'],
    ['float32', '7fc0 0000'],
    ['float32', 'ff80 0000'],
    ['float64', '7ff0 0000 0000 0000'],
    ['float64', '7ff8 0000 0000 0001'],
  ] as const)('%s %s is no number', (type, hex) => {
    expect(decode(hex, type)).toEqual({ reason: 'not a number' });
  });

  test.each([
    ['bcd16', '1234', 1234],
    ['bcd32', '0012 3456', 123_456],
  ] as const)('%s %s is %s', (type, hex, value) => {
    expect(decode(hex, type)).toBe(value);
  });

  test('digits beyond nine are no BCD', () => {
    expect(decode('12a4', 'bcd16')).toEqual({ reason: 'not BCD' });
    expect(decode('1234 567f', 'bcd32')).toEqual({ reason: 'not BCD' });
  });

  test('an int8 is the byte that is named', () => {
    expect(decodeRegisters(bytes('7f80'), { type: 'int8' })).toBe(-128);
    expect(decodeRegisters(bytes('7f80'), { type: 'int8', byte: 'high' })).toBe(127);
    expect(decodeRegisters(bytes('7f80'), { type: 'uint8', byte: 'low' })).toBe(128);
  });

  test('a string ends at its NUL, without its padding, in any byte order', () => {
    const text = (hex: string, byteOrder: 'big' | 'little' = 'big', length = 6) =>
      decodeRegisters(bytes(hex), { type: 'string', byteOrder, length });
    expect(text('4142 4320 2020')).toBe('ABC');
    expect(text('4142 0043 4445')).toBe('AB');
    expect(text('4241 2043 2020', 'little')).toBe('ABC');
    expect(text('c2b0 4300 0000')).toBe('°C');
    expect(text('b043 0000 0000')).toBe('°C');
    expect(text('4142 4344', 'big', 3)).toBe('ABC');
    expect(text('0000 0000 0000')).toBe('');
  });

  test('any permutation of the bytes can be named', () => {
    const keys = { type: 'uint64', order: 'GHEFCDAB' } as const;
    expect(decodeRegisters(bytes('0708 0506 0304 0102'), keys)).toBe(0x0102030405060708n);
    expect(decodeRegisters(bytes('0201 0403'), { type: 'uint32', order: 'badc' })).toBe(0x01020304);
  });

  test('an integer of any width and order comes back as it was encoded', () => {
    const integers = [16, 32, 64].flatMap((bits) => [
      fc.tuple(
        fc.constant(`int${bits}`),
        fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
      ),
      fc.tuple(fc.constant(`uint${bits}`), fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })),
    ]);
    fc.assert(
      fc.property(fc.oneof(...integers), order, order, ([name, value], wordOrder, byteOrder) => {
        const type = name as RegisterType;
        const decoded = decodeRegisters(encodeRegisters(value, type, wordOrder, byteOrder), {
          type,
          wordOrder,
          byteOrder,
        });
        expect(BigInt(decoded as number | bigint)).toBe(value);
        expect(typeof decoded).toBe(Number.isSafeInteger(Number(value)) ? 'number' : 'bigint');
      }),
    );
  });

  test('a float64 of any order comes back exactly', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        order,
        order,
        (value, wordOrder, byteOrder) => {
          const layout = { type: 'float64' as const, wordOrder, byteOrder };
          expect(decodeRegisters(encodeRegisters(value, 'float64', wordOrder, byteOrder), layout)).toBe(
            value,
          );
        },
      ),
    );
  });

  test('a float32 is the shortest decimal that reads back as that float32', () => {
    fc.assert(
      fc.property(
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        order,
        order,
        (value, wordOrder, byteOrder) => {
          const layout = { type: 'float32' as const, wordOrder, byteOrder };
          const decoded = decodeRegisters(encodeRegisters(value, 'float32', wordOrder, byteOrder), layout);
          expect(Math.fround(decoded as number)).toBe(value);
          // No decimal with fewer digits would do.
          const digits = significantDigits(decoded as number);
          for (let fewer = 1; fewer < digits; fewer++) {
            expect(Math.fround(Number(value.toPrecision(fewer)))).not.toBe(value);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('a decimal of up to six digits survives a float32', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -999_999, max: 999_999 }),
        fc.integer({ min: -6, max: 6 }),
        (digits, exponent) => {
          const value = Number(`${digits}e${exponent}`);
          expect(shortestFloat32(Math.fround(value))).toBe(value);
        },
      ),
    );
  });

  test('every float16 comes back from its shortest decimal', () => {
    for (let bits = 0; bits < 0x1_0000; bits++) {
      const value = float16FromBits(bits);
      if (!Number.isFinite(value)) continue;
      expect(float16ToBits(value)).toBe(bits);
      if (value !== 0) expect(float16ToBits(shortestFloat16(bits))).toBe(bits);
    }
    expect(shortestFloat16(float16ToBits(0.1))).toBe(0.1);
  });

  test('bits are counted from the lowest of the first byte', () => {
    const reply = Uint8Array.of(0b0000_0101, 0b1000_0000);
    expect([0, 1, 2, 15].map((index) => decodeBit(reply, index))).toEqual([true, false, true, true]);
  });
});

function significantDigits(value: number): number {
  const [mantissa = ''] = value.toExponential().replace('-', '').split('e');
  return mantissa.replace('.', '').length;
}
