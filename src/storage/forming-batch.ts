/**
 * The batch that is still being filled. Records are encoded as they come; everything that has a key (bridge
 * state, retained message, pair) is held by that key until the batch is sealed, so that a disk that fails for
 * hours costs memory for what is distinct, not for every change.
 */
import type { Message } from '../core/message.js';
import type { Content } from '../core/record.js';
import { type Batch, CHUNK_BYTES_MAX, type ChunkSpan, OperationWriter } from './batch.js';
import { ByteWriter } from './byte-writer.js';
import type { Names } from './dictionary.js';
import { mergeLoss } from './loss.js';
import { CHUNK_VERSION, writeRecord } from './record-codec.js';
import type { SavedSubscription, SavedWill } from './session-store.js';
import { SpoolBatch } from './spool-batch.js';
import type { SpoolChanges } from './spool-book.js';
import type { LaneNeeds, Loss } from './storage.js';

/** First room for Records: a batch of a busy broker fits without growing often. */
const RECORDS_BYTES_FIRST = 64 * 1024;

export interface Floor {
  readonly needs: LaneNeeds;
  readonly letGo: number;
}

/** A session's row, encoded when the batch is sealed. */
interface SessionRow {
  readonly clientId: string;
  readonly state: () => Uint8Array;
}

export class FormingBatch implements SpoolChanges {
  /** Counts batches from 1; they become durable in this order. */
  readonly number: number;
  readonly callbacks: ((head: number) => void)[] = [];
  readonly texts: (readonly [number, string])[] = [];
  readonly routes: (readonly [number, string])[] = [];
  readonly lanes: (readonly [number, string, string])[] = [];
  readonly produced = new Map<string, number>();
  readonly bridges = new Map<string, { state: Uint8Array; delivered: number; lost: number }>();
  readonly retained = new Map<string, { readonly message: Message; readonly storedAtMs: number } | null>();
  readonly pairs = new Map<string, Map<string, Uint8Array | null>>();
  /** null: removed. */
  readonly sessions = new Map<number, SessionRow | null>();
  readonly subscriptions = new Map<number, Map<string, SavedSubscription | null>>();
  readonly wills = new Map<number, SavedWill | null>();
  readonly #spoolRemoved = new Set<number>();
  readonly #spoolTrimmed = new Map<number, () => readonly number[]>();
  #spool: SpoolBatch | undefined;
  readonly #losses = new Map<string, Loss>();
  readonly floors = new Map<number, Floor>();
  readonly lossesTold: (readonly [id: number, lost: number])[] = [];
  readonly #records: ByteWriter;
  readonly #chunks: ChunkSpan[] = [];
  #chunk: ChunkSpan | undefined;
  /** Whether someone waits for it; otherwise it may wait for company. */
  urgent = false;
  /** Whether there is anything in it that must reach the disk. */
  touched = false;

  constructor(number: number, room: ArrayBuffer = new ArrayBuffer(RECORDS_BYTES_FIRST)) {
    this.number = number;
    this.#records = new ByteWriter(room);
  }

  get recordsBytes(): number {
    return this.#records.length;
  }

  get spoolBytes(): number {
    return this.#spool?.bytes ?? 0;
  }

  /** Messages for kept sessions. */
  get spool(): SpoolBatch {
    this.#spool ??= new SpoolBatch();
    return this.#spool;
  }

  get hasRecords(): boolean {
    return this.#chunk !== undefined;
  }

  append(
    content: Content,
    routes: readonly number[],
    acceptedAtMs: number,
    dictionary: Names,
    lanesLow: number,
    lanesHigh: number,
  ): void {
    const records = this.#records;
    let chunk = this.#chunk;
    if (chunk === undefined || records.length - chunk.start >= CHUNK_BYTES_MAX) {
      const start = records.length;
      records.u8(CHUNK_VERSION);
      chunk = {
        start,
        end: 0,
        count: 0,
        lanesLow: 0,
        lanesHigh: 0,
        fromMs: acceptedAtMs,
        toMs: acceptedAtMs,
      };
      this.#chunk = chunk;
      this.#chunks.push(chunk);
    }
    writeRecord(records, content, routes, acceptedAtMs, dictionary);
    chunk.end = records.length;
    chunk.count += 1;
    chunk.lanesLow |= lanesLow;
    chunk.lanesHigh |= lanesHigh;
    if (acceptedAtMs < chunk.fromMs) chunk.fromMs = acceptedAtMs;
    if (acceptedAtMs > chunk.toMs) chunk.toMs = acceptedAtMs;
    this.touched = true;
  }

