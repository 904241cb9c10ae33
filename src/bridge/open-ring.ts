/**
 * What is open between the journal and the server, in the order in which it is sent: a ring of entries, one array for
 * each of their fields, since a drain makes and ends 200,000 of them a second.
 *
 *      head            toSend          toFill          tail
 *       │  done, sent … │  waiting …    │  no content … │
 *
 * An index counts for ever; `at` gives its place in the arrays. What an entry's phase means is the session's to know.
 */
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import type { OpenBatch } from './open-batch.js';

export const DONE = 0;
export const WAITING = 1;
export const SENT = 2;
/** Sent over an earlier connection: goes again with DUP and the same identifier. */
export const AGAIN = 3;
export const ACKNOWLEDGED = 4;
export const RELEASED = 5;
/** A batch that takes more messages: it has no identifier yet. */
export const FORMING = 6;

/** A person's default window four times: one message that is not acknowledged holds up the ring only after so many. */
const CAPACITY_LEAST = 4096;
/** Content held for a commit or for the socket. A Record may have a megabyte: the window alone is no bound. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;
/** What one sample is taken to weigh; a guess is enough for a bound. */
const SAMPLE_BYTES = 200;

export class OpenRing {
  readonly capacity: number;
  readonly offset: Float64Array;
  readonly identifier: Uint16Array;
  readonly qos: Uint8Array;
  readonly phase: Uint8Array;
  /** Whether it counts against this connection's window. */
  readonly onWire: Uint8Array;
  /** 0: it was counted as lost (here or by the journal) and must not count as delivered too. */
  readonly credit: Uint8Array;
  readonly acceptedAtMs: Float64Array;
  readonly topic: (string | undefined)[];
  readonly record: (Record | undefined)[];
  readonly route: (Route | undefined)[];
  /** Where the entry is a batch: its messages. Then `offset` is that of the first, and `record` is not used. */
  readonly batch: (OpenBatch | undefined)[] = [];

  head = 0;
  toSend = 0;
  toFill = 0;
  tail = 0;
  /** Entries before this have their identifier on disk. */
  committedTail = 0;
  /** Messages of all its batches. */
  members = 0;
  #heldBytes = 0;

  constructor(least: number) {
    this.capacity = 2 ** Math.ceil(Math.log2(Math.max(CAPACITY_LEAST, least)));
    this.offset = new Float64Array(this.capacity);
    this.identifier = new Uint16Array(this.capacity);
    this.qos = new Uint8Array(this.capacity);
    this.phase = new Uint8Array(this.capacity);
    this.onWire = new Uint8Array(this.capacity);
    this.credit = new Uint8Array(this.capacity);
    this.acceptedAtMs = new Float64Array(this.capacity);
    this.topic = new Array<string | undefined>(this.capacity).fill(undefined);
    this.record = new Array<Record | undefined>(this.capacity).fill(undefined);
    this.route = new Array<Route | undefined>(this.capacity).fill(undefined);
  }

  at(index: number): number {
    return index % this.capacity;
  }

  get isEmpty(): boolean {
    return this.head === this.tail;
  }

  /** The least offset of all entries, which are in their order unless there are batches among them. */
  get least(): number {
    let least = this.offset[this.at(this.head)] as number;
    if (this.members === 0) return least;
    for (let index = this.head + 1; index < this.tail; index += 1) {
      const at = this.at(index);
      if (this.phase[at] !== DONE) least = Math.min(least, this.offset[at] as number);
    }
    return least;
  }

  /** No room for another entry, or for the content of one. */
  get isFull(): boolean {
    return this.tail - this.head >= this.capacity || this.#heldBytes >= HELD_BYTES_MAX;
  }

  /** No room for the content of an entry that is there. */
  get isHeavy(): boolean {
    return this.#heldBytes >= HELD_BYTES_MAX;
  }

  /** Appends an entry without content and returns its index. */
  push(offset: number, qos: number, phase: number, identifier: number): number {
    const index = this.tail;
    const at = this.at(index);
    this.offset[at] = offset;
    this.qos[at] = qos;
    this.phase[at] = phase;
    this.identifier[at] = identifier;
    this.onWire[at] = 0;
    this.credit[at] = 1;
    this.tail += 1;
    return index;
  }

  hold(at: number, record: Record, route: Route): void {
    this.record[at] = record;
    this.route[at] = route;
    this.topic[at] =
      record.content.kind === 'message' ? record.content.message.topic : record.content.set.topic;
    this.acceptedAtMs[at] = record.acceptedAtMs;
    this.#heldBytes += weight(record);
  }

  /** The content is on its way; its place stays. */
  release(at: number): void {
    const record = this.record[at];
    if (record === undefined) return;
    this.#heldBytes -= weight(record);
    this.record[at] = undefined;
  }

  /** No content is kept; all entries are. */
  empty(): void {
    for (let index = this.head; index < this.tail; index += 1) this.release(this.at(index));
  }

  done(at: number): void {
    this.release(at);
    this.phase[at] = DONE;
    this.topic[at] = undefined;
    this.route[at] = undefined;
    if (at >= this.batch.length) return;
    this.members -= this.batch[at]?.length ?? 0;
    this.batch[at] = undefined;
  }

  /** Moves past what is done with at the front. */
  trim(): void {
    while (this.head < this.tail && this.phase[this.at(this.head)] === DONE) this.head += 1;
    this.toFill = Math.max(this.toFill, this.head);
    this.toSend = Math.max(this.toSend, this.head);
  }

  /** Sending and filling begin again at the front. */
  rewind(): void {
    this.toSend = this.head;
    this.toFill = this.head;
  }
}

function weight(record: Record): number {
  return record.content.kind === 'message'
    ? record.content.message.payload.length + SAMPLE_BYTES
    : record.content.set.samples.length * SAMPLE_BYTES;
}
