/** The outermost layer of a batch: which encoding and compression it has, by its first bytes; see decode.ts. */
import { type Batch, type BatchCompression, type BatchEncoding, damaged, tooLarge } from './batch.js';
import { ByteSource } from './byte-source.js';
import { CBOR_MARK } from './cbor.js';
import { readColumnar } from './columnar.js';
import { readDocument } from './document.js';
import { type Inflate, inflated, inflatedNow } from './inflate.js';
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

/** Takes it apart; decompressing is left to `inflate`, which may take its time. */
export async function openBatch(payload: Uint8Array, limits: Limits): Promise<Opened> {
  const { bytes, bytesMax, format, open } = peel(payload, limits);
  return open(format === undefined ? bytes : await inflated(format, bytes, bytesMax, limits.inflate));
}

/** The same at once, where there is node:zlib. */
export function openBatchNow(payload: Uint8Array, limits: Omit<Limits, 'inflate'>): Opened {
  const { bytes, bytesMax, format, open } = peel(payload, limits);
  return open(format === undefined ? bytes : inflatedNow(format, bytes, bytesMax));
}

interface Peeled {
  /** How `bytes` are compressed; undefined: not at all. */
  readonly format: Parameters<Inflate>[0] | undefined;
  readonly bytes: Uint8Array;
  /** When they are not any more. */
  readonly bytesMax: number;
  readonly open: (bytes: Uint8Array) => Opened;
}

function peel(payload: Uint8Array, limits: Limits): Peeled {
  const { bytesMax } = limits;
  if (payload[0] === COLUMNAR_MARK) return peelColumnar(payload, limits);
  const document = (format: 'deflate' | 'brotli' | undefined, bytes: Uint8Array): Peeled => ({
    ...{ format, bytes, bytesMax },
    open: (whole) => openDocument(whole, limits, format),
  });
  if (payload[0] === ZLIB) return document('deflate', payload);
  const isBrotli = BROTLI_MARK.every((byte, at) => payload[at] === byte);
  return isBrotli ? document('brotli', payload.subarray(BROTLI_MARK.length)) : document(undefined, payload);
}

function openDocument(
  document: Uint8Array,
  { bytesMax, messagesMax }: Limits,
  compress: BatchCompression = 'none',
): Opened {
  if (document.length > bytesMax) throw tooLarge(`it has more than ${bytesMax} bytes`);
  const isJson = document[0] === BRACE;
  if (!isJson && document[0] !== CBOR_MARK[0]) throw damaged('it begins like none');
  return opened(readDocument(document, messagesMax), isJson ? 'json' : 'cbor', compress, bytesMax);
}

function peelColumnar(payload: Uint8Array, { bytesMax, messagesMax }: Limits): Peeled {
  const from = new ByteSource(payload);
  from.u8();
  const kind = from.u8();
  if (kind >> 4 !== COLUMNAR_VERSION) throw damaged(`version ${kind >> 4} of its layout`);
  const compress = COMPRESSIONS[kind & 15];
  if (compress === undefined) throw damaged('an unknown compression');
  const stored = from.varint();
  const namesBytes = from.varint();
  if (namesBytes > bytesMax) throw tooLarge(`it has more than ${bytesMax} bytes`);
  const bytes = from.raw(stored);
  const numbers = from.raw(from.left);
  return {
    format: compress === 'none' ? undefined : compress === 'deflate' ? 'deflate-raw' : 'brotli',
    bytes,
    bytesMax: namesBytes,
    open: (names) => {
      if (names.length !== namesBytes) throw damaged('its names have another length than it says');
      return opened(readColumnar(names, numbers, { bytesMax, messagesMax }), 'columnar', compress, bytesMax);
    },
  };
}

function opened(table: Table, encoding: BatchEncoding, compress: BatchCompression, bytesMax: number): Opened {
  const { gateway, journal, replay } = table;
  const messages = messagesOf(table, bytesMax);
  return { gateway, journal, ...(replay !== undefined && { replay }), messages, encoding, compress };
}
