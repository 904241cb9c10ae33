/**
 * Modbus RTU: unit, PDU and CRC, and one exchange on such a line. Pure.
 *
 *   unit (1) | PDU | CRC (2, low byte first)
 *
 * A reply does not say which request it answers. So:
 *  - only a whole frame of the asked unit, function and length with a right CRC counts; noise before it, an echo of
 *    our own request and frames of other units are stepped over;
 *  - after a timeout, or bytes that made no answer, the line is held quiet for the longest reply time and what
 *    comes in is thrown away. That a still later reply is not taken for a new one is `trail.ts`'s business.
 */

import { crc16 } from './crc16.js';
import type { Exchange, Outcome, Request } from './exchange.js';
import { EXCEPTION_BYTES, encodeRead, FUNCTION_CODES, parseReadReply, replyBytes } from './pdu.js';

/** The longest frame that RTU has; of more input only the end can still be an answer. */
const FRAME_BYTES_MAX = 256;
/** Unit and CRC around the PDU. */
const ENVELOPE_BYTES = 3;
/** A USB adapter hands over what it received every 16 ms: a silence longer than this means that no more comes. */
const SILENCE_MS = 50;
/** A line that never falls silent is asked all the same: its noise is no reason to wait for ever. */
const HOLDS_MAX = 10;

export interface RtuTimes {
  readonly timeoutMs: number;
  /** Between frames. */
  readonly gapMs: number;
  /** For one character on the wire. */
  readonly characterMs: number;
}

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

export class RtuExchange implements Exchange {
  readonly tellsApart = false;
  readonly #times: RtuTimes;
  #asked: Request | undefined;
  #sent: Uint8Array = new Uint8Array(0);
  #input: Uint8Array = new Uint8Array(0);
  #deadlineMs = Infinity;
  #readyAtMs: number;
  #readyAtMsMax = Infinity;
  #echoes = 0;

  constructor(times: RtuTimes, nowMs: number) {
    this.#times = times;
    this.#readyAtMs = nowMs;
  }

  get readyAtMs(): number {
    return Math.min(this.#readyAtMs, this.#readyAtMsMax);
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** Requests that came back before their reply: an adapter that hears itself. */
  get echoes(): number {
    return this.#echoes;
  }

  begin(request: Request, nowMs: number): Uint8Array {
    const bytes = encodeRtuFrame(request.unit, encodeRead(request.range));
    this.#asked = request;
    this.#sent = bytes;
    this.#input = new Uint8Array(0);
    this.#readyAtMsMax = Infinity;
    const characters = bytes.length + replyBytes(request.range) + ENVELOPE_BYTES;
    this.#deadlineMs = nowMs + this.#times.timeoutMs + characters * this.#times.characterMs;
    return bytes;
  }

  received(bytes: Uint8Array, nowMs: number): Outcome | undefined {
    if (this.#asked === undefined) {
      // Nobody asked: a late or second reply, or noise. Thrown away, and its end is waited for.
      this.#readyAtMs = Math.max(this.#readyAtMs, nowMs + this.#times.gapMs);
      return undefined;
    }
    this.#input = tail(this.#input, bytes);
    const outcome = this.#search(this.#asked);
    if (outcome !== undefined) {
      this.#end();
      this.#readyAtMs = nowMs + this.#times.gapMs;
      this.#readyAtMsMax = nowMs + this.#times.gapMs + HOLDS_MAX * this.#times.timeoutMs;
      return outcome;
    }
    // As much as the answer would have, and yet no answer: it was damaged, so there is little to wait for.
    if (this.#input.length >= replyBytes(this.#asked.range) + ENVELOPE_BYTES) {
      this.#deadlineMs = Math.min(this.#deadlineMs, nowMs + SILENCE_MS);
    }
    return undefined;
  }

  expired(nowMs: number): Outcome {
    const why = this.#input.length > 0 ? 'corrupt reply' : 'timeout';
    this.#end();
    this.hold(nowMs);
    return { kind: 'silent', why };
  }

  hold(nowMs: number): void {
    this.#readyAtMs = nowMs + this.#times.timeoutMs;
    this.#readyAtMsMax = nowMs + HOLDS_MAX * this.#times.timeoutMs;
  }

  #end(): void {
    this.#asked = undefined;
    this.#deadlineMs = Infinity;
    this.#input = new Uint8Array(0);
  }

  /** The answer anywhere in the input, since noise may come before it. */
  #search(asked: Request): Outcome | undefined {
    // An echo may have the form of an answer (a read at 0x03xx of 17 to 24 coils has): it is taken away first.
    if (startsWith(this.#input, this.#sent)) {
      this.#input = this.#input.slice(this.#sent.length);
      this.#sent = new Uint8Array(0);
      this.#echoes += 1;
    } else if (this.#sent.length > this.#input.length && startsWith(this.#sent, this.#input)) {
      return undefined;
    }
    const functionCode = FUNCTION_CODES[asked.range.table];
    const whole = replyBytes(asked.range) + ENVELOPE_BYTES;
    for (let at = 0; at + EXCEPTION_BYTES + ENVELOPE_BYTES <= this.#input.length; at++) {
      if (this.#input[at] !== asked.unit) continue;
      const second = this.#input[at + 1];
      const bytes =
        second === functionCode
          ? whole
          : second === (functionCode | 0x80)
            ? EXCEPTION_BYTES + ENVELOPE_BYTES
            : 0;
      if (bytes === 0 || at + bytes > this.#input.length) continue;
      const frame = this.#input.subarray(at, at + bytes);
      if (!isRtuFrame(frame)) continue;
      const reply = parseReadReply(frame.slice(1, -2), asked.range);
      if (reply.kind !== 'wrong') return reply;
    }
    return undefined;
  }
}

function startsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  return (
    beginning.length > 0 &&
    bytes.length >= beginning.length &&
    beginning.every((byte, index) => bytes[index] === byte)
  );
}

function tail(input: Uint8Array, bytes: Uint8Array): Uint8Array {
  const joined = new Uint8Array(input.length + bytes.length);
  joined.set(input);
  joined.set(bytes, input.length);
  return joined.length > 2 * FRAME_BYTES_MAX ? joined.slice(-2 * FRAME_BYTES_MAX) : joined;
}
