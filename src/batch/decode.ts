/**
 * `godwit/batch`: takes batches apart, in Node.js and in a browser.
 *
 *   const { gateway, journal, messages } = await decodeBatch(payload);
 *
 * A batch says itself how it is made, by its first bytes:
 *
 *   {              json: document.ts tells its keys
 *   0xD9 D9 F7     cbor (RFC 8949): the same keys
 *   0x78           one of these as a zlib stream (RFC 1950): compress: deflate
 *   0xCE B2 CF 81  one of these as a Brotli stream (RFC 7932) behind that mark
 *   0xC7           columnar: columnar.ts tells its layout
 *
 * Any bytes are taken: what is no batch, or asks for more than the limits allow, is told by a GodwitError whose code
 * is BATCH_DAMAGED or BATCH_TOO_LARGE.
 */
import { BATCH_BYTES_MAX, BATCH_MESSAGES_MAX } from './batch.js';
import { type Opened, openBatch } from './container.js';
import type { Inflate } from './inflate.js';

export { GodwitError } from '../core/error.js';
export type { Message, MessageProperties, QoS } from '../core/message.js';
export type { Batch, BatchCompression, BatchEncoding, BatchMessage } from './batch.js';
export type { Opened as DecodedBatch } from './container.js';
export type { Inflate } from './inflate.js';

export interface DecodeOptions {
  /** All payloads together, and what a compressed batch may become; 256 MiB where absent. */
  readonly bytesMax?: number;
  /** 100,000 where absent. */
  readonly messagesMax?: number;
  /** Replaces the decompression: for `brotli` in a browser without it. */
  readonly inflate?: Inflate;
}

/** The payloads of the messages share memory: copy one that is kept for long. */
export function decodeBatch(payload: Uint8Array, options: DecodeOptions = {}): Promise<Opened> {
  const { bytesMax = BATCH_BYTES_MAX, inflate, messagesMax = BATCH_MESSAGES_MAX } = options;
  return openBatch(payload, { bytesMax, messagesMax, ...(inflate !== undefined && { inflate }) });
}
