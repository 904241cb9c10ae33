/**
 * What a kept session is to deliver: QoS 1 and 2, saved before anything is sent.
 *
 *   spool ──▶ queue ──window free: identifier──▶ outgoing ──saved, payload at hand, socket free──▶ link
 *
 * Save, then act. A PUBLISH leaves once its message is committed and, at QoS 2, its identifier with it; a PUBREL once
 * the release is. So whatever a crash leaves, the client is answered as if there had been none.
 *
 * What waits is known by its place in the spool: payloads are at hand for the next few, are read again for the others,
 * and are let go while the client is away. Coming back after a minute and after a restart is the same path.
 *
 * A disk that fails holds QoS 2 back. QoS 1 is sent all the same: should the process then die, it comes twice.
 */
import { BoundedQueue } from '../core/bounded-queue.js';
import type { Message } from '../core/message.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { type InFlight, Sender, type SenderStep } from '../mqtt/sender.js';
import type { SessionStore, SpoolEntry } from '../storage/session-store.js';
import { Delivery, Publication } from './publication.js';
import type { Dropped, Link } from './session.js';
import type { SessionState } from './session-state.js';
import type { SharedGroup } from './shared-group.js';

/** Payloads at hand for one session; beyond it, they are read from the spool when their turn comes. */
const HOT_BYTES_MAX = 64 * 1024;
/** Read in one go. */
const SLICE_BYTES = 64 * 1024;
const SLICE_ITEMS_MAX = 256;
/** What one waiting message costs beside its bytes. */
const ITEM_OVERHEAD_BYTES = 256;

/** One message for one session. */
export class Kept {
  /** Undefined: the disk took no more; it is delivered now or never. */
  readonly entry: SpoolEntry | undefined;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** Chosen by this shared subscription. */
  readonly group: SharedGroup | undefined;
  /** At hand; undefined: to be read again. */
  delivery: Delivery | undefined;
  /** It may have reached the client. */
  sent = false;
  settled = false;
  /** It cannot be read any more. */
  lost = false;

  constructor(
    entry: SpoolEntry | undefined,
    of: Pick<Delivery, 'retain' | 'subscriptionIdentifiers' | 'group'>,
    qos: 1 | 2,
  ) {
    this.entry = entry;
    this.qos = qos;
    this.retain = of.retain;
    this.subscriptionIdentifiers = of.subscriptionIdentifiers;
    this.group = of.group;
  }

  get bytes(): number {
    return this.entry?.bytes ?? 0;
  }

  deliveryOf(message: Message): Delivery {
    const publication = Publication.stored(message, this.entry?.expiresAtMs ?? Number.POSITIVE_INFINITY);
    return new Delivery(publication, this.qos, this.retain, this.subscriptionIdentifiers, this.group);
  }
}

/** What it needs of the session whose it is. */
export interface KeptHost {
  readonly link: Link | undefined;
  readonly nowMs: number;
  readonly store: SessionStore;
  readonly limits: { readonly queued: number; readonly queuedBytes: number };
  /** Within what all sessions together may keep; `waits`: it is not sent at once. */
  hasRoom(bytes: number, waits: boolean): boolean;
  /** The session's row is to be written with the present batch. */
  changed(): void;
  /** Asks for `committed` after the next commit. */
  watch(): void;
  dropped(why: Dropped): void;
  damaged(): void;
  /** Nothing waits any more. */
  emptied(): void;
}

interface Outgoing {
  /** Undefined: a PUBREL. */
  readonly kept: Kept | undefined;
  readonly packetIdentifier: number;
  readonly reasonCode: ReasonCode;
  /** The batch that must be durable before it leaves. */
  readonly needs: number;
}

export class KeptDeliveries {
  readonly #host: KeptHost;
  readonly #queue = new BoundedQueue<Kept>(Number.POSITIVE_INFINITY);
  #queueBytes = 0;
  #sender = new Sender<Kept>();
  #outgoing = new BoundedQueue<Outgoing>(Number.POSITIVE_INFINITY);
  readonly #hot = new Set<Kept>();
  #hotBytes = 0;
  /** At hand since their commit is still to come, oldest first. */
  readonly #fresh = new BoundedQueue<Kept>(Number.POSITIVE_INFINITY);
  /** The newest offset that left the queue. */
  #taken = 0;
  /** The batch with the last change of what is in flight. */
  #changedIn = 0;
  #reading = false;

  constructor(host: KeptHost) {
    this.#host = host;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get inFlight(): number {
    return this.#sender.inFlightCount;
  }

