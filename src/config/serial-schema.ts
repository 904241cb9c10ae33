/** Serial devices that are no Modbus: how bytes become frames, and where in a frame a value stands. */
import { byteText } from './byte-text.js';
import { duration, limit, size, text, words } from './kind.js';
import { pointBasics, silence, writable, writeRange } from './point-basics.js';
import { regexProblem } from './regex-text.js';
import { z } from './zod.js';

const regex = (what: string) =>
  text('a regular expression')
    .superRefine((source, context) => {
      const why = regexProblem(source);
      if (why !== undefined) context.addIssue({ code: 'custom', message: why });
    })
    .describe(what);

const LENGTH = 'a number of bytes, or { at: 1, type: uint8, add: 4 } where the frame says its own length';

const frameSchema = z.strictObject({
  delimiter: byteText()
    .optional()
    .describe('Bytes that end a frame, such as "\\r\\n"; they are no part of it.'),
  length: z
    .union([
      z.number().int().min(1).max(65_536),
      z.strictObject({
        at: z.number().int().min(0).max(255).describe('Where in the frame its length stands, from 0.'),
        type: z.enum(['uint8', 'uint16']).default('uint8').describe('How it is written.'),
        byte_order: z.enum(['big', 'little']).default('big').describe('Which byte of a uint16 comes first.'),
        add: z
          .number()
          .int()
          .min(-255)
          .max(255)
          .default(0)
          .describe('What the whole frame has beyond that number.'),
      }),
    ])
    .register(words, { allowed: LENGTH })
    .optional()
    .describe('Bytes of a frame: always the same number, or as the frame itself says.'),
  start: byteText().optional().describe('Bytes that every frame begins with, such as "\\x02"; part of it.'),
  end: byteText()
    .optional()
    .describe('Bytes that end a frame that begins with start, such as "\\x03"; part of it.'),
  after_end: limit(0, 0, 16).describe('Bytes that follow end, such as a check sum; part of the frame.'),
  idle: duration(1, 60_000)
    .optional()
    .describe('A pause of so long ends a frame; beside length, it throws away what is incomplete.'),
  regex: regex('Every place where this expression matches is a frame.').optional(),
  max: size('1B', '64KiB')
    .prefault('4KiB')
    .describe('What is longer without becoming a frame is thrown away and counted.'),
});

export const checksumNames = [
  'xor',
  'sum',
  'sum16',
  'lrc',
  'crc8',
  'crc8-maxim',
  'crc16-modbus',
  'crc16-ccitt',
  'crc16-xmodem',
  'crc16-kermit',
  'crc16-arc',
  'crc32',
  'crc32-mpeg2',
] as const;

const checksumSchema = z.strictObject({
  type: z
    .enum(checksumNames)
    .describe(
      'xor of all bytes; sum of all bytes in 8 or 16 bits; lrc: the negative sum; or a CRC by its usual name.',
    ),
  format: z
    .enum(['binary', 'hex'])
    .default('binary')
    .describe('Bytes as they are, or two hexadecimal digits for each.'),
  byte_order: z
    .enum(['big', 'little'])
    .optional()
    .describe('Which byte comes first; by default big, and little for crc16-modbus, -kermit and -arc.'),
  at: z
    .number()
    .int()
    .min(-65_536)
    .max(65_535)
    .optional()
    .describe('Where in the frame it stands, from 0; negative from the end; by default at its end.'),
  from: z.number().int().min(-65_536).max(65_535).default(0).describe('The first byte it is made of.'),
  to: z
    .number()
    .int()
    .min(-65_536)
    .max(65_535)
    .optional()
    .describe('The byte before which it ends; by default where the check sum itself stands.'),
});

