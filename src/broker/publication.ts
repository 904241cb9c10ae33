/**
 * A Message on its way through the broker: with the instant at which it expires, and with what its copies share.
 *
 *   Publication ──▶ Delivery (QoS, RETAIN, Subscription Identifiers) ──▶ PublishTemplate per version ──▶ outboxes
 *
 * Copies that look alike are one Delivery, encoded once however many sessions take it. A Delivery has no Packet
 * Identifier: that is the session's. [MQTT5-2.2.1-4]
 */
import type { Message, MessageProperties, QoS } from '../core/message.js';
import { type EncodedName, type PlainPublish, PublishTemplate } from '../mqtt/encoder.js';
import type { ProtocolVersion, PublishPacket } from '../mqtt/packet.js';
import type { Properties } from '../mqtt/property.js';
import type { SharedGroup } from './shared-group.js';

/** A kept payload may hold this much more memory alive than its own length; beyond it, it is copied. */
const SLACK_BYTES_MAX = 1024;

/** What one message costs beside its bytes; measured, rounded up. */
export const PUBLICATION_OVERHEAD_BYTES = 256;

export class Publication implements EncodedName {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  /** Monotonic; Infinity: never. */
  readonly expiresAtMs: number;
  /** A newer one has taken its place as the retained message of its topic. */
  superseded = false;
  // Where its Topic Name lies, as long as the chunk that brought it is kept anyway.
  nameBytes: Uint8Array | undefined;
  nameStart = 0;
  nameEnd = 0;
  #payload: Uint8Array;
  // Most have subscribers of one kind.
  #delivery: Delivery | undefined;
  #others: Delivery[] | undefined;

  constructor(
    topic: string,
    payload: Uint8Array,
    qos: QoS,
    retain: boolean,
    properties: MessageProperties | undefined,
    nowMs: number,
    expiresAtMs?: number,
  ) {
    this.topic = topic;
    this.#payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    const seconds = properties?.messageExpiryInterval;
    this.expiresAtMs =
      expiresAtMs ?? (seconds === undefined ? Number.POSITIVE_INFINITY : nowMs + seconds * 1000);
  }

  /** One that was kept: its Message Expiry Interval began to count long ago. */
  static stored(message: Message, expiresAtMs: number): Publication {
    const { topic, payload, qos, retain, properties } = message;
    return new Publication(topic, payload, qos, retain, properties, 0, expiresAtMs);
  }

  static of(message: Message, nowMs: number): Publication {
    return new Publication(
      message.topic,
      message.payload,
      message.qos,
      message.retain,
      message.properties,
      nowMs,
    );
  }

  get payload(): Uint8Array {
    return this.#payload;
  }

  get message(): Message {
    const { topic, payload, qos, retain, properties } = this;
    return properties === undefined
      ? { topic, payload, qos, retain }
      : { topic, payload, qos, retain, properties };
  }

  get bytes(): number {
    const { properties } = this;
    const extra = properties === undefined ? 0 : propertyBytes(properties);
    return PUBLICATION_OVERHEAD_BYTES + 2 * this.topic.length + this.#payload.length + extra;
  }

  /** Called before it is kept: a payload of 64 bytes must not hold on to the 64 KiB in which it arrived. */
  own(): void {
    if (!this.#holdsMoreThan(0)) return;
    this.#payload = new Uint8Array(this.#payload);
    this.nameBytes = undefined;
  }

  /** The same for what soon goes: small ones share a slab with their neighbours, which is quicker. */
  ownForNow(): void {
    if (!this.#holdsMoreThan(Buffer.poolSize)) return;
    this.#payload = Buffer.from(this.#payload);
    this.nameBytes = undefined;
  }

  /** A slab of Node's, of 8 KiB, counts as little enough for now. */
  #holdsMoreThan(allowed: number): boolean {
    const payload = this.#payload;
    return payload.buffer.byteLength > Math.max(allowed, 2 * payload.length + SLACK_BYTES_MAX);
  }

  /** The copy that every session with the same options shares. */
  delivery(qos: QoS, retain: boolean): Delivery {
    const first = this.#delivery;
    if (first?.qos === qos && first.retain === retain) return first;
    let delivery = this.#others?.find((other) => other.qos === qos && other.retain === retain);
    if (delivery !== undefined) return delivery;
    delivery = new Delivery(this, qos, retain, undefined, undefined);
    if (first === undefined) {
      this.#delivery = delivery;
    } else {
      this.#others ??= [];
      this.#others.push(delivery);
    }
    return delivery;
  }
}

export class Delivery implements PlainPublish {
  readonly publication: Publication;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** Chosen by this shared subscription: if the session ends first, another member may take it. */
  readonly group: SharedGroup | undefined;
  #template4: PublishTemplate | undefined;
  #template5: PublishTemplate | undefined;
  #template5Seconds: number | undefined;
  #written = false;

