/**
 * Bytes of one connection become packets, in pieces of any size:
 *
 *   push(chunk) ──▶ whole packets are read where they lie ──▶ next(): packet | incomplete | malformed
 *                └▶ a packet cut by the chunk's end is collected in a buffer of its own
 *
 * The fixed header is judged as soon as it is there: its type, its flags, its direction, and its length against
 * Maximum Packet Size, so nothing is kept for a packet that will be refused, and no memory is taken for a length
 * that was only claimed. PUBLISH and the short acknowledgements are read here; the rest in packet-reader.ts.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import type { AckPacket, Packet, ProtocolVersion } from './packet.js';
import { PacketReader, UnsupportedVersion } from './packet-reader.js';
import { Place, type Properties } from './property.js';
import { readProperties } from './property-reader.js';
import { ReasonCode } from './reason-code.js';
import { TopicTable } from './topic-table.js';
import { decodeString, malformed, protocolError, slice, WireFault, WireReader } from './wire.js';

export type Decoded =
  | { readonly kind: 'packet'; readonly packet: Packet; readonly bytesUsed: number }
  /** At least so many bytes are missing. */
  | { readonly kind: 'incomplete'; readonly bytesNeeded: number }
  | Malformed;

/** The connection must be closed; every later `next()` says the same. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly reasonCode: ReasonCode;
  readonly why: string;
  /**
   * Only with `unsupportedProtocolVersion`: the level that the CONNECT asked for under a name that is MQTT's.
   * Such a peer is answered by `20 02 00 01`, which every version can read [MQTT311-3.1.2-2].
   */
  readonly protocolLevel?: number;
}

export interface DecoderOptions {
  /** Our own limit; a larger packet is refused from its header alone. */
  readonly maximumPacketSize: number;
  /** Who reads: a `server` refuses packets that only servers send, and the other way about. */
  readonly receiver: 'server' | 'client';
  /** A client knows it; a server learns it from CONNECT. */
  readonly protocolVersion?: ProtocolVersion;
  /**
   * Reads the Topic Name of a PUBLISH, by default from a cache of strings. Who keeps more by topic looks that up here,
   * by the bytes, and makes what is missing with `decodeTopicName`.
   */
  readonly topicName?: (bytes: Buffer, start: number, end: number) => string;
}

/** Reserved bits of the fixed header by packet type [MQTT5-2.1.3-1]; PUBLISH has its own. */
const FLAGS = [0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0];

const NAMES = [
  'packet type 0',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
];

/** Bit n stands for packet type n. */
const TO_SERVER_311 = 0b0101_0101_1111_1010;
const TO_CLIENT_311 = 0b0010_1010_1111_1100;
/** DISCONNECT and AUTH go both ways in 5.0. */
const ADDED_BY_5 = 0b1100_0000_0000_0000;

const CONNECT = 1;
const PUBLISH = 3;
const PUBACK = 4;
const PUBCOMP = 7;
const ACK_TYPES: readonly AckPacket['type'][] = ['puback', 'pubrec', 'pubrel', 'pubcomp'];

/** The first allocation for a cut packet; it doubles as bytes arrive, up to the packet's length. */
const PARTIAL_BYTES_MIN = 256;

const PLUS = 0x2b;
const HASH = 0x23;

const NO_BYTES = Buffer.alloc(0);
const AT_REST: Decoded = { kind: 'incomplete', bytesNeeded: 2 };
const HEADER_CUT: Decoded = { kind: 'incomplete', bytesNeeded: 1 };

/** For who keeps nothing by topic: one for the process, so that equal names on different connections are one string. */
const names = new TopicTable((bytes, start, end) => ({ name: decodeTopicName(bytes, start, end) }));
const nameOf = (bytes: Buffer, start: number, end: number): string => names.get(bytes, start, end).name;

export class Decoder {
  /** Undefined until a server's decoder has read the level in CONNECT. */
  protocolVersion: ProtocolVersion | undefined;

  readonly #maximumPacketSize: number;
  readonly #receiver: 'server' | 'client';
  readonly #packets: PacketReader;
  readonly #topicName: (bytes: Buffer, start: number, end: number) => string;

  #chunk: Buffer = NO_BYTES;
  #at = 0;
  /** Chunks pushed while one was still being read. */
  #waiting: Buffer[] = [];
  #waitingAt = 0;

  /** The packet that the last chunk cut off: its first `#partialSize` bytes. */
  #partial: Buffer = NO_BYTES;
  #partialSize = 0;

  /** Of the header read last: octets of the fixed header; the whole packet; 0 where it is incomplete. */
  #headerSize = 0;
  #packetSize = 0;
  #overlong = false;

  #malformed: Malformed | undefined;

  constructor(options: DecoderOptions) {
    invariant(
      options.receiver === 'server' || options.protocolVersion !== undefined,
      'a client knows its protocol version',
    );
    this.#maximumPacketSize = options.maximumPacketSize;
    this.#receiver = options.receiver;
    this.protocolVersion = options.protocolVersion;
    this.#topicName = options.topicName ?? nameOf;
    this.#packets = new PacketReader(options.receiver === 'server' ? 'client' : 'server');
  }

