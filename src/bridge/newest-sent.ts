/**
 * Up to where each topic is known upstream, while there is history to be sent after it: a message that comes after
 * a newer one of its topic goes with RETAIN 0, lest it overwrite what is newer.
 *
 * Durable, since a restart forgets what was sent; a topic is written when it is first sent behind the last gap, not
 * with each message. Nothing is kept while there are no gaps.
 */
import type { KeyValueDoor } from '../core/key-value.js';

/** As many as a broker keeps retained; of the topics beyond, history goes with RETAIN 0. */
const TOPICS_MAX = 100_000;

export class NewestSent {
  readonly #door: KeyValueDoor | undefined;
  readonly #offsets = new Map<string, number>();
  #overflowed = false;

  constructor(door?: KeyValueDoor) {
    this.#door = door;
    for (const [topic, value] of door?.entries() ?? []) {
      this.#offsets.set(topic, Number(Buffer.from(value).toString()));
    }
    this.#overflowed = this.#offsets.size >= TOPICS_MAX;
  }

  /** A retained message was sent. @param gapsEnd where the newest of the gaps ends */
  sent(topic: string, offset: number, gapsEnd: number): void {
    const before = this.#offsets.get(topic);
    if (before !== undefined && (before >= offset || before >= gapsEnd)) return;
    if (before === undefined && this.#offsets.size >= TOPICS_MAX) {
      this.#overflowed = true;
      return;
    }
    this.#offsets.set(topic, offset);
    this.#door?.put(topic, Buffer.from(String(offset)));
  }

  isNewerThan(topic: string, offset: number): boolean {
    const newest = this.#offsets.get(topic);
    return newest === undefined ? this.#overflowed : newest > offset;
  }

  clear(): void {
    if (this.#offsets.size === 0) return;
    for (const topic of this.#offsets.keys()) this.#door?.remove(topic);
    this.#offsets.clear();
    this.#overflowed = false;
  }
}
