/**
 * Packets from a server, read strictly: flags, lengths, UTF-8, which property and which Reason Code may stand
 * where. What breaks a rule is thrown as a Violation, so every test of the suite watches the peer's bytes.
 */
import type { Version } from './build.js';
import { kindOf, type Property, type PropertyValue } from './property.js';

interface Common {
  /** The whole packet as it came. */
  readonly bytes: Buffer;
  /** Always empty in 3.1.1. */
  readonly properties: readonly Property[];
}
export interface Connack extends Common {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  /** Return Code in 3.1.1, Reason Code in 5.0. */
  readonly code: number;
}
export interface Published extends Common {
  readonly type: 'publish';
  readonly dup: boolean;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly topic: string;
  /** 0 at QoS 0, where there is none. */
  readonly packetIdentifier: number;
  readonly payload: Buffer;
}
export interface Acknowledged extends Common {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly packetIdentifier: number;
  readonly code: number;
}
export interface Suback extends Common {
  readonly type: 'suback';
  readonly packetIdentifier: number;
  readonly codes: readonly number[];
}
/** Without codes in 3.1.1. */
export interface Unsuback extends Common {
  readonly type: 'unsuback';
  readonly packetIdentifier: number;
  readonly codes: readonly number[];
}
export interface Pingresp extends Common {
  readonly type: 'pingresp';
}
export interface Disconnected extends Common {
  readonly type: 'disconnect';
  readonly code: number;
}
export interface Auth extends Common {
  readonly type: 'auth';
  readonly code: number;
}
export type ServerPacket =
  | Connack
  | Published
  | Acknowledged
  | Suback
  | Unsuback
  | Pingresp
  | Disconnected
  | Auth;
export type PacketType = ServerPacket['type'];
export type PacketOf<T extends PacketType> = ServerPacket & { readonly type: T };

/** The peer has sent what no server may send. */
export class Violation extends Error {}

/** By the high half of the first octet; what a server never sends is missing. */
const TYPES: Readonly<Record<number, PacketType>> = {
  2: 'connack',
  3: 'publish',
  4: 'puback',
  5: 'pubrec',
  6: 'pubrel',
  7: 'pubcomp',
  9: 'suback',
  11: 'unsuback',
  13: 'pingresp',
  14: 'disconnect',
  15: 'auth',
};

const ACK_PROPERTIES = [0x1f, 0x26];
const ALLOWED_PROPERTIES: Readonly<Record<PacketType, readonly number[]>> = {
  connack: [
    0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a,
  ],
  publish: [0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26],
  puback: ACK_PROPERTIES,
  pubrec: ACK_PROPERTIES,
  pubrel: ACK_PROPERTIES,
  pubcomp: ACK_PROPERTIES,
  suback: ACK_PROPERTIES,
  unsuback: ACK_PROPERTIES,
  pingresp: [],
  // A server's DISCONNECT has no Session Expiry Interval [MQTT5-3.14.2-2].
  disconnect: [0x1c, 0x1f, 0x26],
  auth: [0x15, 0x16, 0x1f, 0x26],
};

const PUBLISH_CODES = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const ALLOWED_CODES: Readonly<Record<Exclude<PacketType, 'publish' | 'pingresp'>, readonly number[]>> = {
  connack: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99,
    0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ],
  puback: PUBLISH_CODES,
  pubrec: PUBLISH_CODES,
  pubrel: [0x00, 0x92],
  pubcomp: [0x00, 0x92],
  suback: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  unsuback: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  disconnect: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
  auth: [0x00, 0x18],
};
/** Codes of 3.1.1: CONNACK stops at 5, SUBACK knows four. */
const CONNACK_CODES_311 = [0, 1, 2, 3, 4, 5];
const SUBACK_CODES_311 = [0x00, 0x01, 0x02, 0x80];

