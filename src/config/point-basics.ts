/** What every point may say, whatever its driver. */
import { alarmKey } from './alarm-schema.js';
import { duration } from './kind.js';
import { transformKeys } from './point-transform.js';
import { z } from './zod.js';

export const pointBasics = {
  ...transformKeys,
  ...alarmKey,
  poll: duration(10, 366 * 86_400_000)
    .optional()
    .describe("How often it is read; by default the device's poll."),
};

export const writable = z.boolean().default(false).describe('Whether commands and godwit write may set it.');

/** Bounds of what may be written. */
export const writeRange = {
  min: z.number().optional().describe('Smallest value that may be written.'),
  max: z.number().optional().describe('Largest value that may be written.'),
};

/** When a device that does not answer is offline, and how often it is asked then. */
export const silence = {
  offline_after: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(3)
    .describe('Failed polls until the device is offline.'),
  retry_max: duration(100, 86_400_000)
    .prefault('1m')
    .describe('A silent device is asked ever more rarely, at least this often.'),
};
