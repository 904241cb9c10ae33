/**
 * The kinds of values that the schema is made of: durations, sizes, names, addresses. A text in `error` is what is
 * allowed, as the operator reads it.
 */
import { DURATION, durationText, parseDuration, parseSize, SIZE } from './quantity.js';
import { z } from './zod.js';

/** What a value of several forms may be, in words. */
export const words = z.registry<{ readonly allowed: string }>();

const IDENTIFIER = '1 to 64 of A-Z a-z 0-9 . _ -';
export const YEAR_MS = 365 * 86_400_000;

export const duration = (leastMs: number, mostMs = YEAR_MS) => {
  const allowed = `a duration from ${durationText(leastMs)} to ${durationText(mostMs)}, such as 250ms, 5s, 10m, 2h or 30d`;
  return z
    .string({ error: allowed })
    .regex(DURATION, { error: allowed })
    .refine(
      (text) => {
        const ms = parseDuration(text);
        return ms === undefined || (ms >= leastMs && ms <= mostMs);
      },
      { error: allowed },
    )
    .transform((text) => parseDuration(text) as number);
};

export const size = (leastText: string, mostText: string) => {
  const allowed = `a size from ${leastText} to ${mostText}, such as 512B, 64KiB or 2GiB`;
  const least = parseSize(leastText) as number;
  const most = parseSize(mostText) as number;
  return z
    .string({ error: allowed })
    .regex(SIZE, { error: allowed })
    .refine(
      (text) => {
        const bytes = parseSize(text);
        return bytes === undefined || (bytes >= least && bytes <= most);
      },
      { error: allowed },
    )
    .transform((text) => parseSize(text) as number);
};

export const identifier = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, { error: IDENTIFIER });
export const text = (allowed: string) => z.string({ error: allowed }).min(1, { error: allowed });
const COMMAND = 'a list of texts, the program and its arguments, such as ["/usr/local/bin/token", "--short"]';
const argument = z.string({ error: 'text; put it in quotes to make it one' }).regex(/^[^\0]*$/, {
  error: 'text without NUL',
});
/** A program and its arguments; no shell reads them. */
export const command = z
  .array(argument, { error: COMMAND })
  .min(1, { error: COMMAND })
  .max(64, { error: 'at most 64 items' })
  .refine(([program]) => program !== '', { error: 'the name of a program as its first item' });
export const qos = z.literal([0, 1, 2]);
export const limit = (standard: number, least = 1, most = 1_000_000_000) =>
  z.number().int().min(least).max(most).default(standard);
/** Of a whole, as `50%`; arrives as the number before the sign. */
export const percent = z
  .string({ error: 'per cent from 1% to 99%' })
  .regex(/^[1-9]\d?%$/, { error: 'per cent from 1% to 99%' })
  .transform((text) => Number.parseInt(text, 10));
export const url = (describe: (url: string) => string | undefined, allowed: string) =>
  z.string({ error: allowed }).superRefine((value, context) => {
    const why = describe(value);
    if (why !== undefined) context.addIssue({ code: 'custom', message: why });
  });
/** What a browser sends as Origin: scheme, host and port of a page, without a path; in small letters. */
const ORIGIN =
  'an origin such as https://scada.example.com or http://10.0.0.5:8080, without a path, or null for pages from a file';
export const origin = z
  .string({ error: ORIGIN })
  .refine((text) => text === 'null' || (URL.canParse(text) && new URL(text).origin === text.toLowerCase()), {
    error: ORIGIN,
  })
  .transform((text) => text.toLowerCase());
export const file = (what: string) => text('the path of a file').optional().describe(what);