  lose(loss: Loss): void {
    const key = `${loss.reason} ${loss.bridge ?? ''}`;
    const before = this.#losses.get(key);
    this.#losses.set(key, before === undefined ? loss : mergeLoss(before, loss));
    this.touched = true;
  }

  removed(first: number): void {
    this.#spool?.close(first);
    this.#spoolTrimmed.delete(first);
    this.#spoolRemoved.add(first);
    this.touched = true;
  }

  trimmed(first: number, offsets: () => readonly number[]): void {
    this.#spoolTrimmed.set(first, offsets);
    this.touched = true;
  }

  /** Puts everything into bytes. The batch must not be added to after this. */
  seal(): Batch {
    const bytes = new ByteWriter();
    const to = new OperationWriter(bytes);
    for (const [id, text] of this.texts) to.defineText(id, text);
    // A route leads over a lane: the lane first.
    for (const [bit, bridge, lane] of this.lanes) to.defineLane(bit, bridge, lane);
    for (const [id, json] of this.routes) to.defineRoute(id, json);
    for (const [bridge, count] of this.produced) to.produced(bridge, count);
    for (const [name, { state, delivered, lost }] of this.bridges)
      to.saveBridge(name, state, delivered, lost);
    for (const loss of this.#losses.values()) to.lose(loss);
    for (const [id, lost] of this.lossesTold) to.lossTold(id, lost);
    for (const [bit, { needs, letGo }] of this.floors) to.keepFrom(bit, needs, letGo);
    for (const [topic, entry] of this.retained) {
      if (entry === null) to.removeRetained(topic);
      else to.putRetained(topic, messageChunk(entry.message, entry.storedAtMs), entry.storedAtMs);
    }
    for (const [part, pairs] of this.pairs) {
      for (const [key, value] of pairs) {
        if (value === null) to.removePair(part, key);
        else to.putPair(part, key, value);
      }
    }
    this.#sealSessions(to);
    return {
      records: this.#records.release(),
      chunks: this.#chunks,
      operations: bytes.release(),
      operationsBytes: bytes.length,
      spool: this.#spool?.seal(),
    };
  }

  #sealSessions(to: OperationWriter): void {
    for (const [number, row] of this.sessions) {
      if (row === null) to.removeSession(number);
      else to.saveSession(number, row.clientId, row.state());
    }
    for (const [number, changes] of this.subscriptions) {
      if (this.sessions.get(number) === null) continue;
      for (const [topicFilter, subscription] of changes) {
        if (subscription === null) to.removeSubscription(number, topicFilter);
        else {
          const { options, subscriptionIdentifier = 0 } = subscription;
          to.putSubscription(number, topicFilter, options, subscriptionIdentifier);
        }
      }
    }
    for (const [number, will] of this.wills) {
      if (this.sessions.get(number) === null) continue;
      if (will === null) to.removeWill(number);
      else to.putWill(number, messageChunk(will.message, 0), will.delaySeconds);
    }
    for (const first of this.#spoolRemoved) to.removeSpooled(first);
    for (const [first, offsets] of this.#spoolTrimmed) to.trimSpooled(first, offsets());
  }
}

/** A retained message and a Will are kept as a chunk of one Record: one codec for all. */
function messageChunk(message: Message, storedAtMs: number): Uint8Array {
  const bytes = new ByteWriter(new ArrayBuffer(64 + message.topic.length * 3 + message.payload.length));
  bytes.u8(CHUNK_VERSION);
  writeRecord(bytes, { kind: 'message', message }, [], storedAtMs, NO_DICTIONARY);
  return bytes.bytes();
}

/** A message's Record refers to no dictionary. */
const NO_DICTIONARY = { id: () => 0, text: () => undefined };
