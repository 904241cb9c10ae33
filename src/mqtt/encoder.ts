/**
 * Packets become bytes, in both versions: first the exact size, then one allocation, then the bytes.
 *
 * What a version cannot say is left out: 3.1.1 has no properties, no codes in its acknowledgements, and few in
 * CONNACK and SUBACK. What no version can say (an AUTH in 3.1.1, a string of 70,000 bytes) is a bug of the caller.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import type { AckPacket, Packet, ProtocolVersion, PublishPacket } from './packet.js';
import { bodySize, writeBody } from './packet-writer.js';
import type { Properties } from './property.js';
import {
  VARIABLE_BYTE_INTEGER_MAX,
  variableByteIntegerSize,
  writeTwoByteInteger,
  writeVariableByteInteger,
} from './wire.js';

/** First octet by packet type, with the reserved flags [MQTT311-2.2.2-1] [MQTT5-2.1.3-1]. */
const FIRST: Readonly<Record<Packet['type'], number>> = {
  connect: 0x10,
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  subscribe: 0x82,
  suback: 0x90,
  unsubscribe: 0xa2,
  unsuback: 0xb0,
  pingreq: 0xc0,
  pingresp: 0xd0,
  disconnect: 0xe0,
  auth: 0xf0,
};

export function encode(packet: Packet, protocolVersion: ProtocolVersion): Uint8Array {
  const remainingLength = bodySize(packet, protocolVersion);
  invariant(remainingLength <= VARIABLE_BYTE_INTEGER_MAX, 'a packet fits its Remaining Length');
  const bytes = Buffer.allocUnsafe(1 + variableByteIntegerSize(remainingLength) + remainingLength);
  bytes[0] = packet.type === 'publish' ? publishFirst(packet) : FIRST[packet.type];
  const at = writeVariableByteInteger(bytes, 1, remainingLength);
  writeBody(bytes, at, packet, protocolVersion);
  return bytes;
}

export function encodedSize(packet: Packet, protocolVersion: ProtocolVersion): number {
  const remainingLength = bodySize(packet, protocolVersion);
  return 1 + variableByteIntegerSize(remainingLength) + remainingLength;
}

/**
 * As `encode`, but never longer than the peer's Maximum Packet Size: User Properties, then the Reason String, are
 * left out of answers where that helps [MQTT5-3.2.2-19], [MQTT5-3.4.2-2] and their like. Undefined: it does not
 * fit; a PUBLISH then counts as delivered [MQTT5-3.1.2-25].
 */
export function encodeWithin(
  packet: Packet,
  protocolVersion: ProtocolVersion,
  maximumPacketSize: number,
): Uint8Array | undefined {
  if (encodedSize(packet, protocolVersion) <= maximumPacketSize) return encode(packet, protocolVersion);
  if (!trimmable(packet) || packet.properties === undefined) return undefined;
  const withoutUser = { ...packet, properties: { ...packet.properties, userProperties: undefined } };
  if (encodedSize(withoutUser, protocolVersion) <= maximumPacketSize)
    return encode(withoutUser, protocolVersion);
  const bare = { ...packet, properties: { ...withoutUser.properties, reasonString: undefined } };
  return encodedSize(bare, protocolVersion) <= maximumPacketSize ? encode(bare, protocolVersion) : undefined;
}

/** Packets whose User Properties and Reason String only explain; elsewhere they are content. */
function trimmable(packet: Packet): packet is Extract<Packet, { properties?: Properties }> {
  switch (packet.type) {
    case 'connect':
    case 'publish':
    case 'subscribe':
    case 'unsubscribe':
    case 'pingreq':
    case 'pingresp':
      return false;
    default:
      return true;
  }
}

/** Writes the shortest form (success, no properties), 4 bytes; returns the offset behind it. */
export function writeAck(
  buffer: Uint8Array,
  offset: number,
  type: AckPacket['type'],
  packetIdentifier: number,
): number {
  buffer[offset] = FIRST[type];
  buffer[offset + 1] = 2;
  buffer[offset + 2] = packetIdentifier >>> 8;
  buffer[offset + 3] = packetIdentifier & 0xff;
  return offset + 4;
}

/** A Topic Name as it came on the wire, without its length. */
export interface EncodedName {
  readonly nameBytes: Uint8Array | undefined;
  readonly nameStart: number;
  readonly nameEnd: number;
}

/** A PUBLISH without properties whose Topic Name is at hand as bytes. */
export interface PlainPublish {
  readonly named: EncodedName;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
}

export function plainPublishSize(packet: PlainPublish, protocolVersion: ProtocolVersion): number {
  const remainingLength = plainRemainingLength(packet, protocolVersion);
  return 1 + variableByteIntegerSize(remainingLength) + remainingLength;
}