export const serialBusSchema = z.strictObject({
  driver: z.literal('serial').describe('A serial port on which a device speaks text or frames of its own.'),
  path: text('the path of a serial port').describe(
    'The serial port; a path under /dev/serial/by-id survives replugging.',
  ),
  baud_rate: limit(9600, 50, 4_000_000).describe('Bits per second.'),
  parity: z.enum(['none', 'even', 'odd']).default('none').describe('Parity bit.'),
  data_bits: z.literal([7, 8]).default(8).describe('Data bits.'),
  stop_bits: z.literal([1, 2]).default(1).describe('Stop bits.'),
  flow_control: z
    .enum(['none', 'hardware', 'software'])
    .default('none')
    .describe('none, hardware (RTS/CTS) or software (XON/XOFF).'),
  protocol: z
    .enum(['nmea-0183'])
    .optional()
    .describe('nmea-0183: sentences of a GPS or other marine device, their check sum verified.'),
  frame: frameSchema
    .optional()
    .describe('How bytes become frames: delimiter, length, start and end, idle or regex; by default lines.'),
  checksum: checksumSchema
    .optional()
    .describe('How a frame is verified; one that fails is thrown away and counted.'),
  encoding: z
    .enum(['latin1', 'utf-8'])
    .default('latin1')
    .describe('How bytes become characters for match; latin1 takes each byte as one.'),
  timeout: duration(1, 600_000)
    .prefault('1s')
    .describe('How long an answer to a request may take before the poll has failed.'),
  settle: duration(0, 60_000)
    .prefault('0s')
    .describe('Pause after opening the port before the first request, for devices that restart then.'),
  request_gap: duration(0, 60_000).prefault('0s').describe('Pause between an answer and the next request.'),
  ...silence,
});

const asked = {
  request: byteText()
    .optional()
    .describe(
      'Sent at every poll; the answer is what is read. {checksum} stands for the check sum of what is before it. Absent: the device sends by itself.',
    ),
};

/** Group number or name; 1 where there is one, else the whole match. */
const group = z
  .union([z.number().int().min(0).max(99), z.string().min(1)])
  .register(words, { allowed: 'the number or the name of a group of match' });

export const serialTextPointSchema = z.strictObject({
  match: regex('Regular expression; a frame that it matches carries the value in its first group.'),
  group: group.optional().describe('Which group: its number or name; by default the first.'),
  type: z
    .enum(['number', 'string', 'bool', 'hex'])
    .default('number')
    .describe('What the text says: a decimal number, text, true or false, or a hexadecimal number.'),
  decimal: z.enum(['point', 'comma']).default('point').describe('What stands before the decimals.'),
  texts: z
    .record(
      z.string(),
      z.union([z.string(), z.number(), z.boolean()]).register(words, { allowed: 'a scalar' }),
    )
    .optional()
    .describe('What each text stands for; another text is bad.'),
  ...asked,
  writable,
  ...writeRange,
  write: byteText()
    .optional()
    .describe('What is sent to set it; {value} stands for the value, {checksum} as in request.'),
  confirm: regex('What the device answers when it has taken a write; absent: it answers nothing.').optional(),
  ...pointBasics,
});

const BINARY_TYPES = [
  'bool',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int24',
  'uint24',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float32',
  'float64',
  'bcd8',
  'bcd16',
  'bcd32',
  'string',
] as const;

export const serialBinaryPointSchema = z.strictObject({
  at: z
    .number()
    .int()
    .min(-65_536)
    .max(65_535)
    .describe('Where in the frame the value begins, from 0; negative from its end.'),
  type: z.enum(BINARY_TYPES).default('uint8').describe('How the bytes are read.'),
  byte_order: z.enum(['big', 'little']).default('big').describe('Which byte comes first.'),
  length: z.number().int().min(1).max(1024).optional().describe('Bytes of a string.'),
  bit: z
    .number()
    .int()
    .min(0)
    .max(31)
    .optional()
    .describe('One bit of the number, 0 the lowest: true or false.'),
  begins: byteText().optional().describe('Only frames that begin with these bytes carry it.'),
  ...asked,
  ...pointBasics,
});

/** What an NMEA 0183 receiver says, by name. */
export const nmeaFields = [
  'latitude',
  'longitude',
  'altitude',
  'speed',
  'speed_kmh',
  'course',
  'fix',
  'fix_quality',
  'satellites',
  'satellites_in_view',
  'hdop',
  'pdop',
  'vdop',
  'utc',
  'heading',
  'depth',
  'wind_speed',
  'wind_angle',
  'water_temperature',
] as const;

export const nmeaPointSchema = z.strictObject({
  nmea: z.enum(nmeaFields).describe('What of the NMEA sentences: latitude, longitude, speed, fix, utc, ….'),
  ...pointBasics,
});
