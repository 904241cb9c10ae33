/** A point in time as a person gives it: ISO 8601, milliseconds since the epoch, or an age such as 2h. */
import { parseDuration } from './quantity.js';

const ISO = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Milliseconds since the epoch, undefined where it is none. Without an offset the time is local. */
export function parsePointInTime(text: string, nowMs: number): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const ageMs = parseDuration(text);
  if (ageMs !== undefined) return nowMs - ageMs;
  if (!ISO.test(text)) return undefined;
  const ms = Date.parse(text.replace(' ', 'T').replace(',', '.'));
  return Number.isNaN(ms) ? undefined : ms;
}
