/** A bus whose driver is a file of the user's own, and its points. */
import { duration, size } from './kind.js';
import { pointBasics, silence, writable, writeRange } from './point-basics.js';
import { z } from './zod.js';

const DRIVER_FILE = 'a path that begins with ./, ../ or / and ends with .mjs or .js';

/** Never the name of a driver that ships with godwit. */
export type DriverFile = `${'' | '.' | '..'}/${string}`;

export function isDriverFile(driver: string): driver is DriverFile {
  return /^(\.{1,2})?\/.*\.m?js$/.test(driver);
}

export const options = z.record(z.string(), z.unknown());

export const driverFileBusSchema = z.strictObject({
  driver: z
    .string({ error: DRIVER_FILE })
    .refine(isDriverFile, { error: DRIVER_FILE })
    .transform((path) => path as DriverFile)
    .describe(`A driver of your own: ${DRIVER_FILE}.`),
  options: options.optional().describe('Handed to the driver, which checks it.'),
  timeout: duration(1, 600_000)
    .prefault('5s')
    .describe('How long one read or write may take before it has failed.'),
  max_memory: size('16MiB', '4GiB')
    .prefault('128MiB')
    .describe('More than this, and the driver is started anew.'),
  ...silence,
});

export const driverFilePointSchema = z.strictObject({
  options: options.optional().describe("Handed to the bus's driver, which checks it."),
  writable,
  ...writeRange,
  ...pointBasics,
});
