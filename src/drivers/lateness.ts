/** How late polls begin, after the instant that the schedule has for them: of the last so many. Pure. */

const KEPT = 1024;

export class Lateness {
  readonly #kept = new Float32Array(KEPT);
  #count = 0;

  add(lateMs: number): void {
    this.#kept[this.#count % KEPT] = lateMs;
    this.#count += 1;
  }

  /** Undefined before the first poll. */
  snapshot(): { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number } | undefined {
    if (this.#count === 0) return undefined;
    const sorted = this.#kept.slice(0, Math.min(this.#count, KEPT)).sort();
    const at = (share: number): number => {
      const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
      return Math.round(value * 10) / 10;
    };
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }
}
