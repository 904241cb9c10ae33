/**
 * Write requests: pure. A device repeats what it was told, as far as the function allows, so an answer that does
 * not is none.
 *
 *    5  one coil      6  one register      15  coils      16  registers
 *   22  one register under a mask: (present AND and) OR (or AND NOT and)
 *   23  registers written, then registers read, in one request
 */

import { type Answer, counted, type Question } from './pdu.js';

const COIL_ON = 0xff00;
/** What fits in a request of 253 bytes. */
export const WRITE_REGISTERS_MAX = 123;

export function writeCoil(address: number, on: boolean): Question {
  return repeated(Uint8Array.of(5, ...word(address), ...word(on ? COIL_ON : 0)));
}

export function writeCoils(address: number, values: readonly boolean[]): Question {
  const bytes = new Uint8Array(Math.ceil(values.length / 8));
  for (const [index, on] of values.entries())
    if (on) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (1 << (index & 7));
  return repeated(Uint8Array.of(15, ...word(address), ...word(values.length), bytes.length, ...bytes), 5);
}

/** `bytes` are the registers as the wire has them. */
export function writeRegister(address: number, bytes: Uint8Array): Question {
  return repeated(Uint8Array.of(6, ...word(address), ...bytes));
}

export function writeRegisters(address: number, bytes: Uint8Array): Question {
  return repeated(Uint8Array.of(16, ...word(address), ...word(bytes.length / 2), bytes.length, ...bytes), 5);
}

export function maskRegister(address: number, and: number, or: number): Question {
  return repeated(Uint8Array.of(22, ...word(address), ...word(and), ...word(or)));
}

/** Its data are the registers after the write. */
export function writeAndRead(address: number, bytes: Uint8Array): Question {
  const count = word(bytes.length / 2);
  const pdu = Uint8Array.of(
    23,
    ...word(address),
    ...count,
    ...word(address),
    ...count,
    bytes.length,
    ...bytes,
  );
  return {
    pdu,
    answerBytes: () => 2 + bytes.length,
    answerBytesMax: 2 + bytes.length,
    parse: (answer) => counted(answer, bytes.length),
  };
}

/** The answer is the request again, or its first bytes. */
function repeated(pdu: Uint8Array, bytes: number = pdu.length): Question {
  return {
    pdu,
    answerBytes: () => bytes,
    answerBytesMax: bytes,
    repeats: bytes === pdu.length,
    parse: (answer): Answer =>
      answer.length === bytes && answer.every((byte, index) => byte === pdu[index])
        ? { kind: 'data', bytes: answer.subarray(1) }
        : { kind: 'wrong', why: 'a repetition of another request' },
  };
}

function word(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}
