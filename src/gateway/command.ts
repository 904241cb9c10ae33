/**
 * What a command says, and whether it may still be carried out: pure.
 *
 *   payload ──▶ { value, ts } | refusal        {"value":21.5,"ts":…}   21.5   true   "auto"   on
 *
 * A command must not fire late: its age is reckoned from the `ts` that it carries, from its Message Expiry, or from its
 * arrival, and whichever ends first ends it.
 */
import type { Value } from '../core/value.js';

export type Asked =
  | { readonly kind: 'command'; readonly value: Value; readonly ts: number | undefined }
  | { readonly kind: 'refused'; readonly error: string };

/** A value is a number or a word; more is no command. */
const PAYLOAD_BYTES_MAX = 4096;

export function parseCommand(payload: Uint8Array): Asked {
  if (payload.length > PAYLOAD_BYTES_MAX) return refused(`a command has ${PAYLOAD_BYTES_MAX} bytes at most`);
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8').trim();
  if (text === '') return refused('the command is empty; write {"value":21.5}, or the value alone');
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    // on, off, an enum's name.
    return { kind: 'command', value: text, ts: undefined };
  }
  if (typeof said !== 'object' || said === null) return scalar(said, text, undefined);
  const { value, ts } = said as { readonly value?: unknown; readonly ts?: unknown };
  if (value === undefined)
    return refused('the command has no value; write {"value":21.5}, or the value alone');
  if (ts !== undefined && typeof ts !== 'number') return refused('ts must be milliseconds since the epoch');
  return scalar(value, '', ts);
}

/** `text`: as it was written, where it stands alone. */
function scalar(value: unknown, text: string, ts: number | undefined): Asked {
  if (typeof value === 'boolean' || typeof value === 'string') return { kind: 'command', value, ts };
  // What a double cannot hold is taken as it was written.
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return { kind: 'command', value, ts };
    if (/^-?\d+$/.test(text)) return { kind: 'command', value: BigInt(text), ts };
    return refused('a whole number beyond 2^53 must stand in quotes, so that it is not rounded');
  }
  return refused('a value is a number, true, false or a text');
}

export interface AgeRules {
  readonly maxAgeMs: number;
  readonly requireExpiry: boolean;
}

export interface Ages {
  readonly nowMs: number;
  /** Whether the wall clock can be believed: else `ts` says nothing. */
  readonly trusted: boolean;
  readonly ts: number | undefined;
  readonly expirySeconds: number | undefined;
}

/** How long it may still wait; a refusal where it is too old already. */
export function timeLeft(rules: AgeRules, ages: Ages): number | { readonly error: string } {
  const { ts, expirySeconds, trusted, nowMs } = ages;
  if (rules.requireExpiry && ts === undefined && expirySeconds === undefined) {
    return {
      error: 'the command carries neither ts nor a Message Expiry, and commands.require_expiry asks for one',
    };
  }
  const left = [rules.maxAgeMs];
  if (expirySeconds !== undefined) left.push(expirySeconds * 1000);
  if (ts !== undefined && trusted) left.push(ts + rules.maxAgeMs - nowMs);
  const least = Math.min(...left);
  return least > 0 ? least : { error: 'the command is expired' };
}

function refused(error: string): Asked {
  return { kind: 'refused', error };
}
