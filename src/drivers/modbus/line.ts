/**
 * A shell: one exchange at a time over a connection. It waits until the wire is ready, sends, and gives the
 * exchange bytes and time; what they mean the exchange decides.
 */

import type { Clock, Timer } from '../../core/clock.js';
import type { OpenStream } from '../byte-stream.js';
import { Connection, type ConnectionSurroundings } from '../connection.js';
import type { Wire } from './asker.js';
import type { BusMeter } from './bus-meter.js';
import type { Exchange, Outcome, Request } from './exchange.js';

const NOTHING = new Uint8Array(0);

/** Twice the gap between frames at 9,600 baud. */
const EXACT_MS_MAX = 8;

export interface LineSettings {
  readonly open: OpenStream;
  /** A new one for each opening: what an earlier stream left behind must not matter. */
  readonly exchange: (nowMs: number) => Exchange;
  /** Pause after opening. */
  readonly connectDelayMs: number;
  /** So many requests in a row without any answer: the connection may be half open, the adapter stuck. */
  readonly silencesMax: number;
}

export class Line implements Wire {
  readonly connection: Connection;
  requests = 0;
  timeouts = 0;
  errors = 0;
  readonly #meter: BusMeter;
  readonly #settings: LineSettings;
  readonly #around: ConnectionSurroundings;
  readonly #clock: Clock;
  readonly #onChange: (isUp: boolean) => void;
  #exchange: Exchange;
  #timer: Timer | undefined;
  #silences = 0;
  #stopped = false;
  #echoes = 0;
  /** Not before this, after opening. */
  #readyAtMs = 0;
  /** The end of the last request. */
  #restedAtMs = 0;
  #begunAtMs: number | undefined;
  /** Ends the wait for the wire, or for the answer. */
  #end: ((outcome: Outcome) => void) | undefined;

  /** `onChange`: it came up or went down. */
  constructor(
    settings: LineSettings,
    around: ConnectionSurroundings,
    meter: BusMeter,
    onChange: (isUp: boolean) => void,
  ) {
    this.#settings = settings;
    this.#around = around;
    this.#clock = around.clock;
    this.#meter = meter;
    this.#onChange = onChange;
    this.#exchange = settings.exchange(around.clock.monotonicMs());
    this.connection = new Connection(settings.open, around, {
      onUp: () => this.#opened(),
      onBytes: (bytes) => this.#received(bytes),
      onLost: (why) => {
        this.#finish({ kind: 'broken', why });
        this.#onChange(false);
      },
    });
  }

  get isUp(): boolean {
    return this.connection.state === 'up';
  }

  get echoes(): number {
    return this.#echoes + this.#exchange.echoes;
  }

  start(): void {
    this.connection.start();
  }

  stop(): void {
    this.#stopped = true;
    this.connection.stop();
    this.#finish({ kind: 'broken', why: 'stopped' });
  }

  /** One at a time: the caller waits for the outcome before it asks again. */
  async transact(request: Request): Promise<Outcome> {
    // Closed because nobody answered on it, or just begun: the request is for the connection that is being opened.
    if (this.connection.state === 'connecting') await this.connection.settled();
    if (this.#end !== undefined) throw new Error('invariant broken: one request under way per line');
    if (!this.isUp) return { kind: 'broken', why: this.#stopped ? 'stopped' : 'bus down' };
    return new Promise((resolve) => {
      this.#end = resolve;
      this.#sendWhenReady(request);
    });
  }

  hold(): void {
    this.#exchange.hold(this.#clock.monotonicMs());
  }

  #opened(): void {
    this.#silences = 0;
    this.#echoes += this.#exchange.echoes;
    const nowMs = this.#clock.monotonicMs();
    this.#exchange = this.#settings.exchange(nowMs);
    this.#restedAtMs = nowMs;
    this.#readyAtMs = nowMs + this.#settings.connectDelayMs;
    this.#onChange(true);
  }

  #sendWhenReady(request: Request): void {
    const nowMs = this.#clock.monotonicMs();
    // Input while waiting moves this on, so it is looked at again each time.
    const { readyAtMs } = this.#exchange;
    const waitUntilMs = Math.max(readyAtMs, this.#readyAtMs, this.#restedAtMs + (request.gapMs ?? 0));
    if (waitUntilMs > nowMs) {
      const send = (): void => this.#sendWhenReady(request);
      // Long pauses are for the device's sake, short ones are the line's own: a millisecond of each is its loss.
      this.#timer =
        waitUntilMs - nowMs > EXACT_MS_MAX || this.#clock.exactlyAt === undefined
          ? this.#clock.at(waitUntilMs, send)
          : this.#clock.exactlyAt(waitUntilMs, send);
      return;
    }
    this.requests += 1;
    this.#begunAtMs = nowMs;
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
      case 'sent':
        break;
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

  /** The line is taken for as long as the next request must wait for it. */
  #rest(): void {
    const nowMs = this.#clock.monotonicMs();
    const begunAtMs = this.#begunAtMs;
    if (begunAtMs === undefined) return;
    this.#begunAtMs = undefined;
    this.#restedAtMs = nowMs;
    this.#meter.busy(begunAtMs, Math.max(nowMs, this.#exchange.readyAtMs));
  }

  #finish(outcome: Outcome): void {
    this.#timer?.cancel();
    this.#rest();
    const end = this.#end;
    this.#end = undefined;
    end?.(outcome);
  }
}
