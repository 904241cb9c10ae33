/**
 * Sends journalled history of one bridge again, beside what is new: the job's Records that today's rules select and
 * that the bridge has delivered or never had to. Each goes at its rule's QoS, with RETAIN 0 and a User Property `replay`.
 *
 *   journal ──history──▶ ahead ──rate──▶ session, stream `replay` ──▶ … done ──a save──▶ the job has come so far
 *
 * It is a stream of the bridge's session as others are: its share of the window, its identifiers, and what it owes to
 * QoS 2 over cuts and crashes are the session's. Only the ledger does not count it: it has its Records already. How far
 * the job has come is stored in the transaction that stores the session.
 */
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import { matches } from '../mqtt/topic.js';
import type { HistoryRange, HistorySlice } from '../storage/history.js';
import type { BridgeSession, Save } from './bridge-session.js';
import { isOpen, type ReplayJob, type ReplayJobs } from './replay-job.js';
import { REPLAY } from './stream.js';

export interface ReplayOptions {
  readonly bridge: string;
  readonly jobs: ReplayJobs;
  readonly session: BridgeSession;
  readonly history: (range: HistoryRange, from: number, bytesMax: number) => Promise<HistorySlice>;
  /** By the rules of today; undefined: not for this bridge. */
  readonly routeFor: (topic: string) => Route | undefined;
  /** Whether the bridge itself still has it to deliver. */
  readonly isPending: (record: Record) => boolean;
  readonly wake: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

const SLICE_BYTES = 128 * 1024;
/** After a journal that could not be read. */
const PAUSE_MS = 5000;
/** Of the window, and not more than is of use. */
const SHARE = 0.25;
const SHARE_MAX = 250;

export class Replay {
  readonly #options: ReplayOptions;
  /** Of which Records are read. One that was cancelled stays until nothing of it is open. */
  #job: ReplayJob | undefined;
  #ahead: readonly Record[] = [];
  #at = 0;
  #readFrom = 1;
  #reading = false;
  #exhausted = false;
  /** Something is open of a job that nobody remembers. */
  #isOrphaned = false;
  #share = 0;
  #isConnected = false;
  /** Monotonic. */
  #notBeforeMs = 0;
  #timer: Timer | undefined;
  /** Reads begun before the last restart end there. */
  #generation = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  connected(window: number): void {
    this.#isConnected = true;
    // With a window of one, whoever comes first has it.
    this.#share = window < 2 ? 0 : Math.min(SHARE_MAX, Math.max(1, Math.floor(window * SHARE)));
    this.#begin();
  }

  disconnected(): void {
    this.#isConnected = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#leave();
  }

  /** The session sends from the front of what is open: it is to be read again. */
  restart(): void {
    this.#leave();
    this.#begin();
  }

