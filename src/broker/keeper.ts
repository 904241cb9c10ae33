/**
 * Sessions and the disk: makes kept ones of those that outlive their connection, has their rows written, stores what
 * is for them, and has them all back at start.
 *
 *   Exchange ──keep──▶ spool: once for all recipients ──▶ KeptDeliveries of each
 *   start: rows, subscriptions, then the spool's index once from end to end ──▶ Sessions
 */
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Recipient, SavedExpiry, SavedSession, SessionStore } from '../storage/session-store.js';
import type { Exchange } from './exchange.js';
import { Kept, KeptDeliveries } from './kept-deliveries.js';
import type { Delivery, Publication } from './publication.js';
import type { Keeping, Session, SessionLimits } from './session.js';
import { decodeSessionState, type SessionState } from './session-state.js';
import type { Sessions } from './sessions.js';
import { savedSubscription } from './subscription.js';
import type { WallTime } from './wall-time.js';

/** What sessions that are away, or slow, leave of `max_sessions_bytes` to those that take what they get. */
const WAITING_SHARE = 7 / 8;
/** Read in one go for handing on. */
const SLICE_BYTES = 64 * 1024;

export interface KeepRecipient {
  readonly session: Session;
  readonly delivery: Delivery;
}

export interface KeeperOptions {
  readonly store: SessionStore;
  readonly limits: SessionLimits;
  readonly wallTime: WallTime;
  readonly log: Log;
  /** A message that was kept for a session cannot be read any more. */
  readonly damaged: () => void;
}

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #store: SessionStore;
  readonly #exchange: () => Exchange;
  #watched = new Set<KeptDeliveries>();
  #stopListening: (() => void) | undefined;

  constructor(options: KeeperOptions, exchange: () => Exchange) {
    this.#options = options;
    this.#store = options.store;
    this.#exchange = exchange;
  }

  get bytes(): number {
    return this.#store.bytes;
  }

  /** False: so much waits for the disk that nothing is kept at present. */
  get accepting(): boolean {
    return this.#store.accepting;
  }

  /** Whether another session, or another subscription of one, is within what may be kept. */
  get hasRoom(): boolean {
    return this.#store.bytes < this.#store.bytesMax;
  }

  /** All sessions that were kept, as they were left. */
  start(sessions: Sessions): void {
    const exchange = this.#exchange();
    exchange.beginTurn();
    this.#stopListening = this.#store.onCommitted(() => this.#committed());
    const saved = this.#store.load();
    const byNumber = new Map<number, Loading>();
    for (const row of saved.sessions) {
      const loading = this.#load(row, sessions);
      if (loading !== undefined) byNumber.set(row.number, loading);
    }
    saved.spool((entry, recipient, expiry) => {
      const loading = byNumber.get(recipient.number);
      if (loading === undefined) return false;
      entry.expiresAtMs = this.#expiresAtMs(expiry);
      const isOpen = loading.open.has(entry.offset);
      if (!isOpen && entry.offset < loading.state.next) return false;
      const group = recipient.sharedFilter === undefined ? undefined : exchange.group(recipient.sharedFilter);
      const { retain, subscriptionIdentifiers, qos } = recipient;
      const kept = new Kept(entry, { retain, subscriptionIdentifiers, group }, qos);
      kept.sent = isOpen;
      if (isOpen) loading.found.set(entry.offset, kept);
      else loading.waiting.push(kept);
      return true;
    });
    for (const loading of byNumber.values()) this.#restore(loading, sessions);
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  /** A connection has the session now; one that is to outlive it is kept from here on. */
  connected(session: Session): void {
    if (session.kept === undefined) {
      if (session.expiryIntervalSeconds === 0) return;
      session.keep(this.#keeping(session, this.#store.newNumber()));
    }
    session.leftAt = undefined;
    session.changed();
  }

  /** Stores a message for sessions that are kept, and gives it to them. True: it must be committed before it is acknowledged. */
  keep(publication: Publication, recipients: readonly KeepRecipient[]): boolean {
    const { bytes } = publication;
    const takers = recipients.filter(({ session }) => {
      if (session.kept?.hasRoom(bytes) === true) return true;
      session.drop('queue full');
      return false;
    });
    if (takers.length === 0) return false;
    const entry = this.#store.append(
      publication.message,
      this.#expiryOf(publication),
      takers.map(recipientOf),
    );
    if (entry === undefined) {
      for (const { session, delivery } of takers) session.kept?.deliverUnkept(delivery);
      return false;
    }
    entry.expiresAtMs = publication.expiresAtMs;
    publication.ownForNow();
    for (const { session, delivery } of takers) {
      session.kept?.enqueue(new Kept(entry, delivery, delivery.qos as 1 | 2), delivery);
    }
    return true;
  }

  /** The session is over. Its row goes when nothing of it is left to be handed on. */
  ended(session: Session): void {
    const { kept } = session;
    if (kept !== undefined) this.#handOn(session, kept, kept.end());
  }

  #handOn(session: Session, deliveries: KeptDeliveries, left: Kept[]): void {
    const exchange = this.#exchange();
    for (let first = left[0]; first?.delivery !== undefined; first = left[0]) {
      left.shift();
      exchange.handOn([first.delivery]);
      deliveries.settle(first);
    }
    if (left.length === 0) {
      session.forget();
      return;
    }
    // Those that must be read first: until then the row says which are left.
    session.ending = left;
    session.changed();
    const entries = left.flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
    void this.#store.read(entries, SLICE_BYTES).then((messages) => {
      exchange.beginTurn();
      for (const message of messages) {
        const kept = left.shift()!;
        if (message === null) this.#options.damaged();
        else exchange.handOn([kept.deliveryOf(message)]);
        deliveries.settle(kept);
      }
      this.#handOn(session, deliveries, left);
    });
  }

  #load(row: SavedSession, sessions: Sessions): Loading | undefined {
    const { number, clientId } = row;
    let state: SessionState;
    try {
      state = decodeSessionState(row.state);
    } catch (fault) {
      this.#options.log.error(
        { client: clientId, reason: reasonOf(fault) },
        'A session that was kept cannot be read and has ended',
      );
      this.#store.remove(number);
      return undefined;
    }
    const session = sessions.make(clientId);
    const keeping = this.#keeping(session, number);
    session.restore(keeping, state, row.will);
    if (!state.ending) {
      for (const [topicFilter, saved] of row.subscriptions) {
        const subscription = savedSubscription(session, topicFilter, saved);
        if (subscription !== undefined) this.#exchange().subscribe(subscription);
      }
    }
    const open = new Set(state.open.map(({ offset }) => offset));
    return { session, kept: keeping.deliveries, state, open, found: new Map(), waiting: [] };
  }

  #restore({ session, kept, state, found, waiting }: Loading, sessions: Sessions): void {
    const exchange = this.#exchange();
    if (state.ending) {
      kept.restore({ ...state, open: [] }, new Map(), []);
      const left = state.open.flatMap(({ offset }) => found.get(offset) ?? []);
      this.#handOn(session, kept, left);
      return;
    }
    kept.restore(state, found, waiting);
    // Whoever was connected has lost its connection with the process.
    const { leftAt } = state;
    if (leftAt === undefined) session.changed();
    session.leftAt = leftAt ?? this.#options.wallTime.instant();
    const ageMs = leftAt === undefined ? 0 : this.#options.wallTime.ageMs(leftAt);
    sessions.restore(session, exchange.nowMs - ageMs);
  }

  #keeping(session: Session, number: number): Keeping {
    const { limits, damaged, wallTime } = this.#options;
    const store = this.#store;
    const exchange = this.#exchange();
    const deliveries: KeptDeliveries = new KeptDeliveries({
      get link() {
        return session.link;
      },
      get nowMs() {
        return exchange.nowMs;
      },
      store,
      limits,
      hasRoom: (bytes, waits) => store.bytes + bytes <= store.bytesMax * (waits ? WAITING_SHARE : 1),
      changed: () => session.changed(),
      watch: () => this.#watched.add(deliveries),
      dropped: (why) => session.drop(why),
      damaged,
      emptied: () => session.emptied(),
    });
    const keep = (delivery: Delivery): void => {
      this.keep(delivery.publication, [{ session, delivery }]);
    };
    return { number, deliveries, store, wallTime, keep };
  }

  #committed(): void {
    if (this.#watched.size === 0) return;
    this.#exchange().beginTurn();
    const watched = this.#watched;
    this.#watched = new Set();
    for (const deliveries of watched) deliveries.committed();
  }

  #expiryOf({ expiresAtMs }: Publication): SavedExpiry | undefined {
    if (expiresAtMs === Number.POSITIVE_INFINITY) return undefined;
    const seconds = Math.max(0, Math.ceil((expiresAtMs - this.#exchange().nowMs) / 1000));
    return { atMs: this.#options.wallTime.instant(), seconds };
  }

  #expiresAtMs(expiry: SavedExpiry | undefined): number {
    if (expiry === undefined) return Number.POSITIVE_INFINITY;
    return this.#exchange().nowMs + expiry.seconds * 1000 - this.#options.wallTime.ageMs(expiry.atMs);
  }
}

/** A session on its way back. */
interface Loading {
  readonly session: Session;
  readonly kept: KeptDeliveries;
  readonly state: SessionState;
  /** Spool offsets in flight. */
  readonly open: ReadonlySet<number>;
  readonly found: Map<number, Kept>;
  readonly waiting: Kept[];
}

function recipientOf({ session, delivery }: KeepRecipient): Recipient {
  const { qos, retain, subscriptionIdentifiers, group } = delivery;
  return {
    number: session.number,
    qos: qos as 1 | 2,
    retain,
    subscriptionIdentifiers,
    sharedFilter: group?.topicFilter,
  };
}
