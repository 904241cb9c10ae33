/**
 * Integers through the range coder, small ones in few bits:
 *
 *   class       the bits that its magnitude needs, 0 for 0: so many ones and a zero, each with a Chance of its own for
 *               how large the last ones were
 *   sign        0 for positive; not of 0
 *   magnitude   below its highest one: the first bit with a Chance by class, the others plain
 *
 * How large the last ones were: a = floor(3a / 4) + magnitude after each, told by the bits that `a` needs, 31 at most.
 */
import { damaged } from './batch.js';
import { Chances, type RangeSink, type RangeSource } from './range-coder.js';

const CLASSES = 54;
const RECENT_MAX = 31;
const SIGNS = CLASSES * (RECENT_MAX + 1);
const SECONDS = SIGNS + 1;

export class NumberModel {
  readonly #chances = new Chances(SECONDS + CLASSES);
  #recent = 0;

  /** @param value a safe integer */
  write(to: RangeSink, value: number): void {
    const magnitude = Math.abs(value);
    const bits = bitLength(magnitude);
    const first = this.#first();
    for (let at = 0; at < bits; at += 1) to.bit(this.#chances, first + at, 1);
    if (bits < CLASSES - 1) to.bit(this.#chances, first + bits, 0);
    if (bits > 0) to.bit(this.#chances, SIGNS, value < 0 ? 1 : 0);
    if (bits > 1) {
      const second = Math.floor(magnitude / 2 ** (bits - 2)) % 2;
      to.bit(this.#chances, SECONDS + bits, second);
      if (bits > 2) to.plain(magnitude % 2 ** (bits - 2), bits - 2);
    }
    this.#learn(magnitude);
  }

  read(from: RangeSource): number {
    const first = this.#first();
    let bits = 0;
    while (bits < CLASSES - 1 && from.bit(this.#chances, first + bits) === 1) bits += 1;
    if (bits === 0) {
      this.#learn(0);
      return 0;
    }
    const negative = from.bit(this.#chances, SIGNS) === 1;
    let magnitude = 1;
    if (bits > 1) magnitude = 2 + from.bit(this.#chances, SECONDS + bits);
    if (bits > 2) magnitude = magnitude * 2 ** (bits - 2) + from.plain(bits - 2);
    this.#learn(magnitude);
    return negative ? -magnitude : magnitude;
  }

  /** For what counts or numbers something. */
  readCount(from: RangeSource, most: number): number {
    const value = this.read(from);
    if (value < 0 || value > most) throw damaged('a count that cannot be');
    return value;
  }

  #first(): number {
    return Math.min(RECENT_MAX, bitLength(this.#recent)) * CLASSES;
  }

  #learn(magnitude: number): void {
    this.#recent = Math.floor((this.#recent * 3) / 4) + magnitude;
  }
}

/** How many bits an integer from 0 to 2^53 needs. */
function bitLength(value: number): number {
  return value < 0x1_0000_0000 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 0x1_0000_0000));
}
