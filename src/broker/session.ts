/**
 * Session State: what outlives a connection [MQTT5-4.1.0-1]. Subscriptions, what is in flight each way, what waits, the Will.
 *
 *   deliver ─▶ (window and link free) ─▶ link.publish
 *           └▶ queue ─pump─▶ link.publish          link: the connection of the moment, undefined while away
 *
 * This is the session of a client, whether it ends with its connection or not. What must outlive the process too is
 * apart: `kept` has its QoS 1 and 2 deliveries, its row is written by `changed`, and `will` saves itself. Where there is
 * no disk, and for a session that ends with its connection, everything stays here, in memory.
 */
import { BoundedQueue } from '../core/bounded-queue.js';
import type { Message, QoS } from '../core/message.js';
import type { ReasonCode } from '../mqtt/reason-code.js';
import { Receiver } from '../mqtt/receiver.js';
import { Sender, type SenderStep } from '../mqtt/sender.js';
import type { SavedWill, SessionStore } from '../storage/session-store.js';
import type { Identity } from './authorizer.js';
import { DeliveryQueue, type QueueBudget } from './delivery-queue.js';
import type { Kept, KeptDeliveries } from './kept-deliveries.js';
import type { Delivery } from './publication.js';
import { encodeSessionState, type SessionState } from './session-state.js';
import type { Subscription } from './subscription.js';
import type { WallTime } from './wall-time.js';

/** What a session needs of its connection to deliver. */
export interface Link {
  /** False while so much waits in its socket that QoS 1 and 2 had better wait in the session. */
  readonly writable: boolean;
  /** Whether its client may read the topic; absent: all of them. */
  mayReceive?(topicName: string): boolean;
  /** Whether the copy is within the client's Maximum Packet Size. */
  fits(delivery: Delivery): boolean;
  /** Puts the copy into the outbox; false: dropped, QoS 0 only. */
  publish(delivery: Delivery, packetIdentifier: number, dup: boolean): boolean;
  pubrel(packetIdentifier: number, reasonCode: ReasonCode): void;
}

export interface SessionLimits {
  readonly queued: number;
  readonly queuedBytes: number;
  /** Retained copies that may wait for one new subscriber. */
  readonly retained: number;
  readonly budget: QueueBudget;
  /** Told when a queue that was full has emptied. */
  readonly recovered?: (session: Session, overflow: Overflow) => void;
}

/** What a session has that outlives the process. */
export interface Keeping {
  /** Names it in the store. */
  readonly number: number;
  readonly deliveries: KeptDeliveries;
  readonly store: SessionStore;
  readonly wallTime: WallTime;
  /** Stores one message for this session and gives it to `deliveries`. */
  keep(delivery: Delivery): void;
}

/** A time during which messages were not queued. */
export interface Overflow {
  readonly sinceMs: number;
  count: number;
}

/** A Will that has not been published or discarded. */
export interface PendingWill {
  readonly message: Message;
  readonly delaySeconds: number;
}

/** Why a copy was not delivered and will not be. */
export type Dropped =
  | 'queue full'
  | 'slow consumer'
  | 'too large'
  | 'expired'
  | 'away'
  | 'not allowed'
  | 'disk failing';

export class Session {
  readonly clientId: string;
  readonly subscriptions = new Map<string, Subscription>();
  link: Link | undefined;
  /** Of its last connection: who it is that its subscriptions and its Will are judged by. */
  identity: Identity | undefined;
  /** Seconds; Infinity: never ends; 0: ends with its connection. */
  expiryIntervalSeconds = 0;
  /** When its connection ended, as WallTime has it; undefined: it is connected. */
  leftAt: number | undefined;
  /** Set once it is over: what a shared subscription gave it and what is still to be handed on. */
  ending: readonly Kept[] | undefined;
  /** While its queue is full: one line in the log for the span's begin, one for its end. */
  overflow: Overflow | undefined;
  readonly #limits: SessionLimits;
  readonly #dropped: (session: Session, why: Dropped) => void;
  #keeping: Keeping | undefined;
  #over = false;
  #will: PendingWill | undefined;
  // Most sessions of a gateway only publish at QoS 0 or only subscribe: what they never use is never made.
  #sender: Sender<Delivery> | undefined;
  #receiver: Receiver | undefined;
  #queue: DeliveryQueue | undefined;
  #retained: BoundedQueue<Delivery> | undefined;
  #sendMaximum = 0;

  constructor(clientId: string, limits: SessionLimits, dropped: (session: Session, why: Dropped) => void) {
    this.clientId = clientId;
    this.#limits = limits;
    this.#dropped = dropped;
  }

  get queued(): number {
    return this.kept?.queued ?? this.#queue?.size ?? 0;
  }

  get inFlight(): number {
    return this.kept?.inFlight ?? this.#sender?.inFlightCount ?? 0;
  }

  /** Its QoS 1 and 2 deliveries where they outlive the process. */
  get kept(): KeptDeliveries | undefined {
    return this.#keeping?.deliveries;
  }

