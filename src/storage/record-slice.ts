/** Chunks, as the database hands them out, become the Records that a lane asked for. */
import { invariant } from '../core/error.js';
import type { Content, Record } from '../core/record.js';
import type { Names } from './dictionary.js';
import { readRecord, readRoutes, visitSlots } from './record-codec.js';
import type { RecordSlice } from './storage.js';
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

/** The message of a chunk that holds just one: how retained messages are kept. */
export function readChunkMessage(bytes: Uint8Array): Content & { readonly kind: 'message' } {
  const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let content: Content | undefined;
  visitSlots(chunk, 0, (slot) => {
    content = readRecord(chunk, slot, NO_NAMES).content;
    return false;
  });
  const found = content as Content | undefined;
  invariant(found !== undefined && found.kind === 'message', 'a retained entry holds a message');
  return found;
}

const NO_NAMES: Names = { id: () => 0, text: () => undefined };
