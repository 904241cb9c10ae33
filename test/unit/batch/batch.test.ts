import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BatchMessage } from '../../../src/batch/batch.js';
import { decodeBatch } from '../../../src/batch/decode.js';
import { encodeBatch } from '../../../src/batch/encode.js';
import { anyBatch, COMPRESSIONS, ENCODINGS, plain } from './batch-values.js';

const kinds = ENCODINGS.flatMap((encoding) => COMPRESSIONS.map((compress) => ({ encoding, compress })));

test.each(kinds)(
  'what is decoded of $encoding with compress: $compress is what was encoded, to the byte',
  async ({ compress, encoding }) => {
    await fc.assert(
      fc.asyncProperty(anyBatch, async (batch) => {
        const decoded = await decodeBatch(encodeBatch(batch, encoding, compress));
        expect(plain(decoded)).toEqual(plain(batch));
        expect(decoded).toMatchObject({ encoding, compress });
      }),
      { numRuns: 50 },
    );
  },
);

/** One reading a second of each series, as the gateway's own payloads are. */
function readings(count: number, seriesCount = 1): BatchMessage[] {
  return Array.from({ length: count }, (_, index) => ({
    seq: index + 1,
    ts: 1_732_147_200_000 + 1000 * Math.floor(index / seriesCount),
    topic: `site/sensor-${index % seriesCount}`,
    payload: Buffer.from(
      `{"ts":${1_732_147_200_000 + 1000 * Math.floor(index / seriesCount)},"value":${(index % 7) / 4},"unit":"°C"}`,
    ),
    qos: 1,
    retain: true,
  }));
}

test('a topic, a unit and a steady pace are told once, not for each reading', () => {
  const bytes = (count: number): number =>
    encodeBatch({ gateway: 'g', journal: 'j', messages: readings(count) }, 'columnar', 'none').length;
  expect(bytes(2000) - bytes(1000)).toBeLessThan(1000);
});

test('the same messages make the same bytes, so that a batch sent again is the same batch', () => {
  fc.assert(
    fc.property(
      anyBatch,
      fc.constantFrom(...ENCODINGS),
      fc.constantFrom(...COMPRESSIONS),
      (batch, encoding, compress) => {
        expect(
          Buffer.compare(encodeBatch(batch, encoding, compress), encodeBatch(batch, encoding, compress)),
        ).toBe(0);
      },
    ),
    { numRuns: 30 },
  );
});

test('json is a document that a person reads, with each number as it is', () => {
  const messages = readings(2);
  const document = JSON.parse(
    Buffer.from(
      encodeBatch({ gateway: 'well-17', journal: 'k3v9x2ab', messages }, 'json', 'none'),
    ).toString(),
  ) as unknown;
  expect(document).toEqual({
    godwit: 1,
    gw: 'well-17',
    j: 'k3v9x2ab',
    series: [
      {
        topic: 'site/sensor-0',
        qos: 1,
        retain: true,
        payload: ['{"ts":', ',"value":', ',"unit":"°C"}'],
        near: 0,
        deltas: [0],
        rows: [
          [1, 0, 1_732_147_200_000, 0],
          [1, 0, 1000, 0.25],
        ],
      },
    ],
  });
});

test('a decoded batch of a hundred series has its messages in the order of seq', async () => {
  const messages = readings(1000, 100);
  const decoded = await decodeBatch(
    encodeBatch({ gateway: 'g', journal: 'j', messages }, 'columnar', 'deflate'),
  );
  expect(decoded.messages.map(({ seq }) => seq)).toEqual(messages.map(({ seq }) => seq));
});
