/**
 * What is given to the disk in one transaction, as it travels from the main thread to the database: two buffers
 * (four where kept sessions have messages in it) and a short list, all transferred, none copied.
 *
 *   records     chunks one behind the other, in their final form (record-codec.ts); `chunks` says where each
 *               begins and ends, how many Records it has, whom they concern, and their time span
 *   operations  tag u8 │ fields, again and again, in the order in which they were given
 *
 * The Records' offsets are not in here: the database gives them, counting on from its head, in this order.
 */
import { ByteReader, damaged } from './byte-reader.js';
import type { ByteWriter } from './byte-writer.js';
import type { Span } from './lane-floor.js';
import type { SpoolPart } from './spool-batch.js';
import type { LaneNeeds, Loss } from './storage.js';

/** A chunk is one row. Larger ones cost a reader more than it asked for, smaller ones a row each. */
export const CHUNK_BYTES_MAX = 64 * 1024;

export interface ChunkSpan {
  readonly start: number;
  end: number;
  count: number;
  /** The (bridge, lane) pairs its Records belong to: bits 0-30 and bits 31-61. */
  lanesLow: number;
  lanesHigh: number;
  fromMs: number;
  toMs: number;
}

export interface Batch {
  readonly records: ArrayBuffer;
  readonly chunks: readonly ChunkSpan[];
  readonly operations: ArrayBuffer;
  readonly operationsBytes: number;
  /** The time by which history is old; absent while nobody knows it. */
  readonly ageMs?: number;
  /** Messages for kept sessions; their offsets are known already. */
  readonly spool: SpoolPart | undefined;
}

/** What of a batch is handed over to another thread. */
export function buffersOf({ records, operations, spool }: Batch): ArrayBuffer[] {
  return spool === undefined ? [records, operations] : [records, operations, spool.messages, spool.indexes];
}

/** Where the operations of a batch go when it is applied. */
export interface Operations {
  defineText(id: number, text: string): void;
  defineRoute(id: number, json: string): void;
  defineLane(bit: number, bridge: string, lane: string): void;
  produced(bridge: string, count: number): void;
  saveBridge(name: string, state: Uint8Array, delivered: number, lost: number): void;
  lose(loss: Loss): void;
  /** The span with this id was told with so many lost: it ends there. */
  lossTold(id: number, lost: number): void;
  /** `letGo`: the lane's reads up to this one are not sent any more; 0: they may be. */
  keepFrom(bit: number, needs: LaneNeeds, letGo: number): void;
  putRetained(topic: string, message: Uint8Array, storedAtMs: number): void;
  removeRetained(topic: string): void;
  putPair(part: string, key: string, value: Uint8Array): void;
  removePair(part: string, key: string): void;
  saveSession(number: number, clientId: string, state: Uint8Array): void;
  /** With its subscriptions and its Will. */
  removeSession(number: number): void;
  /** `identifier` 0: none. */
  putSubscription(number: number, topicFilter: string, options: number, identifier: number): void;
  removeSubscription(number: number, topicFilter: string): void;
  putWill(number: number, message: Uint8Array, delaySeconds: number): void;
  removeWill(number: number): void;
  removeSpooled(first: number): void;
  /** Only these offsets of the chunk are still needed. */
  trimSpooled(first: number, offsets: readonly number[]): void;
}

const TAG = {
  text: 1,
  route: 2,
  lane: 3,
  produced: 4,
  bridge: 5,
  loss: 6,
  lossTold: 40,
  keepFrom: 7,
  putRetained: 8,
  removeRetained: 9,
  putPair: 10,
  removePair: 11,
  saveSession: 12,
  removeSession: 13,
  putSubscription: 14,
  removeSubscription: 15,
  putWill: 16,
  removeWill: 17,
  removeSpooled: 18,
  trimSpooled: 19,
} as const;

/** The main thread's end: operations become bytes. */
export class OperationWriter implements Operations {
  readonly #to: ByteWriter;

  constructor(to: ByteWriter) {
    this.#to = to;
  }

  defineText(id: number, text: string): void {
    this.#to.u8(TAG.text);
    this.#to.varint(id);
    this.#to.text(text);
  }

  defineRoute(id: number, json: string): void {
    this.#to.u8(TAG.route);
    this.#to.varint(id);
    this.#to.text(json);
  }

  defineLane(bit: number, bridge: string, lane: string): void {
    this.#to.u8(TAG.lane);
    this.#to.varint(bit);
    this.#to.text(bridge);
    this.#to.text(lane);
  }

  produced(bridge: string, count: number): void {
    this.#to.u8(TAG.produced);
    this.#to.text(bridge);
    this.#to.varint(count);
  }

  saveBridge(name: string, state: Uint8Array, delivered: number, lost: number): void {
    this.#to.u8(TAG.bridge);
    this.#to.text(name);
    this.#to.blob(state);
    this.#to.varint(delivered);
    this.#to.varint(lost);
  }

  lose(loss: Loss): void {
    this.#to.u8(TAG.loss);
    this.#to.text(JSON.stringify(loss));
  }

  lossTold(id: number, lost: number): void {
    this.#to.u8(TAG.lossTold);
    this.#to.varint(id);
    this.#to.varint(lost);
  }

