/**
 * Requests and their replies, the same in every framing: pure.
 *
 *   function | what the function needs …        reply: function | data …        exception: function + 0x80 | code
 *
 * A Question is a request with all that can be told about its answer beforehand: how long it is and what it must
 * repeat. Reads are here, writes in `write-pdu.ts`, identification in `identification.ts`.
 */

import { isBits, type Table } from './point.js';

export interface Question {
  readonly pdu: Uint8Array;
  /** Bytes of the answering PDU that begins so; undefined: more must come before it can be told. */
  answerBytes(beginning: Uint8Array): number | undefined;
  /** The longest answer there can be: decides how long to wait on a slow line. */
  readonly answerBytesMax: number;
  /** The answer is the request once more, so that an adapter's echo cannot be told from it. */
  readonly repeats?: boolean;
  /** A PDU of the right function; `wrong` where it cannot be the answer. */
  parse(pdu: Uint8Array): Answer;
}

export type Answer =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'exception'; readonly code: number }
  | { readonly kind: 'wrong'; readonly why: string };

export interface ReadRange {
  readonly table: Table;
  readonly start: number;
  readonly count: number;
}

export const FUNCTION_CODES: { readonly [table in Table]: number } = {
  coil: 1,
  discrete: 2,
  holding: 3,
  input: 4,
};

export const EXCEPTION = 0x80;
/** function + 0x80, code. */
export const EXCEPTION_BYTES = 2;

/** The names of the Modbus specification, lower case: they are the `reason` of a bad reading. */
const EXCEPTION_NAMES = new Map([
  [1, 'illegal function'],
  [2, 'illegal data address'],
  [3, 'illegal data value'],
  [4, 'server device failure'],
  [5, 'acknowledge'],
  [6, 'server device busy'],
  [8, 'memory parity error'],
  [10, 'gateway path unavailable'],
  [11, 'gateway target device failed to respond'],
]);

export function exceptionName(code: number): string {
  return EXCEPTION_NAMES.get(code) ?? `exception ${code}`;
}

export function readQuestion(range: ReadRange): Question {
  const { table, start, count } = range;
  const bytes = dataBytes(table, count);
  return {
    pdu: Uint8Array.of(FUNCTION_CODES[table], start >> 8, start & 0xff, count >> 8, count & 0xff),
    answerBytes: () => 2 + bytes,
    answerBytesMax: 2 + bytes,
    parse: (pdu) => counted(pdu, bytes),
  };
}

/** How many bytes of data the reply to a read carries. */
export function dataBytes(table: Table, count: number): number {
  return isBits(table) ? Math.ceil(count / 8) : count * 2;
}

/** Data behind their number of bytes, as every read has them. */
export function counted(pdu: Uint8Array, bytes: number): Answer {
  if (pdu[1] !== bytes || pdu.length !== 2 + bytes) {
    return { kind: 'wrong', why: `${pdu.length - 2} bytes of data instead of ${bytes}` };
  }
  return { kind: 'data', bytes: pdu.subarray(2) };
}

export function parseAnswer(pdu: Uint8Array, question: Question): Answer {
  const asked = question.pdu[0] ?? 0;
  const [functionCode, second] = pdu;
  if (functionCode === (asked | EXCEPTION)) {
    if (pdu.length !== EXCEPTION_BYTES || second === undefined || second === 0) {
      return { kind: 'wrong', why: 'an exception of the wrong length' };
    }
    return { kind: 'exception', code: second };
  }
  if (functionCode !== asked) return { kind: 'wrong', why: `function ${functionCode} instead of ${asked}` };
  return question.parse(pdu);
}

/** How long the PDU is that begins so, as an answer to `question` or an exception; 0: it is neither. */
export function answerLength(beginning: Uint8Array, question: Question): number | undefined {
  const asked = question.pdu[0] ?? 0;
  const [functionCode] = beginning;
  if (functionCode === undefined) return undefined;
  if (functionCode === (asked | EXCEPTION)) return EXCEPTION_BYTES;
  return functionCode === asked ? question.answerBytes(beginning) : 0;
}
