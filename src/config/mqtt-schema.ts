/** Points that come in over MQTT from devices on the gateway's own broker: ESP sensors, meters with payloads of their own. */
import { limit, text, words } from './kind.js';
import { pointBasics } from './point-basics.js';
import { z } from './zod.js';

export const mqttBusSchema = z.strictObject({
  driver: z.literal('mqtt').describe("Devices that publish to the gateway's own broker."),
  offline_after: limit(6, 1, 1000).describe(
    'Of the time that poll says, how often it may pass without a message until a device is offline.',
  ),
});

const JSON_PATH = 'a path such as AM2301.Temperature, readings[0].value or ["a key"].x';
export const JSON_PATH_PATTERN =
  /^\$?\.?([A-Za-z_][\w-]*|\[(\d{1,6}|"[^"]*"|'[^']*')\])(\.[A-Za-z0-9_][\w-]*|\[(\d{1,6}|"[^"]*"|'[^']*')\])*$/;

export const mqttPointSchema = z.strictObject({
  topic: text('a topic filter').describe(
    'Topic filter of its messages; {device} and {gateway} stand for their names.',
  ),
  json: z
    .string({ error: JSON_PATH })
    .max(1024, { error: JSON_PATH })
    .regex(JSON_PATH_PATTERN, { error: JSON_PATH })
    .optional()
    .describe(
      'Where the value is in a JSON payload: AM2301.Temperature, readings[0].value. Absent: the payload itself is it.',
    ),
  pattern: text('a regular expression')
    .max(1024, { error: 'at most 1024 characters' })
    .optional()
    .describe(
      'Regular expression for a payload that is text; the value is its first group, or all that it matches.',
    ),
  type: z
    .enum(['auto', 'number', 'bool', 'string', 'hex'])
    .default('auto')
    .describe('What it is worth. auto: as JSON has it; of text, a number where it is one.'),
  texts: z
    .record(
      z.string(),
      z.union([z.string(), z.number(), z.boolean()]).register(words, { allowed: 'a scalar' }),
    )
    .optional()
    .describe('What each text stands for, such as { open: true }; another text is bad.'),
  ...pointBasics,
});
