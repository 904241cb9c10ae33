/**
 * The Records of the four Streams that read a lane, offered to the session in the order in which they may overtake each other: high, normal,
 * live, history. A lane that no rule leads to any more is read to its end once; only the others grow.
 */
import type { Storage } from '../storage/storage.js';
import type { BridgeSession } from './bridge-session.js';
import { Feed } from './feed.js';
import { HISTORY, LANE_OF, LANE_STREAMS, LIVE, NORMAL, type StreamId } from './stream.js';

/** So far behind, what is new no longer comes at once: the rest becomes history. */
const BEHIND_MAX = 10_000;

export interface FeedsOptions {
  readonly storage: Storage;
  readonly bridge: string;
  readonly session: BridgeSession;
  /** Streams that a rule of today leads to, `normal` aside. */
  readonly uses: ReadonlySet<StreamId>;
  readonly arrived: () => void;
  readonly failed: (fault: unknown) => void;
}

export class Feeds {
  readonly #options: FeedsOptions;
  readonly #feeds: readonly Feed[];
  #running = false;

  constructor(options: FeedsOptions) {
    const { arrived, bridge, failed, storage } = options;
    this.#options = options;
    this.#feeds = LANE_STREAMS.map(
      (id) => new Feed(storage, bridge, LANE_OF[id] ?? 'normal', arrived, failed),
    );
  }

  /** The session may send again: all that is open is read once more, and what follows it. */
  start(): void {
    const { session, storage } = this.#options;
    this.#running = true;
    if (this.#grows(LIVE)) session.skip(storage.head);
    for (const id of LANE_STREAMS) this.#start(id);
  }

  stop(): void {
    this.#running = false;
    for (const feed of this.#feeds) feed.stop();
  }

  /** After a commit that brought Records. */
  grown(head: number): void {
    if (!this.#running) return;
    if (this.#grows(LIVE) && this.#options.session.skip(head, BEHIND_MAX)) this.#start(LIVE);
    for (const id of LANE_STREAMS) if (this.#grows(id)) this.#feeds[id]?.grown();
  }

  /** Hands Records to the session until it is full. Returns whether it took any. */
  offer(): boolean {
    let taken = false;
    for (const id of LANE_STREAMS) taken = this.#offer(id) || taken;
    return taken;
  }

  #offer(id: StreamId): boolean {
    const { session } = this.#options;
    const feed = this.#feeds[id] as Feed;
    if (id === HISTORY && this.#running && session.openGap()) this.#start(id);
    let taken = false;
    for (;;) {
      const item = feed.peek();
      const offset = item === undefined ? feed.passed() : item.record.offset;
      if (offset === undefined) return taken;
      if (offset >= session.untilOf(id)) {
        session.passed(offset, id);
        feed.stop();
        return taken;
      }
      if (item === undefined) {
        session.passed(offset, id);
        continue;
      }
      const jump = session.jumpOf(id, offset);
      if (jump !== undefined) {
        feed.start(jump);
        return taken;
      }
      if (session.offer(item.record, item.route, id) === 'full') return taken;
      feed.shift();
      taken = true;
    }
  }

  #start(id: StreamId): void {
    const start = this.#options.session.startOf(id);
    if (start < this.#options.session.untilOf(id)) this.#feeds[id]?.start(start);
  }

  #grows(id: StreamId): boolean {
    return id === NORMAL || this.#options.uses.has(id);
  }
}
