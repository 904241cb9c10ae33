/**
 * Topics by their names, for those that come by no wire or by an alias: readings, bridges, Wills.
 *
 * Two halves: a name found in the older moves to the younger; when the younger is full, the older is dropped whole.
 * So whatever is used stays, and a client that invents topics costs a bounded amount.
 */
import { TOPICS_MAX } from '../mqtt/topic-table.js';
import type { Topic } from './topic.js';

/** A Topic Name may have 65,535 bytes. */
const CHARACTERS_MAX = 2 * 1024 * 1024;

export class MatchCache {
  #young = new Map<string, Topic>();
  #old = new Map<string, Topic>();
  #characters = 0;

  get(name: string): Topic | undefined {
    const topic = this.#young.get(name);
    if (topic !== undefined) return topic;
    const older = this.#old.get(name);
    if (older !== undefined) this.add(older);
    return older;
  }

  add(topic: Topic): void {
    if (this.#young.size >= TOPICS_MAX || this.#characters + topic.name.length > CHARACTERS_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#characters = 0;
    }
    this.#young.set(topic.name, topic);
    this.#characters += topic.name.length;
  }
}
