/**
 * The bodies of all packets, their sizes and their bytes; `encoder.ts` puts the fixed header before them.
 */
import { invariant } from '../core/error.js';
import type { ConnectPacket, Packet, ProtocolVersion, SubscriptionRequest } from './packet.js';
import { Place, type Properties } from './property.js';
import { propertiesSize, stringSize, writeProperties } from './property-writer.js';
import { ReasonCode, toReturnCode } from './reason-code.js';
import {
  STRING_BYTES_MAX,
  utf8Size,
  variableByteIntegerSize,
  writeBinary,
  writeString,
  writeTwoByteInteger,
} from './wire.js';

/** Octets of a property list with its Property Length. */
function listSize(properties: Properties | undefined, place: number): number {
  const size = propertiesSize(properties, place);
  return variableByteIntegerSize(size) + size;
}

function writeList(bytes: Buffer, at: number, properties: Properties | undefined, place: number): number {
  return writeProperties(bytes, at, properties, propertiesSize(properties, place));
}

/** The Remaining Length. */
export function bodySize(packet: Packet, version: ProtocolVersion): number {
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

export function writeBody(bytes: Buffer, offset: number, packet: Packet, version: ProtocolVersion): void {
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
