/** What a point says of how its value comes about from what the device said; the order is that of `mapping/transform.ts`. */
import { text } from './kind.js';
import { z } from './zod.js';

const limits = (what: string) =>
  z
    .strictObject({
      min: z.number().optional().describe('Lowest value.'),
      max: z.number().optional().describe('Highest value.'),
    })
    .optional()
    .describe(what);

const ENUM_KEY = 'a whole number from -2147483648 to 18446744073709551615';
const BIT = 'a bit number from 0 to 63';
const NAMES_MAX = 1000;
/** A median over more sorts for longer than a reading may take. */
const SMOOTH_MAX = 1000;

const tablePoint = z
  .array(z.number(), { error: 'a pair [what is read, what it means]' })
  .length(2, { error: 'a pair [what is read, what it means]' })
  .transform((pair) => pair as unknown as readonly [number, number]);

const names = (key: RegExp, allowed: string) =>
  z
    .record(
      z.string().regex(key, { error: allowed }),
      text('a name').max(64, { error: 'at most 64 characters' }),
    )
    .refine((of) => Object.keys(of).length <= NAMES_MAX, { error: `at most ${NAMES_MAX} names` });

export const transformKeys = {
  invert: z.boolean().optional().describe('true becomes false and 1 becomes 0, and the other way round.'),
  enum: names(/^-?\d{1,20}$/, ENUM_KEY)
    .optional()
    .describe('Names for numbers: { 0: "off", 1: auto }; a number without a name stays a number.'),
  flags: names(/^([0-9]|[1-5]\d|6[0-3])$/, BIT)
    .optional()
    .describe('Names for bits, from 0: the value is the names of those set, as "pump,door", or "none".'),
  rate: z
    .strictObject({
      per: z.enum(['s', 'm', 'h']).default('s').describe('Per second, minute or hour.'),
      wrap: z
        .number()
        .int()
        .min(2)
        .optional()
        .describe(
          'One more than the largest count, 65536 for 16 bits: then it begins at 0 again. Otherwise a smaller count is a reset.',
        ),
    })
    .optional()
    .describe('A counter: what it counts per second, minute or hour.'),
  scale: z.number().optional().describe('The raw number is multiplied by it.'),
  offset: z.number().optional().describe('Added after scale.'),
  table: z
    .strictObject({
      points: z
        .array(tablePoint)
        .min(2, { error: 'at least two pairs [what is read, what it means]' })
        .max(1000, { error: 'at most 1000 pairs' })
        .describe('Pairs [what is read, what it means], what is read rising; straight between them.'),
      outside: z
        .enum(['hold', 'bad', 'extend'])
        .default('hold')
        .describe(
          'Beyond the ends: hold the value of the end; bad, as a broken wire reads; extend the last straight.',
        ),
    })
    .optional()
    .describe('A curve: a thermistor, the shape of a tank.'),
  raw_unit: text('a unit')
    .optional()
    .describe('The unit until here; converted to unit: raw_unit: °F, unit: °C.'),
  unit: z
    .string()
    .max(64, { error: 'at most 64 characters' })
    .optional()
    .describe('Unit of the value, such as °C or kWh.'),
  valid: limits('A value outside is bad: out of range.'),
  clamp: limits('A value outside becomes the nearest inside.'),
  smooth: z
    .strictObject({
      mean: z.number().int().min(2).max(SMOOTH_MAX).optional().describe('Mean of so many last readings.'),
      median: z.number().int().min(2).max(SMOOTH_MAX).optional().describe('Median of so many last readings.'),
      exponential: z
        .number()
        .gt(0)
        .max(1)
        .optional()
        .describe('Each reading moves the value by this share of the way: 0.1 is calm, 1 follows at once.'),
    })
    .optional()
    .describe('One of mean, median and exponential.'),
  resolution: z
    .number()
    .gt(0)
    .optional()
    .describe('Of the sensor: rounded to a multiple of it, such as 0.1.'),
};

const transformSchema = z.strictObject(transformKeys);
export type PointTransform = z.output<typeof transformSchema>;
