/**
 * Read requests and their replies, the same in every framing: pure.
 *
 *   request  function | address (2) | count (2)
 *   reply    function | bytes | data …          exception   function + 0x80 | code
 */

import { isBits, type Table } from './point.js';

export interface ReadRange {
  readonly table: Table;
  readonly start: number;
  readonly count: number;
}

export type ReadReply =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'exception'; readonly code: number }
  | { readonly kind: 'wrong'; readonly why: string };

export const FUNCTION_CODES: { readonly [table in Table]: number } = {
  coil: 1,
  discrete: 2,
  holding: 3,
  input: 4,
};

const EXCEPTION = 0x80;
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

export function encodeRead({ table, start, count }: ReadRange): Uint8Array {
  return Uint8Array.of(FUNCTION_CODES[table], start >> 8, start & 0xff, count >> 8, count & 0xff);
}

/** How many bytes of data the reply to a read carries. */
export function dataBytes(table: Table, count: number): number {
  return isBits(table) ? Math.ceil(count / 8) : count * 2;
}

/** The whole PDU of a reply with data. */
export function replyBytes(range: ReadRange): number {
  return 2 + dataBytes(range.table, range.count);
}

export function parseReadReply(pdu: Uint8Array, range: ReadRange): ReadReply {
  const asked = FUNCTION_CODES[range.table];
  const [functionCode, second] = pdu;
  if (functionCode === (asked | EXCEPTION)) {
    if (pdu.length !== EXCEPTION_BYTES || second === undefined || second === 0) {
      return { kind: 'wrong', why: 'an exception of the wrong length' };
    }
    return { kind: 'exception', code: second };
  }
  if (functionCode !== asked) return { kind: 'wrong', why: `function ${functionCode} instead of ${asked}` };
  const expected = dataBytes(range.table, range.count);
  if (second !== expected || pdu.length !== 2 + expected) {
    return { kind: 'wrong', why: `${pdu.length - 2} bytes of data instead of ${expected}` };
  }
  return { kind: 'data', bytes: pdu.subarray(2) };
}
