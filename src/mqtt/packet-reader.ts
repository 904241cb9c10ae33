/**
 * The bodies of all packets but PUBLISH, read in full and held to every rule that can be checked without a session.
 * The caller has judged the fixed header.
 */
import type { QoS } from '../core/message.js';
import type {
  AckPacket,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  Packet,
  ProtocolVersion,
  SubackPacket,
  SubscribePacket,
  SubscriptionRequest,
  UnsubackPacket,
  UnsubscribePacket,
  Will,
} from './packet.js';
import { Place, type Properties } from './property.js';
import { readProperties } from './property-reader.js';
import { fromReturnCode, ReasonCode, reasonCodeAllowed, reasonName } from './reason-code.js';
import { malformed, protocolError, WireFault, type WireReader } from './wire.js';

/** A CONNECT under a name that is MQTT's, with a level that we do not speak. */
export class UnsupportedVersion extends WireFault {
  readonly protocolLevel: number;

  constructor(protocolLevel: number, why: string) {
    super(ReasonCode.unsupportedProtocolVersion, why);
    this.protocolLevel = protocolLevel;
  }
}

const ACK_TYPES: readonly AckPacket['type'][] = ['puback', 'pubrec', 'pubrel', 'pubcomp'];

export class PacketReader {
  readonly #sender: 'client' | 'server';

  constructor(sender: 'client' | 'server') {
    this.#sender = sender;
  }

  /** `type` is the packet type of the fixed header; CONNECT and PUBLISH have doors of their own. */
  read(type: number, reader: WireReader, version: ProtocolVersion): Packet {
    switch (type) {
      case 2:
        return this.#connack(reader, version);
      case 8:
        return this.#subscribe(reader, version);
      case 9:
        return this.#suback(reader, version);
      case 10:
        return this.#unsubscribe(reader, version);
      case 11:
        return this.#unsuback(reader, version);
      case 12:
        reader.done('PINGREQ');
        return { type: 'pingreq' };
      case 13:
        reader.done('PINGRESP');
        return { type: 'pingresp' };
      case 14:
        return this.#disconnect(reader, version);
      case 15:
        return this.#auth(reader);
      default:
        return this.#ack(ACK_TYPES[type - 4]!, reader, version);
    }
  }

