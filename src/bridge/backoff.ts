/**
 * How long to wait before the next attempt: exponential with full jitter, so that a thousand gateways whose server
 * came back do not all return in the same second.
 *
 *   n-th failure in a row ──▶ anywhere between `min` and min(max, min × 2ⁿ)
 *
 * Only a session that lasted resets it: a server that accepts and closes at once would otherwise be asked for ever
 * at the shortest interval, at some kilobytes of TLS handshake each.
 */
export interface BackoffLimits {
  readonly min: number;
  readonly max: number;
}

/** A session of this length shows a server that works; shorter where the longest wait is shorter. */
export const LASTED_MS = 60_000;

export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #failures = 0;

  /** @param random uniform in [0, 1) */
  constructor(limits: BackoffLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Another attempt or session has ended: how many milliseconds to wait. */
  delayMs(sessionLastedMs = 0): number {
    if (sessionLastedMs >= Math.min(LASTED_MS, this.#limits.max)) this.#failures = 0;
    this.#failures += 1;
    const { min, max } = this.#limits;
    // 2 ** 40 × 1 ms is above any `max` that a person writes, and far below where doubles lose milliseconds.
    const ceiling = Math.max(min, Math.min(max, min * 2 ** Math.min(this.#failures, 40)));
    return min + this.#random() * (ceiling - min);
  }
}
