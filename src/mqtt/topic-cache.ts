/**
 * Topic Names by their bytes: the same bytes give the same checked string, without decoding them again. Devices repeat
 * themselves, so nearly every PUBLISH finds its name here.
 *
 * One table for the whole process, of fixed size, a set of two slots per hash: a flood of distinct names evicts,
 * never grows. The key bytes lie in one slab, so a look-up touches no objects but the string it returns.
 */
import { decodeString, protocolError } from './wire.js';

/** 2 × 8,192 names: room for 10,000 topics in random order. The slab is 1.5 MiB, of which unused pages cost nothing. */
const SETS = 8192;
/** Longer names are decoded each time. */
const KEY_BYTES_MAX = 96;

const PLUS = 0x2b;
const HASH = 0x23;

export class TopicCache {
  readonly #keys = new Uint8Array(SETS * 2 * KEY_BYTES_MAX);
  readonly #lengths = new Uint8Array(SETS * 2);
  readonly #names: (string | undefined)[] = new Array(SETS * 2).fill(undefined);

  /** A valid Topic Name of at least one byte; throws a WireFault for any other. */
  topicName(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > KEY_BYTES_MAX) return decodeTopicName(bytes, start, end);
    let hash = length;
    for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    const slot = ((hash ^ (hash >>> 15)) & (SETS - 1)) * 2;
    if (this.#holds(slot, bytes, start, length)) return this.#names[slot]!;
    if (this.#holds(slot + 1, bytes, start, length)) return this.#names[slot + 1]!;
    const name = decodeTopicName(bytes, start, end);
    // The newest comes first; what was first becomes second, what was second goes.
    this.#keys.copyWithin((slot + 1) * KEY_BYTES_MAX, slot * KEY_BYTES_MAX, (slot + 1) * KEY_BYTES_MAX);
    this.#lengths[slot + 1] = this.#lengths[slot]!;
    this.#names[slot + 1] = this.#names[slot];
    for (let at = 0; at < length; at += 1) this.#keys[slot * KEY_BYTES_MAX + at] = bytes[start + at]!;
    this.#lengths[slot] = length;
    this.#names[slot] = name;
    return name;
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

function decodeTopicName(bytes: Buffer, start: number, end: number): string {
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at]!;
    // [MQTT311-3.3.2-2] [MQTT5-3.3.2-2]
    if (octet === PLUS || octet === HASH) throw protocolError('Topic Name contains a wildcard');
  }
  return decodeString(bytes, start, end, 'Topic Name');
}
