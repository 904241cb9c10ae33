/**
 * Points that a unit refuses or never answers while it answers others: they rest ever longer between attempts, so
 * that a hole in the register map does not cost every poll a request or a timeout. Pure.
 */

interface Rest {
  failures: number;
  untilMs: number;
}

/** A refusal is the device's firm word; what could change it (firmware, a written mode) is rare. */
const REFUSED_MS_MIN = 60_000;
const REFUSED_MS_MAX = 60 * 60_000;

export class PointRest {
  readonly #rests = new Map<string, Rest>();
  readonly #silentMsMax: number;

  constructor(silentMsMax: number) {
    this.#silentMsMax = silentMsMax;
  }

  isDue(point: string, nowMs: number): boolean {
    return (this.#rests.get(point)?.untilMs ?? 0) <= nowMs;
  }

  answered(point: string): void {
    this.#rests.delete(point);
  }

  refused(point: string, nowMs: number): void {
    const rest = this.#failed(point);
    rest.untilMs = nowMs + Math.min(REFUSED_MS_MIN * 2 ** Math.min(rest.failures - 1, 10), REFUSED_MS_MAX);
  }

  /** How often in a row, this time included. */
  silent(point: string, pollMs: number, nowMs: number): number {
    const rest = this.#failed(point);
    rest.untilMs = nowMs + Math.min(pollMs * 2 ** Math.min(rest.failures - 1, 20), this.#silentMsMax);
    return rest.failures;
  }

  #failed(point: string): Rest {
    const rest = this.#rests.get(point) ?? { failures: 0, untilMs: 0 };
    rest.failures += 1;
    this.#rests.set(point, rest);
    return rest;
  }
}
