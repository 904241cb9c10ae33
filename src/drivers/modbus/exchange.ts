/**
 * One request and its reply on a wire, whatever the framing: pure. The caller owns stream and timer.
 *
 *   begin ──bytes──▶ wire ──bytes──▶ received ──▶ Outcome
 *                                    expired at deadlineMs ──▶ Outcome
 *
 * Input while nothing is asked is thrown away by `received`. `readyAtMs` is when the next request may go out.
 */

import type { Question } from './pdu.js';

export interface Request {
  readonly unit: number;
  readonly question: Question;
  /** This device wants to be left alone for so long before it is asked. */
  readonly gapMs?: number;
}

export type Outcome =
  /** The answer to this request as far as its frame can tell: data of the right length. */
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'exception'; readonly code: number }
  /** A broadcast: nobody answers, and all have had the time to obey. */
  | { readonly kind: 'sent' }
  /** No answer within the time; `why` is `timeout`, or `corrupt reply` where something came that is none. */
  | { readonly kind: 'silent'; readonly why: string }
  /** The stream can no longer be trusted: close it. */
  | { readonly kind: 'broken'; readonly why: string };

export interface Exchange {
  /** Whether a reply names the request that it answers, so that a late one cannot be taken for another. */
  readonly tellsApart: boolean;
  readonly readyAtMs: number;
  /** Infinity while nothing is asked. */
  readonly deadlineMs: number;
  /** Requests that came back before their reply: an adapter that hears itself. */
  readonly echoes: number;
  begin(request: Request, nowMs: number): Uint8Array;
  /** After an Outcome, to be called once more with nothing: bytes after the answer may show a broken stream. */
  received(bytes: Uint8Array, nowMs: number): Outcome | undefined;
  expired(nowMs: number): Outcome;
  /** Keeps the wire quiet for the longest reply time, its input thrown away. */
  hold(nowMs: number): void;
}
