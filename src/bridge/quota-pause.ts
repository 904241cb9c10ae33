/** A server that is over its quota is left alone for a while, then for twice as long, until it takes something again. */
import type { Clock, Timer } from '../core/clock.js';

const PAUSE_MS = 5000;
const PAUSE_MS_MAX = 300_000;

export class QuotaPause {
  readonly #clock: Clock;
  readonly #over: () => void;
  #timer: Timer | undefined;
  #pauseMs = PAUSE_MS;

  /** @param over sending may be tried again */
  constructor(clock: Clock, over: () => void) {
    this.#clock = clock;
    this.#over = over;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** The server refused a message for its quota. True: the pause begins with this. */
  begin(): boolean {
    if (this.#timer !== undefined) return false;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(PAUSE_MS_MAX, 2 * pauseMs);
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + pauseMs, () => {
      this.#timer = undefined;
      this.#over();
    });
    return true;
  }

  /** It took one. */
  taken(): void {
    this.#pauseMs = PAUSE_MS;
  }

  /** The connection is over. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
