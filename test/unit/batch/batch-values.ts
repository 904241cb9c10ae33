/** Batches of all kinds, for property tests. */
import fc from 'fast-check';
import type { Batch, BatchCompression, BatchEncoding, BatchMessage } from '../../../src/batch/batch.js';
import type { MessageProperties } from '../../../src/core/message.js';

export const ENCODINGS: readonly BatchEncoding[] = ['json', 'cbor', 'columnar'];
export const COMPRESSIONS: readonly BatchCompression[] = ['none', 'deflate', 'brotli'];

/** Everything that a point may be worth, spelt as the payloads do, and as others might. */
const spelling = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.integer({ min: -5000, max: 5000 }).map((hundredths) => String(hundredths / 100)),
  },
  { weight: 2, arbitrary: fc.integer({ min: -500, max: 500 }).map((tenths) => (tenths / 10).toFixed(2)) },
  { weight: 2, arbitrary: fc.double().map(String) },
  { weight: 1, arbitrary: fc.maxSafeInteger().map(String) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        'NaN',
        '-Infinity',
        'Infinity',
        '-0',
        '0',
        '-0.0',
        '0.00',
        '007',
        '1e-7',
        '1E+21',
        '5e-324',
        '--1',
        '-',
      ],
      ...[
        '9007199254740991',
        '-9007199254740993',
        '1.7976931348623157e+308',
        '0.1000000',
        '1.',
        '.5',
        '1.2.3',
        '+4',
      ],
      ...['562949953421311', '562949953421312', '99999999999999', '0.00000000000001', '123456789.123456'],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('true', 'false', 'null', '"auto"', '"21.5"', '"2026-11-29T13:21:05.120Z"'),
  },
);

const payload = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({ ts: fc.integer({ min: 1.73e12, max: 1.74e12 }), value: spelling, quality: fc.boolean() })
      .map(({ ts, value, quality }) =>
        Buffer.from(`{"ts":${ts},"value":${value},"unit":"m³/h"${quality ? '' : ',"quality":"stale"'}}`),
      ),
  },
  { weight: 2, arbitrary: spelling.map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.array(spelling).map((list) => Buffer.from(`[${list.join(',')}]`)) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
);

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const properties = fc
  .record({
    payloadFormatIndicator: optional(fc.constantFrom<0 | 1>(0, 1)),
    messageExpiryInterval: optional(fc.integer({ min: 0, max: 0xffff_ffff })),
    contentType: optional(fc.string()),
    responseTopic: optional(fc.string()),
    correlationData: optional(fc.uint8Array({ maxLength: 9 })),
    userProperties: optional(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 3 })),
  })
  .map(
    (all) =>
      Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as MessageProperties,
  );

const message = fc.record({
  gap: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 1e9 })),
  // A clock that steps, back too.
  ts: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 1.73e12, max: 1.73e12 + 9 }) },
    fc.integer({ min: 0, max: 2 ** 48 }),
  ),
  topic: fc.oneof({ weight: 5, arbitrary: fc.constantFrom('a/b', 'a/c', 'a/ä') }, fc.string()),
  payload,
  qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  retain: fc.boolean(),
  properties: fc.option(properties, { nil: undefined, freq: 5 }),
});

export const anyBatch: fc.Arbitrary<Batch> = fc
  .record({
    gateway: fc.string(),
    journal: fc.string(),
    replay: optional(fc.string({ minLength: 1 })),
    messages: fc.array(message, { maxLength: 60 }),
  })
  .map(({ messages, replay, ...names }) => {
    let seq = 0;
    return {
      ...names,
      ...(replay !== undefined && { replay }),
      messages: messages.map(({ gap, properties, ...rest }): BatchMessage => {
        seq += gap;
        return { ...rest, seq, ...(properties !== undefined && { properties }) };
      }),
    };
  });

/** Compared as values: a payload may be a Buffer or a view. */
export function plain({ gateway, journal, messages, replay }: Batch): unknown {
  return {
    gateway,
    journal,
    replay,
    messages: messages.map(({ payload, properties, ...rest }) => ({
      ...rest,
      payload: Buffer.from(payload).toString('latin1'),
      properties: properties && {
        ...properties,
        correlationData: properties.correlationData && [...properties.correlationData],
      },
    })),
  };
}
