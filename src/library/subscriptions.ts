/**
 * What a Client subscribes to: it outlives connections. Each SUBSCRIBE and UNSUBSCRIBE is told how it ended; those that a
 * lost connection left without an answer are sent again over the next one.
 */
import { GodwitError } from '../core/error.js';
import type { Message, QoS } from '../core/message.js';
import type { Packet, ProtocolVersion, SubackPacket, UnsubackPacket } from '../mqtt/packet.js';
import { ReasonCode, reasonName } from '../mqtt/reason-code.js';
import { matches, parseSharedFilter, validTopicFilter } from '../mqtt/topic.js';
import type { OnMessage, SubscribeOptions } from './client-options.js';

export interface ControlWire {
  /** From the identifiers that PUBLISH uses too; 0: none is free. */
  takeIdentifier(): number;
  freeIdentifier(packetIdentifier: number): void;
  send(packet: Packet): void;
}

interface Waiter {
  readonly resolve: (qos: QoS) => void;
  readonly reject: (fault: GodwitError) => void;
}

interface Entry {
  readonly topicFilter: string;
  /** What it matches: without `$share/{name}/`. */
  readonly matched: string;
  options: SubscribeOptions;
  deliver: OnMessage;
  /** Undefined: granted, and unchanged since. */
  waiters: Waiter[] | undefined;
}

interface Leaving {
  readonly topicFilter: string;
  readonly waiters: Waiter[];
}

export class Subscriptions {
  readonly #version: ProtocolVersion;
  readonly #entries = new Map<string, Entry>();
  readonly #leaving = new Map<string, Leaving>();
  /** By Packet Identifier, on this connection. */
  readonly #asked = new Map<number, Entry | Leaving>();
  #wire: ControlWire | undefined;

  constructor(version: ProtocolVersion) {
    this.#version = version;
  }

  /** Resolves with the QoS granted. The same filter again replaces options and callback. */
  subscribe(topicFilter: string, options: SubscribeOptions, deliver: OnMessage): Promise<QoS> {
    if (!validTopicFilter(topicFilter, this.#version)) {
      const why = `'${topicFilter}' is not a topic filter`;
      return Promise.reject(new GodwitError('TOPIC_FILTER_INVALID', why, { topicFilter }));
    }
    const shared = this.#version === 5 ? parseSharedFilter(topicFilter) : undefined;
    const entry: Entry = this.#entries.get(topicFilter) ?? {
      topicFilter,
      matched: shared?.topicFilter ?? topicFilter,
      options,
      deliver,
      waiters: undefined,
    };
    entry.options = options;
    entry.deliver = deliver;
    this.#entries.set(topicFilter, entry);
    return new Promise((resolve, reject) => {
      entry.waiters = [...(entry.waiters ?? []), { resolve, reject }];
      this.#ask(entry);
    });
  }

  /** Resolves when the server has forgotten it; the callback is not called from now on. */
  async unsubscribe(topicFilter: string): Promise<void> {
    const entry = this.#entries.get(topicFilter);
    if (entry === undefined) return;
    this.#entries.delete(topicFilter);
    for (const { reject } of entry.waiters ?? []) {
      reject(new GodwitError('UNSUBSCRIBED', `'${topicFilter}' was unsubscribed meanwhile`, { topicFilter }));
    }
    await new Promise<QoS>((resolve, reject) => {
      const leaving = this.#leaving.get(topicFilter) ?? { topicFilter, waiters: [] };
      leaving.waiters.push({ resolve, reject });
      this.#leaving.set(topicFilter, leaving);
      this.#ask(leaving);
    });
  }

  connected(wire: ControlWire, sessionPresent: boolean): void {
    this.#wire = wire;
    this.#asked.clear();
    for (const leaving of [...this.#leaving.values()]) {
      if (sessionPresent) this.#ask(leaving);
      else this.#left(leaving);
    }
    for (const entry of this.#entries.values()) {
      if (!sessionPresent || entry.waiters !== undefined) this.#ask(entry);
    }
  }

  disconnected(): void {
    this.#wire = undefined;
  }

  end(fault: GodwitError): void {
    this.#wire = undefined;
    for (const { waiters } of [...this.#entries.values(), ...this.#leaving.values()]) {
      for (const { reject } of waiters ?? []) reject(fault);
    }
    this.#entries.clear();
    this.#leaving.clear();
    this.#asked.clear();
  }

  suback({ packetIdentifier, reasonCodes }: SubackPacket): void {
    const entry = this.#answered(packetIdentifier);
    if (entry === undefined || !('deliver' in entry)) return;
    const { waiters } = entry;
    // Asked again meanwhile, with other options: that answer counts.
    if ([...this.#asked.values()].includes(entry)) return;
    entry.waiters = undefined;
    const reasonCode = reasonCodes[0] ?? ReasonCode.unspecifiedError;
    if (reasonCode === 0 || reasonCode === 1 || reasonCode === 2) {
      for (const { resolve } of waiters ?? []) resolve(reasonCode);
      return;
    }
    const { topicFilter } = entry;
    if (this.#entries.get(topicFilter) === entry) this.#entries.delete(topicFilter);
    const why = `'${topicFilter}': the server refused the subscription, ${reasonName(reasonCode)}`;
    for (const { reject } of waiters ?? []) {
      reject(new GodwitError('SUBSCRIBE_REFUSED', why, { topicFilter, reasonCode }));
    }
  }

  unsuback({ packetIdentifier }: UnsubackPacket): void {
    const leaving = this.#answered(packetIdentifier);
    if (leaving !== undefined && !('deliver' in leaving)) this.#left(leaving);
  }

  /** All callbacks that the message is for. */
  deliver(message: Message): readonly (void | Promise<void>)[] {
    const { topic } = message;
    const found = [...this.#entries.values()].filter(({ matched }) => matches(matched, topic));
    return found.map(({ deliver }) => deliver(message));
  }

  #left(leaving: Leaving): void {
    this.#leaving.delete(leaving.topicFilter);
    for (const { resolve } of leaving.waiters) resolve(0);
  }

  #answered(packetIdentifier: number): Entry | Leaving | undefined {
    const asked = this.#asked.get(packetIdentifier);
    if (this.#asked.delete(packetIdentifier)) this.#wire?.freeIdentifier(packetIdentifier);
    return asked;
  }

  #ask(what: Entry | Leaving): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    const packetIdentifier = wire.takeIdentifier();
    if (packetIdentifier === 0) return;
    this.#asked.set(packetIdentifier, what);
    const { topicFilter } = what;
    if (!('deliver' in what)) {
      wire.send({ type: 'unsubscribe', packetIdentifier, topicFilters: [topicFilter] });
      return;
    }
    const { qos = 0, noLocal = false, retainAsPublished = false, retainHandling = 0 } = what.options;
    wire.send({
      type: 'subscribe',
      packetIdentifier,
      subscriptions: [
        this.#version === 5
          ? { topicFilter, qos, noLocal, retainAsPublished, retainHandling }
          : { topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
    });
  }
}