  /** Its number in the store; 0: it is not there. */
  get number(): number {
    return this.#keeping?.number ?? 0;
  }

  get will(): PendingWill | undefined {
    return this.#will;
  }

  set will(will: PendingWill | undefined) {
    const before = this.#will;
    this.#will = will;
    const keeping = this.#keeping;
    if (keeping === undefined || this.#over) return;
    if (will !== undefined) keeping.store.putWill(keeping.number, will);
    else if (before !== undefined) keeping.store.removeWill(keeping.number);
  }

  /** From here on it outlives the process. */
  keep(keeping: Keeping): void {
    this.#keeping = keeping;
  }

  /** As it was kept. */
  restore(keeping: Keeping, state: SessionState, will: SavedWill | undefined): void {
    this.#keeping = keeping;
    this.expiryIntervalSeconds = state.expiryIntervalSeconds;
    this.identity = { clientId: this.clientId, username: state.username };
    this.#will = will;
    if (state.received.length > 0) this.#receiver = new Receiver(state.received);
  }

  /** Something of its row is other than what was saved. */
  changed(): void {
    const keeping = this.#keeping;
    if (keeping === undefined || this.#over) return;
    keeping.store.save(keeping.number, this.clientId, () => this.#state(keeping.deliveries));
  }

  /** Forgets it on disk. */
  forget(): void {
    if (this.#keeping === undefined || this.#over) return;
    this.#over = true;
    this.#keeping.store.remove(this.#keeping.number);
  }

  subscribed({ topicFilter, subscriptionIdentifier }: Subscription, options: number, isNew: boolean): void {
    const keeping = this.#keeping;
    keeping?.store.putSubscription(keeping.number, topicFilter, { options, subscriptionIdentifier }, isNew);
  }

  unsubscribed(topicFilter: string): void {
    const keeping = this.#keeping;
    keeping?.store.removeSubscription(keeping.number, topicFilter);
  }

  /** Its connection has ended. */
  leave(): void {
    this.link = undefined;
    const keeping = this.#keeping;
    if (keeping === undefined) return;
    this.leftAt = keeping.wallTime.instant();
    keeping.deliveries.leave();
    this.changed();
  }

  drop(why: Dropped): false {
    this.#dropped(this, why);
    return false;
  }

  /** What a Receiver remembers is session state; its window is the connection's [MQTT5-3.3.4-9]. */
  receiver(receiveMaximum: number): Receiver {
    if (this.#receiver === undefined) {
      this.#receiver = new Receiver();
      this.#receiver.resume(receiveMaximum);
    }
    return this.#receiver;
  }

  /** A connection takes the session over: returns what of the old one must be sent again [MQTT5-4.4.0-1]. */
  resume(link: Link, sendMaximum: number, receiveMaximum: number): readonly SenderStep<Delivery>[] {
    this.link = link;
    this.#sendMaximum = sendMaximum;
    this.#receiver?.resume(receiveMaximum);
    if (this.kept !== undefined) {
      this.kept.resume(sendMaximum);
      return [];
    }
    return this.#sender?.resume(sendMaximum) ?? [];
  }

  /** Whether a shared subscription may choose it without making the message wait. */
  ready(qos: QoS): boolean {
    const { link } = this;
    if (link?.writable !== true) return false;
    if (qos > 0 && this.kept !== undefined) return this.kept.open;
    return qos === 0 || (this.queued === 0 && this.#window > 0);
  }

  /** Takes one copy; false: it could not, and was counted. */
  deliver(delivery: Delivery, nowMs: number): boolean {
    const { link } = this;
    if (delivery.qos > 0 && this.#keeping !== undefined) {
      this.#keeping.keep(delivery);
      return true;
    }
    if (link === undefined) {
      // The standard leaves QoS 0 for the absent to the server [MQTT5-4.5.0-1]; here it does not wait.
      if (delivery.qos === 0) return this.drop('away');
      return this.#enqueue(delivery);
    }
    if (delivery.qos === 0) return link.publish(delivery, 0, false) || this.drop('slow consumer');
    if ((this.#queue === undefined || this.#queue.size === 0) && link.writable && this.#window > 0) {
      this.#take(delivery, link);
      return true;
    }
    if (!this.#enqueue(delivery)) return false;
    // The queue may have held nothing but expired copies.
    if (this.#queue?.size === 1) this.pump(nowMs);
    return true;
  }

  /**
   * A retained copy for a new subscription. There may be a hundred thousand, so what the link cannot take now waits
   * apart, as references to what is kept anyway, and takes no room from what the queue is for.
   */
  deliverRetained(delivery: Delivery, nowMs: number): void {
    const { link } = this;
    const waits = this.#retained !== undefined && this.#retained.size > 0;
    if (link?.writable === true && !waits && (delivery.qos === 0 || this.ready(delivery.qos))) {
      this.deliver(delivery, nowMs);
      return;
    }
    this.#retained ??= new BoundedQueue(this.#limits.retained);
    if (!this.#retained.push(delivery)) this.drop('queue full');
  }

  /** Sends what waits, as far as the window and the socket allow. */
  pump(nowMs: number): void {
    const { link } = this;
    if (link === undefined) return;
    this.kept?.pump();
    const queue = this.#queue;
    if (queue !== undefined && queue.size > 0) {
      while (link.writable && this.#window > 0) {
        const delivery = queue.peek(nowMs);
        if (delivery === undefined) break;
        queue.shift();
        // Since it was queued the ACL may have changed, or another user may have come with this Client Identifier.
        if (link.mayReceive?.(delivery.publication.topic) === false) this.drop('not allowed');
        else this.#take(delivery, link);
      }
      if (queue.size > 0) return;
      this.emptied();
    }
    if (this.#retained !== undefined) this.#pumpRetained(this.#retained, link, nowMs);
  }

  /** Nothing waits any more. */
  emptied(): void {
    const { overflow } = this;
    if (overflow === undefined) return;
    this.overflow = undefined;
    this.#limits.recovered?.(this, overflow);
  }

  /** What is kept is carried out by itself; a breach of the protocol is left to the caller. */
  puback(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Delivery>[] {
    if (this.kept !== undefined) return this.kept.puback(packetIdentifier, reasonCode);
    return this.#sender?.puback(packetIdentifier, reasonCode) ?? [];
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Delivery>[] {
    if (this.kept !== undefined) return this.kept.pubrec(packetIdentifier, reasonCode);
    // An identifier that nobody knows still gets its answer: the Sender has it.
    return this.#openSender().pubrec(packetIdentifier, reasonCode);
  }

  pubcomp(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Delivery>[] {
    if (this.kept !== undefined) return this.kept.pubcomp(packetIdentifier, reasonCode);
    return this.#sender?.pubcomp(packetIdentifier, reasonCode) ?? [];
  }

  /**
   * The session has ended. What a shared subscription gave it and what another member may still have comes back: what
   * waited, and QoS 1 in flight. A begun QoS 2 delivery goes to nobody else [MQTT5-4.8.2-5]. What is kept is the
   * Keeper's to hand on.
   */
  end(): Delivery[] {
    const left: Delivery[] = [];
    for (const { item, qos } of this.#sender?.reset() ?? []) {
      if (qos === 1 && item.group !== undefined) left.push(item);
    }
    for (let item = this.#queue?.shift(); item !== undefined; item = this.#queue?.shift()) {
      if (item.group !== undefined) left.push(item);
    }
    this.#retained = undefined;
    this.link = undefined;
    return left;
  }

  #pumpRetained(retained: BoundedQueue<Delivery>, link: Link, nowMs: number): void {
    for (let next = retained.peek(); next !== undefined && link.writable; next = retained.peek()) {
      if (next.qos > 0 && (this.kept === undefined ? this.#window === 0 : !this.kept.open)) return;
      retained.shift();
      // One that waited until a newer one of its topic went out live would turn back time.
      if (next.publication.superseded || next.expired(nowMs)) continue;
      if (link.mayReceive?.(next.publication.topic) === false) continue;
      this.deliver(next, nowMs);
    }
    if (retained.size === 0) this.#retained = undefined;
  }

  get #window(): number {
    return this.#sender === undefined ? this.#sendMaximum : this.#sender.quota;
  }

  #openSender(): Sender<Delivery> {
    if (this.#sender === undefined) {
      this.#sender = new Sender();
      this.#sender.resume(this.#sendMaximum);
    }
    return this.#sender;
  }

  #take(delivery: Delivery, link: Link): void {
    // Too large for this client: dropped as if it had been delivered [MQTT5-3.1.2-25].
    if (!link.fits(delivery)) {
      this.drop('too large');
      return;
    }
    const packetIdentifier = this.#openSender().publish(delivery, delivery.qos as 1 | 2);
    link.publish(delivery, packetIdentifier, false);
  }

  #enqueue(delivery: Delivery): boolean {
    this.#queue ??= new DeliveryQueue(this.#limits.queued, this.#limits.queuedBytes, this.#limits.budget);
    if (this.link === undefined) delivery.publication.own();
    else delivery.publication.ownForNow();
    return this.#queue.push(delivery) || this.drop('queue full');
  }

  #state(deliveries: KeptDeliveries): Uint8Array {
    const { ending } = this;
    const state = deliveries.state();
    return encodeSessionState({
      expiryIntervalSeconds: this.expiryIntervalSeconds,
      leftAt: this.leftAt,
      ending: ending !== undefined,
      username: this.identity?.username,
      ...state,
      ...(ending !== undefined && {
        open: ending.flatMap(({ entry, qos }) =>
          entry === undefined
            ? []
            : [{ offset: entry.offset, packetIdentifier: 0, qos, phase: 'published' as const }],
        ),
      }),
      received: this.#receiver?.identifiers() ?? [],
    });
  }
}
