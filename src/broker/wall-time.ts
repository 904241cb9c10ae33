/**
 * Spans of time that outlive the process: how long ago something was, over a restart. Only what lies between two
 * instants at which the clock was to be trusted counts, so that a clock set right by years ends no session.
 */
import type { Clock } from '../core/clock.js';

export class WallTime {
  readonly #clock: Clock;
  readonly #trusted: () => boolean;

  constructor(clock: Clock, trusted: () => boolean = () => true) {
    this.#clock = clock;
    this.#trusted = trusted;
  }

  /** To be saved: milliseconds since the epoch, 0 where the clock is not to be trusted. */
  instant(): number {
    return this.#trusted() ? this.#clock.wallMs() : 0;
  }

  /** How long ago a saved instant was; 0 where nobody can know. */
  ageMs(instant: number): number {
    return instant === 0 || !this.#trusted() ? 0 : Math.max(0, this.#clock.wallMs() - instant);
  }
}