  /** The list of jobs has changed: one was added or cancelled. */
  changed(): void {
    if (!this.#isConnected) return;
    if (this.#job === undefined) this.#begin();
    this.#options.wake();
  }

  /** Hands Records to the session until it is full. Returns whether it took any. */
  offer(): boolean {
    const { clock, isPending, routeFor, session } = this.#options;
    let taken = false;
    if (this.#isOrphaned && !session.replay.isOpen) this.#begin();
    while (this.#job !== undefined) {
      const record = this.#ahead[this.#at];
      if (record === undefined) {
        this.#endOfSlice(this.#job);
        break;
      }
      const isNew = record.offset >= session.replay.next;
      if (isNew && !this.#goesOn(this.#job)) {
        this.#finish(this.#job);
        break;
      }
      const route = isPending(record) ? undefined : routeFor(topicOf(record));
      if (route !== undefined) {
        const nowMs = clock.monotonicMs();
        if (isNew && nowMs < this.#notBeforeMs) {
          this.#wakeAt(this.#notBeforeMs);
          break;
        }
        if (session.offer(record, route, REPLAY) === 'full') break;
        if (isNew) this.#pace(this.#job, nowMs);
        taken = true;
      }
      this.#at += 1;
    }
    return taken;
  }

  /** The session is saved in this turn: what became of the job goes along. */
  saved({ job: id, sent, skipped, reached, next }: Save['replayed']): void {
    const { jobs, log, session, wake } = this.#options;
    const job = jobs.get(id);
    if (job === undefined) return;
    const isDone = this.#isDone(job);
    const hasMoved = isOpen(job) && (next > job.next || job.state === 'waiting');
    if (sent + skipped === 0 && !hasMoved && !isDone) return;
    const running = job.state === 'waiting' ? 'running' : job.state;
    const state = isDone ? 'done' : running;
    const moved: ReplayJob = {
      ...job,
      state,
      sent: job.sent + sent,
      skipped: job.skipped + skipped,
      reached: reached === undefined ? job.reached : Math.round(Math.max(reached, job.reached ?? 0)),
      next: isDone ? job.last + 1 : Math.max(job.next, next),
    };
    jobs.save(moved);
    if (this.#job?.id === id) this.#job = moved;
    if (isDone) {
      const { bridge } = moved;
      log.info({ bridge, id, sent: moved.sent, skipped: moved.skipped }, 'Replay is done');
    }
    if (isOpen(moved) || session.replay.isOpen) return;
    this.restart();
    wake();
  }

  #begin(): void {
    const { bridge, jobs, log, session } = this.#options;
    if (!this.#isConnected) return;
    const { job: id, isOpen: hasOpen } = session.replay;
    const job = hasOpen ? jobs.get(id) : jobs.current(bridge);
    // Of a job that nobody remembers, what is open cannot be read again: it is given up.
    this.#isOrphaned = hasOpen && job === undefined;
    if (this.#isOrphaned) session.giveUpReplay();
    session.reserve(job === undefined ? 0 : this.#share);
    if (job === undefined) return;
    if (!hasOpen && job.id !== id) session.beginReplay(job.id, job.next);
    this.#job = job;
    if (job.state === 'waiting') log.info({ ...job }, 'Replay begins');
    this.#readFrom = session.startOf(REPLAY);
    this.#notBeforeMs = 0;
    this.#readAhead(job);
  }

  #leave(): void {
    this.#generation += 1;
    this.#job = undefined;
    this.#ahead = [];
    this.#at = 0;
    this.#reading = false;
    this.#exhausted = false;
    this.#options.session.reserve(0);
  }

  #endOfSlice(job: ReplayJob): void {
    if (this.#reading) return;
    this.#options.session.passed(this.#readFrom, REPLAY);
    const { isFilled } = this.#options.session.replay;
    if (this.#exhausted || (isFilled && !this.#goesOn(job))) this.#finish(job);
    else this.#readAhead(job);
  }

  /** Nothing more is offered: done, or cancelled, once nothing is open. */
  #finish(job: ReplayJob): void {
    const { session, wake } = this.#options;
    if (session.replay.isOpen) return;
    if (this.#goesOn(job)) {
      session.replayMoved();
      return;
    }
    this.restart();
    wake();
  }

  #goesOn({ id }: ReplayJob): boolean {
    const job = this.#options.jobs.get(id);
    return job !== undefined && isOpen(job);
  }

  #isDone(job: ReplayJob): boolean {
    if (this.#job?.id !== job.id || !isOpen(job) || this.#options.session.replay.isOpen) return false;
    return this.#exhausted && !this.#reading && this.#at >= this.#ahead.length;
  }

  /** A tenth of a second's worth may follow close behind each other; no more is caught up. */
  #pace({ rate }: ReplayJob, nowMs: number): void {
    if (rate !== null) this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs - 100) + 1000 / rate;
  }

  #readAhead(job: ReplayJob): void {
    if (this.#reading) return;
    const { clock, history, log, wake } = this.#options;
    this.#reading = true;
    const generation = this.#generation;
    const { filter, id, last } = job;
    const range: HistoryRange = {
      fromMs: job.fromMs,
      toMs: job.toMs ?? Number.POSITIVE_INFINITY,
      ...(filter !== null && { wants: (topic: string) => matches(filter, topic) }),
    };
    history(range, this.#readFrom, SLICE_BYTES).then(
      ({ records, next }) => {
        if (generation !== this.#generation) return;
        this.#reading = false;
        this.#ahead = records.filter(({ offset }) => offset <= last);
        this.#at = 0;
        this.#readFrom = next;
        if (next > last) this.#exhausted = true;
        wake();
      },
      (fault: unknown) => {
        if (generation !== this.#generation) return;
        log.warn({ replay: id, reason: reasonOf(fault) }, 'Replay cannot read the journal');
        this.#wakeAt(clock.monotonicMs() + PAUSE_MS, () => {
          this.#reading = false;
        });
      },
    );
  }

  #wakeAt(atMs: number, then: () => void = () => undefined): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.at(atMs, () => {
      then();
      this.#options.wake();
    });
  }
}

function topicOf({ content }: Record): string {
  return content.kind === 'message' ? content.message.topic : content.set.topic;
}
