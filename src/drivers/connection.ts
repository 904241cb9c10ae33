/**
 * Keeps a ByteStream open, for ever.
 *
 *   connecting ──open──▶ up ──closed by itself, dropped──▶ connecting ──fails──▶ down ──wait 1 s … 30 s──▶ down …
 *                        ▲                                                        │
 *                        └───────────────────────open─────────────────────────────┘
 *
 * `down` keeps its reason through all attempts. The wait starts again from 1 s only once the peer has answered
 * something: one that accepts and hangs up is no better than one that refuses.
 */

import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { BusSnapshot } from '../core/snapshot.js';
import type { ByteStream, OpenStream } from './byte-stream.js';
import type { FrameTap } from './frame-tap.js';

const WAIT_MS_MIN = 1000;
const WAIT_MS_MAX = 30_000;

export interface ConnectionOwner {
  onUp(): void;
  onBytes(bytes: Uint8Array): void;
  /** It was up and is not any more. */
  onLost(why: string): void;
}

export interface ConnectionSurroundings {
  readonly bus: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Sees what goes over it. */
  readonly tap?: FrameTap;
}

export class Connection {
  readonly #open: OpenStream;
  readonly #around: ConnectionSurroundings;
  readonly #owner: ConnectionOwner;
  #state: BusSnapshot['state'] = 'connecting';
  #reason: string | undefined;
  #stream: ByteStream | undefined;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  #stopped = false;
  #proved = false;
  #waitMs = WAIT_MS_MIN;
  #downSinceMs = 0;
  #attempts = 0;
  #waiting: (() => void)[] = [];

  constructor(open: OpenStream, around: ConnectionSurroundings, owner: ConnectionOwner) {
    this.#open = open;
    this.#around = around;
    this.#owner = owner;
  }

  get state(): BusSnapshot['state'] {
    return this.#state;
  }

  /** Why it is down, in one sentence. */
  get reason(): string | undefined {
    return this.#reason;
  }

  start(): void {
    this.#connect();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    this.#abort?.abort();
    this.#stream?.close();
    this.#stream = undefined;
    this.#settle();
  }

  /** Resolves once it is known whether the bus is up or down. */
  settled(): Promise<void> {
    if (this.#state !== 'connecting' || this.#stopped) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  write(bytes: Uint8Array): void {
    if (this.#stream === undefined) return;
    this.#around.tap?.tell('sent', bytes);
    this.#stream.write(bytes);
  }

  /** The peer answered: this connection is worth something. */
  proved(): void {
    this.#proved = true;
    this.#waitMs = WAIT_MS_MIN;
  }

  /** Closes a stream that cannot be trusted any more and opens another. */
  drop(why: string): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    stream.close();
    this.#lost(why);
  }

  #connect(): void {
    if (this.#stopped) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#attempts += 1;
    let stream: ByteStream | undefined;
    this.#open(
      {
        onBytes: (bytes) => {
          if (stream !== this.#stream) return;
          this.#around.tap?.tell('received', bytes);
          this.#owner.onBytes(bytes);
        },
        onClosed: (why) => {
          if (stream !== undefined && stream === this.#stream) this.#lost(why);
        },
      },
      abort.signal,
    ).then(
      (opened) => {
        stream = opened;
        if (this.#stopped) opened.close();
        else this.#up(opened);
      },
      (fault: unknown) => {
        if (!this.#stopped) this.#failed(reasonOf(fault));
      },
    );
  }

  #up(stream: ByteStream): void {
    const { bus, clock, log } = this.#around;
    this.#stream = stream;
    this.#proved = false;
    if (this.#state === 'down') {
      const durationMs = Math.round(clock.monotonicMs() - this.#downSinceMs);
      log.info({ bus, durationMs, attempts: this.#attempts }, 'Bus is up again');
    }
    this.#state = 'up';
    this.#reason = undefined;
    this.#attempts = 0;
    this.#settle();
    this.#owner.onUp();
  }

  #lost(why: string): void {
    this.#stream = undefined;
    this.#owner.onLost(why);
    if (this.#proved) {
      this.#state = 'connecting';
      this.#connect();
    } else this.#failed(why);
  }

  #failed(why: string): void {
    const { bus, clock, log, random } = this.#around;
    if (this.#state !== 'down') {
      this.#downSinceMs = clock.monotonicMs();
      log.warn({ bus, reason: why }, 'Bus is down');
    }
    this.#state = 'down';
    this.#reason = why;
    this.#settle();
    // Up to a fifth shorter, so that gateways that lost the same host do not return in step.
    const waitMs = this.#waitMs * (1 - random() / 5);
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MS_MAX);
    this.#timer = clock.at(clock.monotonicMs() + waitMs, () => this.#connect());
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
