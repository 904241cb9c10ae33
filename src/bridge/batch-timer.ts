/** Wakes the bridge when a batch has waited long enough. One timer, moved only to an earlier time. */
import type { Clock, Timer } from '../core/clock.js';

export class BatchTimer {
  readonly #clock: Clock;
  readonly #wake: () => void;
  #timer: Timer | undefined;
  #atMs = Infinity;

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** @param deadlineMs monotonic; one that is past waits for room, which an acknowledgement brings */
  arm(deadlineMs: number): void {
    if (deadlineMs >= this.#atMs || deadlineMs <= this.#clock.monotonicMs()) return;
    this.#timer?.cancel();
    this.#atMs = deadlineMs;
    this.#timer = this.#clock.at(deadlineMs, () => {
      this.#atMs = Infinity;
      this.#wake();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#atMs = Infinity;
  }
}
