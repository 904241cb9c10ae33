/** Chunks, as the database hands them out, become the Records that a lane asked for. */
import { invariant } from '../core/error.js';
import type { Record } from '../core/record.js';
import type { Names } from './dictionary.js';
import { readRecord, readRoutes, visitSlots } from './record-codec.js';
import type { RecordSlice, RetainedMessage } from './storage.js';
import type { ReadAnswer } from './transport.js';

export function sliceOf(
  answer: ReadAnswer,
  from: number,
  bytesMax: number,
  routes: ReadonlySet<number>,
  dictionary: Names,
): RecordSlice {
  const bytes = Buffer.from(answer.bytes);
  const records: Record[] = [];
  let taken = 0;
  let next = answer.next;
  for (let index = 0; index < answer.spans.length; index += 3) {
    const [first, start, end] = answer.spans.slice(index, index + 3) as [number, number, number];
    const chunk = bytes.subarray(start, end);
    visitSlots(chunk, first, (slot) => {
      if (slot.offset < from) return true;
      if (taken >= bytesMax && records.length > 0) {
        next = slot.offset;
        return false;
      }
      const concerned = readRoutes(chunk, slot);
      if (!concerned.some((route) => routes.has(route))) return true;
      records.push(readRecord(chunk, slot, dictionary));
      taken += slot.end - slot.start;
      return true;
    });
    if (next !== answer.next) break;
  }
  return { records, next };
}

/** The message of a chunk that holds just one: how retained messages are kept, and those of the spool handed out. */
export function readChunkMessage(bytes: Uint8Array): RetainedMessage {
  const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let record: Record | undefined;
  visitSlots(chunk, 0, (slot) => {
    record = readRecord(chunk, slot, NO_NAMES);
    return false;
  });
  const found = record as Record | undefined;
  invariant(found !== undefined && found.content.kind === 'message', 'an entry holds a message');
  return { ...found.content, storedAtMs: found.acceptedAtMs };
}

const NO_NAMES: Names = { id: () => 0, text: () => undefined };
