/**
 * What the bridge says on its own behalf, beside the Records: its subscriptions, the gateway's status, and the tags by
 * which it knows its session again (session-tags.ts). Their identifiers come from the same set, so each
 * acknowledgement is asked for here first.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { Log } from '../core/log.js';
import type { QoS } from '../core/message.js';
import type { Packet, SubackPacket, UnsubackPacket } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { matches } from '../mqtt/topic.js';
import { reasonName } from './fault.js';
import type { OwnStatus } from './own-status.js';
import { SessionTags } from './session-tags.js';

/** Tags in one SUBSCRIBE: some clouds take no more filters than this in it. */
const SUBSCRIBE_TAGS = 8;

export interface ReceiveRule {
  readonly topicFilter: string;
  readonly qos: QoS;
}

export interface ControlDoors {
  readonly takeIdentifier: () => number;
  readonly freeIdentifier: (packetIdentifier: number) => void;
  readonly send: (packet: Packet) => void;
  /** Filters that the server's session may have, tags too: it keeps those of rules that are gone. */
  readonly filters: KeyValueDoor;
  /** `then` runs once all that was put into `filters` so far is durable. */
  readonly afterCommit: (then: () => void) => void;
  /** One more or less PUBLISH is under way: it counts against the server's Receive Maximum. */
  readonly underWay: (more: 1 | -1) => void;
  /** Whether the server's Receive Maximum leaves room for one. */
  readonly hasRoom: () => boolean;
  readonly wake: () => void;
}

export interface ControlLimits {
  readonly isV5: boolean;
  readonly maximumQoS: QoS;
  readonly retainAvailable: boolean;
}

export class Control {
  readonly #bridge: string;
  readonly #rules: readonly ReceiveRule[];
  readonly #status: OwnStatus;
  readonly #doors: ControlDoors;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Identifiers in use here, with the filter of a SUBSCRIBE or what waits for a PUBACK. */
  readonly #open = new Map<
    number,
    {
      readonly topicFilter?: string;
      readonly tags?: readonly string[];
      readonly done?: () => void;
      readonly told?: (ours: boolean | 'unsure') => void;
    }
  >();
  readonly #tags: SessionTags;
  /** A tag that waits for the commit before it is asked. */
  #toAsk: { readonly tag: string } | undefined;
  #limits: ControlLimits | undefined;
  /** The status, where it waits for room; a newer one takes its place. */
  #toPublish: { readonly payload: Uint8Array; readonly done: (() => void) | undefined } | undefined;
  #refused: readonly string[] = [];
  #assertion: Timer | undefined;

  constructor(
    bridge: string,
    rules: readonly ReceiveRule[],
    status: OwnStatus,
    doors: ControlDoors,
    clock: Clock,
    log: Log,
  ) {
    this.#bridge = bridge;
    this.#rules = rules;
    this.#status = status;
    this.#doors = doors;
    this.#tags = new SessionTags(status.topic, doors.filters);
    this.#clock = clock;
    this.#log = log;
  }

  /** Filters that the server would not subscribe. */
  get refused(): readonly string[] {
    return this.#refused;
  }

  /** Whether a receive rule asked for this topic. */
  wants(topic: string): boolean {
    return this.#rules.some((rule) => matches(rule.topicFilter, topic));
  }

