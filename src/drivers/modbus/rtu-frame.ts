/**
 * Modbus RTU: unit, PDU and CRC. Pure.
 *
 *   unit (1) | PDU | CRC (2, low byte first)
 *
 * A frame has no mark where it begins or ends but silence, which drivers and device servers do not hand on; so an
 * answer is looked for at every byte.
 */

import { crc16 } from './crc16.js';
import { answerLength, EXCEPTION_BYTES } from './pdu.js';
import type { Framing } from './serial-exchange.js';

/** Unit and CRC around the PDU. */
const ENVELOPE_BYTES = 3;

export const RTU_FRAMING: Framing = {
  frameBytesMax: 256,
  encode: encodeRtuFrame,
  characters: (pduBytes) => pduBytes + ENVELOPE_BYTES,
  *find(input, unit, question) {
    for (let at = 0; at + EXCEPTION_BYTES + ENVELOPE_BYTES <= input.length; at++) {
      if (input[at] !== unit) continue;
      const length = answerLength(input.subarray(at + 1), question);
      if (length === undefined || length === 0) continue;
      const end = at + length + ENVELOPE_BYTES;
      if (end > input.length || !isRtuFrame(input.subarray(at, end))) continue;
      yield input.slice(at + 1, end - 2);
    }
  },
};

export function encodeRtuFrame(unit: number, pdu: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(pdu.length + ENVELOPE_BYTES);
  bytes[0] = unit;
  bytes.set(pdu, 1);
  const crc = crc16(bytes.subarray(0, -2));
  bytes[bytes.length - 2] = crc & 0xff;
  bytes[bytes.length - 1] = crc >> 8;
  return bytes;
}

/** Whether the last two bytes are the CRC of those before. */
export function isRtuFrame(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const crc = crc16(bytes.subarray(0, -2));
  return bytes[bytes.length - 2] === (crc & 0xff) && bytes[bytes.length - 1] === crc >> 8;
}
