/** What a batch holds: messages as they would have been published one by one. */
import { GodwitError } from '../core/error.js';
import type { Message } from '../core/message.js';

export interface Batch {
  /** The gateway's id, `gw`. */
  readonly gateway: string;
  /** The journal's id, `j`. */
  readonly journal: string;
  /** The replay job that sent it; absent: it is no replay. */
  readonly replay?: string;
  /** By `seq`, ascending. */
  readonly messages: readonly BatchMessage[];
}

export interface BatchMessage extends Message {
  /** Its number in the journal: (gw, j, seq) identifies a message. */
  readonly seq: number;
  /** When the gateway accepted it, whole milliseconds since the epoch. */
  readonly ts: number;
}

export type BatchEncoding = 'json' | 'cbor' | 'columnar';
export type BatchCompression = 'none' | 'deflate' | 'brotli';

/** MQTT's own limit of a payload; what a decoder takes apart unless told otherwise. */
export const BATCH_BYTES_MAX = 256 * 1024 * 1024;
/** A message is some 200 bytes of memory once it is taken apart. */
export const BATCH_MESSAGES_MAX = 100_000;

/** The Content Type of a batch, also what `godwit unbatch` looks for: `godwit/columnar+deflate`. */
export function batchContentType(encoding: BatchEncoding, compress: BatchCompression): string {
  return compress === 'none' ? `godwit/${encoding}` : `godwit/${encoding}+${compress}`;
}

/** The bytes are no batch, or not a whole one. */
export function damaged(what: string): GodwitError {
  return new GodwitError('BATCH_DAMAGED', `This is no batch of godwit, or a damaged one: ${what}`);
}

/** Larger than whoever decodes it allows. */
export function tooLarge(what: string): GodwitError {
  return new GodwitError('BATCH_TOO_LARGE', `The batch is larger than allowed: ${what}`);
}
