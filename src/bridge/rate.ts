/** How many a second, smoothed over some ten seconds: for a person who asks when the backlog will be gone. */

const WINDOW_MS = 10_000;

export class Rate {
  #perSecond: number | undefined;
  #total: number;
  #atMs: number;

  constructor(total: number, nowMs: number) {
    this.#total = total;
    this.#atMs = nowMs;
  }

  /** @param total as counted from the start */
  perSecond(total: number, nowMs: number): number | undefined {
    const elapsedMs = nowMs - this.#atMs;
    // Two questions in one moment tell nothing about time.
    if (elapsedMs < 250) return this.#perSecond;
    const now = ((total - this.#total) * 1000) / elapsedMs;
    const weight = 1 - Math.exp(-elapsedMs / WINDOW_MS);
    this.#perSecond =
      this.#perSecond === undefined ? now : this.#perSecond + weight * (now - this.#perSecond);
    this.#total = total;
    this.#atMs = nowMs;
    return this.#perSecond;
  }
}

/** Seconds until `waiting` are gone; null where nothing moves. */
export function etaSeconds(waiting: number, perSecond: number | undefined): number | null {
  if (waiting === 0) return 0;
  return perSecond === undefined || perSecond < 0.01 ? null : Math.ceil(waiting / perSecond);
}
