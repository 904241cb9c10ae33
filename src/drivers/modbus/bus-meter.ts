/**
 * How busy a bus is: the share of time in which the next request had to wait for the line, over about the last
 * minute. Pure.
 */

/** Two of these are looked at: the one that fills and the one before. */
const SPAN_MS = 30_000;

export class BusMeter {
  /** Since the start. */
  busyMs = 0;
  readonly #lanes: number;
  #spanStartMs: number;
  #busyInSpanMs = 0;
  #busyBeforeMs = 0;
  #beforeMs = 0;

  constructor(lanes: number, nowMs: number) {
    this.#lanes = lanes;
    this.#spanStartMs = nowMs;
  }

  busy(fromMs: number, toMs: number): void {
    this.#turn(fromMs);
    this.#busyInSpanMs += toMs - fromMs;
    this.busyMs += toMs - fromMs;
  }

  /** From 0 to 1. */
  utilisation(nowMs: number): number {
    this.#turn(nowMs);
    const spanMs = this.#beforeMs + (nowMs - this.#spanStartMs);
    if (spanMs <= 0) return 0;
    return Math.min(1, (this.#busyBeforeMs + this.#busyInSpanMs) / (spanMs * this.#lanes));
  }

  #turn(nowMs: number): void {
    const spanMs = nowMs - this.#spanStartMs;
    if (spanMs < SPAN_MS) return;
    const isRecent = spanMs < 2 * SPAN_MS;
    this.#busyBeforeMs = isRecent ? this.#busyInSpanMs : 0;
    this.#beforeMs = isRecent ? spanMs : 0;
    this.#busyInSpanMs = 0;
    this.#spanStartMs = nowMs;
  }
}
