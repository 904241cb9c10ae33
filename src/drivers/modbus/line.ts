/**
 * A shell: one exchange at a time over a connection. It waits until the wire is ready, sends, and gives the
 * exchange bytes and time; what they mean the exchange decides.
 */

import type { Clock, Timer } from '../../core/clock.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import type { OpenStream } from '../byte-stream.js';
import { Connection, type ConnectionSurroundings } from '../connection.js';
import type { Exchange, Outcome, Request } from './exchange.js';

const NOTHING = new Uint8Array(0);

export interface LineSettings {
  readonly open: OpenStream;
  /** A new one for each opening: what an earlier stream left behind must not matter. */
  readonly exchange: (nowMs: number) => Exchange;
  /** So many requests in a row without any answer: the connection may be half open, the adapter stuck. */
  readonly silencesMax: number;
}

export class Line {
  readonly connection: Connection;
  requests = 0;
  timeouts = 0;
  errors = 0;
  readonly #settings: LineSettings;
  readonly #around: ConnectionSurroundings;
  readonly #clock: Clock;
  readonly #onUp: () => void;
  #exchange: Exchange;
  #timer: Timer | undefined;
  #silences = 0;
  /** Ends the wait for the wire, or for the answer. */
  #end: ((outcome: Outcome) => void) | undefined;

  constructor(settings: LineSettings, around: ConnectionSurroundings, onUp: () => void) {
    this.#settings = settings;
    this.#around = around;
    this.#clock = around.clock;
    this.#onUp = onUp;
    this.#exchange = settings.exchange(around.clock.monotonicMs());
    this.connection = new Connection(settings.open, around, {
      onUp: () => this.#opened(),
      onBytes: (bytes) => this.#received(bytes),
      onLost: (why) => this.#finish({ kind: 'broken', why }),
    });
  }

  start(): void {
    this.connection.start();
  }

  stop(): void {
    this.connection.stop();
    this.#finish({ kind: 'broken', why: 'stopped' });
  }

  /** One at a time: the caller waits for the outcome before it asks again. */
  transact(request: Request): Promise<Outcome> {
    if (this.#end !== undefined) throw new Error('invariant broken: one request under way per bus');
    if (this.connection.state !== 'up') return Promise.resolve({ kind: 'broken', why: 'bus down' });
    return new Promise((resolve) => {
      this.#end = resolve;
      this.#sendWhenReady(request);
    });
  }

  hold(): void {
    this.#exchange.hold(this.#clock.monotonicMs());
  }

  counts(): Pick<BusSnapshot, 'requests' | 'timeouts' | 'errors'> {
    return { requests: this.requests, timeouts: this.timeouts, errors: this.errors };
  }

  #opened(): void {
    this.#silences = 0;
    this.#exchange = this.#settings.exchange(this.#clock.monotonicMs());
    this.#onUp();
  }

  #sendWhenReady(request: Request): void {
    const nowMs = this.#clock.monotonicMs();
    // Input while waiting moves this on, so it is looked at again each time.
    if (this.#exchange.readyAtMs > nowMs) {
      this.#timer = this.#clock.at(this.#exchange.readyAtMs, () => this.#sendWhenReady(request));
      return;
    }
    this.requests += 1;
    const bytes = this.#exchange.begin(request, nowMs);
    this.#arm();
    this.connection.write(bytes);
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.at(this.#exchange.deadlineMs, () => {
      const nowMs = this.#clock.monotonicMs();
      if (nowMs < this.#exchange.deadlineMs) this.#arm();
      else this.#settle(this.#exchange.expired(nowMs));
    });
  }

  #received(bytes: Uint8Array): void {
    const asking = this.#exchange.deadlineMs !== Infinity;
    const outcome = this.#exchange.received(bytes, this.#clock.monotonicMs());
    if (outcome !== undefined) {
      this.#settle(outcome);
      if (outcome.kind === 'broken') return;
      const after = this.#exchange.received(NOTHING, this.#clock.monotonicMs());
      if (after?.kind === 'broken') this.#settle(after);
    } else if (asking) this.#arm();
  }

  #settle(outcome: Outcome): void {
    const { bus, log } = this.#around;
    switch (outcome.kind) {
      case 'data':
      case 'exception':
        this.#silences = 0;
        this.connection.proved();
        break;
      case 'silent':
        if (outcome.why === 'timeout') this.timeouts += 1;
        else this.errors += 1;
        this.#silences += 1;
        break;
      case 'broken':
        this.errors += 1;
        log.debug({ bus, reason: outcome.why }, 'Connection closed: its replies cannot be trusted');
    }
    this.#finish(outcome);
    if (outcome.kind === 'broken') this.connection.drop(outcome.why);
    else if (this.#silences >= this.#settings.silencesMax) {
      this.#silences = 0;
      this.connection.drop('nothing answers on this connection');
    }
  }

  #finish(outcome: Outcome): void {
    this.#timer?.cancel();
    const end = this.#end;
    this.#end = undefined;
    end?.(outcome);
  }
}
