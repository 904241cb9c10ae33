/** Moving mean, moving median, exponential: a value that follows the readings more calmly. What is no number passes. */
import type { Value } from '../core/value.js';
import { withoutDust } from './rounding.js';
import type { Step, Unfit } from './step.js';

/** Over the last `length` readings, or as many as there are. */
export class MovingWindow implements Step {
  readonly #length: number;
  readonly #of: (values: Float64Array) => number;
  readonly #ring: Float64Array;
  #count = 0;

  constructor(length: number, of: (values: Float64Array) => number) {
    this.#length = length;
    this.#of = of;
    this.#ring = new Float64Array(length);
  }

  apply(value: Value): Value | Unfit {
    const number = numberOf(value);
    if (number === undefined) return value;
    this.#ring[this.#count % this.#length] = number;
    this.#count += 1;
    return withoutDust(this.#of(this.#ring.subarray(0, Math.min(this.#count, this.#length))));
  }

  reset(): void {
    this.#count = 0;
  }
}

export function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

export function medianOf(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Each reading moves the value by this share of the way: 1 follows at once, 0.1 slowly. */
export class Exponential implements Step {
  readonly #share: number;
  #value: number | undefined;

  constructor(share: number) {
    this.#share = share;
  }

  apply(value: Value): Value | Unfit {
    const number = numberOf(value);
    if (number === undefined) return value;
    this.#value = this.#value === undefined ? number : this.#value + this.#share * (number - this.#value);
    return withoutDust(this.#value);
  }

  reset(): void {
    this.#value = undefined;
  }
}

function numberOf(value: Value): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