/** The first packet of `bytes`; undefined where more bytes are needed. */
export function read(bytes: Buffer, version: Version): ServerPacket | undefined {
  const length = remainingLength(bytes, version);
  if (length === undefined || bytes.length < length.headerBytes + length.value) return undefined;
  const whole = bytes.subarray(0, length.headerBytes + length.value);
  return new Reader(whole, length.headerBytes, version).packet();
}

function remainingLength(
  bytes: Buffer,
  version: Version,
): { readonly value: number; readonly headerBytes: number } | undefined {
  for (let at = 1, value = 0; at < bytes.length; at++) {
    const octet = bytes[at] as number;
    value += (octet & 0x7f) * 128 ** (at - 1);
    if (octet < 0x80) {
      if (version === 5 && octet === 0 && at > 1)
        violate('[MQTT5-1.5.5-1] Remaining Length is too long', bytes);
      return { value, headerBytes: at + 1 };
    }
    if (at === 4) violate('Remaining Length has a fifth octet', bytes);
  }
  return undefined;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #version: Version;
  #at: number;
  #end: number;

  constructor(bytes: Buffer, at: number, version: Version) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = bytes.length;
    this.#version = version;
  }

  packet(): ServerPacket {
    const first = this.#bytes[0] as number;
    const type = TYPES[first >> 4];
    if (type === undefined) this.#violate('no packet that a server sends');
    if (this.#version === 4 && (type === 'disconnect' || type === 'auth')) {
      this.#violate(`a server has no ${type} in 3.1.1`);
    }
    // [MQTT311-2.2.2-1], [MQTT5-2.1.3-1]
    if (type !== 'publish' && (first & 0x0f) !== (type === 'pubrel' ? 2 : 0)) this.#violate('reserved flags');
    const packet = this.#body(type, first);
    if (this.#at !== this.#end) this.#violate('octets are left over at the end');
    return packet;
  }

  #body(type: PacketType, first: number): ServerPacket {
    const bytes = this.#bytes;
    switch (type) {
      case 'connack': {
        const flags = this.#octet();
        if (flags > 1) this.#violate('[MQTT5-3.2.2-1] Acknowledge Flags');
        // A server may refuse a version that it does not know in the form that every version can read.
        if (this.#version === 5 && this.#end - this.#at === 1 && this.#bytes[this.#at] === 1) {
          this.#octet();
          return { type, bytes, sessionPresent: flags === 1, code: 0x84, properties: [] };
        }
        const code = this.#code(type, CONNACK_CODES_311);
        return { type, bytes, sessionPresent: flags === 1, code, properties: this.#properties(type) };
      }
      case 'publish':
        return this.#publish(first);
      case 'puback':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp': {
        const packetIdentifier = this.#identifier();
        const code = this.#version === 5 && this.#more ? this.#code(type) : 0;
        const list = this.#more ? this.#properties(type) : [];
        return { type, bytes, packetIdentifier, code, properties: list };
      }
      case 'suback':
      case 'unsuback': {
        const packetIdentifier = this.#identifier();
        const list = this.#properties(type);
        const codes: number[] = [];
        while (this.#more && (type === 'suback' || this.#version === 5)) {
          codes.push(this.#code(type, SUBACK_CODES_311));
        }
        return { type, bytes, packetIdentifier, codes, properties: list };
      }
      case 'pingresp':
        return { type, bytes, properties: [] };
      case 'disconnect':
      case 'auth': {
        const code = this.#more ? this.#code(type) : 0;
        return { type, bytes, code, properties: this.#more ? this.#properties(type) : [] };
      }
    }
  }

  #publish(first: number): Published {
    const qos = (first >> 1) & 3;
    if (qos === 3) this.#violate('[MQTT311-3.3.1-4], [MQTT5-3.3.1-4] QoS 3');
    const dup = (first & 8) !== 0;
    if (dup && qos === 0) this.#violate('[MQTT311-3.3.1-2], [MQTT5-3.3.1-2] DUP at QoS 0');
    const topic = this.#text();
    if (/[+#]/.test(topic)) this.#violate('[MQTT311-3.3.2-2], [MQTT5-3.3.2-2] wildcard in a Topic Name');
    const packetIdentifier = qos === 0 ? 0 : this.#identifier();
    const list = this.#properties('publish');
    // An empty Topic Name stands for an alias.
    if (topic === '' && !list.some(([identifier]) => identifier === 0x23)) this.#violate('empty Topic Name');
    const payload = this.#take(this.#end - this.#at);
    return {
      type: 'publish',
      bytes: this.#bytes,
      dup,
      qos: qos as 0 | 1 | 2,
      retain: (first & 1) !== 0,
      topic,
      packetIdentifier,
      properties: list,
      payload,
    };
  }

  #code(type: Exclude<PacketType, 'publish' | 'pingresp'>, codes311?: readonly number[]): number {
    const code = this.#octet();
    const allowed = this.#version === 4 ? (codes311 ?? []) : ALLOWED_CODES[type];
    if (!allowed.includes(code)) this.#violate(`code 0x${code.toString(16)} in ${type}`);
    return code;
  }

  /** Property Length and properties; nothing is read in 3.1.1. */
  #properties(type: PacketType): Property[] {
    const list: Property[] = [];
    if (this.#version === 4) return list;
    const length = this.#vbi();
    const outerEnd = this.#end;
    this.#end = this.#at + length;
    if (this.#end > outerEnd) this.#violate('Property Length passes the end of the packet');
    while (this.#more) {
      const identifier = this.#vbi();
      if (!ALLOWED_PROPERTIES[type].includes(identifier)) {
        this.#violate(`property 0x${identifier.toString(16)} in ${type}`);
      }
      const repeats = identifier === 0x26 || identifier === 0x0b;
      if (!repeats && list.some(([before]) => before === identifier)) {
        this.#violate(`property 0x${identifier.toString(16)} twice in ${type}`);
      }
      list.push([identifier, this.#value(identifier)]);
    }
    this.#end = outerEnd;
    return list;
  }

  #value(identifier: number): PropertyValue {
    switch (kindOf(identifier)) {
      case 'byte': {
        const value = this.#octet();
        if (value > 1) this.#violate(`value of property 0x${identifier.toString(16)}`);
        return value;
      }
      case 'u16':
        return this.#u16();
      case 'u32':
        return this.#take(4).readUInt32BE();
      case 'vbi':
        return this.#vbi();
      case 'binary':
        return this.#take(this.#u16());
      case 'pair':
        return [this.#text(), this.#text()];
      default:
        return this.#text();
    }
  }

  get #more(): boolean {
    return this.#at < this.#end;
  }

  #identifier(): number {
    const identifier = this.#u16();
    if (identifier === 0) this.#violate('[MQTT311-2.3.1-1], [MQTT5-2.2.1-4] Packet Identifier 0');
    return identifier;
  }

  #text(): string {
    const octets = this.#take(this.#u16());
    try {
      // U+FEFF is kept wherever it stands [MQTT311-1.5.3-3], [MQTT5-1.5.4-3].
      const value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
      if (value.includes('\0')) this.#violate('U+0000 in a text');
      return value;
    } catch (fault) {
      if (fault instanceof Violation) throw fault;
      return this.#violate('text that is no UTF-8');
    }
  }

  #vbi(): number {
    for (let count = 0, value = 0; ; count++) {
      const octet = this.#octet();
      value += (octet & 0x7f) * 128 ** count;
      if (octet < 0x80) {
        if (octet === 0 && count > 0) this.#violate('[MQTT5-1.5.5-1] Variable Byte Integer is too long');
        return value;
      }
      if (count === 3) this.#violate('Variable Byte Integer has a fifth octet');
    }
  }

  #u16(): number {
    return this.#take(2).readUInt16BE();
  }

  #octet(): number {
    return this.#take(1)[0] as number;
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#end) this.#violate('the packet ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #violate(what: string): never {
    return violate(what, this.#bytes);
  }
}

function violate(what: string, bytes: Buffer): never {
  throw new Violation(`${what}: ${bytes.subarray(0, 64).toString('hex')}`);
}
