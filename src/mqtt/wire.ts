/**
 * The data types of MQTT on the wire [MQTT5-1.5]: integers big-endian, Variable Byte Integers, strictly valid UTF-8.
 *
 * `WireReader` walks over the body of one packet. It throws a `WireFault` at the first byte that breaks a rule; the
 * decoder catches it and answers with a value, so nothing above `decoder.ts` ever sees one.
 */
import { ReasonCode } from './reason-code.js';
import type { StringCache } from './string-cache.js';

/** Four octets of seven bits [MQTT5-1.5.5]. */
export const VARIABLE_BYTE_INTEGER_MAX = 268_435_455;

/** A length field has two octets. */
export const STRING_BYTES_MAX = 65_535;

/** Up to this length a loop over the characters beats the call into native code; measured. */
const SHORT_STRING = 40;

export class WireFault extends Error {
  readonly reasonCode: ReasonCode;

  constructor(reasonCode: ReasonCode, why: string) {
    super(why);
    this.reasonCode = reasonCode;
  }
}

export function malformed(why: string): WireFault {
  return new WireFault(ReasonCode.malformedPacket, why);
}

export function protocolError(why: string): WireFault {
  return new WireFault(ReasonCode.protocolError, why);
}

export class WireReader {
  readonly bytes: Buffer;
  at: number;
  end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(what: string): number {
    if (this.at >= this.end) throw cut(what);
    return this.bytes[this.at++]!;
  }

  twoByteInteger(what: string): number {
    const at = this.at;
    if (at + 2 > this.end) throw cut(what);
    this.at = at + 2;
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  fourByteInteger(what: string): number {
    const at = this.at;
    if (at + 4 > this.end) throw cut(what);
    this.at = at + 4;
    const bytes = this.bytes;
    return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
  }

  /** In the shortest form only [MQTT5-1.5.5-1]: inside a packet it occurs in 5.0 alone. */
  variableByteInteger(what: string): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const octet = this.byte(what);
      value |= (octet & 0x7f) << shift;
      if (octet < 0x80) {
        if (octet === 0 && shift > 0) throw malformed(`${what} is not in its shortest form`);
        return value;
      }
    }
    throw malformed(`${what} has more than four octets`);
  }

  /** A slice, not a copy. */
  binary(what: string): Uint8Array {
    const length = this.twoByteInteger(what);
    return this.slice(length, what);
  }

  slice(length: number, what: string): Uint8Array {
    const at = this.at;
    if (at + length > this.end) throw cut(what);
    this.at = at + length;
    return slice(this.bytes, at, length);
  }

  string(what: string): string {
    const length = this.twoByteInteger(what);
    const at = this.at;
    if (at + length > this.end) throw cut(what);
    this.at = at + length;
    return decodeString(this.bytes, at, at + length, what);
  }

  cachedString(cache: StringCache, what: string): string {
    const length = this.twoByteInteger(what);
    const at = this.at;
    if (at + length > this.end) throw cut(what);
    this.at = at + length;
    return cache.get(this.bytes, at, at + length);
  }

  packetIdentifier(): number {
    const packetIdentifier = this.twoByteInteger('Packet Identifier');
    // [MQTT311-2.3.1-1] [MQTT5-2.2.1-3]
    if (packetIdentifier === 0) throw protocolError('Packet Identifier is 0');
    return packetIdentifier;
  }

  done(packet: string): void {
    if (this.at !== this.end) throw malformed(`${packet} has ${this.left} bytes too many`);
  }
}

/** A plain Uint8Array: `Buffer.subarray` takes twice as long. */
export function slice(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
}

/** Throws a WireFault for what is not strictly valid UTF-8 without NUL [MQTT311-1.5.3-1] [MQTT5-1.5.4-1]. */
export function decodeString(bytes: Buffer, start: number, end: number, what: string): string {
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at]!;
    if (octet >= 0x80) {
      checkUtf8(bytes, at, end, what);
      return bytes.toString('utf8', start, end);
    }
    if (octet === 0) throw containsNul(what);
  }
  return bytes.toString('latin1', start, end);
}

/**
 * Ill-formed, overlong, surrogate, above U+10FFFF and NUL are refused; U+FEFF, controls and non-characters pass
 * [MQTT5-1.5.4-1] to [MQTT5-1.5.4-3].
 */
function checkUtf8(bytes: Buffer, start: number, end: number, what: string): void {
  let at = start;
  while (at < end) {
    const first = bytes[at]!;
    if (first < 0x80) {
      if (first === 0) throw containsNul(what);
      at += 1;
      continue;
    }
    let following: number;
    let lowest = 0x80;
    let highest = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      following = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      following = 2;
      if (first === 0xe0) lowest = 0xa0;
      // U+D800 to U+DFFF are surrogates.
      if (first === 0xed) highest = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      following = 3;
      if (first === 0xf0) lowest = 0x90;
      if (first === 0xf4) highest = 0x8f;
    } else {
      throw malformed(`${what} is not valid UTF-8`);
    }
    if (at + following >= end) throw malformed(`${what} is not valid UTF-8`);
    const second = bytes[at + 1]!;
    if (second < lowest || second > highest) throw malformed(`${what} is not valid UTF-8`);
    for (let next = at + 2; next <= at + following; next += 1) {
      if ((bytes[next]! & 0xc0) !== 0x80) throw malformed(`${what} is not valid UTF-8`);
    }
    at += following + 1;
  }
}

function cut(what: string): WireFault {
  return malformed(`${what} runs past the end of the packet`);
}

function containsNul(what: string): WireFault {
  return malformed(`${what} contains U+0000`);
}

export function variableByteIntegerSize(value: number): number {
  if (value < 128) return 1;
  if (value < 16_384) return 2;
  return value < 2_097_152 ? 3 : 4;
}

export function writeVariableByteInteger(bytes: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest > 127) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

export function writeTwoByteInteger(bytes: Uint8Array, offset: number, value: number): number {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value & 0xff;
  return offset + 2;
}

export function writeFourByteInteger(bytes: Uint8Array, offset: number, value: number): number {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = (value >>> 16) & 0xff;
  bytes[offset + 2] = (value >>> 8) & 0xff;
  bytes[offset + 3] = value & 0xff;
  return offset + 4;
}

/** Octets of the text in UTF-8, without its length field. */
export function utf8Size(text: string): number {
  const length = text.length;
  if (length > SHORT_STRING) return Buffer.byteLength(text);
  for (let at = 0; at < length; at += 1) {
    if (text.charCodeAt(at) >= 0x80) return Buffer.byteLength(text);
  }
  return length;
}

/** `size` is `utf8Size(text)`. */
export function writeString(bytes: Buffer, offset: number, text: string, size: number): number {
  const at = writeTwoByteInteger(bytes, offset, size);
  if (size === text.length && size <= SHORT_STRING) {
    for (let index = 0; index < size; index += 1) bytes[at + index] = text.charCodeAt(index);
  } else {
    bytes.write(text, at, size, 'utf8');
  }
  return at + size;
}

export function writeBinary(bytes: Uint8Array, offset: number, data: Uint8Array): number {
  const at = writeTwoByteInteger(bytes, offset, data.length);
  bytes.set(data, at);
  return at + data.length;
}
