/** Puts messages into one batch; decode.ts says what comes of it. For Node.js alone: it compresses by zlib. */
import { brotliCompressSync, deflateRawSync, deflateSync, constants as zlib } from 'node:zlib';
import type { Batch, BatchCompression, BatchEncoding } from './batch.js';
import { ByteSink } from './byte-sink.js';
import { writeColumnar } from './columnar.js';
import { BROTLI_MARK, COLUMNAR_MARK, COLUMNAR_VERSION, COMPRESSIONS } from './container.js';
import { writeDocument } from './document.js';
import { type Table, Tabulator } from './table.js';

/** Levels above cost twice the time for some per cent. */
const DEFLATE_LEVEL = 6;
const BROTLI_QUALITY = 5;

export function encodeBatch(batch: Batch, encoding: BatchEncoding, compress: BatchCompression): Uint8Array {
  const tabulator = new Tabulator();
  for (const message of batch.messages) tabulator.add(message);
  return encodeTable(tabulator.finish(batch), encoding, compress);
}

export function encodeTable(table: Table, encoding: BatchEncoding, compress: BatchCompression): Uint8Array {
  if (encoding !== 'columnar') return compressed(writeDocument(table, encoding), compress);
  const { names, numbers } = writeColumnar(table);
  const stored =
    compress === 'deflate'
      ? deflateRawSync(names, { level: DEFLATE_LEVEL })
      : compress === 'brotli'
        ? brotli(names)
        : names;
  const to = new ByteSink(stored.length + numbers.length + 16);
  to.u8(COLUMNAR_MARK);
  to.u8((COLUMNAR_VERSION << 4) | COMPRESSIONS.indexOf(compress));
  to.varint(stored.length);
  to.varint(names.length);
  to.raw(stored);
  to.raw(numbers);
  return to.bytes;
}

function compressed(document: Uint8Array, compress: BatchCompression): Uint8Array {
  if (compress === 'none') return document;
  if (compress === 'deflate') return deflateSync(document, { level: DEFLATE_LEVEL });
  return Buffer.concat([Uint8Array.from(BROTLI_MARK), brotli(document)]);
}

function brotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, {
    params: {
      [zlib.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [zlib.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}
