/** Counts durations in buckets 1 % wide, so that millions of them cost a fixed 24 KiB. */

const STEPS_PER_DOUBLING = 70;
const DOUBLINGS = 40;

export class Histogram {
  #buckets = new Float64Array(STEPS_PER_DOUBLING * DOUBLINGS);
  #count = 0;

  add(value) {
    const step = value <= 1 ? 0 : Math.floor(Math.log2(value) * STEPS_PER_DOUBLING);
    this.#buckets[Math.min(step, this.#buckets.length - 1)] += 1;
    this.#count += 1;
  }

  /** NaN while it is empty. */
  quantile(share) {
    const wanted = this.#count * share;
    let seen = 0;
    for (let step = 0; step < this.#buckets.length; step += 1) {
      seen += this.#buckets[step];
      if (seen > 0 && seen >= wanted) return 2 ** ((step + 0.5) / STEPS_PER_DOUBLING);
    }
    return Number.NaN;
  }
}
