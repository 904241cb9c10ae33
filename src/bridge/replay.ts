/**
 * Sends journalled history of one bridge again, beside what is new: the job's Records that today's rules select and
 * that the bridge has delivered or never had to. Each goes at QoS 1 at most, with RETAIN 0 and a User Property `replay`.
 *
 *   journal ──history──▶ ahead ──share of the window, rate──▶ sent ──PUBACK──▶ done: the job's `next` moves on
 *
 * How far it has come is saved in passing: a crash or a lost connection repeats what was not acknowledged or not saved;
 * (gw, j, seq) tells repetitions apart. It stands outside of the bridge's session and ledger: its Records are counted there
 * already.
 */
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { matches } from '../mqtt/topic.js';
import type { HistoryRange, HistorySlice } from '../storage/history.js';
import type { ReplayJob, ReplayJobs } from './replay-job.js';
import type { Written } from './wire.js';

export interface ReplayOptions {
  readonly bridge: string;
  readonly jobs: ReplayJobs;
  readonly history: (range: HistoryRange, from: number, bytesMax: number) => Promise<HistorySlice>;
  /** By the rules of today; undefined: not for this bridge. */
  readonly routeFor: (topic: string) => Route | undefined;
  /** Whether the bridge itself still has it to deliver. */
  readonly isPending: (record: Record) => boolean;
  readonly takeIdentifier: () => number;
  readonly freeIdentifier: (packetIdentifier: number) => void;
  readonly wake: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a replayed PUBLISH goes. */
export interface ReplayWire {
  readonly writable: boolean;
  /** The server's Receive Maximum leaves room beside what the session has sent. */
  readonly hasRoom: boolean;
  replay(record: Record, route: Route, qos: 0 | 1, packetIdentifier: number, job: string): Written;
}

const SLICE_BYTES = 128 * 1024;
const SAVE_EVERY_MS = 1000;
/** After the server's quota, or a journal that could not be read. */
const PAUSE_MS = 5000;
/** Of the window, and not more than is of use. */
const SHARE = 0.25;
const SHARE_MAX = 250;

export class Replay {
  readonly #options: ReplayOptions;
  #job: ReplayJob | undefined;
  #ahead: Record[] = [];
  #at = 0;
  #readFrom = 1;
  #reading = false;
  #exhausted = false;
  /** By Packet Identifier; those of a job that was cancelled stay until they are acknowledged. */
  readonly #inFlight = new Map<number, { readonly record: Record; readonly job: string }>();
  /** The server was over its quota: these go once more. */
  #again: Record[] = [];
  #share = 0;
  #maximumQoS = 0;
  /** Monotonic. */
  #notBeforeMs = 0;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  /** Reads begun before the last restart end there. */
  #generation = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** What is kept free of the window. */
  get reserved(): number {
    return Math.max(this.#inFlight.size, this.#job === undefined ? 0 : this.#share);
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  connected(window: number, maximumQoS: number): void {
    // With a window of one, whoever comes first has it.
    this.#share = window < 2 ? 0 : Math.min(SHARE_MAX, Math.max(1, Math.floor(window * SHARE)));
    this.#maximumQoS = maximumQoS;
    this.#begin();
  }

  disconnected(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#save(true);
    // No PUBACK can come for them any more.
    for (const packetIdentifier of this.#inFlight.keys()) this.#options.freeIdentifier(packetIdentifier);
    this.#inFlight.clear();
    this.#leave();
  }

  /** The list of jobs has changed: one was added or cancelled. */
  changed(isConnected: boolean): void {
    const job = this.#job;
    if (job !== undefined && this.#options.jobs.get(job.id)?.state === 'cancelled') this.#leave();
    if (isConnected && this.#job === undefined) this.#begin();
    this.#options.wake();
  }

  /** Sends what may be sent now; what is new has gone before. */
  pump(wire: ReplayWire): void {
    const { clock, freeIdentifier, routeFor, takeIdentifier } = this.#options;
    while (this.#job !== undefined && wire.writable) {
      const record = this.#again[0] ?? this.#ahead[this.#at];
      if (record === undefined) break;
      const { content } = record;
      const topic = content.kind === 'message' ? content.message.topic : content.set.topic;
      const route = this.#options.isPending(record) ? undefined : routeFor(topic);
      if (route === undefined) {
        this.#shift();
        continue;
      }
      const nowMs = clock.monotonicMs();
      if (nowMs < this.#notBeforeMs) {
        this.#wakeAt(this.#notBeforeMs);
        break;
      }
      const qos = Math.min(1, route.qos, this.#maximumQoS) as 0 | 1;
      if (qos === 1 && (this.#inFlight.size >= Math.max(1, this.#share) || !wire.hasRoom)) break;
      const packetIdentifier = qos === 1 ? takeIdentifier() : 0;
      if (qos === 1 && packetIdentifier === 0) break;
      const written = wire.replay(record, route, qos, packetIdentifier, this.#job.id);
      this.#shift();
      if (written === 'sent' && qos === 1)
        this.#inFlight.set(packetIdentifier, { record, job: this.#job.id });
      else if (packetIdentifier !== 0) freeIdentifier(packetIdentifier);
      this.#count(record, written);
    }
    this.#readAhead();
    this.#save(false);
    this.#finish();
  }

  /** False: not one of its own. */
  puback(packetIdentifier: number, reasonCode: ReasonCode): boolean {
    const sent = this.#inFlight.get(packetIdentifier);
    if (sent === undefined) return false;
    const { freeIdentifier, clock, wake } = this.#options;
    this.#inFlight.delete(packetIdentifier);
    freeIdentifier(packetIdentifier);
    const job = this.#job;
    if (job?.id === sent.job && reasonCode >= 0x80) {
      const isFull = reasonCode === ReasonCode.quotaExceeded;
      if (isFull) {
        this.#notBeforeMs = clock.monotonicMs() + PAUSE_MS;
        this.#again.push(sent.record);
      }
      this.#job = { ...job, sent: job.sent - 1, skipped: job.skipped + (isFull ? 0 : 1) };
    }
    wake();
    return true;
  }

  #begin(): void {
    const job = this.#options.jobs.current(this.#options.bridge);
    if (job === undefined) return;
    this.#job = { ...job, state: 'running' };
    if (job.state === 'waiting') this.#options.log.info({ ...job }, 'Replay begins');
    this.#readFrom = job.next;
    this.#notBeforeMs = 0;
    this.#readAhead();
  }

  #shift(): void {
    if (this.#again.length > 0) this.#again.shift();
    else this.#at += 1;
  }

  /** Everything before it is done with. */
  #position(): number {
    let position = this.#ahead[this.#at]?.offset ?? this.#readFrom;
    for (const { record } of this.#inFlight.values()) position = Math.min(position, record.offset);
    for (const { offset } of this.#again) position = Math.min(position, offset);
    return position;
  }

  #count(record: Record, written: Written): void {
    const job = this.#job;
    if (job === undefined) return;
    const sent = job.sent + (written === 'sent' ? 1 : 0);
    const skipped = job.skipped + (written === 'sent' ? 0 : 1);
    this.#job = { ...job, sent, skipped, reached: Math.round(record.acceptedAtMs) };
    if (job.rate === null) return;
    const nowMs = this.#options.clock.monotonicMs();
    // A tenth of a second's worth may follow close behind each other; no more is caught up.
    this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs - 100) + 1000 / job.rate;
  }

  #readAhead(): void {
    const job = this.#job;
    if (job === undefined || this.#reading || this.#exhausted || this.#at < this.#ahead.length) return;
    this.#reading = true;
    const generation = this.#generation;
    const { filter } = job;
    const range: HistoryRange = {
      fromMs: job.fromMs,
      toMs: job.toMs ?? Number.POSITIVE_INFINITY,
      ...(filter !== null && { wants: (topic: string) => matches(filter, topic) }),
    };
    this.#options.history(range, this.#readFrom, SLICE_BYTES).then(
      ({ records, next }) => {
        if (generation !== this.#generation) return;
        this.#reading = false;
        this.#ahead = records.filter(({ offset }) => offset <= job.last);
        this.#at = 0;
        this.#readFrom = next;
        if (next > job.last) this.#exhausted = true;
        this.#options.wake();
      },
      (fault: unknown) => {
        if (generation !== this.#generation) return;
        this.#options.log.warn({ replay: job.id, reason: reasonOf(fault) }, 'Replay cannot read the journal');
        this.#wakeAt(this.#options.clock.monotonicMs() + PAUSE_MS, () => {
          this.#reading = false;
        });
      },
    );
  }

  #finish(): void {
    const job = this.#job;
    if (job === undefined || !this.#exhausted || this.#at < this.#ahead.length || this.#again.length > 0)
      return;
    if ([...this.#inFlight.values()].some((sent) => sent.job === job.id)) return;
    const done: ReplayJob = { ...job, state: 'done', next: job.last + 1 };
    this.#options.jobs.save(done);
    const { bridge, id, sent, skipped } = done;
    this.#options.log.info({ bridge, id, sent, skipped }, 'Replay is done');
    this.#leave();
    this.#begin();
    this.#options.wake();
  }

  #leave(): void {
    this.#generation += 1;
    this.#job = undefined;
    this.#again = [];
    this.#ahead = [];
    this.#at = 0;
    this.#reading = false;
    this.#exhausted = false;
  }

  #save(now: boolean): void {
    const job = this.#job;
    if (job === undefined || this.#options.jobs.get(job.id)?.state === 'cancelled') return;
    const nowMs = this.#options.clock.monotonicMs();
    if (!now && nowMs - this.#savedAtMs < SAVE_EVERY_MS) return;
    this.#savedAtMs = nowMs;
    this.#job = { ...job, next: Math.max(job.next, this.#position()) };
    this.#options.jobs.save(this.#job);
  }

  #wakeAt(atMs: number, then: () => void = () => undefined): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.at(atMs, () => {
      then();
      this.#options.wake();
    });
  }
}