/** Writes it once, for one receiver: cheaper than a template. Returns the offset behind it. */
export function writePlainPublish(
  buffer: Uint8Array,
  offset: number,
  packet: PlainPublish,
  protocolVersion: ProtocolVersion,
  packetIdentifier: number,
  dup: boolean,
): number {
  const { named, payload, qos, retain } = packet;
  const { nameBytes, nameStart, nameEnd } = named;
  invariant(nameBytes !== undefined, 'the bytes of the name are at hand');
  buffer[offset] = publishFirst({ qos, retain, dup });
  let at = writeVariableByteInteger(buffer, offset + 1, plainRemainingLength(packet, protocolVersion));
  at = writeTwoByteInteger(buffer, at, nameEnd - nameStart);
  for (let from = nameStart; from < nameEnd; from += 1) buffer[at++] = nameBytes[from]!;
  if (qos > 0) at = writeTwoByteInteger(buffer, at, packetIdentifier);
  if (protocolVersion === 5) buffer[at++] = 0;
  buffer.set(payload, at);
  return at + payload.length;
}

function plainRemainingLength(packet: PlainPublish, protocolVersion: ProtocolVersion): number {
  const { named, payload, qos } = packet;
  const nameSize = 2 + named.nameEnd - named.nameStart;
  return nameSize + (qos > 0 ? 2 : 0) + (protocolVersion === 5 ? 1 : 0) + payload.length;
}

/**
 * A PUBLISH encoded once, to be sent to many: from copy to copy only the Packet Identifier and DUP differ, so only
 * they are patched. A fan-out costs one encoding and, at QoS 0, no copying at all.
 */
export class PublishTemplate {
  readonly qos: QoS;
  /** Of the whole packet: to be held against the peer's Maximum Packet Size. */
  readonly size: number;

  readonly #bytes: Uint8Array;
  readonly #first: number;
  readonly #identifierAt: number;

  /**
   * `packet.packetIdentifier` and `packet.dup` are ignored. `named`: where the bytes of its Topic Name are at hand; for
   * a packet without properties.
   */
  constructor(
    packet: Pick<PublishPacket, 'topic' | 'payload' | 'qos' | 'retain' | 'properties'>,
    protocolVersion: ProtocolVersion,
    named?: EncodedName,
  ) {
    const { topic, payload, qos, retain, properties } = packet;
    const first = publishFirst({ qos, retain, dup: false });
    this.qos = qos;
    this.#first = first;
    if (named?.nameBytes !== undefined) {
      const plain = { named, payload, qos, retain };
      this.#bytes = Buffer.allocUnsafe(plainPublishSize(plain, protocolVersion));
      writePlainPublish(this.#bytes, 0, plain, protocolVersion, 0, false);
    } else {
      const packetIdentifier = qos > 0 ? 1 : undefined;
      this.#bytes = encode(
        { type: 'publish', topic, payload, qos, retain, dup: false, packetIdentifier, properties },
        protocolVersion,
      );
    }
    this.size = this.#bytes.length;
    const headerSize = 1 + remainingLengthSize(this.size);
    this.#identifierAt = headerSize + 2 + ((this.#bytes[headerSize]! << 8) | this.#bytes[headerSize + 1]!);
  }

  /** For QoS 0: the same array each time, so it must not be written to. */
  get bytes(): Uint8Array {
    invariant(this.qos === 0, 'only QoS 0 needs no identifier');
    return this.#bytes;
  }

  /** A copy of its own, for a socket that keeps the array. */
  withIdentifier(packetIdentifier: number, dup: boolean): Uint8Array {
    const copy = Buffer.allocUnsafe(this.size);
    this.write(copy, 0, packetIdentifier, dup);
    return copy;
  }

  /** Writes a copy into `buffer`, which has `size` bytes left at `offset`; returns the offset behind it. */
  write(buffer: Uint8Array, offset: number, packetIdentifier: number, dup: boolean): number {
    buffer.set(this.#bytes, offset);
    if (this.qos > 0) {
      buffer[offset] = dup ? this.#first | 8 : this.#first;
      buffer[offset + this.#identifierAt] = packetIdentifier >>> 8;
      buffer[offset + this.#identifierAt + 1] = packetIdentifier & 0xff;
    }
    return offset + this.size;
  }
}

/** The first octet of a PUBLISH [MQTT5-3.3.1]. QoS 0 never has DUP [MQTT311-3.3.1-2] [MQTT5-3.3.1-2]. */
function publishFirst(packet: {
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
}): number {
  return FIRST.publish | (packet.dup && packet.qos > 0 ? 8 : 0) | (packet.qos << 1) | (packet.retain ? 1 : 0);
}

/** Octets of the Remaining Length in a packet of this whole size. */
function remainingLengthSize(size: number): number {
  for (let octets = 1; ; octets += 1) {
    if (variableByteIntegerSize(size - 1 - octets) <= octets) return octets;
  }
}
