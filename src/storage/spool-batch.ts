/** The messages for kept sessions in a batch that forms: chunks in their final form, and their indexes beside them. */
import type { Message } from '../core/message.js';
import { CHUNK_BYTES_MAX } from './batch.js';
import { ByteWriter } from './byte-writer.js';
import { CHUNK_VERSION, writeRecord } from './record-codec.js';
import type { Recipient, SavedExpiry } from './session-store.js';
import type { SpoolChunk } from './spool-book.js';
import { writeIndexRecord } from './spool-index.js';

export interface SpoolSpan {
  readonly first: number;
  readonly count: number;
  readonly start: number;
  readonly end: number;
  readonly indexStart: number;
  readonly indexEnd: number;
}

export interface SpoolPart {
  readonly chunks: readonly SpoolSpan[];
  readonly messages: ArrayBuffer;
  readonly indexes: ArrayBuffer;
}

interface Open {
  readonly chunk: SpoolChunk;
  readonly start: number;
  readonly indexStart: number;
  end: number;
  indexEnd: number;
  count: number;
}

export class SpoolBatch {
  readonly #messages = new ByteWriter();
  readonly #indexes = new ByteWriter();
  readonly #chunks: Open[] = [];
  #open: Open | undefined;

  get bytes(): number {
    return this.#messages.length + this.#indexes.length;
  }

  /** Adds a message to the chunk that is open, or to one that `begin` makes; returns the chunk and the bytes it took. */
  append(
    message: Message,
    expiry: SavedExpiry | undefined,
    recipients: readonly Recipient[],
    begin: () => SpoolChunk,
  ): { readonly chunk: SpoolChunk; readonly bytes: number } {
    const messages = this.#messages;
    const indexes = this.#indexes;
    let open = this.#open;
    if (open === undefined || messages.length - open.start >= CHUNK_BYTES_MAX) {
      open = {
        chunk: begin(),
        start: messages.length,
        indexStart: indexes.length,
        end: 0,
        indexEnd: 0,
        count: 0,
      };
      messages.u8(CHUNK_VERSION);
      this.#open = open;
      this.#chunks.push(open);
    }
    const before = messages.length;
    const indexBefore = indexes.length;
    writeRecord(messages, { kind: 'message', message }, [], 0, NO_DICTIONARY);
    writeIndexRecord(indexes, messages.length - before, expiry, recipients);
    open.end = messages.length;
    open.indexEnd = indexes.length;
    open.count += 1;
    return { chunk: open.chunk, bytes: messages.length - before + indexes.length - indexBefore };
  }

  /** Nothing more goes into this chunk: it is removed already. */
  close(first: number): void {
    if (this.#open?.chunk.first === first) this.#open = undefined;
  }

  seal(): SpoolPart {
    return {
      chunks: this.#chunks.map(({ chunk, start, end, indexStart, indexEnd, count }) => ({
        first: chunk.first,
        count,
        start,
        end,
        indexStart,
        indexEnd,
      })),
      messages: this.#messages.release(),
      indexes: this.#indexes.release(),
    };
  }
}

/** A message's Record refers to no dictionary. */
const NO_DICTIONARY = { id: () => 0, text: () => undefined };