  /** `onVersion` runs once the level is known and before anything else is judged: the refusal depends on it. */
  readConnect(reader: WireReader, onVersion: (version: ProtocolVersion) => void): ConnectPacket {
    const protocolVersion = readVersion(reader);
    onVersion(protocolVersion);
    const flags = reader.byte('Connect Flags');
    // [MQTT311-3.1.2-3] [MQTT5-3.1.2-3]
    if ((flags & 1) !== 0) throw malformed('Connect Flags have bit 0 set');
    const willQos = (flags >> 3) & 3;
    // [MQTT311-3.1.2-13] [MQTT311-3.1.2-15] [MQTT5-3.1.2-11] [MQTT5-3.1.2-13]
    if ((flags & 4) === 0 && (flags & 0x38) !== 0)
      throw malformed('Will QoS or Will Retain is set without a Will');
    // [MQTT311-3.1.2-14] [MQTT5-3.1.2-12]
    if (willQos === 3) throw malformed('Will QoS is 3');
    const hasUsername = (flags & 0x80) !== 0;
    const hasPassword = (flags & 0x40) !== 0;
    // [MQTT311-3.1.2-22]
    if (hasPassword && !hasUsername && protocolVersion === 4)
      throw malformed('a password came without a user name');
    const keepAlive = reader.twoByteInteger('Keep Alive');
    const properties =
      protocolVersion === 5 ? readProperties(reader, Place.connect, this.#sender) : undefined;
    checkAuthentication(properties);
    const clientId = reader.string('Client Identifier');
    const will =
      (flags & 4) === 0
        ? undefined
        : this.#will(reader, protocolVersion, willQos as QoS, (flags & 0x20) !== 0);
    const username = hasUsername ? reader.string('user name') : undefined;
    const password = hasPassword ? reader.binary('password') : undefined;
    reader.done('CONNECT');
    return {
      type: 'connect',
      protocolVersion,
      clientId,
      cleanStart: (flags & 2) !== 0,
      keepAlive,
      will,
      username,
      password,
      properties,
    };
  }

  #will(reader: WireReader, version: ProtocolVersion, qos: QoS, retain: boolean): Will {
    const properties = version === 5 ? readProperties(reader, Place.will, this.#sender) : undefined;
    const topic = reader.string('Will Topic');
    // [MQTT311-4.7.1-1] [MQTT5-4.7.0-1] [MQTT5-4.7.3-1]
    if (topic === '' || topic.includes('+') || topic.includes('#')) {
      throw protocolError('Will Topic is empty or contains a wildcard');
    }
    return { topic, payload: reader.binary('Will Payload'), qos, retain, properties };
  }

  #connack(reader: WireReader, version: ProtocolVersion): ConnackPacket {
    const flags = reader.byte('Connect Acknowledge Flags');
    // [MQTT5-3.2.2-1]
    if (flags > 1) throw malformed('Connect Acknowledge Flags have reserved bits set');
    const sessionPresent = flags === 1;
    // A server that knows only 3.1.1 refuses a 5.0 client in its own, shorter form.
    if (version === 4 || reader.left === 1) {
      const returnCode = reader.byte('Connect Return Code');
      const reasonCode = fromReturnCode(returnCode);
      if (reasonCode === undefined || (version === 5 && returnCode === 0)) {
        throw malformed(`CONNACK has return code ${returnCode}`);
      }
      reader.done('CONNACK');
      return { type: 'connack', sessionPresent, reasonCode, properties: undefined };
    }
    const reasonCode = this.#reasonCode(reader, 'connack');
    const properties = readProperties(reader, Place.connack, this.#sender);
    checkAuthentication(properties);
    reader.done('CONNACK');
    return { type: 'connack', sessionPresent, reasonCode, properties };
  }

  #ack(type: AckPacket['type'], reader: WireReader, version: ProtocolVersion): AckPacket {
    const packetIdentifier = reader.packetIdentifier();
    let reasonCode: ReasonCode = ReasonCode.success;
    let properties: Properties | undefined;
    if (version === 5 && reader.left > 0) {
      reasonCode = this.#reasonCode(reader, type);
      if (reader.left > 0) properties = readProperties(reader, Place[type], this.#sender);
    }
    reader.done(type.toUpperCase());
    return { type, packetIdentifier, reasonCode, properties };
  }

  #subscribe(reader: WireReader, version: ProtocolVersion): SubscribePacket {
    const packetIdentifier = reader.packetIdentifier();
    const properties = version === 5 ? readProperties(reader, Place.subscribe, this.#sender) : undefined;
    const subscriptions: SubscriptionRequest[] = [];
    while (reader.left > 0) {
      const topicFilter = readTopicFilter(reader);
      const options = reader.byte('Subscription Options');
      subscriptions.push(version === 5 ? request5(topicFilter, options) : request311(topicFilter, options));
    }
    // [MQTT311-3.8.3-3] [MQTT5-3.8.3-2]
    if (subscriptions.length === 0) throw protocolError('SUBSCRIBE has no Topic Filter');
    return { type: 'subscribe', packetIdentifier, subscriptions, properties };
  }

  #suback(reader: WireReader, version: ProtocolVersion): SubackPacket {
    const packetIdentifier = reader.packetIdentifier();
    const properties = version === 5 ? readProperties(reader, Place.suback, this.#sender) : undefined;
    const reasonCodes: ReasonCode[] = [];
    while (reader.left > 0) {
      const code = this.#reasonCode(reader, 'suback');
      // [MQTT311-3.9.3-2]
      if (version === 4 && code > 2 && code !== 0x80) throw malformed(`SUBACK has return code ${code}`);
      reasonCodes.push(code);
    }
    if (reasonCodes.length === 0) throw protocolError('SUBACK has no Reason Code');
    return { type: 'suback', packetIdentifier, reasonCodes, properties };
  }

  #unsubscribe(reader: WireReader, version: ProtocolVersion): UnsubscribePacket {
    const packetIdentifier = reader.packetIdentifier();
    const properties = version === 5 ? readProperties(reader, Place.unsubscribe, this.#sender) : undefined;
    const topicFilters: string[] = [];
    while (reader.left > 0) topicFilters.push(readTopicFilter(reader));
    // [MQTT311-3.10.3-2] [MQTT5-3.10.3-2]
    if (topicFilters.length === 0) throw protocolError('UNSUBSCRIBE has no Topic Filter');
    return { type: 'unsubscribe', packetIdentifier, topicFilters, properties };
  }

  #unsuback(reader: WireReader, version: ProtocolVersion): UnsubackPacket {
    const packetIdentifier = reader.packetIdentifier();
    const reasonCodes: ReasonCode[] = [];
    let properties: Properties | undefined;
    if (version === 5) {
      properties = readProperties(reader, Place.unsuback, this.#sender);
      while (reader.left > 0) reasonCodes.push(this.#reasonCode(reader, 'unsuback'));
      if (reasonCodes.length === 0) throw protocolError('UNSUBACK has no Reason Code');
    }
    reader.done('UNSUBACK');
    return { type: 'unsuback', packetIdentifier, reasonCodes, properties };
  }

  #disconnect(reader: WireReader, version: ProtocolVersion): DisconnectPacket {
    let reasonCode: ReasonCode = ReasonCode.success;
    let properties: Properties | undefined;
    if (version === 5 && reader.left > 0) {
      reasonCode = this.#reasonCode(reader, 'disconnect');
      if (reader.left > 0) properties = readProperties(reader, Place.disconnect, this.#sender);
    }
    reader.done('DISCONNECT');
    return { type: 'disconnect', reasonCode, properties };
  }

  #auth(reader: WireReader): AuthPacket {
    let reasonCode: ReasonCode = ReasonCode.success;
    let properties: Properties | undefined;
    if (reader.left > 0) {
      reasonCode = this.#reasonCode(reader, 'auth');
      if (reader.left > 0) properties = readProperties(reader, Place.auth, this.#sender);
    }
    reader.done('AUTH');
    if (properties?.authenticationMethod === undefined)
      throw protocolError('AUTH has no authenticationMethod');
    return { type: 'auth', reasonCode, properties };
  }

  #reasonCode(
    reader: WireReader,
    packet: 'connack' | AckPacket['type'] | 'suback' | 'unsuback' | 'disconnect' | 'auth',
  ): ReasonCode {
    const code = reader.byte('Reason Code');
    if (!reasonCodeAllowed(code, packet, this.#sender)) {
      throw protocolError(
        `${packet.toUpperCase()} from a ${this.#sender} has Reason Code ${reasonName(code)}`,
      );
    }
    return code;
  }
}

function readVersion(reader: WireReader): ProtocolVersion {
  const name = reader.string('protocol name');
  const level = reader.byte('protocol level');
  if (name === 'MQTT') {
    if (level === 4 || level === 5) return level;
    throw new UnsupportedVersion(
      level,
      `CONNECT asks for protocol level ${level}; 4 (3.1.1) and 5 (5.0) are spoken`,
    );
  }
  if (name === 'MQIsdp') {
    throw new UnsupportedVersion(level, 'CONNECT asks for MQTT 3.1; 3.1.1 and 5.0 are spoken');
  }
  // [MQTT311-3.1.2-1] [MQTT5-3.1.2-1]: who speaks something else is not answered.
  throw new WireFault(ReasonCode.unsupportedProtocolVersion, 'the protocol name in CONNECT is not MQTT');
}

function checkAuthentication(properties: Properties | undefined): void {
  if (properties?.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    throw protocolError('authenticationData came without authenticationMethod');
  }
}

/** Only an empty one is refused here: other ill-formed filters get their answer in SUBACK, one by one. */
function readTopicFilter(reader: WireReader): string {
  const topicFilter = reader.string('Topic Filter');
  // [MQTT311-4.7.3-1] [MQTT5-4.7.3-1]
  if (topicFilter === '') throw protocolError('Topic Filter is empty');
  return topicFilter;
}

function request311(topicFilter: string, options: number): SubscriptionRequest {
  // [MQTT311-3.8.3-4]
  if (options > 2) throw malformed(`SUBSCRIBE asks for QoS byte ${options}`);
  return { topicFilter, qos: options as QoS, noLocal: false, retainAsPublished: false, retainHandling: 0 };
}

function request5(topicFilter: string, options: number): SubscriptionRequest {
  // [MQTT5-3.8.3-5]
  if ((options & 0xc0) !== 0) throw malformed('Subscription Options have reserved bits set');
  const qos = options & 3;
  if (qos === 3) throw protocolError('SUBSCRIBE asks for QoS 3');
  const retainHandling = (options >> 4) & 3;
  if (retainHandling === 3) throw protocolError('SUBSCRIBE asks for Retain Handling 3');
  const noLocal = (options & 4) !== 0;
  // [MQTT5-3.8.3-4]
  if (noLocal && topicFilter.startsWith('$share/'))
    throw protocolError('No Local is set on a shared subscription');
  return {
    topicFilter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}
