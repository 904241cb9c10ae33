/** The outermost layer of a batch: which encoding and compression it has, by its first bytes; see decode.ts. */
import { type Batch, type BatchCompression, type BatchEncoding, damaged, tooLarge } from './batch.js';
import { ByteSource } from './byte-source.js';
import { CBOR_MARK } from './cbor.js';
import { readColumnar } from './columnar.js';
import { readDocument } from './document.js';
import { type Inflate, inflated } from './inflate.js';
import { messagesOf, type Table } from './table.js';

export const COLUMNAR_MARK = 0xc7;
export const COLUMNAR_VERSION = 1;
/** In the order of their numbers in a columnar batch. */
export const COMPRESSIONS: readonly BatchCompression[] = ['none', 'deflate', 'brotli'];
/** A Brotli stream has no mark of its own; this is the one its framing format uses. */
export const BROTLI_MARK: readonly number[] = [0xce, 0xb2, 0xcf, 0x81];
const ZLIB = 0x78;
const BRACE = 0x7b;

export interface Limits {
  readonly bytesMax: number;
  readonly messagesMax: number;
  readonly inflate?: Inflate;
}

export interface Opened extends Batch {
  readonly encoding: BatchEncoding;
  readonly compress: BatchCompression;
}

export async function openBatch(payload: Uint8Array, limits: Limits): Promise<Opened> {
  const { bytesMax, inflate, messagesMax } = limits;
  if (payload[0] === COLUMNAR_MARK) {
    const { compress, table } = await openColumnar(payload, limits);
    return opened(table, 'columnar', compress, bytesMax);
  }
  let compress: BatchCompression = 'none';
  let document = payload;
  if (payload[0] === ZLIB) {
    compress = 'deflate';
    document = await inflated('deflate', payload, bytesMax, inflate);
  } else if (BROTLI_MARK.every((byte, at) => payload[at] === byte)) {
    compress = 'brotli';
    document = await inflated('brotli', payload.subarray(BROTLI_MARK.length), bytesMax, inflate);
  }
  if (document.length > bytesMax) throw tooLarge(`it has more than ${bytesMax} bytes`);
  const isJson = document[0] === BRACE;
  if (!isJson && document[0] !== CBOR_MARK[0]) throw damaged('it begins like none');
  return opened(readDocument(document, messagesMax), isJson ? 'json' : 'cbor', compress, bytesMax);
}

async function openColumnar(
  payload: Uint8Array,
  { bytesMax, inflate, messagesMax }: Limits,
): Promise<{ readonly table: Table; readonly compress: BatchCompression }> {
  const from = new ByteSource(payload);
  from.u8();
  const kind = from.u8();
  if (kind >> 4 !== COLUMNAR_VERSION) throw damaged(`version ${kind >> 4} of its layout`);
  const compress = COMPRESSIONS[kind & 15];
  if (compress === undefined) throw damaged('an unknown compression');
  const stored = from.varint();
  const headBytes = from.varint();
  if (headBytes > bytesMax) throw tooLarge(`it has more than ${bytesMax} bytes`);
  let head = from.raw(stored);
  if (compress !== 'none') {
    head = await inflated(compress === 'deflate' ? 'deflate-raw' : 'brotli', head, headBytes, inflate);
  }
  if (head.length !== headBytes) throw damaged('its head has another length than it says');
  return { table: readColumnar(head, from.raw(from.left), { bytesMax, messagesMax }), compress };
}

function opened(table: Table, encoding: BatchEncoding, compress: BatchCompression, bytesMax: number): Opened {
  const { gateway, journal, replay } = table;
  const messages = messagesOf(table, bytesMax);
  return { gateway, journal, ...(replay !== undefined && { replay }), messages, encoding, compress };
}
