/**
 * Modbus TCP: the MBAP header around a PDU, and one exchange on such a stream. Pure.
 *
 *   transaction (2) | protocol 0 (2) | length of what follows (2) | unit (1) | PDU
 *
 * The transaction identifier tells replies apart. One that was given up may still arrive and is thrown away; any
 * other that is not the one asked, or bytes that are no header, mean that the stream has lost its step: broken.
 */

import type { Exchange, Outcome, Request } from './exchange.js';
import { parseAnswer } from './pdu.js';

const HEADER_BYTES = 7;
/** Unit and a PDU of 253 bytes. */
const LENGTH_MAX = 254;
/** Requests given up whose replies may still come; each has its own identifier, so more would only cost memory. */
const GIVEN_UP_MAX = 64;

export interface TcpFrame {
  readonly transaction: number;
  readonly unit: number;
  readonly pdu: Uint8Array;
}

export type TcpDecoded =
  | { readonly kind: 'frame'; readonly frame: TcpFrame; readonly bytesUsed: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly why: string };

export function encodeTcpFrame({ transaction, unit, pdu }: TcpFrame): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + pdu.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, transaction);
  view.setUint16(4, pdu.length + 1);
  bytes[6] = unit;
  bytes.set(pdu, HEADER_BYTES);
  return bytes;
}

export function decodeTcpFrame(bytes: Uint8Array): TcpDecoded {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Said as early as it shows: an HTTP error page must not wait for a length that it never had.
  if (bytes.length >= 4 && view.getUint16(2) !== 0) return { kind: 'malformed', why: 'not Modbus TCP' };
  if (bytes.length < 6) return { kind: 'incomplete' };
  const length = view.getUint16(4);
  if (length < 3 || length > LENGTH_MAX) return { kind: 'malformed', why: `a frame of ${length} bytes` };
  if (bytes.length < 6 + length) return { kind: 'incomplete' };
  return {
    kind: 'frame',
    frame: {
      transaction: view.getUint16(0),
      unit: bytes[6] ?? 0,
      pdu: bytes.slice(HEADER_BYTES, 6 + length),
    },
    bytesUsed: 6 + length,
  };
}

export class TcpExchange implements Exchange {
  readonly tellsApart = true;
  readonly echoes = 0;
  readonly #timeoutMs: number;
  readonly #gapMs: number;
  #readyAtMs: number;
  readonly #givenUp = new Set<number>();
  #transaction: number;
  #asked: Request | undefined;
  #deadlineMs = Infinity;
  #input: Uint8Array = new Uint8Array(0);

  constructor(
    times: { readonly timeoutMs: number; readonly gapMs: number },
    firstTransaction: number,
    readyAtMs: number,
  ) {
    this.#timeoutMs = times.timeoutMs;
    this.#gapMs = times.gapMs;
    this.#readyAtMs = readyAtMs;
    this.#transaction = firstTransaction & 0xffff;
  }

  get readyAtMs(): number {
    return this.#readyAtMs;
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  begin(request: Request, nowMs: number): Uint8Array {
    this.#transaction = (this.#transaction + 1) & 0xffff;
    this.#givenUp.delete(this.#transaction);
    this.#asked = request;
    this.#deadlineMs = nowMs + this.#timeoutMs;
    return encodeTcpFrame({
      transaction: this.#transaction,
      unit: request.unit,
      pdu: request.question.pdu,
    });
  }

  received(bytes: Uint8Array, nowMs: number): Outcome | undefined {
    this.#input = this.#input.length === 0 ? bytes : concat(this.#input, bytes);
    for (;;) {
      const decoded = decodeTcpFrame(this.#input);
      if (decoded.kind === 'incomplete') return undefined;
      if (decoded.kind === 'malformed') return this.#broken(decoded.why);
      this.#input = this.#input.subarray(decoded.bytesUsed);
      const { frame } = decoded;
      // What follows the answer is looked at in the next call: it does not make this answer wrong.
      if (this.#asked !== undefined && frame.transaction === this.#transaction) {
        this.#readyAtMs = nowMs + this.#gapMs;
        return this.#answer(this.#asked, frame);
      }
      if (!this.#givenUp.delete(frame.transaction)) return this.#broken('a reply that nobody asked for');
    }
  }

  expired(): Outcome {
    this.#asked = undefined;
    this.#deadlineMs = Infinity;
    // The rest of half a reply may never come; then what follows would be read from its middle.
    if (this.#input.length > 0) return this.#broken('half a reply');
    const oldest = this.#givenUp.size >= GIVEN_UP_MAX ? this.#givenUp.values().next().value : undefined;
    if (oldest !== undefined) this.#givenUp.delete(oldest);
    this.#givenUp.add(this.#transaction);
    return { kind: 'silent', why: 'timeout' };
  }

  hold(): void {
    // Nothing to do: a late reply carries the identifier of its own request.
  }

  #answer(asked: Request, frame: TcpFrame): Outcome {
    this.#asked = undefined;
    this.#deadlineMs = Infinity;
    if (frame.unit !== asked.unit) {
      return this.#broken(`a reply from unit ${frame.unit} instead of ${asked.unit}`);
    }
    const answer = parseAnswer(frame.pdu, asked.question);
    return answer.kind === 'wrong' ? this.#broken(`a reply with ${answer.why}`) : answer;
  }

  #broken(why: string): Outcome {
    this.#asked = undefined;
    this.#deadlineMs = Infinity;
    this.#input = new Uint8Array(0);
    return { kind: 'broken', why };
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
