/**
 * What the broker knows of a Topic Name: that it is valid, and who receives it. Sensors publish on the same topics
 * for ever, so the tree is asked once per topic and change, not per message.
 *
 * Two halves: a name found in the older moves to the younger; when the younger is full, the older is dropped whole.
 * So whatever is used stays, and a client that invents topics costs a bounded amount.
 */
import type { Audience } from './audience.js';
import { isSys } from './sys-topics.js';

/** Ten thousand topics in random order are an ordinary plant; they must fit into one half. */
export const TOPICS_MAX = 16_384;
/** A Topic Name may have 65,535 bytes. */
export const CHARACTERS_MAX = 2 * 1024 * 1024;

export class Topic {
  readonly name: string;
  /** The change of subscriptions up to which `audience` is true; -1: never resolved. */
  generation = -1;
  audience: Audience = NOBODY;
  /** The broker's own: clients read it and do not write it. */
  readonly isSys: boolean;

  constructor(name: string) {
    this.name = name;
    this.isSys = isSys(name);
  }
}

const NOBODY: Audience = { targets: [], groups: [], locals: [] };

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
