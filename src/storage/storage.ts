/**
 * The one door to the disk. Operations are given in order and are made true in order, many to a transaction:
 *
 *   append / put / remove / saveBridge ──▶ batch ──▶ worker thread: one transaction, fsync ──▶ `then`
 *
 * All that is given within one synchronous turn lands in the same transaction. `afterCommit` runs its
 * callback once everything given before it is as safe as `journal.durability` promises: PUBACK, PUBREC, cursor
 * moves and deliveries to kept sessions wait for it. If the disk fails, nothing is called back and nothing is
 * forgotten: the batch is tried again until it succeeds, and once its limit is reached `append` says false.
 */

import type { KeyValueDoor } from '../core/key-value.js';
import type { Part } from '../core/part.js';
import type { Content, Record } from '../core/record.js';
import type { Lane, Route } from '../core/route.js';
import type { JournalSnapshot } from '../core/snapshot.js';
import type { HistoryRange, HistorySlice } from './history.js';
import type { Span } from './lane-floor.js';
import type { SessionStore } from './session-store.js';

/** Records of a lane that are not done with. */
export interface LaneNeeds {
  /** All from here on. */
  readonly offset: number;
  /** Before it: under way, not acknowledged yet. */
  readonly held: readonly number[];
  /** Before it: left behind for later, ascending. */
  readonly waiting: readonly Span[];
}

export interface Storage extends Part {
  /** Eight characters made with each new database: with gateway id and offset it names a message for ever. */
  readonly journalId: string;

  /** The number of a route, the same for an equal Route for as long as the database lives. */
  routeId(route: Route): number;
  /** The Route behind a number, undefined if the database never knew it. */
  route(routeId: number): Route | undefined;

  /**
   * Adds a Record to the journal. `urgent` false lets it wait up to `max_commit_delay` for company.
   * False: the journal is full (`drop-newest`) or cannot be written and its buffer is full; nothing was
   * taken, the caller must refuse the message, or count the reading as lost by `lose`.
   */
  append(content: Content, routes: readonly number[], acceptedAtMs: number, urgent: boolean): boolean;

  /** Runs `then` after the commit of all that was given before, with the newest durable offset; hastens that commit. */
  afterCommit(then: (head: number) => void): void;

  /** The newest durable offset; 0 for an empty journal. */
  readonly head: number;
  /** Calls `listener` after every commit that brought Records. Returns the way to stop it. */
  onCommitted(listener: (head: number) => void): () => void;

  /**
   * Records of one bridge's lane with offsets from `from` on, oldest first, about `bytesMax` bytes of them;
   * `next` is where the following read starts. Empty with `next` = head + 1: nothing more waits.
   */
  read(bridge: string, lane: Lane, from: number, bytesMax: number): Promise<RecordSlice>;

  /** Records of a span of time, of whomever they are, oldest first; `next` is where the following read starts. */
  history(range: HistoryRange, from: number, bytesMax: number): Promise<HistorySlice>;

  /** The durable state of a bridge's session as it last gave it to `saveBridge`; undefined for a new one. */
  bridge(name: string): BridgeState | undefined;
  /**
   * Replaces the bridge's state, and moves the ledger by what was delivered or given up since the last call:
   * both in the transaction in which the state becomes durable.
   */
  saveBridge(
    name: string,
    state: Uint8Array,
    moved: { readonly delivered: number; readonly lost: number },
  ): void;
  /** Produced, delivered and lost of one bridge. */
  ledger(bridge: string): Ledger;
  /** Counts messages or readings that were accepted by nobody or are given up, with the reason. */
  lose(loss: Loss): void;
  /** Spans that nobody has been told of yet, oldest first; not all of them where there are many. */
  untoldLosses(): readonly UntoldLoss[];
  /**
   * These spans were told, in the transaction of whatever tells them that is given in the same turn. A span that
   * has grown meanwhile ends at what was told, and the rest begins a new one: nothing is told twice or never.
   */
  lossesTold(told: readonly UntoldLoss[]): void;
  /**
   * What a lane still needs. The others may go when the journal trims. Needed Records that must go nevertheless are
   * counted as lost here, so a bridge that completes out of order names its open ones, or they count twice; those
   * that it has read stay until it says that they are done with, or that it is `idle`: not connected, and sending
   * nothing that it has not read again.
   */
  keepFrom(
    bridge: string,
    lane: Lane,
    needs: Partial<LaneNeeds> & Pick<LaneNeeds, 'offset'>,
    idle?: boolean,
  ): void;

  /**
   * Retained messages by topic, as the database had them when `start()` resolved. They are handed over once: who
   * asks keeps them, and they are not held in memory a second time.
   */
  retained(): Iterable<RetainedMessage>;
  /** Sets the retained message of a topic; an empty payload removes it [MQTT5-3.3.1-6]. */
  putRetained(message: (Content & { readonly kind: 'message' })['message'], storedAtMs: number): void;

  /** What MQTT sessions keep. */
  readonly sessions: SessionStore;

  /** A durable key-value table: part, key → value. Small: all of a part's pairs are loaded at start. */
  keyValue(part: string): KeyValueDoor;

  snapshot(): JournalSnapshot;
}

export type RetainedMessage = Content & { readonly kind: 'message' } & {
  /** As `putRetained` was told; its Message Expiry counts from there. */
  readonly storedAtMs: number;
};

export interface RecordSlice {
  readonly records: readonly Record[];
  readonly next: number;
}

export interface BridgeState {
  readonly bytes: Uint8Array;
}

/** produced = delivered + in flight + waiting + lost; the last two but one are the bridge's to tell. */
export interface Ledger {
  readonly produced: number;
  readonly delivered: number;
  readonly lost: number;
}

export interface Loss {
  readonly lost: number;
  readonly reason: 'evicted' | 'thinned' | 'full' | 'expired' | 'refused' | 'damaged';
  /** null where no bridge would have carried it. */
  readonly bridge: string | null;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  readonly topics: readonly string[];
}

/** A span of losses as the database has it now. */
export interface UntoldLoss extends Loss {
  readonly id: number;
}

/** All that was ever lost for one reason, of one bridge. */
export interface LostTotal {
  readonly reason: Loss['reason'];
  readonly bridge: string | null;
  readonly lost: number;
}
