/**
 * Strings by their bytes: the same bytes give the same string, checked and decoded once. Devices repeat themselves, so
 * nearly every PUBLISH finds its Topic Name here.
 *
 * A table of fixed size, two slots to a hash: a flood of distinct strings evicts, never grows. The key bytes
 * lie in one slab, so a look-up touches no objects but the string it returns.
 */

/** Longer strings are decoded each time. */
const KEY_BYTES_MAX = 96;

export class StringCache {
  readonly #decode: (bytes: Buffer, start: number, end: number) => string;
  readonly #setMask: number;
  readonly #keys: Uint8Array;
  readonly #lengths: Uint8Array;
  readonly #strings: string[];
  #victim = 0;

  /** `sets` is a power of two. `decode` may throw; then nothing is kept. */
  constructor(sets: number, decode: (bytes: Buffer, start: number, end: number) => string) {
    this.#decode = decode;
    this.#setMask = sets - 1;
    this.#keys = new Uint8Array(sets * 2 * KEY_BYTES_MAX);
    this.#lengths = new Uint8Array(sets * 2);
    this.#strings = new Array<string>(sets * 2).fill('');
  }

  get(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > KEY_BYTES_MAX || length === 0) return this.#decode(bytes, start, end);
    let hash = length;
    for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    const first = ((hash ^ (hash >>> 15)) & this.#setMask) * 2;
    if (this.#holds(first, bytes, start, length)) return this.#strings[first]!;
    if (this.#holds(first + 1, bytes, start, length)) return this.#strings[first + 1]!;
    const text = this.#decode(bytes, start, end);
    this.#victim ^= 1;
    const slot = this.#lengths[first] === 0 ? first : first + this.#victim;
    const key = slot * KEY_BYTES_MAX;
    for (let at = 0; at < length; at += 1) this.#keys[key + at] = bytes[start + at]!;
    this.#lengths[slot] = length;
    this.#strings[slot] = text;
    return text;
  }

  #holds(slot: number, bytes: Buffer, start: number, length: number): boolean {
    if (this.#lengths[slot] !== length) return false;
    const keys = this.#keys;
    const key = slot * KEY_BYTES_MAX;
    for (let at = 0; at < length; at += 1) {
      if (keys[key + at] !== bytes[start + at]) return false;
    }
    return true;
  }
}
