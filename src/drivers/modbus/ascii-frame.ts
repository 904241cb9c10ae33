/**
 * Modbus ASCII: unit, PDU and a checksum as hexadecimal digits between marks. Pure.
 *
 *   ':' | unit, PDU, LRC: two digits a byte | CR LF
 */

import type { Framing } from './serial-exchange.js';

const COLON = 0x3a;
const CR = 0x0d;
const LF = 0x0a;
/** Colon, unit, checksum, CR LF. */
const ENVELOPE_CHARACTERS = 7;

export const ASCII_FRAMING: Framing = {
  // Two digits for each byte of the longest PDU.
  frameBytesMax: 2 * 253 + ENVELOPE_CHARACTERS,
  encode: encodeAsciiFrame,
  characters: (pduBytes) => 2 * pduBytes + ENVELOPE_CHARACTERS,
  *find(input, unit) {
    for (let at = input.indexOf(COLON); at !== -1; at = input.indexOf(COLON, at + 1)) {
      const end = input.indexOf(LF, at);
      if (end === -1) return;
      const bytes = decodeAsciiFrame(input.subarray(at, end + 1));
      if (bytes !== undefined && bytes[0] === unit) yield bytes.subarray(1);
    }
  },
};

export function encodeAsciiFrame(unit: number, pdu: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([Uint8Array.of(unit), pdu, Uint8Array.of(lrc([unit, ...pdu]))]);
  return Buffer.from(`:${bytes.toString('hex').toUpperCase()}\r\n`, 'latin1');
}

/** Unit and PDU of a whole frame; undefined: it is none. */
export function decodeAsciiFrame(frame: Uint8Array): Uint8Array | undefined {
  if (frame.length < ENVELOPE_CHARACTERS + 2 || frame[0] !== COLON) return undefined;
  if (frame.at(-1) !== LF || frame.at(-2) !== CR) return undefined;
  const digits = Buffer.from(frame.subarray(1, -2)).toString('latin1');
  if (digits.length % 2 !== 0 || !/^[0-9A-Fa-f]*$/.test(digits)) return undefined;
  const bytes = Buffer.from(digits, 'hex');
  // With its checksum a frame adds up to nothing.
  if (lrc(bytes) !== 0) return undefined;
  return Uint8Array.from(bytes.subarray(0, -1));
}

/** The two's complement of the sum of all bytes. */
function lrc(bytes: Iterable<number>): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}
