/**
 * What is still open in the spool, in memory: which messages wait for how many recipients, and in which chunk.
 *
 *   chunk with nothing open ──▶ removed        mostly settled, and large ──▶ rewritten without what is settled,
 *                                              so that one absent session does not pin what others have had
 */
import { SpoolEntry } from './session-store.js';

/** What a message costs in memory beside its bytes on disk; measured, rounded up. */
const ENTRY_OVERHEAD_BYTES = 128;
/** A row on disk and its account. */
const CHUNK_OVERHEAD_BYTES = 160;
/** Smaller chunks are not worth rewriting. */
const TRIM_BYTES_MIN = 8 * 1024;
/** Rewritten when no more than this part of it is open. */
const TRIM_SHARE = 4;

export interface SpoolChunk {
  readonly first: number;
  bytes: number;
  /** Bytes of the messages that somebody still needs. */
  openBytes: number;
  open: number;
  entries: SpoolEntry[];
}

/** What became unneeded on disk, to be said with the present batch. */
export interface SpoolChanges {
  removed(first: number): void;
  /** Only these offsets of the chunk are still needed. */
  trimmed(first: number, offsets: () => readonly number[]): void;
}

export class SpoolBook {
  bytes = 0;
  #next = 1;

  /** The newest offset that was ever given. */
  get head(): number {
    return this.#next - 1;
  }

  startAfter(head: number): void {
    this.#next = Math.max(this.#next, head + 1);
  }

  beginChunk(first = this.#next): SpoolChunk {
    this.bytes += CHUNK_OVERHEAD_BYTES;
    return { first, bytes: 0, openBytes: 0, open: 0, entries: [] };
  }

  append(chunk: SpoolChunk, bytes: number, batch: number, recipients: number): SpoolEntry {
    const entry = this.#add(chunk, this.#next, bytes, batch);
    this.#next += 1;
    entry.open = recipients;
    chunk.open += 1;
    chunk.openBytes += bytes;
    return entry;
  }

  /** A message that was there at start; `opened` follows for those that still need it. */
  load(chunk: SpoolChunk, offset: number, bytes: number): SpoolEntry {
    return this.#add(chunk, offset, bytes, 0);
  }

  opened(entry: SpoolEntry): void {
    if (entry.open === 0) {
      entry.chunk.open += 1;
      entry.chunk.openBytes += entry.bytes;
    }
    entry.open += 1;
  }

  settle(entry: SpoolEntry, changes: SpoolChanges): void {
    entry.open -= 1;
    if (entry.open > 0) return;
    const { chunk } = entry;
    chunk.open -= 1;
    chunk.openBytes -= entry.bytes;
    this.review(chunk, changes);
  }

  /** Removes or rewrites the chunk if so little of it is needed. */
  review(chunk: SpoolChunk, changes: SpoolChanges): void {
    if (chunk.open === 0) {
      this.bytes -= chunk.bytes + CHUNK_OVERHEAD_BYTES + chunk.entries.length * ENTRY_OVERHEAD_BYTES;
      chunk.bytes = 0;
      chunk.entries = [];
      changes.removed(chunk.first);
    } else if (chunk.bytes >= TRIM_BYTES_MIN && chunk.openBytes * TRIM_SHARE <= chunk.bytes) {
      const left = chunk.entries.filter((one) => one.open > 0);
      this.bytes -= (chunk.entries.length - left.length) * ENTRY_OVERHEAD_BYTES;
      this.bytes -= chunk.bytes - chunk.openBytes;
      chunk.entries = left;
      chunk.bytes = chunk.openBytes;
      // Asked for when the batch is sealed: a chunk may be reviewed again before.
      changes.trimmed(chunk.first, () =>
        chunk.entries.filter((one) => one.open > 0).map((one) => one.offset),
      );
    }
  }

  #add(chunk: SpoolChunk, offset: number, bytes: number, batch: number): SpoolEntry {
    const entry = new SpoolEntry(offset, batch, bytes, chunk);
    chunk.entries.push(entry);
    chunk.bytes += bytes;
    this.bytes += bytes + ENTRY_OVERHEAD_BYTES;
    return entry;
  }
}
