/**
 * What is known of a Topic Name, found by the bytes in which it came. Devices repeat themselves: nearly every PUBLISH
 * finds its entry here, and neither its name nor anything kept by its name has to be made or looked at.
 *
 *   index   hash │ length │ place of the bytes │ number of the entry      one cache line for each look-up
 *   bytes   the names one behind the other
 *
 * Two halves: a name found in the older moves to the younger; when the younger is full, the older is dropped whole. So
 * whatever is used stays, and a client that invents topics costs a bounded amount. Both grow as they fill.
 */

/** Ten thousand topics in random order are an ordinary plant; they must fit into one half. */
export const TOPICS_MAX = 16_384;
/** Entries cost some 200 bytes each, twice: past this many subscriptions the rarely used ones are made anew. */
const TOPICS_RESERVED_MAX = 131_072;
/** Longer names are made anew each time. */
const NAME_BYTES_MAX = 512;
/** On the average; a half with longer names holds fewer. */
const NAME_BYTES_MEAN = 128;
/** Names made to collide must not make every look-up long: beyond so many steps a name is not kept. */
const STEPS_MAX = 32;

const SLOTS_MIN = 1024;
const BYTES_MIN = 16 * 1024;

export class TopicTable<Entry> {
  readonly #make: (bytes: Buffer, start: number, end: number) => Entry;
  #topicsMax: number;
  #young = new Half<Entry>();
  #old = new Half<Entry>();

  /** `make` may throw; then nothing is kept. */
  constructor(make: (bytes: Buffer, start: number, end: number) => Entry, topicsMax = TOPICS_MAX) {
    this.#make = make;
    this.#topicsMax = topicsMax;
  }

  /** Room for so many in one half, if that is more than there is: who serves many topics repeats as many. */
  reserve(topics: number): void {
    this.#topicsMax = Math.max(this.#topicsMax, Math.min(topics, TOPICS_RESERVED_MAX));
  }

  get(bytes: Buffer, start: number, end: number): Entry {
    const length = end - start;
    if (length === 0 || length > NAME_BYTES_MAX) return this.#make(bytes, start, end);
    const hash = hashOf(bytes, start, end);
    const known = this.#young.find(bytes, start, length, hash);
    if (known !== undefined) return known;
    const entry = this.#old.find(bytes, start, length, hash) ?? this.#make(bytes, start, end);
    const young = this.#young;
    if (young.count >= this.#topicsMax || young.used + length > this.#topicsMax * NAME_BYTES_MEAN) {
      this.#old = young;
      this.#young = new Half();
    }
    this.#young.add(bytes, start, length, hash, entry);
    return entry;
  }
}

class Half<Entry> {
  count = 0;
  used = 0;
  #slotMask = SLOTS_MIN - 1;
  #index = new Int32Array(SLOTS_MIN * 4);
  #bytes = new Uint8Array(BYTES_MIN);
  readonly #entries: Entry[] = [];

  find(bytes: Uint8Array, start: number, length: number, hash: number): Entry | undefined {
    const index = this.#index;
    const mask = this.#slotMask;
    let slot = hash & mask;
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const at = slot * 4;
      const kept = index[at + 1]!;
      if (kept === 0) return undefined;
      if (kept === length && index[at] === hash && this.#holds(index[at + 2]!, bytes, start, length)) {
        return this.#entries[index[at + 3]!];
      }
      slot = (slot + 1) & mask;
    }
    return undefined;
  }

  /** Of a name that is not in it. */
  add(bytes: Uint8Array, start: number, length: number, hash: number, entry: Entry): void {
    if (this.count * 2 > this.#slotMask) this.#spread();
    const at = freeSlot(this.#index, this.#slotMask, hash);
    if (at === -1) return;
    if (this.used + length > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    for (let octet = 0; octet < length; octet += 1) this.#bytes[this.used + octet] = bytes[start + octet]!;
    write(this.#index, at, hash, length, this.used, this.#entries.length);
    this.#entries.push(entry);
    this.used += length;
    this.count += 1;
  }

  #holds(place: number, bytes: Uint8Array, start: number, length: number): boolean {
    const kept = this.#bytes;
    for (let octet = 0; octet < length; octet += 1) {
      if (kept[place + octet] !== bytes[start + octet]) return false;
    }
    return true;
  }

  #spread(): void {
    const before = this.#index;
    const slots = (this.#slotMask + 1) * 2;
    this.#slotMask = slots - 1;
    this.#index = new Int32Array(slots * 4);
    for (let from = 0; from < before.length; from += 4) {
      const hash = before[from]!;
      const length = before[from + 1]!;
      if (length === 0) continue;
      const at = freeSlot(this.#index, this.#slotMask, hash);
      if (at !== -1) write(this.#index, at, hash, length, before[from + 2]!, before[from + 3]!);
    }
  }
}

/** -1: too many are in the way. */
function freeSlot(index: Int32Array, mask: number, hash: number): number {
  let slot = hash & mask;
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if (index[slot * 4 + 1] === 0) return slot * 4;
    slot = (slot + 1) & mask;
  }
  return -1;
}

function write(
  index: Int32Array,
  at: number,
  hash: number,
  length: number,
  place: number,
  entry: number,
): void {
  index[at] = hash;
  index[at + 1] = length;
  index[at + 2] = place;
  index[at + 3] = entry;
}

/** MurmurHash3, four bytes at a time: names differ in few characters, often the last. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    const mixed = Math.imul(word, 0xcc9e2d51);
    hash ^= Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (; at < end; at += 1) rest = (rest << 8) | bytes[at]!;
  const mixed = Math.imul(rest, 0xcc9e2d51);
  hash ^= Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
