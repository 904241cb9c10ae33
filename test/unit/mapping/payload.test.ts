import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample, SampleSet } from '../../../src/core/sample.js';
import { encodePayload, type PayloadOptions } from '../../../src/mapping/payload.js';

const stamp = { wallMs: 1732147200123, monotonicMs: 5, bootId: 'boot', trusted: true };

function sample(part: Partial<Sample>): Sample {
  return { device: 'tank', point: 'level', value: 21.5, quality: 'good', stamp, ...part };
}

function text(
  samples: readonly Sample[],
  {
    grouped = false,
    kind = 'json' as 'json' | 'value',
    ...options
  }: PayloadOptions & Partial<SampleSet> & { kind?: 'json' | 'value' } = {},
): string {
  const set: SampleSet = { topic: 't', qos: 1, retain: false, format: { kind }, grouped, samples };
  return Buffer.from(encodePayload(set, options)).toString();
}

describe('json', () => {
  test('is ts, value and unit, to the letter of the contract', () => {
    expect(text([sample({ unit: '°C' })])).toBe('{"ts":1732147200123,"value":21.5,"unit":"°C"}');
    expect(text([sample({})])).toBe('{"ts":1732147200123,"value":21.5}');
  });

  test('tells quality only where it is not good', () => {
    expect(text([sample({ quality: 'stale', unit: 'bar' })])).toBe(
      '{"ts":1732147200123,"value":21.5,"unit":"bar","quality":"stale"}',
    );
    expect(text([sample({ quality: 'bad', value: null, reason: 'timeout', unit: 'bar' })])).toBe(
      '{"ts":1732147200123,"value":null,"quality":"bad","reason":"timeout"}',
    );
    expect(text([sample({ quality: 'bad', value: null })])).toBe(
      '{"ts":1732147200123,"value":null,"quality":"bad"}',
    );
  });

  test.each([
    [true, 'true'],
    [-0, '0'],
    [1e21, '1e+21'],
    [5e-324, '5e-324'],
    [18_446_744_073_709_551_615n, '18446744073709551615'],
    ['say "a"\n\u0001', '"say \\"a\\"\\n\\u0001"'],
    [Number.NaN, 'null'],
    [-Infinity, 'null'],
  ])('writes the value %s as %s', (value, json) => {
    expect(text([sample({ value })])).toBe(`{"ts":1732147200123,"value":${json}}`);
  });

  test('marks an untrusted clock only when told to', () => {
    const untrusted = sample({ stamp: { ...stamp, trusted: false } });
    expect(text([untrusted])).toBe('{"ts":1732147200123,"value":21.5}');
    expect(text([untrusted], { markUntrusted: true })).toBe(
      '{"ts":1732147200123,"value":21.5,"clock":"untrusted"}',
    );
    expect(text([sample({})], { markUntrusted: true })).toBe('{"ts":1732147200123,"value":21.5}');
  });

  test('has whole milliseconds, also where a repair left a fraction', () => {
    expect(text([sample({ stamp: { ...stamp, wallMs: 1000.6 } })])).toBe('{"ts":1001,"value":21.5}');
  });

  test('reads back as what was written, for any text and number', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(value, fc.string(), (value, unit) => {
        const read = JSON.parse(text([sample({ value, unit })]));
        const written = typeof value === 'string' ? Buffer.from(value).toString() : value;
        expect(read).toEqual({
          ts: stamp.wallMs,
          value: written === 0 ? 0 : JSON.parse(JSON.stringify(value)),
          unit,
        });
      }),
    );
  });
});

describe('a group', () => {
  const level = sample({ value: 71.2 });
  const high = sample({ point: 'high', value: false, stamp: { ...stamp, wallMs: stamp.wallMs + 4 } });

  test('is one object of values with the time of the newest', () => {
    expect(text([level, high], { grouped: true })).toBe(
      '{"ts":1732147200127,"values":{"level":71.2,"high":false}}',
    );
  });

  test('maps quality and reason by point, only where they say something', () => {
    const bad = sample({ point: 'p', value: null, quality: 'bad', reason: 'timeout' });
    const stale = sample({ point: 's', value: 1, quality: 'stale' });
    expect(text([level, bad, stale], { grouped: true })).toBe(
      '{"ts":1732147200123,"values":{"level":71.2,"p":null,"s":1},"quality":{"p":"bad","s":"stale"},"reason":{"p":"timeout"}}',
    );
  });

  test('is marked where one sample of it has an untrusted time', () => {
    const untrusted = { ...high, stamp: { ...stamp, trusted: false } };
    expect(text([level, untrusted], { grouped: true, markUntrusted: true })).toBe(
      '{"ts":1732147200123,"values":{"level":71.2,"high":false},"clock":"untrusted"}',
    );
  });
});

test.each([
  [21.5, '21.5'],
  [false, 'false'],
  ['on "now"', 'on "now"'],
  [9_007_199_254_740_993n, '9007199254740993'],
  [null, 'null'],
])('a bare value %s is %s', (value, bare) => {
  expect(text([sample({ value, quality: value === null ? 'bad' : 'good' })], { kind: 'value' })).toBe(bare);
});

describe('a template', () => {
  const told = (template: string, more: Partial<Sample> = {}): string =>
    Buffer.from(
      encodePayload({
        topic: 't',
        qos: 0,
        retain: false,
        grouped: false,
        format: { kind: 'template', template },
        samples: [
          {
            device: 'tank',
            point: 'level',
            unit: '%',
            value: 21.5,
            quality: 'good',
            stamp: { wallMs: 1000.4, monotonicMs: 0, bootId: 'b', trusted: true },
            ...more,
          },
        ],
      }),
    ).toString();

  test('is filled with what the sample says; braces that hold no name stand for themselves', () => {
    expect(told('{value} {unit}')).toBe('21.5 %');
    expect(told('{"v":{value},"at":{ts},"q":"{quality}"}')).toBe('{"v":21.5,"at":1000,"q":"good"}');
    expect(told('{device}/{point} {reason}{other} {} { value }')).toBe('tank/level {other} {} { value }');
  });

  test('says null for a value that is bad', () => {
    expect(told('{value} {quality} {reason}', { value: null, quality: 'bad', reason: 'timeout' })).toBe(
      'null bad timeout',
    );
  });

  test('is not read again: a text that looks like a place is told as it is', () => {
    expect(told('{value}', { value: '{unit}' })).toBe('{unit}');
  });
});
