/** Chunks, as the database hands them out, become the Records of a span of time whose topic is asked for. */
import type { Record } from '../core/record.js';
import type { Names } from './dictionary.js';
import { readAcceptedAt, readRecord, readTopic, visitSlots } from './record-codec.js';
import type { ReadAnswer } from './transport.js';

export interface HistoryRange {
  /** Milliseconds since the epoch: from this on, and before that. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Absent: every topic. */
  readonly wants?: (topic: string) => boolean;
}

export interface HistorySlice {
  readonly records: readonly Record[];
  /** Where the following read starts. */
  readonly next: number;
}

export function historyOf(
  answer: ReadAnswer,
  from: number,
  { fromMs, toMs, wants }: HistoryRange,
  dictionary: Names,
): HistorySlice {
  const bytes = Buffer.from(answer.bytes);
  const records: Record[] = [];
  for (let index = 0; index < answer.spans.length; index += 3) {
    const [first, start, end] = answer.spans.slice(index, index + 3) as [number, number, number];
    const chunk = bytes.subarray(start, end);
    visitSlots(chunk, first, (slot) => {
      if (slot.offset < from) return true;
      const atMs = readAcceptedAt(chunk, slot);
      if (atMs < fromMs || atMs >= toMs) return true;
      if (wants !== undefined && !wants(readTopic(chunk, slot, dictionary))) return true;
      records.push(readRecord(chunk, slot, dictionary));
      return true;
    });
  }
  return { records, next: answer.next };
}
