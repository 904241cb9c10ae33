/**
 * A counter to what it counts per second, minute or hour.
 *
 *   reading, reading, …  ──▶ (this − the one before) / time between them      the first one says nothing yet
 *   smaller than before, `wrap` known and half of it not passed ──▶ it ran over: wrap − before + this
 *   smaller than before otherwise ──▶ the device began anew: what happened between is unknown, said by silence
 */
import type { Value } from '../core/value.js';
import { withoutDust } from './rounding.js';
import { type Step, Unfit } from './step.js';

const NOTHING_YET = new Unfit();

export class CounterRate implements Step {
  readonly #perMs: number;
  /** One more than the largest count; Infinity: it never runs over. */
  readonly #wrap: number;
  #count: number | bigint | undefined;
  #atMs = 0;

  constructor(perMs: number, wrap = Infinity) {
    this.#perMs = perMs;
    this.#wrap = wrap;
  }

  apply(value: Value, atMs: number): Value | Unfit {
    if (typeof value !== 'number' && typeof value !== 'bigint') return new Unfit('no counter');
    const before = this.#count;
    const elapsedMs = atMs - this.#atMs;
    // Twice at the same instant: the later one is measured against the earlier.
    if (before !== undefined && elapsedMs <= 0) return NOTHING_YET;
    this.#count = value;
    this.#atMs = atMs;
    if (before === undefined) return NOTHING_YET;
    let counted = difference(value, before);
    if (counted < 0) {
      if (this.#wrap === Infinity) return NOTHING_YET;
      counted += this.#wrap;
      // A counter that seems to have run through more than half of its range has been reset.
      if (counted < 0 || counted > this.#wrap / 2) return NOTHING_YET;
    }
    return withoutDust((counted * this.#perMs) / elapsedMs);
  }

  reset(): void {
    this.#count = undefined;
  }
}

function difference(value: number | bigint, before: number | bigint): number {
  if (typeof value === 'number' && typeof before === 'number') return withoutDust(value - before);
  return Number(BigInt(value) - BigInt(before));
}
