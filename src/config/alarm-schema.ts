/** Alarms of points, and where they are told. */
import { duration, qos, text, words } from './kind.js';
import { z } from './zod.js';

const ALARM_NAME = '1 to 64 of A-Z a-z 0-9 . _ -';

export const alarmSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: ALARM_NAME })
    .optional()
    .describe('In topics and as DEVICE/POINT/NAME; by default high, low, equals or bad.'),
  high: z.number().optional().describe('Active from this value on.'),
  low: z.number().optional().describe('Active at this value and below.'),
  equals: z
    .union([z.number(), z.boolean(), z.string()])
    .register(words, { allowed: 'a number, true, false or text' })
    .optional()
    .describe('Active while the value is this.'),
  bad: z.literal(true).optional().describe('Active while the value is bad or stale.'),
  clear: z
    .number()
    .optional()
    .describe('Cleared at this value, so that a value that swings about the limit is not told each time.'),
  delay: duration(0).prefault('0s').describe('Active only after it has held for so long.'),
  priority: z
    .enum(['high', 'normal', 'low'])
    .default('normal')
    .describe('In its messages, and {priority} in its topic.'),
  message: text('text').max(256, { error: 'at most 256 characters' }).optional().describe('For people.'),
});

export type AlarmConfig = z.output<typeof alarmSchema>;

/** What it is called in topics and as the end of its id. */
export function alarmName({ name, high, low, equals }: AlarmConfig): string {
  if (name !== undefined) return name;
  if (high !== undefined) return 'high';
  if (low !== undefined) return 'low';
  return equals === undefined ? 'bad' : 'equals';
}

const ALARMS_MAX = 16;

export const alarmKey = {
  alarm: z
    .union([
      alarmSchema.transform((alarm) => [alarm]),
      z.array(alarmSchema).max(ALARMS_MAX, { error: `at most ${ALARMS_MAX} alarms` }),
    ])
    .register(words, { allowed: 'an alarm such as { high: 80, clear: 75 }, or a list of them' })
    .optional()
    .describe('Told when the value goes too high or too low, equals something, or is bad; one or a list.'),
};

export const alarmsSchema = z.strictObject({
  topic: text('a topic')
    .default('godwit/{gateway}/alarms/{priority}/{device}/{point}/{alarm}')
    .describe(
      'Topic template: knows {gateway}, {device}, {point}, {unit}, {tags.NAME}, {alarm} and {priority}.',
    ),
  qos: qos.default(1).describe('Quality of Service of alarms.'),
  retain: z.boolean().default(true).describe('Whether late subscribers get the state of each alarm.'),
});

export type AlarmsConfig = z.output<typeof alarmsSchema>;
