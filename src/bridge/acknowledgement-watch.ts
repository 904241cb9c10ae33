/**
 * Whether a server that is connected still takes what it is sent. Two limits, both `ack_timeout`:
 *
 *   none    messages in flight and not one acknowledged: the link or the server is dead, whatever TCP says
 *   one     a message that is never acknowledged while later ones are: it is sent again over a new connection
 */
import type { Clock, Timer } from '../core/clock.js';
import type { BridgeSession } from './bridge-session.js';

export interface AcknowledgementWatchOptions {
  readonly session: Pick<BridgeSession, 'unacknowledged' | 'acknowledgements' | 'oldestOnWire'>;
  readonly limitMs: number;
  readonly clock: Clock;
  /** The connection is to be closed for it. */
  readonly late: (sentence: string) => void;
}

interface Seen {
  readonly offset: number;
  readonly sinceMs: number;
  /** Acknowledgements by then. */
  readonly heard: number;
}

export class AcknowledgementWatch {
  readonly #options: AcknowledgementWatchOptions;
  #heardAtMs = 0;
  #noneTimer: Timer | undefined;
  #oneTimer: Timer | undefined;
  /** By stream, what has been under way for longest. */
  #seen: readonly Seen[] = [];

  constructor(options: AcknowledgementWatchOptions) {
    this.#options = options;
  }

  /** A connection is in use, with nothing under way. */
  start(): void {
    this.stop();
    this.#seen = [];
    this.heard();
    this.#waitForAny();
    this.#waitForEach();
  }

  stop(): void {
    this.#noneTimer?.cancel();
    this.#oneTimer?.cancel();
  }

  /** An acknowledgement came, of whatever. */
  heard(): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
  }

  #waitForAny(): void {
    const { clock, late, limitMs, session } = this.#options;
    this.#noneTimer = clock.at(this.#heardAtMs + limitMs, () => {
      if (session.unacknowledged === 0) this.heard();
      if (clock.monotonicMs() - this.#heardAtMs < limitMs) {
        this.#waitForAny();
        return;
      }
      late(`the server acknowledged none of ${session.unacknowledged} messages for ${limitMs / 1000} s`);
    });
  }

  #waitForEach(): void {
    const { clock, late, limitMs, session } = this.#options;
    const nowMs = clock.monotonicMs();
    const heard = session.acknowledgements;
    this.#seen = session.oldestOnWire().map((offset, stream) => {
      const before = this.#seen[stream];
      return before?.offset === offset ? before : { offset, sinceMs: nowMs, heard };
    });
    const isStuck = this.#seen.some(
      (one) => one.offset !== 0 && nowMs - one.sinceMs >= limitMs && heard > one.heard,
    );
    if (isStuck) {
      late(`the server acknowledged later messages but not one that was sent ${limitMs / 1000} s before`);
      return;
    }
    this.#oneTimer = clock.at(nowMs + limitMs / 4, () => this.#waitForEach());
  }
}
