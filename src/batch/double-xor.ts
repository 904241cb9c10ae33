/**
 * Doubles that have no short decimal: each as what differs from the one before, since neighbours share sign, exponent
 * and the upper digits.
 *
 *   XOR with the one before (at first 0) │ how many of its bytes are zero from the left: 4 bits; 8: all of them
 *   how many others up to the last that is not zero, less 1: 3 bits │ those bytes, 8 bits each
 */
import type { RangeSink, RangeSource } from './range-coder.js';

const SCRATCH = new DataView(new ArrayBuffer(8));

/** The double whose shortest decimal this is; undefined: of none, it is spelt otherwise. */
export function doubleOfText(text: string): number | undefined {
  const double = Number(text);
  return Number.isFinite(double) && String(double) === text ? double : undefined;
}

export class XorSink {
  readonly #to: RangeSink;
  readonly #before = new Uint8Array(8);

  constructor(to: RangeSink) {
    this.#to = to;
  }

  write(double: number): void {
    SCRATCH.setFloat64(0, double);
    const differences: number[] = [];
    for (let at = 0; at < 8; at += 1) {
      const byte = SCRATCH.getUint8(at);
      differences.push(byte ^ (this.#before[at] as number));
      this.#before[at] = byte;
    }
    const first = differences.findIndex((byte) => byte !== 0);
    this.#to.plain(first < 0 ? 8 : first, 4);
    if (first < 0) return;
    const last = differences.findLastIndex((byte) => byte !== 0);
    this.#to.plain(last - first, 3);
    for (const byte of differences.slice(first, last + 1)) this.#to.plain(byte, 8);
  }
}

export class XorSource {
  readonly #from: RangeSource;
  readonly #before = new Uint8Array(8);

  constructor(from: RangeSource) {
    this.#from = from;
  }

  read(): number {
    const first = this.#from.plain(4);
    if (first < 8) {
      const last = Math.min(7, first + this.#from.plain(3));
      for (let at = first; at <= last; at += 1) {
        this.#before[at] = (this.#before[at] as number) ^ this.#from.plain(8);
      }
    }
    this.#before.forEach((byte, at) => {
      SCRATCH.setUint8(at, byte);
    });
    return SCRATCH.getFloat64(0);
  }
}