  keepFrom(bit: number, { offset, held, waiting }: LaneNeeds, letGo: number): void {
    this.#to.u8(TAG.keepFrom);
    this.#to.varint(bit);
    this.#to.varint(offset);
    for (const each of [held, waiting.flat()]) {
      this.#to.varint(each.length);
      for (const number of each) this.#to.varint(number);
    }
    this.#to.varint(letGo);
  }

  putRetained(topic: string, message: Uint8Array, storedAtMs: number): void {
    this.#to.u8(TAG.putRetained);
    this.#to.text(topic);
    this.#to.blob(message);
    this.#to.f64(storedAtMs);
  }

  removeRetained(topic: string): void {
    this.#to.u8(TAG.removeRetained);
    this.#to.text(topic);
  }

  putPair(part: string, key: string, value: Uint8Array): void {
    this.#to.u8(TAG.putPair);
    this.#to.text(part);
    this.#to.text(key);
    this.#to.blob(value);
  }

  removePair(part: string, key: string): void {
    this.#to.u8(TAG.removePair);
    this.#to.text(part);
    this.#to.text(key);
  }

  saveSession(number: number, clientId: string, state: Uint8Array): void {
    this.#to.u8(TAG.saveSession);
    this.#to.varint(number);
    this.#to.text(clientId);
    this.#to.blob(state);
  }

  removeSession(number: number): void {
    this.#to.u8(TAG.removeSession);
    this.#to.varint(number);
  }

  putSubscription(number: number, topicFilter: string, options: number, identifier: number): void {
    this.#to.u8(TAG.putSubscription);
    this.#to.varint(number);
    this.#to.text(topicFilter);
    this.#to.varint(options);
    this.#to.varint(identifier);
  }

  removeSubscription(number: number, topicFilter: string): void {
    this.#to.u8(TAG.removeSubscription);
    this.#to.varint(number);
    this.#to.text(topicFilter);
  }

  putWill(number: number, message: Uint8Array, delaySeconds: number): void {
    this.#to.u8(TAG.putWill);
    this.#to.varint(number);
    this.#to.blob(message);
    this.#to.varint(delaySeconds);
  }

  removeWill(number: number): void {
    this.#to.u8(TAG.removeWill);
    this.#to.varint(number);
  }

  removeSpooled(first: number): void {
    this.#to.u8(TAG.removeSpooled);
    this.#to.varint(first);
  }

  trimSpooled(first: number, offsets: readonly number[]): void {
    this.#to.u8(TAG.trimSpooled);
    this.#to.varint(first);
    this.#to.varint(offsets.length);
    for (const each of offsets) this.#to.varint(each);
  }
}

/** The database's end: bytes become calls, in the same order. */
export function applyOperations(bytes: Buffer, to: Operations): void {
  const from = new ByteReader(bytes);
  while (from.left > 0) applyOne(from, to);
}

function applyOne(from: ByteReader, to: Operations): void {
  const tag = from.u8();
  switch (tag) {
    case TAG.text:
      to.defineText(from.varint(), from.text());
      break;
    case TAG.route:
      to.defineRoute(from.varint(), from.text());
      break;
    case TAG.lane:
      to.defineLane(from.varint(), from.text(), from.text());
      break;
    case TAG.produced:
      to.produced(from.text(), from.varint());
      break;
    case TAG.bridge:
      to.saveBridge(from.text(), from.blob(), from.varint(), from.varint());
      break;
    case TAG.loss:
      to.lose(JSON.parse(from.text()) as Loss);
      break;
    case TAG.lossTold:
      to.lossTold(from.varint(), from.varint());
      break;
    case TAG.keepFrom:
      to.keepFrom(from.varint(), laneNeeds(from), from.varint());
      break;
    case TAG.putRetained:
      to.putRetained(from.text(), from.blob(), from.f64());
      break;
    case TAG.removeRetained:
      to.removeRetained(from.text());
      break;
    case TAG.putPair:
      to.putPair(from.text(), from.text(), from.blob());
      break;
    case TAG.removePair:
      to.removePair(from.text(), from.text());
      break;
    case TAG.saveSession:
      to.saveSession(from.varint(), from.text(), from.blob());
      break;
    case TAG.removeSession:
      to.removeSession(from.varint());
      break;
    case TAG.putSubscription:
      to.putSubscription(from.varint(), from.text(), from.varint(), from.varint());
      break;
    case TAG.removeSubscription:
      to.removeSubscription(from.varint(), from.text());
      break;
    case TAG.putWill:
      to.putWill(from.varint(), from.blob(), from.varint());
      break;
    case TAG.removeWill:
      to.removeWill(from.varint());
      break;
    case TAG.removeSpooled:
      to.removeSpooled(from.varint());
      break;
    case TAG.trimSpooled:
      to.trimSpooled(from.varint(), offsets(from));
      break;
    default:
      throw damaged(`operation ${tag}`);
  }
}

function laneNeeds(from: ByteReader): LaneNeeds {
  return { offset: from.varint(), held: offsets(from), waiting: spans(offsets(from)) };
}

function spans(ends: readonly number[]): Span[] {
  return ends.flatMap((from, at) => (at % 2 === 0 ? [[from, ends[at + 1] as number] as const] : []));
}

function offsets(from: ByteReader): readonly number[] {
  const count = from.varint();
  const all: number[] = [];
  for (let index = 0; index < count; index += 1) all.push(from.varint());
  return all;
}
