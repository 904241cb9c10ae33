/** What every point may say, whatever it is read from. */

import { duration } from './kind.js';
import { z } from './zod.js';

export const pointBasics = {
  scale: z.number().optional().describe('The raw number is multiplied by it.'),
  offset: z.number().optional().describe('Added after scale.'),
  unit: z
    .string()
    .max(64, { error: 'at most 64 characters' })
    .optional()
    .describe('Unit of the value, such as °C or kWh.'),
  poll: duration(10, 366 * 86_400_000)
    .optional()
    .describe("How often it is read; by default the device's poll."),
};
