/**
 * Packets become bytes, in both versions: first the exact size, then one allocation, then the bytes.
 *
 * What a version cannot say is left out: 3.1.1 has no properties, no codes in its acknowledgements, and few in
 * CONNACK and SUBACK. What no version can say (an AUTH in 3.1.1, a string of 70,000 bytes) is a bug of the caller.
 */
import { invariant } from '../core/error.js';
import type { AckPacket, ConnectPacket, Packet, ProtocolVersion, SubscriptionRequest } from './packet.js';
import { Place, type Properties } from './property.js';
import { propertiesSize, stringSize, writeProperties } from './property-writer.js';
import { ReasonCode, toReturnCode } from './reason-code.js';
import {
  STRING_BYTES_MAX,
  utf8Size,
  VARIABLE_BYTE_INTEGER_MAX,
  variableByteIntegerSize,
  writeBinary,
  writeString,
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

/** The first octet of a PUBLISH [MQTT5-3.3.1]. QoS 0 never has DUP [MQTT311-3.3.1-2] [MQTT5-3.3.1-2]. */
export function publishFirst(packet: {
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
}): number {
  return FIRST.publish | (packet.dup && packet.qos > 0 ? 8 : 0) | (packet.qos << 1) | (packet.retain ? 1 : 0);
}

/** Octets of a property list with its Property Length. */
function listSize(properties: Properties | undefined, place: number): number {
  const size = propertiesSize(properties, place);
  return variableByteIntegerSize(size) + size;
}

function writeList(bytes: Buffer, at: number, properties: Properties | undefined, place: number): number {
  return writeProperties(bytes, at, properties, propertiesSize(properties, place));
}

function bodySize(packet: Packet, version: ProtocolVersion): number {
  switch (packet.type) {
    case 'publish':
      return (
        2 +
        stringSize(packet.topic) +
        (packet.qos > 0 ? 2 : 0) +
        (version === 5 ? listSize(packet.properties, Place.publish) : 0) +
        packet.payload.length
      );
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return 2 + codedSize(packet, Place[packet.type], version);
    case 'disconnect':
    case 'auth':
      return codedSize(packet, Place[packet.type], version);
    case 'pingreq':
    case 'pingresp':
      return 0;
    case 'connect':
      return connectSize(packet, version);
    case 'connack':
      return version === 5 ? 2 + listSize(packet.properties, Place.connack) : 2;
    case 'subscribe': {
      let size = 2 + (version === 5 ? listSize(packet.properties, Place.subscribe) : 0);
      for (const { topicFilter } of packet.subscriptions) size += 3 + stringSize(topicFilter);
      return size;
    }
    case 'unsubscribe': {
      let size = 2 + (version === 5 ? listSize(packet.properties, Place.unsubscribe) : 0);
      for (const topicFilter of packet.topicFilters) size += 2 + stringSize(topicFilter);
      return size;
    }
    case 'suback':
      return 2 + (version === 5 ? listSize(packet.properties, Place.suback) : 0) + packet.reasonCodes.length;
    case 'unsuback':
      return version === 5 ? 2 + listSize(packet.properties, Place.unsuback) + packet.reasonCodes.length : 2;
  }
}

/** Reason Code and properties where either may be left out: nothing for plain success, the code alone without properties. */
function codedSize(
  packet: { readonly reasonCode: ReasonCode; readonly properties?: Properties },
  place: number,
  version: ProtocolVersion,
): number {
  if (version === 4) return 0;
  const size = propertiesSize(packet.properties, place);
  if (size > 0) return 1 + variableByteIntegerSize(size) + size;
  return packet.reasonCode === ReasonCode.success ? 0 : 1;
}

function connectSize(packet: ConnectPacket, version: ProtocolVersion): number {
  const { will, username, password } = packet;
  let size = 10 + 2 + stringSize(packet.clientId);
  if (version === 5) size += listSize(packet.properties, Place.connect);
  if (will !== undefined) {
    if (version === 5) size += listSize(will.properties, Place.will);
    size += 2 + stringSize(will.topic) + binarySize(will.payload);
  }
  if (username !== undefined) size += 2 + stringSize(username);
  if (password !== undefined) size += binarySize(password);
  return size;
}

function binarySize(data: Uint8Array): number {
  invariant(data.length <= STRING_BYTES_MAX, 'binary data fits its length field');
  return 2 + data.length;
}

function writeBody(bytes: Buffer, offset: number, packet: Packet, version: ProtocolVersion): void {
  let at = offset;
  switch (packet.type) {
    case 'publish':
      at = writeString(bytes, at, packet.topic, utf8Size(packet.topic));
      if (packet.qos > 0) at = writeIdentifier(bytes, at, packet.packetIdentifier);
      if (version === 5) at = writeList(bytes, at, packet.properties, Place.publish);
      bytes.set(packet.payload, at);
      return;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      at = writeIdentifier(bytes, at, packet.packetIdentifier);
      writeCoded(bytes, at, packet, Place[packet.type], version);
      return;
    case 'disconnect':
      writeCoded(bytes, at, packet, Place.disconnect, version);
      return;
    case 'auth':
      invariant(version === 5, 'AUTH belongs to 5.0');
      writeCoded(bytes, at, packet, Place.auth, version);
      return;
    case 'pingreq':
    case 'pingresp':
      return;
    case 'connect':
      writeConnect(bytes, at, packet, version);
      return;
    case 'connack':
      bytes[at++] = packet.sessionPresent ? 1 : 0;
      bytes[at++] = version === 5 ? packet.reasonCode : toReturnCode(packet.reasonCode);
      if (version === 5) writeList(bytes, at, packet.properties, Place.connack);
      return;
    case 'subscribe':
      at = writeIdentifier(bytes, at, packet.packetIdentifier);
      if (version === 5) at = writeList(bytes, at, packet.properties, Place.subscribe);
      for (const request of packet.subscriptions) {
        at = writeString(bytes, at, request.topicFilter, utf8Size(request.topicFilter));
        bytes[at++] = version === 5 ? subscriptionOptions(request) : request.qos;
      }
      return;
    case 'unsubscribe':
      at = writeIdentifier(bytes, at, packet.packetIdentifier);
      if (version === 5) at = writeList(bytes, at, packet.properties, Place.unsubscribe);
      for (const topicFilter of packet.topicFilters) {
        at = writeString(bytes, at, topicFilter, utf8Size(topicFilter));
      }
      return;
    case 'suback':
      at = writeIdentifier(bytes, at, packet.packetIdentifier);
      if (version === 5) at = writeList(bytes, at, packet.properties, Place.suback);
      // [MQTT311-3.9.3-2]
      for (const code of packet.reasonCodes) bytes[at++] = version === 4 && code >= 0x80 ? 0x80 : code;
      return;
    case 'unsuback':
      at = writeIdentifier(bytes, at, packet.packetIdentifier);
      if (version === 4) return;
      at = writeList(bytes, at, packet.properties, Place.unsuback);
      for (const code of packet.reasonCodes) bytes[at++] = code;
      return;
  }
}

function writeIdentifier(bytes: Buffer, at: number, packetIdentifier: number | undefined): number {
  invariant(
    packetIdentifier !== undefined && packetIdentifier > 0 && packetIdentifier <= 0xffff,
    'a packet above QoS 0 has a Packet Identifier',
  );
  return writeTwoByteInteger(bytes, at, packetIdentifier);
}

function writeCoded(
  bytes: Buffer,
  offset: number,
  packet: { readonly reasonCode: ReasonCode; readonly properties?: Properties },
  place: number,
  version: ProtocolVersion,
): void {
  if (version === 4) return;
  const size = propertiesSize(packet.properties, place);
  if (size === 0 && packet.reasonCode === ReasonCode.success) return;
  bytes[offset] = packet.reasonCode;
  if (size > 0) writeProperties(bytes, offset + 1, packet.properties, size);
}

function writeConnect(bytes: Buffer, offset: number, packet: ConnectPacket, version: ProtocolVersion): void {
  const { will, username, password } = packet;
  // [MQTT311-3.1.2-22]
  invariant(
    version === 5 || password === undefined || username !== undefined,
    'a 3.1.1 password has a user name',
  );
  let at = writeString(bytes, offset, 'MQTT', 4);
  bytes[at++] = version;
  bytes[at++] =
    (username !== undefined ? 0x80 : 0) |
    (password !== undefined ? 0x40 : 0) |
    (will === undefined ? 0 : 4 | (will.qos << 3) | (will.retain ? 0x20 : 0)) |
    (packet.cleanStart ? 2 : 0);
  at = writeTwoByteInteger(bytes, at, packet.keepAlive);
  if (version === 5) at = writeList(bytes, at, packet.properties, Place.connect);
  // The order is fixed [MQTT5-3.1.3-1].
  at = writeString(bytes, at, packet.clientId, utf8Size(packet.clientId));
  if (will !== undefined) {
    if (version === 5) at = writeList(bytes, at, will.properties, Place.will);
    at = writeString(bytes, at, will.topic, utf8Size(will.topic));
    at = writeBinary(bytes, at, will.payload);
  }
  if (username !== undefined) at = writeString(bytes, at, username, utf8Size(username));
  if (password !== undefined) writeBinary(bytes, at, password);
}

function subscriptionOptions(request: SubscriptionRequest): number {
  return (
    request.qos |
    (request.noLocal ? 4 : 0) |
    (request.retainAsPublished ? 8 : 0) |
    (request.retainHandling << 4)
  );
}
