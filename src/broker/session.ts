/**
 * Session State: what outlives a connection [MQTT5-4.1.0-1]. Subscriptions, what is in flight each way, what waits, the Will.
 *
 *   deliver ─▶ (window and link free) ─▶ link.publish
 *           └▶ queue ─pump─▶ link.publish          link: the connection of the moment, undefined while away
 *
 * Kept in memory for now. What must be saved once sessions are durable changes in one of these places: `subscriptions`
 * (by Exchange.subscribe and unsubscribe alone), `#take` (sent), `puback`, `pubrec` and `pubcomp` (whose Steps say what
 * to save before what), `#enqueue` and `pump` (waits), `will` and `expiryIntervalSeconds` (by Connection and Sessions),
 * and, for what comes in, the Receiver that Connection drives between a commit and its PUBREC.
 */
import { BoundedQueue } from '../core/bounded-queue.js';
import type { Message, QoS } from '../core/message.js';
import type { ReasonCode } from '../mqtt/reason-code.js';
import { Receiver } from '../mqtt/receiver.js';
import { Sender, type SenderStep } from '../mqtt/sender.js';
import type { Identity } from './authorizer.js';
import { DeliveryQueue, type QueueBudget } from './delivery-queue.js';
import type { Delivery } from './publication.js';
import type { Subscription } from './subscription.js';

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
}

export interface SessionLimits {
  readonly queued: number;
  readonly queuedBytes: number;
  /** Retained copies that may wait for one new subscriber. */
  readonly retained: number;
  readonly budget: QueueBudget;
}

/** A Will that has not been published or discarded. */
export interface PendingWill {
  readonly message: Message;
  readonly delaySeconds: number;
}

/** Why a copy was not delivered and will not be. */
export type Dropped = 'queue full' | 'slow consumer' | 'too large' | 'expired' | 'away' | 'not allowed';

export class Session {
  readonly clientId: string;
  readonly subscriptions = new Map<string, Subscription>();
  link: Link | undefined;
  will: PendingWill | undefined;
  /** Of its last connection: who it is that its subscriptions and its Will are judged by. */
  identity: Identity | undefined;
  /** Seconds; Infinity: never ends; 0: ends with its connection. */
  expiryIntervalSeconds = 0;
  /** Whether the last refusal to queue was already told: one line in the log per span. */
  overflowing = false;
  readonly #limits: SessionLimits;
  readonly #dropped: (session: Session, why: Dropped) => void;
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
    return this.#queue?.size ?? 0;
  }

  get inFlight(): number {
    return this.#sender?.inFlightCount ?? 0;
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
    return this.#sender?.resume(sendMaximum) ?? [];
  }

  /** Whether a shared subscription may choose it without making the message wait. */
  ready(qos: QoS): boolean {
    const { link } = this;
    if (link?.writable !== true) return false;
    return qos === 0 || (this.queued === 0 && this.#window > 0);
  }

  /** Takes one copy; false: it could not, and was counted. */
  deliver(delivery: Delivery, nowMs: number): boolean {
    const { link } = this;
    if (link === undefined) {
      // The standard leaves QoS 0 for the absent to the server [MQTT5-4.5.0-1]; here it does not wait.
      if (delivery.qos === 0) return this.#drop('away');
      return this.#enqueue(delivery);
    }
    if (delivery.qos === 0) return link.publish(delivery, 0, false) || this.#drop('slow consumer');
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
    if (
      link?.writable === true &&
      !waits &&
      (delivery.qos === 0 || (this.queued === 0 && this.#window > 0))
    ) {
      this.deliver(delivery, nowMs);
      return;
    }
    this.#retained ??= new BoundedQueue(this.#limits.retained);
    if (!this.#retained.push(delivery)) this.#drop('queue full');
  }

  /** Sends what waits, as far as the window and the socket allow. */
  pump(nowMs: number): void {
    const { link } = this;
    if (link === undefined) return;
    const queue = this.#queue;
    if (queue !== undefined && queue.size > 0) {
      while (link.writable && this.#window > 0) {
        const delivery = queue.peek(nowMs);
        if (delivery === undefined) break;
        queue.shift();
        // Since it was queued the ACL may have changed, or another user may have come with this Client Identifier.
        if (link.mayReceive?.(delivery.publication.topic) === false) this.#drop('not allowed');
        else this.#take(delivery, link);
      }
      if (queue.size > 0) return;
      this.overflowing = false;
    }
    if (this.#retained !== undefined) this.#pumpRetained(this.#retained, link, nowMs);
  }

  puback(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Delivery>[] {
    return this.#sender?.puback(packetIdentifier, reasonCode) ?? [];
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Delivery>[] {
    // An identifier that nobody knows still gets its answer: the Sender has it.
    return this.#openSender().pubrec(packetIdentifier, reasonCode);
  }

  pubcomp(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Delivery>[] {
    return this.#sender?.pubcomp(packetIdentifier, reasonCode) ?? [];
  }

  /**
   * The session has ended. What a shared subscription gave it and what another member may still have comes back: what
   * waited, and QoS 1 in flight. A begun QoS 2 delivery goes to nobody else [MQTT5-4.8.2-5].
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
      if (next.qos > 0 && this.#window === 0) return;
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
      this.#drop('too large');
      return;
    }
    const packetIdentifier = this.#openSender().publish(delivery, delivery.qos as 1 | 2);
    link.publish(delivery, packetIdentifier, false);
  }

  #enqueue(delivery: Delivery): boolean {
    this.#queue ??= new DeliveryQueue(this.#limits.queued, this.#limits.queuedBytes, this.#limits.budget);
    if (this.link === undefined) delivery.publication.own();
    else delivery.publication.ownForNow();
    return this.#queue.push(delivery) || this.#drop('queue full');
  }

  #drop(why: Dropped): false {
    this.#dropped(this, why);
    return false;
  }
}
