/**
 * Edges per second between two readings. Pure.
 *
 * Counted over whole periods, from the last edge before to the last edge now, so that a slow signal is as exact as a
 * fast one. Where no edge came, the signal can be no faster than one per the time it is silent.
 */
export class FrequencyMeter {
  readonly #silentMs: number;
  #count = 0;
  #lastMs: number | undefined;
  /** The last edge that an earlier reading has counted. */
  #fromMs: number | undefined;
  #hertz = 0;

  /** @param silentMs without an edge for so long it is 0 */
  constructor(silentMs: number) {
    this.#silentMs = silentMs;
  }

  edges(count: number, atMs: number): void {
    if (count === 0) return;
    // The first edge of all only begins a period.
    if (this.#fromMs === undefined) {
      this.#fromMs = atMs;
      this.#count += count - 1;
    } else this.#count += count;
    this.#lastMs = atMs;
  }

  read(nowMs: number): number {
    const [from, last] = [this.#fromMs, this.#lastMs];
    if (from === undefined || last === undefined || nowMs - last >= this.#silentMs) {
      this.#count = 0;
      this.#fromMs = undefined;
      this.#lastMs = undefined;
      this.#hertz = 0;
    } else if (this.#count > 0 && last > from) {
      this.#hertz = (this.#count * 1000) / (last - from);
      this.#count = 0;
      this.#fromMs = last;
    } else if (nowMs > last) this.#hertz = Math.min(this.#hertz, 1000 / (nowMs - last));
    // Six digits: the clock of no kernel knows more.
    return Number(this.#hertz.toPrecision(6));
  }
}