  /** Whether the next message would be sent at once. */
  get open(): boolean {
    return this.#host.link?.writable === true && this.#queue.size === 0 && this.#sender.quota > 0;
  }

  /** Whether a message of that size may be enqueued. */
  hasRoom(bytes: number): boolean {
    const { limits } = this.#host;
    if (this.open) return this.#host.hasRoom(bytes, false);
    if (!this.#mayWait(bytes, limits)) {
      this.#dropExpired();
      if (!this.#mayWait(bytes, limits)) return false;
    }
    return this.#host.hasRoom(bytes, true);
  }

  enqueue(kept: Kept, delivery: Delivery): void {
    this.#heat(kept, delivery);
    if (this.#isFresh(kept)) {
      this.#fresh.push(kept);
      this.#host.watch();
    }
    if (this.open) {
      this.#take(kept);
      this.#flush();
      return;
    }
    this.#queue.push(kept);
    this.#queueBytes += kept.bytes + ITEM_OVERHEAD_BYTES;
    if (this.#host.link !== undefined) this.pump();
  }

  /** The disk takes no more: whoever is here and has nothing waiting gets it none the less. */
  deliverUnkept(delivery: Delivery): void {
    if (!this.open) {
      this.#host.dropped('disk failing');
      return;
    }
    const kept = new Kept(undefined, delivery, delivery.qos as 1 | 2);
    this.#heat(kept, delivery);
    this.#take(kept);
    this.#flush();
  }

  /** Sends what waits, as far as window, socket and disk allow. */
  pump(): void {
    const { link } = this.#host;
    if (link === undefined) return;
    do {
      while (link.writable && this.#sender.quota > 0) {
        const kept = this.#next();
        if (kept === undefined) break;
        this.#take(kept);
      }
    } while (this.#flush());
    if (this.#queue.size === 0) this.#host.emptied();
  }

  puback(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<never>[] {
    return this.#carryOut(this.#sender.puback(packetIdentifier, reasonCode));
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<never>[] {
    return this.#carryOut(this.#sender.pubrec(packetIdentifier, reasonCode));
  }

  pubcomp(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<never>[] {
    return this.#carryOut(this.#sender.pubcomp(packetIdentifier, reasonCode));
  }

  /** A connection has begun: what the old one left is sent again once what it rests on is saved. */
  resume(sendMaximum: number): void {
    this.#outgoing = new BoundedQueue(Number.POSITIVE_INFINITY);
    this.#carryOut(this.#sender.resume(sendMaximum));
  }

  /** The connection has ended. */
  leave(): void {
    this.#outgoing = new BoundedQueue(Number.POSITIVE_INFINITY);
    for (const kept of this.#hot) this.#cool(kept);
  }

  /** A commit is done. */
  committed(): void {
    if (this.#host.link !== undefined) this.pump();
    const here = this.#host.link !== undefined;
    for (let kept = this.#fresh.peek(); kept !== undefined; kept = this.#fresh.peek()) {
      if (this.#isFresh(kept)) {
        this.#host.watch();
        break;
      }
      this.#fresh.shift();
      if (kept.settled || kept.sent || !here || this.#hotBytes > HOT_BYTES_MAX) this.#cool(kept);
    }
  }

  /** The session is over. What others of a shared subscription may still have comes back, unsettled, oldest first. */
  end(): Kept[] {
    const left: Kept[] = [];
    for (const { item, qos } of this.#sender.reset()) {
      // A begun QoS 2 delivery goes to nobody else [MQTT5-4.8.2-5].
      if (qos === 1 && item.group !== undefined && item.entry !== undefined) left.push(item);
      else this.settle(item);
    }
    for (let kept = this.#queue.shift(); kept !== undefined; kept = this.#queue.shift()) {
      this.#leftQueue(kept);
      if (kept.group !== undefined && !kept.lost) left.push(kept);
      else this.settle(kept);
    }
    this.#outgoing = new BoundedQueue(Number.POSITIVE_INFINITY);
    return left;
  }

  settle(kept: Kept): void {
    if (kept.settled) return;
    kept.settled = true;
    if (kept.entry !== undefined) this.#host.store.settle(kept.entry);
    this.#forget(kept);
  }

  // What is saved, and loaded.

  state(): Pick<SessionState, 'next' | 'lastPacketIdentifier' | 'open'> {
    const { lastPacketIdentifier, inFlight } = this.#sender.state();
    return {
      next: this.#queue.peek()?.entry?.offset ?? this.#taken + 1,
      lastPacketIdentifier,
      open: inFlight.flatMap(({ item, packetIdentifier, qos, phase }) =>
        item.entry === undefined ? [] : [{ offset: item.entry.offset, packetIdentifier, qos, phase }],
      ),
    };
  }

  /** As it was saved. `found`: what of the open ones is in the spool; `waiting`: what else, in its order. */
  restore(
    saved: Pick<SessionState, 'next' | 'lastPacketIdentifier' | 'open'>,
    found: ReadonlyMap<number, Kept>,
    waiting: readonly Kept[],
  ): void {
    this.#taken = saved.next - 1;
    const inFlight: InFlight<Kept>[] = [];
    for (const { offset, packetIdentifier, qos, phase } of saved.open) {
      const item = found.get(offset);
      if (item !== undefined) inFlight.push({ packetIdentifier, qos, phase, item });
      else this.#host.damaged();
    }
    this.#sender = new Sender({ lastPacketIdentifier: saved.lastPacketIdentifier, inFlight });
    for (const kept of waiting) {
      this.#queue.push(kept);
      this.#queueBytes += kept.bytes + ITEM_OVERHEAD_BYTES;
    }
  }

  #mayWait(bytes: number, limits: KeptHost['limits']): boolean {
    if (this.#queue.size >= limits.queued) return false;
    // One message larger than the whole limit still fits into an empty queue, else it could never be delivered.
    return this.#queue.size === 0 || this.#queueBytes + bytes <= limits.queuedBytes;
  }

  /** The oldest that waits and is still worth sending. */
  #next(): Kept | undefined {
    this.#dropExpired();
    const kept = this.#queue.shift();
    if (kept !== undefined) this.#leftQueue(kept);
    return kept;
  }

  #dropExpired(): void {
    const { nowMs } = this.#host;
    for (let kept = this.#queue.peek(); kept !== undefined; kept = this.#queue.peek()) {
      if (!kept.lost && (kept.entry === undefined || nowMs < kept.entry.expiresAtMs)) return;
      this.#queue.shift();
      this.#leftQueue(kept);
      this.settle(kept);
      this.#changed();
    }
  }

  #leftQueue(kept: Kept): void {
    if (kept.entry !== undefined) this.#taken = kept.entry.offset;
    this.#queueBytes -= kept.bytes + ITEM_OVERHEAD_BYTES;
  }

  #take(kept: Kept): void {
    const { store } = this.#host;
    const packetIdentifier = this.#sender.publish(kept, kept.qos);
    const { entry } = kept;
    let needs = 0;
    if (entry !== undefined) {
      this.#taken = entry.offset;
      this.#changed();
      if (kept.qos === 1) {
        needs = entry.batch;
      } else {
        needs = this.#changedIn;
        // A message that is new has somebody who waits for its commit, or may wait itself.
        if (!this.#isFresh(kept)) store.hasten();
      }
    }
    this.#outgoing.push({ kept, packetIdentifier, reasonCode: ReasonCode.success, needs });
  }

  #carryOut(steps: readonly SenderStep<Kept>[]): readonly SenderStep<never>[] {
    let close: SenderStep<never>[] | undefined;
    for (const step of steps) {
      switch (step.do) {
        case 'save':
          this.#changed();
          this.#host.store.hasten();
          break;
        case 'send': {
          const { packetIdentifier, reasonCode } = step.packet;
          // Its release is part of the last change: once that is saved, no crash makes the PUBLISH be sent again.
          this.#outgoing.push({ kept: undefined, packetIdentifier, reasonCode, needs: this.#changedIn });
          break;
        }
        case 'resend':
          this.#outgoing.push({
            kept: step.item,
            packetIdentifier: step.packetIdentifier,
            reasonCode: ReasonCode.success,
            // CONNACK itself waits for all that was given before it.
            needs: 0,
          });
          break;
        case 'settle':
          this.settle(step.item);
          this.#changed();
          break;
        case 'close':
          close = [step];
      }
    }
    this.#flush();
    return close ?? [];
  }

  /** Hands over what may leave, in order. True: the window has opened, since something could not be sent at all. */
  #flush(): boolean {
    const { link, store } = this.#host;
    let gaveUp = false;
    for (let next = this.#outgoing.peek(); next !== undefined; next = this.#outgoing.peek()) {
      if (link === undefined || !link.writable) break;
      if (next.needs > store.committed) {
        this.#host.watch();
        if (store.failing) this.#sendWhatNeedsNoDisk(link);
        break;
      }
      const { kept } = next;
      if (kept === undefined) {
        this.#outgoing.shift();
        link.pubrel(next.packetIdentifier, next.reasonCode);
      } else if (kept.settled) {
        this.#outgoing.shift();
      } else if (kept.lost) {
        this.#outgoing.shift();
        this.#giveUp(next.packetIdentifier, kept);
        gaveUp = true;
      } else if (kept.delivery === undefined) {
        this.#read();
        break;
      } else {
        this.#outgoing.shift();
        if (!this.#send(link, next.packetIdentifier, kept, kept.delivery)) gaveUp = true;
      }
    }
    return gaveUp;
  }

  /** False: this client cannot have it, so that it counts as delivered [MQTT5-3.1.2-25]. */
  #send(link: Link, packetIdentifier: number, kept: Kept, delivery: Delivery): boolean {
    const allowed = link.mayReceive?.(delivery.publication.topic) !== false;
    if (!allowed || !link.fits(delivery)) {
      this.#host.dropped(allowed ? 'too large' : 'not allowed');
      this.#giveUp(packetIdentifier, kept);
      return false;
    }
    link.publish(delivery, packetIdentifier, kept.sent);
    kept.sent = true;
    this.#cool(kept);
    return true;
  }

  #giveUp(packetIdentifier: number, kept: Kept): void {
    this.#carryOut(
      kept.qos === 1
        ? this.#sender.puback(packetIdentifier, ReasonCode.success)
        : this.#sender.pubrec(packetIdentifier, ReasonCode.packetTooLarge),
    );
  }

  #sendWhatNeedsNoDisk(link: Link): void {
    const { store } = this.#host;
    const waiting = this.#outgoing;
    this.#outgoing = new BoundedQueue(Number.POSITIVE_INFINITY);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { kept, packetIdentifier, needs } = next;
      const may =
        kept !== undefined && (kept.qos === 1 || kept.entry === undefined || needs <= store.committed);
      if (may && kept.delivery !== undefined && !kept.settled && link.writable) {
        this.#send(link, packetIdentifier, kept, kept.delivery);
      } else {
        this.#outgoing.push(next);
      }
    }
  }

  /** Reads the payloads of the next ones; one read at a time. */
  #read(): void {
    if (this.#reading) return;
    const wanted: Kept[] = [];
    let bytes = 0;
    const want = (kept: Kept | undefined): void => {
      if (kept?.entry === undefined || kept.delivery !== undefined || kept.settled || kept.lost) return;
      wanted.push(kept);
      bytes += kept.bytes;
    };
    const enough = (): boolean => bytes >= SLICE_BYTES || wanted.length >= SLICE_ITEMS_MAX;
    for (let at = 0; at < this.#outgoing.size && !enough(); at += 1) want(this.#outgoing.at(at)?.kept);
    // What comes next is read in the same go.
    for (let at = 0; at < this.#queue.size && !enough(); at += 1) want(this.#queue.at(at));
    const entries = wanted.flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
    this.#reading = true;
    void this.#host.store.read(entries, SLICE_BYTES).then((messages) => this.#wasRead(wanted, messages));
  }

  #wasRead(wanted: readonly Kept[], messages: readonly (Message | null)[]): void {
    this.#reading = false;
    const { link } = this.#host;
    for (const [at, message] of messages.entries()) {
      const kept = wanted[at]!;
      if (kept.settled || kept.delivery !== undefined) continue;
      if (message === null) {
        kept.lost = true;
        this.#host.damaged();
      } else if (link !== undefined) {
        this.#heat(kept, kept.deliveryOf(message));
      }
    }
    this.pump();
  }

  #changed(): void {
    this.#changedIn = this.#host.store.forming;
    this.#host.changed();
  }

  #isFresh({ entry }: Kept): boolean {
    return entry !== undefined && entry.batch > this.#host.store.committed;
  }

  #heat(kept: Kept, delivery: Delivery): void {
    kept.delivery = delivery;
    this.#hot.add(kept);
    this.#hotBytes += kept.bytes;
  }

  /** Lets the payload go if it can be read again. */
  #cool(kept: Kept): void {
    if (kept.settled || (kept.entry !== undefined && !this.#isFresh(kept))) this.#forget(kept);
  }

  #forget(kept: Kept): void {
    kept.delivery = undefined;
    if (this.#hot.delete(kept)) this.#hotBytes -= kept.bytes;
  }
}
