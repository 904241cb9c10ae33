/** Before a change of servers nothing new is sent until nothing is in flight: the other server would get it again. */
import type { Clock, Timer } from '../core/clock.js';

/** What is in flight has so long to be acknowledged. */
const SETTLE_MS = 30_000;

export class Settling {
  readonly #clock: Clock;
  #then: (() => void) | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOn(): boolean {
    return this.#then !== undefined;
  }

  /** `then` is called once all has settled, or it has taken too long. */
  begin(then: () => void): void {
    this.cancel();
    this.#then = then;
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + SETTLE_MS, () => this.done());
  }

  done(): void {
    const then = this.#then;
    this.cancel();
    then?.();
  }

  cancel(): void {
    this.#then = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
