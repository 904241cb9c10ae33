/** Lines of the header and of expanders: inputs, outputs, pulse counters, frequency. */
import { duration, text, words } from './kind.js';
import { pointBasics, silence, writable, writeRange } from './point-basics.js';
import { z } from './zod.js';

export const gpioBusSchema = z.strictObject({
  driver: z.literal('gpio').describe('Lines of the 40-pin header, or of any chip that the kernel drives.'),
  backend: z
    .enum(['auto', 'sysfs', 'chardev'])
    .default('auto')
    .describe(
      'How lines are reached: sysfs (/sys/class/gpio), chardev (the tools of the package gpiod), or auto, which takes what this kernel has.',
    ),
  root: text('the path of a folder').default('/sys').describe('Where sysfs is mounted.'),
  ...silence,
});

const LINE = 'a BCM number from 0 to 27, { chip: pinctrl-bcm2711, line: 17 }, or { sysfs: 529 }';

export const gpioPointSchema = z.strictObject({
  gpio: z
    .union([
      z.number().int().min(0).max(27),
      z.strictObject({
        chip: text('the label of a chip, such as pinctrl-bcm2711').describe('Label of the chip.'),
        line: z.number().int().min(0).max(1023).describe('Line of that chip, from 0.'),
      }),
      z.strictObject({
        sysfs: z.number().int().min(0).max(1_000_000).describe("The kernel's own number in /sys/class/gpio."),
      }),
    ])
    .register(words, { allowed: LINE })
    .describe(`Which line: ${LINE}.`),
  direction: z.enum(['in', 'out']).default('in').describe('in: read; out: driven.'),
  active_low: z.boolean().default(false).describe('Whether a low level means true.'),
  pull: z
    .enum(['up', 'down', 'none'])
    .optional()
    .describe('Pull resistor of an input; only the character device can set it.'),
  debounce: duration(0, 60_000)
    .optional()
    .describe(
      'A level counts once it has held so long; for a counter, the least time from one counted edge to the next.',
    ),
  count: z
    .enum(['rising', 'falling', 'both'])
    .optional()
    .describe('Counts these edges; the total is kept across restarts.'),
  frequency: z
    .enum(['rising', 'falling', 'both'])
    .optional()
    .describe('These edges per second, measured between polls.'),
  frequency_timeout: duration(10, 3_600_000)
    .prefault('10s')
    .describe('Without an edge for so long the frequency is 0.'),
  initial: z
    .boolean()
    .optional()
    .describe('What an output is set to at the start; by default it keeps its level.'),
  safe: z.boolean().optional().describe('What an output is set to when the gateway stops.'),
  writable,
  ...writeRange,
  ...pointBasics,
});