  /**
   * Payloads and binary data are slices of `chunk`: it must not be written to afterwards, and who keeps a small
   * payload for long copies it, or the whole chunk stays in memory.
   */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#malformed !== undefined) return;
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#at === this.#chunk.length) {
      this.#chunk = bytes;
      this.#at = 0;
    } else {
      this.#waiting.push(bytes);
    }
  }

  next(): Decoded {
    if (this.#malformed !== undefined) return this.#malformed;
    try {
      if (this.#partialSize > 0) return this.#nextCut();
      const start = this.#at;
      const available = this.#chunk.length - start;
      if (available === 0) return AT_REST;
      this.#readHeader(this.#chunk, start, available);
      const size = this.#packetSize;
      if (size === 0 || size > available) return this.#nextCut();
      const packet = this.#decode(this.#chunk, start, size);
      this.#at = start + size;
      if (this.#at === this.#chunk.length) this.#nextChunk();
      return { kind: 'packet', packet, bytesUsed: size };
    } catch (fault) {
      return this.#refuse(fault);
    }
  }

  /** The packet that lies across chunks: collects its bytes until it is whole. */
  #nextCut(): Decoded {
    for (;;) {
      if (this.#partialSize > 0) {
        this.#readHeader(this.#partial, 0, this.#partialSize);
        if (this.#packetSize > 0 && this.#partialSize === this.#packetSize) break;
      }
      const available = this.#chunk.length - this.#at;
      if (available === 0) {
        if (this.#packetSize === 0) return HEADER_CUT;
        return { kind: 'incomplete', bytesNeeded: this.#packetSize - this.#partialSize };
      }
      // Until its length is known, byte by byte: what follows may be another packet.
      const wanted = this.#partialSize > 0 && this.#packetSize > 0 ? this.#packetSize - this.#partialSize : 1;
      this.#collect(Math.min(wanted, available));
    }
    const size = this.#packetSize;
    const bytes = this.#partial;
    this.#partial = NO_BYTES;
    this.#partialSize = 0;
    return { kind: 'packet', packet: this.#decode(bytes, 0, size), bytesUsed: size };
  }

  #collect(count: number): void {
    const size = this.#partialSize + count;
    if (size > this.#partial.length) {
      // Doubling keeps the cost linear; the packet's length only caps it, since so far it is a mere claim.
      const doubled = Math.max(size, this.#partial.length * 2, PARTIAL_BYTES_MIN);
      const capacity = this.#packetSize > 0 ? Math.min(doubled, this.#packetSize) : doubled;
      const grown = Buffer.allocUnsafeSlow(Math.max(capacity, size));
      this.#partial.copy(grown, 0, 0, this.#partialSize);
      this.#partial = grown;
    }
    this.#chunk.copy(this.#partial, this.#partialSize, this.#at, this.#at + count);
    this.#partialSize = size;
    this.#at += count;
    if (this.#at === this.#chunk.length) this.#nextChunk();
  }

  #nextChunk(): void {
    this.#at = 0;
    if (this.#waitingAt === this.#waiting.length) {
      this.#chunk = NO_BYTES;
      return;
    }
    this.#chunk = this.#waiting[this.#waitingAt]!;
    this.#waitingAt += 1;
    if (this.#waitingAt === this.#waiting.length) {
      this.#waiting = [];
      this.#waitingAt = 0;
    }
  }

  /** Sets `#packetSize`, to 0 where the header is not complete; throws as soon as anything in it is wrong. */
  #readHeader(bytes: Buffer, start: number, available: number): void {
    this.#packetSize = 0;
    const first = bytes[start]!;
    this.#checkFirst(first);
    let length = 0;
    let count = 1;
    for (;;) {
      if (count === available) return;
      const octet = bytes[start + count]!;
      length |= (octet & 0x7f) << (7 * (count - 1));
      count += 1;
      if (octet < 0x80) {
        this.#overlong = octet === 0 && count > 2;
        break;
      }
      if (count === 5) throw malformed('Remaining Length has more than four octets');
    }
    // 3.1.1 has no rule against it; a CONNECT is judged once its level is known [MQTT5-1.5.5-1].
    if (this.#overlong && this.protocolVersion === 5) throw overlong();
    if (count + length > this.#maximumPacketSize) {
      throw new WireFault(
        ReasonCode.packetTooLarge,
        `${NAMES[first >> 4]} has ${count + length} bytes, the limit is ${this.#maximumPacketSize}`,
      );
    }
    this.#headerSize = count;
    this.#packetSize = count + length;
  }

  #checkFirst(first: number): void {
    const type = first >> 4;
    const version = this.protocolVersion;
    if (version === undefined) {
      // [MQTT311-3.1.0-1] [MQTT5-3.1.0-1]
      if (type !== CONNECT) throw protocolError(`the first packet is ${NAMES[type]}, not CONNECT`);
    } else if (type === CONNECT && this.#receiver === 'server') {
      // [MQTT311-3.1.0-2] [MQTT5-3.1.0-2]
      throw protocolError('a second CONNECT came');
    }
    if (type === PUBLISH) return;
    if (type === 0 || (type === 15 && version === 4)) throw malformed(`packet type ${type} is reserved`);
    const allowed =
      (this.#receiver === 'server' ? TO_SERVER_311 : TO_CLIENT_311) | (version === 5 ? ADDED_BY_5 : 0);
    if ((allowed & (1 << type)) === 0) {
      throw protocolError(`${NAMES[type]} came in the wrong direction`);
    }
    if ((first & 0x0f) !== FLAGS[type]) {
      throw malformed(`${NAMES[type]} has reserved flags ${(first & 0x0f).toString(2).padStart(4, '0')}`);
    }
  }

  #decode(bytes: Buffer, start: number, size: number): Packet {
    const first = bytes[start]!;
    const type = first >> 4;
    const bodyStart = start + this.#headerSize;
    if (type === PUBLISH) return this.#decodePublish(bytes, first, bodyStart, start + size);
    if (type >= PUBACK && type <= PUBCOMP && size === 4) {
      const packetIdentifier = (bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!;
      if (packetIdentifier === 0) throw protocolError('Packet Identifier is 0');
      return {
        type: ACK_TYPES[type - PUBACK]!,
        packetIdentifier,
        reasonCode: ReasonCode.success,
        properties: undefined,
      };
    }
    const reader = new WireReader(bytes, bodyStart, start + size);
    if (type !== CONNECT) return this.#packets.read(type, reader, this.protocolVersion!);
    return this.#packets.readConnect(reader, (version) => {
      this.protocolVersion = version;
      if (this.#overlong && version === 5) throw overlong();
    });
  }

  #decodePublish(bytes: Buffer, first: number, bodyStart: number, end: number): Packet {
    const qos = (first >> 1) & 3;
    // [MQTT311-3.3.1-4] [MQTT5-3.3.1-4]
    if (qos === 3) throw malformed('PUBLISH has QoS 3');
    const dup = (first & 8) !== 0;
    // [MQTT311-3.3.1-2] [MQTT5-3.3.1-2]
    if (dup && qos === 0) throw malformed('PUBLISH of QoS 0 has DUP 1');
    if (bodyStart + 2 > end) throw malformed('Topic Name runs past the end of the packet');
    const topicStart = bodyStart + 2;
    const topicEnd = topicStart + ((bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!);
    if (topicEnd > end) throw malformed('Topic Name runs past the end of the packet');
    const topic = topicEnd > topicStart ? this.#topicName(bytes, topicStart, topicEnd) : '';
    let at = topicEnd;
    let packetIdentifier: number | undefined;
    if (qos > 0) {
      if (at + 2 > end) throw malformed('Packet Identifier runs past the end of the packet');
      packetIdentifier = (bytes[at]! << 8) | bytes[at + 1]!;
      // [MQTT311-2.3.1-1] [MQTT5-2.2.1-3]
      if (packetIdentifier === 0) throw protocolError('Packet Identifier is 0');
      at += 2;
    }
    let properties: Properties | undefined;
    if (this.protocolVersion === 5) {
      if (at < end && bytes[at] === 0) {
        at += 1;
      } else {
        const reader = new WireReader(bytes, at, end);
        properties = readProperties(reader, Place.publish, this.#receiver === 'server' ? 'client' : 'server');
        at = reader.at;
      }
    }
    // [MQTT311-4.7.3-1] [MQTT5-4.7.3-1]
    if (topic === '' && properties?.topicAlias === undefined) {
      throw protocolError('Topic Name is empty');
    }
    // All keys always, in one order: one hidden class for every PUBLISH.
    return {
      type: 'publish',
      topic,
      payload: slice(bytes, at, end - at),
      qos: qos as QoS,
      retain: (first & 1) !== 0,
      dup,
      packetIdentifier,
      properties,
    };
  }

  #refuse(fault: unknown): Malformed {
    if (!(fault instanceof WireFault)) throw fault;
    this.#malformed =
      fault instanceof UnsupportedVersion
        ? {
            kind: 'malformed',
            reasonCode: fault.reasonCode,
            why: fault.message,
            protocolLevel: fault.protocolLevel,
          }
        : { kind: 'malformed', reasonCode: fault.reasonCode, why: fault.message };
    this.#chunk = NO_BYTES;
    this.#at = 0;
    this.#waiting = [];
    this.#waitingAt = 0;
    this.#partial = NO_BYTES;
    this.#partialSize = 0;
    return this.#malformed;
  }
}

/** Throws a WireFault for what is no Topic Name, apart from its length. */
export function decodeTopicName(bytes: Buffer, start: number, end: number): string {
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at]!;
    // [MQTT311-3.3.2-2] [MQTT5-3.3.2-2]
    if (octet === PLUS || octet === HASH) throw protocolError('Topic Name contains a wildcard');
  }
  return decodeString(bytes, start, end, 'Topic Name');
}

function overlong(): WireFault {
  return malformed('Remaining Length is not in its shortest form');
}