  /** `online` first: the retained message that the subscription brings is then already our own. */
  connected(limits: ControlLimits, sessionPresent: boolean): void {
    this.#limits = limits;
    if (!sessionPresent)
      for (const [filter] of [...this.#doors.filters.entries()]) this.#doors.filters.remove(filter);
    this.#refused = [];
    if (this.#status.topic !== undefined) this.#publish(this.#status.online(this.#clock.monotonicMs()));
    for (const { topicFilter, qos } of this.#rules) this.#subscribe(topicFilter, qos, 1);
    const { topic } = this.#status;
    if (topic !== undefined && !this.wants(topic)) this.#subscribe(topic, 1, 0);
    if (limits.isV5) this.#subscribeTags();
    this.#unsubscribe();
  }

  /** The session in use is not, or not for sure, the one that was known: in the turn in which that is saved. */
  sessionChanged(): void {
    this.#tags.forget();
  }

  /**
   * Whether the server's session is the one that we know, where a CONNECT before was never answered: 5.0 only. It
   * takes a tag, which `connected` puts back. `asked` is called when the question leaves, once the disk knows of it.
   */
  askSession(asked: () => void, told: (ours: boolean | 'unsure') => void): void {
    const tag = this.#tags.take();
    if (tag === undefined) {
      told('unsure');
      return;
    }
    const waiting = { tag };
    this.#toAsk = waiting;
    this.#doors.afterCommit(() => {
      // The connection may be gone meanwhile, and another may have asked.
      if (this.#toAsk !== waiting) return;
      this.#toAsk = undefined;
      const packetIdentifier = this.#doors.takeIdentifier();
      if (packetIdentifier === 0) {
        told('unsure');
        return;
      }
      this.#open.set(packetIdentifier, { told });
      this.#doors.send({ type: 'unsubscribe', packetIdentifier, topicFilters: [tag] });
      asked();
      this.#doors.wake();
    });
  }

  unsuback(packet: UnsubackPacket): void {
    const { told, topicFilter } = this.#open.get(packet.packetIdentifier) ?? {};
    if (topicFilter !== undefined) {
      this.#free(packet.packetIdentifier);
      this.#doors.filters.remove(topicFilter);
    }
    if (told === undefined) return;
    this.#free(packet.packetIdentifier);
    const reasonCode = packet.reasonCodes[0];
    if (reasonCode === ReasonCode.success) told(true);
    else told(reasonCode === ReasonCode.noSubscriptionExisted ? false : 'unsure');
  }

  disconnected(): void {
    this.#limits = undefined;
    const unsaid = this.#toPublish?.done;
    this.#toPublish = undefined;
    unsaid?.();
    if (this.#toAsk !== undefined) this.#tags.putBack(this.#toAsk.tag);
    this.#toAsk = undefined;
    this.#assertion?.cancel();
    this.#assertion = undefined;
    for (const [packetIdentifier, { done }] of this.#open) {
      this.#doors.freeIdentifier(packetIdentifier);
      done?.();
    }
    this.#open.clear();
  }

  /**
   * Says `offline`; resolves with its PUBACK, the end of the connection, or after `limitMs`. False: the server did not
   * take it, and only the Will can say it now.
   */
  async shutdown(limitMs: number): Promise<boolean> {
    if (this.#limits === undefined || this.#status.topic === undefined) return true;
    this.#assertion?.cancel();
    this.#assertion = undefined;
    const told = await new Promise<boolean>((resolve) => {
      const timer = this.#clock.at(this.#clock.monotonicMs() + limitMs, () => resolve(false));
      this.#publish(this.#status.shutdown(), () => {
        timer.cancel();
        resolve(true);
      });
      this.#doors.wake();
    });
    this.#limits = undefined;
    this.#toPublish = undefined;
    return told;
  }

  /** Before Records are sent: what waits for room goes first. */
  turn(): void {
    const next = this.#toPublish;
    if (next === undefined || !this.#doors.hasRoom()) return;
    this.#toPublish = undefined;
    this.#publishNow(next.payload, next.done);
  }

  /** A message came; one on our status topic that does not say `online` is a late Will. */
  seen(topic: string, payload: Uint8Array): void {
    if (topic !== this.#status.topic || this.#limits === undefined) return;
    const atMs = this.#status.seen(payload, this.#clock.monotonicMs());
    if (atMs === undefined) return;
    this.#assertion = this.#clock.at(atMs, () => {
      this.#assertion = undefined;
      this.#publish(this.#status.online(this.#clock.monotonicMs()));
      this.#doors.wake();
    });
  }

  puback(packetIdentifier: number): void {
    const waiting = this.#open.get(packetIdentifier);
    if (waiting === undefined) return;
    this.#doors.underWay(-1);
    this.#free(packetIdentifier);
    waiting.done?.();
  }

  suback(packet: SubackPacket): void {
    const { tags, topicFilter } = this.#open.get(packet.packetIdentifier) ?? {};
    if (tags !== undefined) {
      this.#free(packet.packetIdentifier);
      // Refused ones are nobody's loss but ours, and no reason to call an operator.
      this.#tags.granted(tags, packet.reasonCodes);
    }
    if (topicFilter === undefined) return;
    this.#free(packet.packetIdentifier);
    const reasonCode = packet.reasonCodes[0] ?? 0;
    if (reasonCode < 0x80) return;
    this.#refused = [...this.#refused, topicFilter];
    this.#log.warn(
      { bridge: this.#bridge, topicFilter, reason: reasonName(reasonCode) },
      'Server refused a subscription',
    );
  }

  /** What rules had asked for that are gone from the configuration. */
  #unsubscribe(): void {
    const tags = this.#limits?.isV5 === true ? this.#tags.filters : [];
    const wanted = new Set([...this.#rules.map((rule) => rule.topicFilter), ...tags]);
    for (const [topicFilter] of [...this.#doors.filters.entries()]) {
      if (wanted.has(topicFilter) || topicFilter === this.#status.topic) continue;
      const packetIdentifier = this.#doors.takeIdentifier();
      if (packetIdentifier === 0) return;
      this.#open.set(packetIdentifier, { topicFilter });
      this.#doors.send({ type: 'unsubscribe', packetIdentifier, topicFilters: [topicFilter] });
    }
  }

  #subscribeTags(): void {
    const all = this.#tags.toSubscribe();
    for (let from = 0; from < all.length; from += SUBSCRIBE_TAGS) {
      const tags = all.slice(from, from + SUBSCRIBE_TAGS);
      const packetIdentifier = this.#doors.takeIdentifier();
      if (packetIdentifier === 0) return;
      this.#open.set(packetIdentifier, { tags });
      const subscriptions = tags.map(
        (topicFilter) =>
          ({ topicFilter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 2 }) as const,
      );
      this.#doors.send({ type: 'subscribe', packetIdentifier, subscriptions });
    }
  }

  #subscribe(topicFilter: string, qos: QoS, retainHandling: 0 | 1): void {
    const packetIdentifier = this.#doors.takeIdentifier();
    const isV5 = this.#limits?.isV5 === true;
    if (packetIdentifier === 0) return;
    this.#open.set(packetIdentifier, { topicFilter });
    if (this.#doors.filters.get(topicFilter) === undefined)
      this.#doors.filters.put(topicFilter, new Uint8Array(1));
    this.#doors.send({
      type: 'subscribe',
      packetIdentifier,
      subscriptions: [
        {
          topicFilter,
          qos,
          // Our late Will comes from our own client identifier: No Local would hide it.
          noLocal: false,
          retainAsPublished: isV5,
          retainHandling: isV5 ? retainHandling : 0,
        },
      ],
    });
  }

  #publish(payload: Uint8Array, done?: () => void): void {
    this.#toPublish = { payload, done };
    this.turn();
  }

  #publishNow(payload: Uint8Array, done: (() => void) | undefined): void {
    const limits = this.#limits;
    const { topic } = this.#status;
    if (limits === undefined || topic === undefined) return;
    const packetIdentifier = limits.maximumQoS === 0 ? 0 : this.#doors.takeIdentifier();
    if (packetIdentifier !== 0) {
      this.#doors.underWay(1);
      this.#open.set(packetIdentifier, done === undefined ? {} : { done });
    }
    this.#doors.send({
      type: 'publish',
      topic,
      payload,
      qos: packetIdentifier === 0 ? 0 : 1,
      retain: limits.retainAvailable,
      dup: false,
      ...(packetIdentifier !== 0 && { packetIdentifier }),
    });
    if (packetIdentifier === 0) done?.();
  }

  #free(packetIdentifier: number): void {
    this.#open.delete(packetIdentifier);
    this.#doors.freeIdentifier(packetIdentifier);
  }
}
