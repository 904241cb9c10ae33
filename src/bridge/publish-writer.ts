/**
 * A Record as a PUBLISH, straight into the output buffer: no packet object in between, since this is the hot path
 * of a drain. What the message had of MQTT 5.0 properties goes along; `gw`, `j`, `seq` and `ts` are added [MQTT5-3.3.2.3].
 */
import type { MessageProperties, QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import type { SampleSet } from '../core/sample.js';
import type { ProtocolVersion } from '../mqtt/packet.js';
import { topicUpstream } from './forward.js';
import type { Output } from './output.js';
import type { Written } from './wire.js';

/** What this connection's server takes. */
export interface ServerLimits {
  readonly protocolVersion: ProtocolVersion;
  readonly maximumPacketSize: number;
  readonly retainAvailable: boolean;
}

/** A Remaining Length has four bytes at most [MQTT5-1.5.5]; a topic's length two. */
const REMAINING_LENGTH_MAX = 268_435_455;
const STRING_BYTES_MAX = 65_535;
const NOTHING = new Uint8Array(0);
const NO_PROPERTIES: MessageProperties = {};

export class PublishWriter {
  readonly #output: Output;
  readonly #encode: (set: SampleSet) => Uint8Array;
  /** `gw` and `j`, and the keys of `seq` and `ts`, ready to copy. */
  readonly #identity: Buffer;
  readonly #seqKey = userPropertyKey('seq');
  readonly #tsKey = userPropertyKey('ts');
  readonly #topics = new Map<Route, Map<string, string>>();
  #limits: ServerLimits;

  constructor(
    output: Output,
    encode: (set: SampleSet) => Uint8Array,
    names: { readonly gateway: string; readonly journalId: string },
    limits: ServerLimits,
  ) {
    this.#output = output;
    this.#encode = encode;
    this.#identity = Buffer.concat([userProperty('gw', names.gateway), userProperty('j', names.journalId)]);
    this.#limits = limits;
  }

  use(limits: ServerLimits): void {
    this.#limits = limits;
  }

  write(
    record: Record,
    route: Route,
    qos: QoS,
    packetIdentifier: number,
    dup: boolean,
    nowWallMs: number,
    /** A newer message of its topic was sent before: it must not overwrite that. */
    late = false,
    /** Further User Properties, encoded; they go where the identity goes. */
    extra: Uint8Array = NOTHING,
  ): Written {
    const { content } = record;
    const message = content.kind === 'message' ? content.message : undefined;
    const carried = message?.properties ?? NO_PROPERTIES;
    const expiry = expirySeconds(carried, record.acceptedAtMs, nowWallMs);
    // One that was sent before keeps its identifier busy until it is sent again: it goes with the shortest life.
    if (expiry === 0 && !dup) return 'expired';

    const topic = this.#topicOf(
      route,
      content.kind === 'message' ? content.message.topic : content.set.topic,
    );
    const topicBytes = Buffer.byteLength(topic);
    if (topicBytes === 0 || topicBytes > STRING_BYTES_MAX) return 'refused';
    const payload = content.kind === 'message' ? content.message.payload : this.#encode(content.set);
    const retain =
      this.#limits.retainAvailable &&
      !late &&
      route.retain === 'keep' &&
      (content.kind === 'message' ? content.message.retain : content.set.retain);

    const isV5 = this.#limits.protocolVersion === 5;
    const withIdentity = isV5 && route.properties === 'all';
    const seq = withIdentity ? String(record.offset) : '';
    const ts = withIdentity ? String(record.acceptedAtMs) : '';
    const original = isV5 && message?.properties !== undefined ? encodeCarried(carried, expiry) : undefined;
    const identityBytes = withIdentity
      ? this.#identity.length +
        this.#seqKey.length +
        2 +
        seq.length +
        this.#tsKey.length +
        2 +
        ts.length +
        extra.length
      : 0;
    const propertyBytes = (original?.length ?? 0) + identityBytes;
    const propertyLengthBytes = isV5 ? variableBytes(propertyBytes) : 0;

    const remaining =
      2 + topicBytes + (qos > 0 ? 2 : 0) + propertyLengthBytes + propertyBytes + payload.length;
    const total = 1 + variableBytes(remaining) + remaining;
    if (remaining > REMAINING_LENGTH_MAX || total > this.#limits.maximumPacketSize) return 'refused';

    let at = this.#output.reserve(total);
    const buffer = this.#output.buffer;
    buffer[at++] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
    at = putVariable(buffer, at, remaining);
    buffer[at++] = topicBytes >> 8;
    buffer[at++] = topicBytes & 0xff;
    at += buffer.write(topic, at, topicBytes === topic.length ? 'latin1' : 'utf8');
    if (qos > 0) {
      buffer[at++] = packetIdentifier >> 8;
      buffer[at++] = packetIdentifier & 0xff;
    }
    if (isV5) at = putVariable(buffer, at, propertyBytes);
    if (original !== undefined) {
      buffer.set(original, at);
      at += original.length;
    }
    if (withIdentity) {
      buffer.set(this.#identity, at);
      at += this.#identity.length;
      at = putNumberText(buffer, at, this.#seqKey, seq);
      at = putNumberText(buffer, at, this.#tsKey, ts);
      buffer.set(extra, at);
      at += extra.length;
    }
    buffer.set(payload, at);
    return 'sent';
  }

  /** Few topics, many messages: the rewritten name is remembered. */
  #topicOf(route: Route, topic: string): string {
    if (route.strip === '' && route.prefix === '') return topic;
    let topics = this.#topics.get(route);
    if (topics === undefined || topics.size >= 10_000) {
      topics = new Map();
      this.#topics.set(route, topics);
    }
    let upstream = topics.get(topic);
    if (upstream === undefined) {
      upstream = topicUpstream(route, topic);
      topics.set(topic, upstream);
    }
    return upstream;
  }
}

/** Seconds left [MQTT5-3.3.2-6], at least 1 while any are left; 0: expired; -1: it never expires. */
export function expirySeconds(
  properties: MessageProperties,
  acceptedAtMs: number,
  nowWallMs: number,
): number {
  const granted = properties.messageExpiryInterval;
  if (granted === undefined) return -1;
  // A wall clock set back must not lengthen a life.
  const left = granted - Math.max(0, nowWallMs - acceptedAtMs) / 1000;
  return left <= 0 ? 0 : Math.ceil(left);
}

/** As they stand in the packet; the expiry is what is left of it. */
function encodeCarried(properties: MessageProperties, expiry: number): Buffer {
  const parts: Buffer[] = [];
  if (properties.payloadFormatIndicator !== undefined) {
    parts.push(Buffer.from([0x01, properties.payloadFormatIndicator]));
  }
  if (expiry >= 0) {
    const part = Buffer.alloc(5);
    part[0] = 0x02;
    part.writeUInt32BE(Math.max(1, expiry), 1);
    parts.push(part);
  }
  if (properties.contentType !== undefined) parts.push(Buffer.from([0x03]), string(properties.contentType));
  if (properties.responseTopic !== undefined)
    parts.push(Buffer.from([0x08]), string(properties.responseTopic));
  if (properties.correlationData !== undefined) {
    parts.push(Buffer.from([0x09]), lengthPrefixed(Buffer.from(properties.correlationData)));
  }
  for (const [name, value] of properties.userProperties ?? []) parts.push(userProperty(name, value));
  return Buffer.concat(parts);
}

export function userProperty(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x26]), string(name), string(value)]);
}

function userPropertyKey(name: string): Buffer {
  return Buffer.concat([Buffer.from([0x26]), string(name)]);
}

function string(text: string): Buffer {
  return lengthPrefixed(Buffer.from(text));
}

function lengthPrefixed(bytes: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(2 + bytes.length);
  whole.writeUInt16BE(bytes.length, 0);
  bytes.copy(whole, 2);
  return whole;
}

/** A user property whose value is decimal digits. */
function putNumberText(buffer: Buffer, start: number, key: Buffer, digits: string): number {
  let at = start;
  buffer.set(key, at);
  at += key.length;
  buffer[at++] = 0;
  buffer[at++] = digits.length;
  return at + buffer.write(digits, at, 'latin1');
}

function variableBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

function putVariable(buffer: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}