  constructor(
    publication: Publication,
    qos: QoS,
    retain: boolean,
    subscriptionIdentifiers: readonly number[] | undefined,
    group: SharedGroup | undefined,
  ) {
    this.publication = publication;
    this.qos = qos;
    this.retain = retain;
    this.subscriptionIdentifiers = subscriptionIdentifiers;
    this.group = group;
  }

  get named(): EncodedName {
    return this.publication;
  }

  get payload(): Uint8Array {
    return this.publication.payload;
  }

  /**
   * Whether this copy can be written without a template: the first one, where nothing but name and payload goes out.
   * Those after it share a template.
   */
  writesPlain(version: ProtocolVersion): boolean {
    if (this.#written) return false;
    this.#written = true;
    const { publication } = this;
    if (publication.nameBytes === undefined) return false;
    return (
      version === 4 || (publication.properties === undefined && this.subscriptionIdentifiers === undefined)
    );
  }

  expired(nowMs: number): boolean {
    return nowMs >= this.publication.expiresAtMs;
  }

  /** Encoded with the full Topic Name. */
  template(version: ProtocolVersion, nowMs: number): PublishTemplate {
    if (version === 4) {
      this.#template4 ??= this.#plain(4);
      return this.#template4;
    }
    if (this.publication.properties === undefined && this.subscriptionIdentifiers === undefined) {
      this.#template5 ??= this.#plain(5);
      return this.#template5;
    }
    const seconds = this.#secondsLeft(nowMs);
    if (this.#template5 === undefined || this.#template5Seconds !== seconds) {
      this.#template5 = new PublishTemplate(this.packet(5, nowMs), 5);
      this.#template5Seconds = seconds;
    }
    return this.#template5;
  }

  #plain(version: ProtocolVersion): PublishTemplate {
    const { publication, qos, retain } = this;
    const { topic, payload } = publication;
    return new PublishTemplate({ topic, payload, qos, retain }, version, publication);
  }

  packet(version: ProtocolVersion, nowMs: number, topicAlias?: number, aliasKnown = false): PublishPacket {
    const { topic, payload, properties } = this.publication;
    const packet = {
      type: 'publish',
      topic,
      payload,
      qos: this.qos,
      retain: this.retain,
      dup: false,
    } as const;
    const { subscriptionIdentifiers } = this;
    if (
      version === 4 ||
      (properties === undefined && subscriptionIdentifiers === undefined && topicAlias === undefined)
    ) {
      return packet;
    }
    const secondsLeft = this.#secondsLeft(nowMs);
    const carried: Properties = {
      ...properties,
      ...(secondsLeft === undefined ? {} : { messageExpiryInterval: secondsLeft }),
      ...(subscriptionIdentifiers === undefined ? {} : { subscriptionIdentifiers }),
      ...(topicAlias === undefined ? {} : { topicAlias }),
    };
    return { ...packet, topic: aliasKnown ? '' : topic, properties: carried };
  }

  /** Received minus the whole seconds waited here. [MQTT5-3.3.2-6] */
  #secondsLeft(nowMs: number): number | undefined {
    const { expiresAtMs } = this.publication;
    return expiresAtMs === Number.POSITIVE_INFINITY
      ? undefined
      : Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1000));
  }
}

/** The properties of a PUBLISH that travel on to subscribers; alias and identifiers stay on their connection. */
export function carriedProperties(properties: Properties | undefined): MessageProperties | undefined {
  if (properties === undefined) return undefined;
  const {
    payloadFormatIndicator,
    messageExpiryInterval,
    contentType,
    responseTopic,
    correlationData,
    userProperties,
  } = properties;
  if (
    payloadFormatIndicator === undefined &&
    messageExpiryInterval === undefined &&
    contentType === undefined &&
    responseTopic === undefined &&
    correlationData === undefined &&
    userProperties === undefined
  ) {
    return undefined;
  }
  return {
    ...(payloadFormatIndicator === undefined ? {} : { payloadFormatIndicator }),
    ...(messageExpiryInterval === undefined ? {} : { messageExpiryInterval }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    // A slice of the chunk it came in: copied, since a kept message keeps its properties.
    ...(correlationData === undefined ? {} : { correlationData: new Uint8Array(correlationData) }),
    ...(userProperties === undefined ? {} : { userProperties }),
  };
}

function propertyBytes(properties: MessageProperties): number {
  let bytes = 64;
  bytes += 2 * (properties.contentType?.length ?? 0) + 2 * (properties.responseTopic?.length ?? 0);
  bytes += properties.correlationData?.length ?? 0;
  for (const [name, value] of properties.userProperties ?? []) bytes += 64 + 2 * (name.length + value.length);
  return bytes;
}
