/**
 * The batches of a session: which messages join which, when one is sealed, and what is read again.
 *
 *   offer ──▶ forming ──`max_messages`, `max_bytes`, `max_delay`, a message of its topics outside it──▶ sealed: an
 *             entry like any other, with an identifier, that bridge-session.ts sends, saves and completes
 *
 * Each stream has at most one forming batch for each rule. It stands in the ring in the place of its first message and
 * has no identifier; with the state it is saved as such, and goes on forming after a restart. Only what is sealed is
 * under way. `max_bytes` counts after compression, so that a batch that may be full is encoded to know; what does not
 * fit any more begins the next one.
 */
import { batchContentType } from '../batch/batch.js';
import type { QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { BatchPolicy, Route } from '../core/route.js';
import type { SampleSet } from '../core/sample.js';
import { type BatchEncoder, batchMessage } from './batch-encoder.js';
import type { Exchanges } from './exchanges.js';
import type { HistoryLane } from './history-lane.js';
import { OpenBatch, topicOf } from './open-batch.js';
import { AGAIN, FORMING, WAITING } from './open-ring.js';
import { expirySeconds } from './publish-writer.js';
import type { SendWindow } from './send-window.js';
import { REPLAY, STREAMS, type Stream } from './stream.js';
import type { Tally } from './tally.js';

export interface BatchCodec {
  readonly encodeBatch: BatchEncoder;
  readonly encode: (set: SampleSet) => Uint8Array;
}

/** On one stream, forming and under way: a message of a batch takes some 40 bytes for as long, and 200 while it forms. */
const MEMBERS_MAX = 100_000;
/** A batch that comes to less than this of `max_bytes` goes on forming. */
const FULL_ENOUGH = 0.8;
/** What is cut off is little more than what does not fit. */
const CUT = 0.95;
/** What a PUBLISH has besides its topic and payload: lengths, identifier, Content Type. */
const PACKET_BYTES = 64;
/** Compressed bytes for each raw one, before the first batch of a rule tells. */
const RATIO_FIRST = 0.25;

export class Batches {
  readonly #exchanges: Exchanges;
  readonly #window: SendWindow;
  readonly #history: HistoryLane;
  readonly #tally: Tally;
  readonly #codec: BatchCodec;
  /** By stream, the ring's index of what forms. */
  readonly #forming = STREAMS.map(() => new Map<Route, number>());
  /** By stream: what waits for content. */
  readonly #unfilled = STREAMS.map(() => new Unfilled());
  readonly #carriers = new Map<Route, Route>();
  /** Compressed for each raw byte, as the last batch of the rule had it. */
  readonly #ratios = new Map<Route, number>();
  #nowMs = 0;
  #wallMs = 0;
  #stretch = 1;
  /** The job that the stream `replay` is of: jobs go one after the other. */
  #replayJob = '';

  constructor(
    exchanges: Exchanges,
    window: SendWindow,
    history: HistoryLane,
    tally: Tally,
    codec: BatchCodec,
  ) {
    this.#exchanges = exchanges;
    this.#window = window;
    this.#history = history;
    this.#tally = tally;
    this.#codec = codec;
  }

  /** The stream `replay` is of this job from now on; also what was forming when the process died. */
  replays(job: string): void {
    this.#replayJob = job;
  }

  /** Before each turn. */
  now(nowMs: number, wallMs: number): void {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
  }

  /** Batches wait so many times longer than `max_delay`: where bytes are short. */
  stretch(factor: number): void {
    this.#stretch = factor;
  }

  /** When something is to be sealed though nothing more comes. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const { batch } of this.#allForming()) deadlineMs = Math.min(deadlineMs, this.#dueAtMs(batch));
    return deadlineMs;
  }

  /** Seals what has waited long enough; all of it where `now`. */
  seal(now = false): void {
    for (const { stream, index, batch } of this.#allForming()) {
      if (now || this.#dueAtMs(batch) <= this.#nowMs) this.#seal(stream, index, batch, true);
    }
  }

  /** All that is forming on one stream: nothing more will come on it. */
  sealStream(stream: Stream): void {
    for (const one of this.#allForming()) {
      if (one.stream === stream) this.#seal(stream, one.index, one.batch, true);
    }
  }

  /** A Record of a rule with `batch` that was never offered before. */
  offer(stream: Stream, record: Record, route: Route, policy: BatchPolicy): 'taken' | 'full' {
    const { ring } = stream;
    if (!this.#yields(stream, record, route)) return 'full';
    const forming = this.#forming[stream.id] as Map<Route, number>;
    let index = forming.get(route);
    if (index !== undefined) {
      const batch = ring.batch[ring.at(index)] as OpenBatch;
      if (this.#isFull(batch, route, policy)) {
        this.#seal(stream, index, batch, false);
        index = forming.get(route);
        if (index !== undefined && this.#isFull(ring.batch[ring.at(index)] as OpenBatch, route, policy))
          return 'full';
      }
    }
    if (index === undefined) {
      if (ring.isFull || ring.members >= MEMBERS_MAX) return 'full';
      index = this.#begin(stream, record.offset, new OpenBatch(route, this.#nowMs));
      forming.set(route, index);
    } else if (ring.members >= MEMBERS_MAX) {
      this.#seal(stream, index, ring.batch[ring.at(index)] as OpenBatch, true);
      return 'full';
    }
    (ring.batch[ring.at(index)] as OpenBatch).add(record);
    ring.members += 1;
    return 'taken';
  }

  /** A Record comes that none of the others' batches may be overtaken by. False: not yet. */
  yields(stream: Stream, record: Record): boolean {
    return this.#yields(stream, record, undefined);
  }

  /** A Record that was offered before. False: it is of no batch. */
  fill(stream: Stream, record: Record, route: Route): boolean {
    const unfilled = this.#unfilled[stream.id] as Unfilled;
    const { next } = unfilled;
    if (next?.offset !== record.offset) return false;
    unfilled.shift();
    const { ring } = stream;
    const batch = ring.batch[ring.at(next.index)] as OpenBatch;
    batch.route ??= route;
    ring.route[ring.at(next.index)] = batch.route;
    batch.fill(record);
    if (!batch.isFilled) return true;
    if (ring.phase[ring.at(next.index)] === FORMING) {
      // After a change of the configuration, and back: one is enough.
      const forming = this.#forming[stream.id] as Map<Route, number>;
      if (forming.has(batch.route)) this.#seal(stream, next.index, batch, true);
      else forming.set(batch.route, next.index);
    }
    return true;
  }

  /** What waits for content before `offset` will not come: the journal has evicted it, and counted it as lost. */
  missing(stream: Stream, offset: number, emptied: (at: number) => void): void {
    const unfilled = this.#unfilled[stream.id] as Unfilled;
    const { ring } = stream;
    for (let { next } = unfilled; next !== undefined && next.offset < offset; next = unfilled.next) {
      const { index } = next;
      unfilled.shift();
      const at = ring.at(index);
      const batch = ring.batch[at] as OpenBatch;
      batch.dropNext();
      ring.members -= 1;
      if (stream.id === REPLAY)
        this.#tally.loseOne(stream, { reason: 'expired', topic: '', acceptedAtMs: 0 });
      if (batch.length > 0) continue;
      if (ring.phase[at] === FORMING) this.#abandon(stream, index);
      else emptied(at);
    }
  }

  isFilled(stream: Stream): boolean {
    return this.#unfilled[stream.id]?.next === undefined;
  }

  /** Sending begins again at the front: what has no content is read again. */
  rewind(stream: Stream): void {
    const { ring } = stream;
    const unfilled: Waiting[] = [];
    const forming = this.#forming[stream.id] as Map<Route, number>;
    for (let index = ring.head; index < ring.tail; index += 1) {
      const at = ring.at(index);
      const batch = ring.batch[at];
      const phase = ring.phase[at];
      if (batch === undefined || (phase !== WAITING && phase !== AGAIN && phase !== FORMING)) continue;
      if (batch.isFilled) continue;
      // It takes more once it is whole again.
      if (phase === FORMING && batch.route !== undefined) forming.delete(batch.route);
      batch.release();
      for (const offset of batch.offsets) unfilled.push({ offset, index });
    }
    (this.#unfilled[stream.id] as Unfilled).begin(unfilled);
  }

  /** The connection is gone: nothing that was read is relied on. */
  empty(stream: Stream): void {
    const { ring } = stream;
    for (let index = ring.head; index < ring.tail; index += 1) ring.batch[ring.at(index)]?.release();
  }

  /** A sealed batch as the PUBLISH that carries it; undefined: its content is not there yet. */
  carrier(stream: Stream, at: number): { readonly record: Record; readonly route: Route } | undefined {
    const batch = stream.ring.batch[at] as OpenBatch;
    const { route } = batch;
    if (route?.batch === undefined || !batch.isFilled) return undefined;
    if (batch.payload === undefined) batch.encoded(this.#encode(stream, batch, route));
    const { compress, encoding, topic } = route.batch;
    const payload = batch.payload as Uint8Array;
    const properties = { contentType: batchContentType(encoding, compress) };
    const qos = stream.ring.qos[at] as QoS;
    return {
      record: {
        offset: batch.offsets[0] as number,
        acceptedAtMs: batch.acceptedAtMs[0] as number,
        routes: [],
        content: { kind: 'message', message: { topic, payload, qos, retain: false, properties } },
      },
      route: this.#carrierRoute(route),
    };
  }

  #carrierRoute(route: Route): Route {
    let carrier = this.#carriers.get(route);
    if (carrier === undefined) {
      carrier = { ...route, retain: 'clear', strip: '', prefix: '', properties: 'none' };
      this.#carriers.set(route, carrier);
    }
    return carrier;
  }

  #begin(stream: Stream, offset: number, batch: OpenBatch): number {
    const index = this.#exchanges.form(stream, offset, (batch.route?.qos ?? 0) as QoS, batch);
    const { ring } = stream;
    if (batch.route !== undefined) ring.route[ring.at(index)] = batch.route;
    return index;
  }

  #abandon(stream: Stream, index: number): void {
    const { ring } = stream;
    const batch = ring.batch[ring.at(index)];
    const forming = this.#forming[stream.id] as Map<Route, number>;
    if (batch?.route !== undefined && forming.get(batch.route) === index) forming.delete(batch.route);
    ring.done(ring.at(index));
    ring.trim();
    this.#tally.soon();
  }

  /** One that forms for another rule and has this topic goes first, else it would be overtaken. */
  #yields(stream: Stream, record: Record, route: Route | undefined): boolean {
    const forming = this.#forming[stream.id] as Map<Route, number>;
    if (forming.size === 0 || (forming.size === 1 && route !== undefined && forming.has(route))) return true;
    const topic = topicOf(record);
    for (const [other, index] of forming) {
      const batch = stream.ring.batch[stream.ring.at(index)] as OpenBatch;
      if (other === route || !batch.names.has(topic)) continue;
      this.#seal(stream, index, batch, true);
      if (forming.has(other)) return false;
    }
    return true;
  }

  #isFull(batch: OpenBatch, route: Route, policy: BatchPolicy): boolean {
    if (batch.length >= policy.maxMessages) return true;
    const ratio = this.#ratios.get(route) ?? RATIO_FIRST;
    return batch.rawBytes * ratio >= this.#bytesMax(policy);
  }

  #bytesMax({ maxBytes, topic }: BatchPolicy): number {
    const { packetBytesMax = Infinity } = this.#window.limits;
    return Math.min(maxBytes, packetBytesMax - PACKET_BYTES - Buffer.byteLength(topic));
  }

  #dueAtMs({ route, sinceMs }: OpenBatch): number {
    return sinceMs + (route?.batch?.maxDelayMs ?? 0) * this.#stretch;
  }

  #allForming(): { readonly stream: Stream; readonly index: number; readonly batch: OpenBatch }[] {
    return this.#exchanges.streams.flatMap((stream) =>
      [...(this.#forming[stream.id] ?? [])].map(([, index]) => ({
        ...{ stream, index },
        batch: stream.ring.batch[stream.ring.at(index)] as OpenBatch,
      })),
    );
  }

  /** Fixes what it has and gives it an identifier, if the window has room. @param asItIs however small */
  #seal(stream: Stream, index: number, batch: OpenBatch, asItIs: boolean): void {
    const { ring } = stream;
    const { route } = batch;
    const policy = route?.batch;
    const { maximumQoS, window } = this.#window.limits;
    if (route === undefined || policy === undefined || window === 0) return;
    const qos = Math.min(route.qos, maximumQoS) as QoS;
    if (!this.#window.hasRoom(stream, qos, this.#history.hasHistory)) return;
    this.#dropUnfit(stream, batch, route);
    if (batch.length === 0) {
      this.#abandon(stream, index);
      return;
    }
    const bytesMax = this.#bytesMax(policy);
    let payload = this.#encode(stream, batch, route);
    this.#ratios.set(route, payload.length / batch.rawBytes);
    const isLarge = batch.length >= policy.maxMessages || payload.length >= FULL_ENOUGH * bytesMax;
    if (!asItIs && !isLarge) return;
    let rest: OpenBatch | undefined;
    while (payload.length > bytesMax && batch.length > 1) {
      if (ring.isFull) return;
      const fits = Math.max(1, Math.floor((batch.length * bytesMax * CUT) / payload.length));
      const cut = batch.split(Math.min(fits, batch.length - 1));
      for (const record of rest?.records ?? []) cut.add(record);
      rest = cut;
      payload = this.#encode(stream, batch, route);
    }
    const forming = this.#forming[stream.id] as Map<Route, number>;
    forming.delete(route);
    if (rest !== undefined) forming.set(route, this.#begin(stream, rest.offsets[0] as number, rest));
    batch.encoded(payload);
    this.#exchanges.seal(stream, index, qos);
    ring.toSend = Math.min(ring.toSend, index);
    if (qos === 2) this.#tally.now();
    else this.#tally.soon();
  }

  /** What has expired while it waited, or has no topic upstream, goes in no batch. */
  #dropUnfit(stream: Stream, batch: OpenBatch, route: Route): void {
    const { ring } = stream;
    for (let place = batch.records.length - 1; place >= 0; place -= 1) {
      const record = batch.records[place] as Record;
      const { content, acceptedAtMs } = record;
      const properties = content.kind === 'message' ? content.message.properties : undefined;
      const expired = properties !== undefined && expirySeconds(properties, acceptedAtMs, this.#wallMs) === 0;
      const upstream = batchMessage(record, route, false, () => NOTHING).topic;
      const bytes = Buffer.byteLength(upstream);
      if (!expired && bytes > 0 && bytes <= TOPIC_BYTES_MAX) continue;
      this.#tally.loseOne(stream, {
        reason: expired ? 'expired' : 'refused',
        topic: topicOf(record),
        acceptedAtMs,
      });
      batch.drop(place);
      ring.members -= 1;
    }
  }

  #encode(stream: Stream, batch: OpenBatch, route: Route): Uint8Array {
    const { encode, encodeBatch } = this.#codec;
    const messages = batch.records.map((record) =>
      batchMessage(record, route, stream.id === REPLAY || this.#history.isLate(stream, record), encode),
    );
    return encodeBatch(messages, route, stream.id === REPLAY ? this.#replayJob : undefined);
  }
}

/** A message whose content is read again, and the ring's index of its batch. */
interface Waiting {
  readonly offset: number;
  readonly index: number;
}

/** These in the order in which they are read. */
class Unfilled {
  #all: readonly Waiting[] = [];
  #at = 0;

  begin(all: Waiting[]): void {
    this.#all = all.sort((one, other) => one.offset - other.offset);
    this.#at = 0;
  }

  get next(): Waiting | undefined {
    return this.#all[this.#at];
  }

  shift(): void {
    this.#at += 1;
  }
}

const NOTHING = new Uint8Array(0);
const TOPIC_BYTES_MAX = 65_535;
