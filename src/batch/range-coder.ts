/**
 * A binary arithmetic coder, that of LZMA: what is likely costs less than a bit. A Chance learns from each bit that is
 * coded with it how likely 0 is; both sides learn the same.
 *
 *   chance   p of 4096 at first 2048; after a bit: p += (4096 - p) / rate for 0, p -= p / rate for 1, rounded down,
 *            where rate is 2 at first and one more each time, up to 24
 *   coding   bound = floor(range / 4096) × p; 0: range = bound; 1: low += bound, range -= bound. While range < 2^24:
 *            the highest byte of low leaves, with its carry, and both are times 256
 *   end      the last bytes of low; zeros at the end are not written, and read as if they were there
 */
import { damaged } from './batch.js';

const ONE = 4096;
const RATE_FIRST = 2;
const RATE_LAST = 24;
const RANGE_LEAST = 0x100_0000;
const WORD = 0x1_0000_0000;
/** What a decoder looks ahead; more beyond the end is no batch. */
const AHEAD_MAX = 8;

/** Many Chances, by number. */
export class Chances {
  readonly zero: Uint16Array;
  readonly rate: Uint8Array;

  constructor(count: number) {
    this.zero = new Uint16Array(count).fill(ONE / 2);
    this.rate = new Uint8Array(count).fill(RATE_FIRST);
  }

  learn(index: number, bit: number): void {
    const zero = this.zero[index] as number;
    const rate = this.rate[index] as number;
    // Never certain: 31 of 4096 is left to what is not expected.
    const moved = bit === 0 ? zero + (((ONE - zero) / rate) | 0) : zero - ((zero / rate) | 0);
    this.zero[index] = moved < 31 ? 31 : Math.min(moved, ONE - 31);
    if (rate < RATE_LAST) this.rate[index] = rate + 1;
  }
}

export class RangeSink {
  #bytes = new Uint8Array(1024);
  #length = 0;
  #low = 0;
  #range = WORD - 1;
  #cache = 0;
  /** Bytes held back for a carry; the first is always 0 and not written. */
  #held = 0;

  bit(chances: Chances, index: number, bit: number): void {
    const bound = Math.floor(this.#range / ONE) * (chances.zero[index] as number);
    if (bit === 0) this.#range = bound;
    else {
      this.#low += bound;
      this.#range -= bound;
    }
    chances.learn(index, bit);
    while (this.#range < RANGE_LEAST) this.#shift();
  }

  /** Bits of which each value is as likely, the highest first. @param count 53 at most */
  plain(value: number, count: number): void {
    for (let left = count - 1; left >= 0; left -= 1) {
      this.#range = Math.floor(this.#range / 2);
      if (Math.floor(value / 2 ** left) % 2 === 1) this.#low += this.#range;
      while (this.#range < RANGE_LEAST) this.#shift();
    }
  }

  finish(): Uint8Array {
    for (let left = 5; left > 0; left -= 1) this.#shift();
    let end = this.#length;
    while (end > 0 && this.#bytes[end - 1] === 0) end -= 1;
    return this.#bytes.subarray(0, end);
  }

  #shift(): void {
    if (this.#low < 0xff00_0000 || this.#low >= WORD) {
      const carry = this.#low >= WORD ? 1 : 0;
      if (this.#held > 0) {
        this.#put(this.#cache + carry);
        for (; this.#held > 1; this.#held -= 1) this.#put(0xff + carry);
        this.#held = 0;
      }
      this.#cache = Math.floor(this.#low / RANGE_LEAST) & 0xff;
    }
    this.#held += 1;
    this.#low = (this.#low % RANGE_LEAST) * 256;
    this.#range *= 256;
  }

  #put(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}

export class RangeSource {
  readonly #bytes: Uint8Array;
  #at = 0;
  #range = WORD - 1;
  #code = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let left = 4; left > 0; left -= 1) this.#code = this.#code * 256 + this.#next();
  }

  bit(chances: Chances, index: number): number {
    const bound = Math.floor(this.#range / ONE) * (chances.zero[index] as number);
    let bit = 0;
    if (this.#code < bound) this.#range = bound;
    else {
      bit = 1;
      this.#code -= bound;
      this.#range -= bound;
    }
    chances.learn(index, bit);
    while (this.#range < RANGE_LEAST) this.#shift();
    return bit;
  }

  plain(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left -= 1) {
      this.#range = Math.floor(this.#range / 2);
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = value * 2 + bit;
      while (this.#range < RANGE_LEAST) this.#shift();
    }
    return value;
  }

  #shift(): void {
    this.#code = this.#code * 256 + this.#next();
    this.#range *= 256;
  }

  #next(): number {
    const byte = this.#bytes[this.#at];
    this.#at += 1;
    if (byte !== undefined) return byte;
    if (this.#at > this.#bytes.length + AHEAD_MAX) throw damaged('it ends too early');
    return 0;
  }
}
