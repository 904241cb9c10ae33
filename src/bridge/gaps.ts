/**
 * What `order: live-first` has left behind: ranges of the journal that were accepted while the link was down, or
 * faster than it carries. Drained one at a time, beside what is new:
 *
 *   oldest-first   range after range
 *   newest-first   blocks from the end of the newest range, each in its own order
 */

/** From the first offset to before the second. */
export type Gap = readonly [from: number, to: number];
export type HistoryOrder = 'oldest-first' | 'newest-first';

/** One for each outage that is not caught up. With more, what is new waits for its turn, as under fifo. */
export const GAPS_MAX = 64;
/** A block of a newest range: some slices of the journal, since it is read forwards only. */
export const BLOCK = 4096;

export class Gaps {
  /** By offset, ascending; none touches another. */
  #gaps: Gap[];

  constructor(gaps: readonly Gap[]) {
    this.#gaps = [...gaps];
  }

  get all(): readonly Gap[] {
    return this.#gaps;
  }

  get isEmpty(): boolean {
    return this.#gaps.length === 0;
  }

  get isFull(): boolean {
    return this.#gaps.length >= GAPS_MAX;
  }

  /** The newest: what is new begins behind it. */
  add(from: number, to: number): void {
    const last = this.#gaps.at(-1);
    if (last !== undefined && last[1] === from) this.#gaps[this.#gaps.length - 1] = [last[0], to];
    else this.#gaps.push([from, to]);
  }

  /** Takes out what is to be drained next. */
  take(order: HistoryOrder): Gap | undefined {
    if (order === 'oldest-first') return this.#gaps.shift();
    const newest = this.#gaps.pop();
    if (newest === undefined) return undefined;
    const [from, to] = newest;
    if (to - from <= BLOCK) return newest;
    this.#gaps.push([from, to - BLOCK]);
    return [to - BLOCK, to];
  }
}
