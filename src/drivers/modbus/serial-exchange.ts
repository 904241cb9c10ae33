/**
 * One exchange on a line whose replies do not say which request they answer: RTU and ASCII, on a serial port or
 * through a device server. Pure.
 *
 *  - only a whole frame of the asked unit, function and length with a right checksum counts; noise before it, an echo
 *    of our own request and frames of other units are stepped over;
 *  - after a timeout, or bytes that made no answer, the line is held quiet for the longest reply time and what comes
 *    in is thrown away. That a still later reply is not taken for a new one is `trail.ts`'s business;
 *  - unit 0 is everybody: nobody answers, and the line is left alone for the time that they need to obey.
 */

import type { Exchange, Outcome, Request } from './exchange.js';
import { parseAnswer, type Question } from './pdu.js';

/** A way to put a PDU on the line and to find it again. */
export interface Framing {
  /** Of the longest frame; of more input only the end can still be an answer. */
  readonly frameBytesMax: number;
  encode(unit: number, pdu: Uint8Array): Uint8Array;
  /** Characters on the line for a PDU of so many bytes. */
  characters(pduBytes: number): number;
  /** All PDUs of this unit in the input that have the form of an answer and a right checksum, first come first. */
  find(input: Uint8Array, unit: number, question: Question): Iterable<Uint8Array>;
}

export interface LineTimes {
  readonly timeoutMs: number;
  /** Between frames. */
  readonly gapMs: number;
  /** For one character on the wire. */
  readonly characterMs: number;
  /** After a broadcast. */
  readonly turnaroundMs: number;
}

/** A USB adapter hands over what it received every 16 ms: a silence longer than this means that no more comes. */
const SILENCE_MS = 50;
/** A line that never falls silent is asked all the same: its noise is no reason to wait for ever. */
const HOLDS_MAX = 10;

const BROADCAST = 0;
const NOTHING = new Uint8Array(0);

export class SerialExchange implements Exchange {
  readonly tellsApart = false;
  readonly #framing: Framing;
  readonly #times: LineTimes;
  #asked: Request | undefined;
  #sent: Uint8Array = NOTHING;
  #input: Uint8Array = NOTHING;
  #deadlineMs = Infinity;
  #readyAtMs: number;
  #readyAtMsMax = Infinity;
  #echoes = 0;
  #isEchoing = false;

  constructor(framing: Framing, times: LineTimes, readyAtMs: number) {
    this.#framing = framing;
    this.#times = times;
    this.#readyAtMs = readyAtMs;
  }

  get readyAtMs(): number {
    return Math.min(this.#readyAtMs, this.#readyAtMsMax);
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  get echoes(): number {
    return this.#echoes;
  }

  begin(request: Request, nowMs: number): Uint8Array {
    const { unit, question } = request;
    const bytes = this.#framing.encode(unit, question.pdu);
    this.#asked = request;
    this.#sent = bytes;
    this.#input = NOTHING;
    this.#readyAtMsMax = Infinity;
    const { timeoutMs, characterMs, turnaroundMs } = this.#times;
    if (unit === BROADCAST) {
      this.#deadlineMs = nowMs + bytes.length * characterMs + turnaroundMs;
    } else {
      const characters = bytes.length + this.#framing.characters(question.answerBytesMax);
      this.#deadlineMs = nowMs + timeoutMs + characters * characterMs;
    }
    return bytes;
  }

  received(bytes: Uint8Array, nowMs: number): Outcome | undefined {
    if (this.#asked === undefined) {
      // Nobody asked: a late or second reply, or noise. Thrown away, and its end is waited for.
      if (bytes.length > 0) this.#readyAtMs = Math.max(this.#readyAtMs, nowMs + this.#times.gapMs);
      return undefined;
    }
    const { unit, question } = this.#asked;
    if (unit === BROADCAST) return undefined;
    this.#input = tail(this.#input, bytes, this.#framing.frameBytesMax);
    const outcome = this.#search(unit, question);
    if (outcome !== undefined) {
      this.#end();
      this.#readyAtMs = nowMs + this.#times.gapMs;
      this.#readyAtMsMax = nowMs + this.#times.gapMs + HOLDS_MAX * this.#times.timeoutMs;
      return outcome;
    }
    // As much as the answer would have, and yet no answer: it was damaged, so there is little to wait for.
    if (this.#input.length >= this.#framing.characters(question.answerBytesMax)) {
      this.#deadlineMs = Math.min(this.#deadlineMs, nowMs + SILENCE_MS);
    }
    return undefined;
  }

  expired(nowMs: number): Outcome {
    const wasBroadcast = this.#asked?.unit === BROADCAST;
    const why = this.#input.length > 0 ? 'corrupt reply' : 'timeout';
    this.#end();
    if (wasBroadcast) {
      this.#readyAtMs = nowMs;
      return { kind: 'sent' };
    }
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
    this.#input = NOTHING;
  }

  /** The answer anywhere in the input, since noise may come before it. */
  #search(unit: number, question: Question): Outcome | undefined {
    const { repeats = false } = question;
    // An echo may have the form of an answer, so it is taken away first. Where both are the same (most writes), what
    // earlier requests showed of this adapter decides.
    if (startsWith(this.#input, this.#sent) && (!repeats || this.#isEchoing)) {
      this.#input = this.#input.slice(this.#sent.length);
      this.#sent = NOTHING;
      this.#echoes += 1;
    } else if (this.#sent.length > this.#input.length && startsWith(this.#sent, this.#input)) {
      return undefined;
    }
    for (const pdu of this.#framing.find(this.#input, unit, question)) {
      const answer = parseAnswer(pdu, question);
      if (answer.kind === 'wrong') continue;
      if (!repeats) this.#isEchoing = this.#sent.length === 0;
      return answer;
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

function tail(input: Uint8Array, bytes: Uint8Array, frameBytesMax: number): Uint8Array {
  const joined = new Uint8Array(input.length + bytes.length);
  joined.set(input);
  joined.set(bytes, input.length);
  return joined.length > 2 * frameBytesMax ? joined.slice(-2 * frameBytesMax) : joined;
}
