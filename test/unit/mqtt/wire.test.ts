import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeString,
  utf8Size,
  variableByteIntegerSize,
  WireFault,
  WireReader,
  writeFourByteInteger,
  writeString,
  writeVariableByteInteger,
} from '../../../src/mqtt/wire.js';
import { hex, toHex } from './decode.js';

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return decodeString(Buffer.from(bytes), 0, bytes.length, 'text');
  } catch (fault) {
    if (fault instanceof WireFault) return undefined;
    throw fault;
  }
}

describe('strings', () => {
  test.each([
    ['a stray continuation', '80'],
    ['a cut sequence', 'c3'],
    ['a cut sequence of three', 'e2 82'],
    ['a cut sequence of four', 'f0 9f 98'],
    ['a sequence broken by ASCII', 'e2 28 a1'],
    ['an overlong NUL', 'c0 80'],
    ['an overlong slash', 'c1 af'],
    ['an overlong sequence of three', 'e0 9f bf'],
    ['an overlong sequence of four', 'f0 8f bf bf'],
    ['the first surrogate', 'ed a0 80'],
    ['the last surrogate', 'ed bf bf'],
    ['above U+10FFFF', 'f4 90 80 80'],
    ['a five octet lead', 'f8 88 80 80 80'],
    ['NUL alone', '00'],
    ['NUL after ASCII', '61 00 62'],
    ['NUL after others', 'c3 a9 00'],
  ])('%s is refused [MQTT311-1.5.3-1] [MQTT5-1.5.4-1] [MQTT5-1.5.4-2]', (_name, bytes) => {
    expect(decodeText(hex(bytes))).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['ASCII', 'a/b c'],
    ['a control', '\u0001\u007f\u0080'],
    ['U+FEFF [MQTT311-1.5.3-3] [MQTT5-1.5.4-3]', '\ufeff'],
    ['non-characters', '\uffff\ufdd0'],
    ['the last before and the first after the surrogates', '\ud7ff\ue000'],
    ['two, three and four octets', 'é€😀'],
    ['the last code point', '\u{10ffff}'],
  ])('%s is kept as it is', (_name, text) => {
    expect(decodeText(Buffer.from(text))).toBe(text);
  });

  test('any text comes back as it was, and its size is known before', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const size = utf8Size(text);
        const bytes = Buffer.alloc(size + 2);
        expect(writeString(bytes, 0, text, size)).toBe(size + 2);
        const expected = text.includes('\0') ? undefined : text;
        expect(decodeText(bytes.subarray(2))).toBe(expected);
      }),
    );
  });

  test('any bytes are judged as a strict decoder judges them', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const octet = fc.oneof(
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0x80, 0xbf),
    );
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 8 }), (octets) => {
        const bytes = Uint8Array.from(octets);
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          expected = undefined;
        }
        expect(decodeText(bytes)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('Variable Byte Integers', () => {
  test.each([
    [0, '00'],
    [127, '7f'],
    [128, '80 01'],
    [16_383, 'ff 7f'],
    [16_384, '80 80 01'],
    [2_097_151, 'ff ff 7f'],
    [2_097_152, '80 80 80 01'],
    [268_435_455, 'ff ff ff 7f'],
  ])('%i is %s, in its shortest form [MQTT5-1.5.5-1]', (value, bytes) => {
    const written = Buffer.alloc(variableByteIntegerSize(value));
    expect(writeVariableByteInteger(written, 0, value)).toBe(written.length);
    expect(toHex(written)).toBe(bytes);
    expect(new WireReader(written, 0, written.length).variableByteInteger('it')).toBe(value);
  });

  test.each(['80 00', 'ff 80 00', '80 80 80 00', '80 80 80 80 01', 'ff'])('%s is refused', (bytes) => {
    const read = Buffer.from(hex(bytes));
    expect(() => new WireReader(read, 0, read.length).variableByteInteger('it')).toThrow(WireFault);
  });
});

test('Four Byte Integers are unsigned', () => {
  const bytes = Buffer.alloc(4);
  for (const value of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    writeFourByteInteger(bytes, 0, value);
    expect(new WireReader(bytes, 0, 4).fourByteInteger('it')).toBe(value);
  }
});
