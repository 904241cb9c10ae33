import { brotliCompressSync, deflateRawSync, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DecodeOptions, decodeBatch, GodwitError } from '../../../src/batch/decode.js';
import { encodeBatch } from '../../../src/batch/encode.js';
import { inflateByStream } from '../../../src/batch/inflate.js';
import { anyBatch, COMPRESSIONS, ENCODINGS } from './batch-values.js';

const MARKS = [
  [0x7b],
  [0xd9, 0xd9, 0xf7],
  [0x78, 0x9c],
  [0xce, 0xb2, 0xcf, 0x81],
  [0xc7, 0x10],
  [0xc7, 0x11],
  [],
];

/** The code of the error that it is refused with; undefined: it was a batch. */
async function refusal(bytes: Uint8Array, options?: DecodeOptions): Promise<string | undefined> {
  try {
    await decodeBatch(bytes, options);
    return undefined;
  } catch (fault) {
    if (fault instanceof GodwitError) return fault.code;
    throw fault;
  }
}

test('arbitrary bytes are refused as no batch, whatever mark they begin with', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...MARKS), fc.uint8Array({ maxLength: 300 }), async (mark, rest) => {
      const code = await refusal(Uint8Array.from([...mark, ...rest]), { bytesMax: 1e6, messagesMax: 1e4 });
      expect([undefined, 'BATCH_DAMAGED', 'BATCH_TOO_LARGE']).toContain(code);
    }),
    { numRuns: 800 },
  );
});

test('a decimal fraction of something that is no pair is refused', async () => {
  for (const inner of [0x00, 0xf6, 0x40, 0x80, 0x81]) {
    expect(await refusal(Uint8Array.of(0xd9, 0xd9, 0xf7, 0xc4, inner, 0x00))).toBe('BATCH_DAMAGED');
  }
});

test('a batch with bytes changed, cut or added is decoded or refused, and nothing else', async () => {
  const mutation = fc.record({
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
    kind: fc.constantFrom('set', 'cut', 'insert'),
  });
  await fc.assert(
    fc.asyncProperty(
      anyBatch,
      fc.constantFrom(...ENCODINGS),
      fc.constantFrom(...COMPRESSIONS),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      async (batch, encoding, compress, mutations) => {
        let bytes = [...encodeBatch(batch, encoding, compress)];
        for (const { at, byte, kind } of mutations) {
          const place = Math.floor(at * bytes.length);
          if (kind === 'set') bytes[place] = byte;
          else if (kind === 'cut') bytes = bytes.slice(0, place);
          else bytes.splice(place, 0, byte);
        }
        const code = await refusal(Uint8Array.from(bytes), { bytesMax: 1e6, messagesMax: 1e4 });
        expect([undefined, 'BATCH_DAMAGED', 'BATCH_TOO_LARGE']).toContain(code);
      },
    ),
    { numRuns: 500 },
  );
});

test('what decompresses to more than is allowed is refused without being decompressed whole', async () => {
  const bomb = Buffer.concat([Buffer.from('{"godwit":1,"gw":"'), Buffer.alloc(20_000_000, 97)]);
  const columnar = (head: Buffer, compress: number): Buffer =>
    // The head claims to be small, or as large as it is.
    Buffer.concat([Buffer.from([0xc7, 0x10 | compress]), leb(head.length), leb(1000), head]);
  const options = { bytesMax: 1_000_000 };
  expect(await refusal(deflateSync(bomb), options)).toBe('BATCH_TOO_LARGE');
  expect(
    await refusal(Buffer.concat([Buffer.from([0xce, 0xb2, 0xcf, 0x81]), brotliCompressSync(bomb)]), options),
  ).toBe('BATCH_TOO_LARGE');
  expect(await refusal(columnar(deflateRawSync(bomb), 1), options)).toBe('BATCH_TOO_LARGE');
  expect(await refusal(deflateSync(bomb), { ...options, inflate: inflateByStream })).toBe('BATCH_TOO_LARGE');
});

test('columns that cost no bytes may not ask for memory without bound', async () => {
  // A hundred thousand messages of 4 KB each, all the same, in a few hundred bytes.
  const payload = Buffer.from(`[${'1,'.repeat(40)}"${'x'.repeat(4000)}"]`);
  const messages = Array.from({ length: 20_000 }, (_, index) => ({
    ...{ seq: index + 1, ts: 1.7e12, topic: 'a', payload, qos: 1 as const, retain: false },
  }));
  const bytes = encodeBatch({ gateway: 'g', journal: 'j', messages }, 'columnar', 'deflate');
  expect(bytes.length).toBeLessThan(1000);
  expect(await refusal(bytes, { bytesMax: 1_000_000 })).toBe('BATCH_TOO_LARGE');
  expect(await refusal(bytes, { messagesMax: 10_000 })).toBe('BATCH_TOO_LARGE');
});

test('a later version is refused with its number', async () => {
  await expect(decodeBatch(Uint8Array.from([0xc7, 0x21, 0, 0]))).rejects.toThrow('version 2');
  await expect(decodeBatch(Buffer.from('{"godwit":2}'))).rejects.toThrow('version 2');
});

function leb(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}
