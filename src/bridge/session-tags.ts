/**
 * How the bridge finds out whether the server's session is its own: filters that nobody publishes on, subscribed in
 * our session. One that has just begun has none of them, and UNSUBACK tells the difference [MQTT5-3.11.3].
 *
 *            SUBACK grants it                 to be asked             UNSUBSCRIBE leaves only after the commit
 *   unset ──────────────────────▶ set ─────────────────────▶ asked ───────────────────────────────────────────▶ …
 *     ▲                            ▲                           │
 *     │ another session, or unsure │ SUBACK grants it anew ────┘
 *
 * Asking takes the tag away, so each is believed once: cut off before the answer, or killed, one that was asked says
 * nothing any more, and the next is asked instead. Hence `asked` must be durable before UNSUBSCRIBE leaves, and
 * `forget` must be in the transaction that makes another session ours; `set` may be late. A tag that is set from a
 * session that is gone says `not ours`, which is right.
 *
 * A CONNECT that a dead process left unanswered is not always on disk (see BridgeSession.connecting), and may have
 * begun a session: so each process subscribes all of them once, before its first Record.
 *
 * Pure; what is durable is the door's.
 */
import type { KeyValueDoor } from '../core/key-value.js';
import { ReasonCode } from '../mqtt/reason-code.js';

export type TagDoor = Pick<KeyValueDoor, 'get' | 'put' | 'remove'>;

/**
 * So many interruptions in a row leave no doubt; each is one subscription on the server. With four, a gateway that was
 * killed a thousand times over a bad link ran out of them.
 */
const TAGS = 16;
/** Some servers end the connection instead of refusing a filter in SUBACK: after so many in a row, one goes without. */
const UNANSWERED_MAX = 3;

const SET = 1;
const ASKED = 2;

export class SessionTags {
  /** None where the server is told no status. */
  readonly filters: readonly string[];
  readonly #door: TagDoor;
  /** Subscribed by this process. */
  readonly #renewed = new Set<string>();
  #unanswered = 0;

  constructor(statusTopic: string | undefined, door: TagDoor) {
    this.#door = door;
    this.filters =
      statusTopic === undefined
        ? []
        : Array.from({ length: TAGS }, (_, index) => `${statusTopic}/session/${index + 1}`);
  }

  /** The tag to ask, `asked` from now on; undefined: nobody can say whose session it is. */
  take(): string | undefined {
    const tag = this.filters.find((filter) => this.#isSet(filter));
    if (tag !== undefined) this.#door.put(tag, Uint8Array.of(ASKED));
    return tag;
  }

  /** It was taken, and its UNSUBSCRIBE has not left. */
  putBack(tag: string): void {
    this.#door.put(tag, Uint8Array.of(SET));
  }

  /** The server's session is another, or may be: no tag is in it until it is subscribed there. */
  forget(): void {
    for (const filter of this.filters) this.#door.remove(filter);
  }

  /** A connection may be used: what to subscribe before anything else is sent that the session would keep. */
  toSubscribe(): readonly string[] {
    if (this.#unanswered >= UNANSWERED_MAX) {
      this.#unanswered = 0;
      return [];
    }
    const filters = this.filters.filter((filter) => !this.#renewed.has(filter) || !this.#isSet(filter));
    if (filters.length > 0) this.#unanswered += 1;
    return filters;
  }

  /** SUBACK for some of those that `toSubscribe` gave; one that is refused stays unset. */
  granted(filters: readonly string[], reasonCodes: readonly ReasonCode[]): void {
    this.#unanswered = 0;
    for (const [index, filter] of filters.entries()) {
      this.#renewed.add(filter);
      if ((reasonCodes[index] ?? ReasonCode.unspecifiedError) >= 0x80) this.#door.remove(filter);
      else if (!this.#isSet(filter)) this.#door.put(filter, Uint8Array.of(SET));
    }
  }

  #isSet(filter: string): boolean {
    return this.#door.get(filter)?.[0] === SET;
  }
}
