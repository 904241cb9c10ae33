/**
 * Topic Aliases of one connection, one class for each direction: the two tables are independent, and both end with
 * the connection [MQTT5-3.3.2-7].
 */
import { ReasonCode } from './reason-code.js';

/** What a peer's PUBLISH means. */
export class IncomingAliases {
  readonly #maximum: number;
  /** By alias; grows only as aliases are used. */
  readonly #topics = new Map<number, string>();

  /** `maximum`: the Topic Alias Maximum that we announced. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The Topic Name meant, or the Reason Code to close with (a number). */
  resolve(topic: string, topicAlias: number | undefined): string | ReasonCode {
    if (topicAlias === undefined) return topic === '' ? ReasonCode.protocolError : topic;
    // [MQTT5-3.3.2-8] [MQTT5-3.3.2-9] [MQTT5-3.3.2-11]
    if (topicAlias === 0 || topicAlias > this.#maximum) return ReasonCode.topicAliasInvalid;
    if (topic === '') return this.#topics.get(topicAlias) ?? ReasonCode.protocolError;
    this.#topics.set(topicAlias, topic);
    return topic;
  }
}

export interface AliasUse {
  readonly topicAlias: number;
  /** The peer knows the alias: send an empty Topic Name. False: send name and alias together. */
  readonly known: boolean;
}

/** An alias costs three bytes in each PUBLISH: shorter names are cheaper as they are. */
const TOPIC_LENGTH_MIN = 4;

/**
 * Which aliases our PUBLISHes use, within the peer's maximum [MQTT5-3.1.2-26] [MQTT5-3.2.2-17]. When all are given
 * away, a hand moves over them as on a clock: an alias used since its last visit stays, one that was not is given
 * to the new name. Each new name moves it by a few places only, so a flood of names seen once cannot drive out
 * those in steady use.
 */
export class OutgoingAliases {
  readonly #maximum: number;
  readonly #byTopic = new Map<string, AliasUse>();
  /** By alias; index 0 is not used. */
  readonly #topics: string[] = [''];
  readonly #usedSince: boolean[] = [false];
  #hand = 0;

  /** `maximum`: the Topic Alias Maximum that the peer announced; 0 gives none [MQTT5-3.1.2-27] [MQTT5-3.2.2-18]. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /**
   * Undefined: send the name alone. Call it only for a PUBLISH that is certainly written next: the peer learns
   * aliases from what it reads, in order.
   */
  assign(topic: string): AliasUse | undefined {
    if (this.#maximum === 0) return undefined;
    const use = this.#byTopic.get(topic);
    if (use !== undefined) {
      this.#usedSince[use.topicAlias] = true;
      return use;
    }
    if (topic.length < TOPIC_LENGTH_MIN) return undefined;
    const topicAlias = this.#topics.length <= this.#maximum ? this.#topics.length : this.#unused();
    if (topicAlias === 0) return undefined;
    const before = this.#topics[topicAlias];
    if (before !== undefined) this.#byTopic.delete(before);
    this.#topics[topicAlias] = topic;
    this.#usedSince[topicAlias] = false;
    this.#byTopic.set(topic, { topicAlias, known: true });
    return { topicAlias, known: false };
  }

  /** An alias that was not used since the hand last came by; 0 if the next two were. */
  #unused(): number {
    for (let step = 0; step < 2; step += 1) {
      this.#hand = this.#hand >= this.#maximum ? 1 : this.#hand + 1;
      if (!this.#usedSince[this.#hand]) return this.#hand;
      this.#usedSince[this.#hand] = false;
    }
    return 0;
  }
}
