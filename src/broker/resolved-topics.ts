/**
 * The topics whose receivers are remembered, so that they can be forgotten: an audience that nobody publishes to any more
 * would hold on to sessions that have ended, and many topics times many subscribers would be more than memory has.
 *
 *   resolved ─▶ noted, with what it holds ──too many, too much, or many sessions ended──▶ all forgotten
 *
 * What is forgotten is resolved anew with the next message.
 */
import { NOBODY, type Topic } from './topic.js';

/** Receivers over all topics, eight bytes each: ten thousand topics that go to four hundred sessions. */
const ENTRIES_MAX = 4_000_000;
/** Twice what the tables of topics remember by default. */
const TOPICS_MIN = 32_768;
/** So many sessions may end before what they leave in audiences is looked after; or as many as there are. */
const ENDED_MIN = 1000;

export class ResolvedTopics {
  #topics: Topic[] = [];
  #topicsMax = TOPICS_MIN;
  #entries = 0;
  #ended = 0;

  /** As the tables of topics do: who has many subscriptions has many topics. */
  reserve(topics: number): void {
    this.#topicsMax = Math.max(this.#topicsMax, topics * 2);
  }

  /** The topic was resolved, perhaps again. */
  note(topic: Topic): void {
    const { targets, groups, locals } = topic.audience;
    const held = (topic.only === undefined ? 0 : 1) + targets.length + groups.length + locals.length;
    if (topic.held === 0) {
      if (held === 0) return;
      this.#topics.push(topic);
    }
    this.#entries += held - topic.held;
    // One that nobody receives any more stays in the list until the next sweep.
    topic.held = Math.max(1, held);
    if (held === 0) this.#entries += 1;
    if (this.#entries > ENTRIES_MAX || this.#topics.length > this.#topicsMax) this.#forget(topic);
  }

  sessionEnded(sessionsLeft: number): void {
    this.#ended += 1;
    if (this.#ended > Math.max(ENDED_MIN, sessionsLeft)) this.#forget(undefined);
  }

  /** All but the one that a message is on its way to. */
  #forget(spared: Topic | undefined): void {
    const forgotten = this.#topics;
    this.#topics = [];
    this.#entries = 0;
    this.#ended = 0;
    for (const topic of forgotten) {
      const { held } = topic;
      topic.held = 0;
      if (topic === spared) {
        topic.held = held;
        this.#topics.push(topic);
        this.#entries = held;
        continue;
      }
      topic.generation = -1;
      topic.only = undefined;
      topic.audience = NOBODY;
    }
  }
}
