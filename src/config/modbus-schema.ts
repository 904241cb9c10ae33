/** Modbus buses and points, as the configuration file has them. */

import { duration, limit, text, words } from './kind.js';
import { pointBasics, silence, writable, writeRange } from './point-basics.js';
import { parseBits, parseRegister } from './register.js';
import { z } from './zod.js';

const modbusTimes = {
  timeout: duration(1, 600_000)
    .prefault('500ms')
    .describe('How long an answer may take before the poll has failed.'),
  retries: z.number().int().min(0).max(10).default(1).describe('Attempts after a failed one within a poll.'),
  ...silence,
  connect_delay: duration(0, 60_000)
    .prefault('0s')
    .describe('Pause after connecting or opening, for adapters and devices that are not ready at once.'),
};

const whole = (least: number, most: number) => z.number().int().min(least).max(most);
const frameGap = duration(0, 10_000).optional();
const turnaround = duration(0, 60_000)
  .prefault('100ms')
  .describe('Pause after a write to unit 0 (broadcast), which nobody answers.');

const serialPort = {
  path: text('the path of a serial port').describe(
    'The serial port; a path under /dev/serial/by-id survives replugging.',
  ),
  baud_rate: limit(9600, 50, 4_000_000).describe('Bits per second.'),
  parity: z.enum(['none', 'even', 'odd']).default('none').describe('Parity bit.'),
  data_bits: z.literal([7, 8]).default(8).describe('Data bits; Modbus RTU uses 8, Modbus ASCII often 7.'),
  stop_bits: z.literal([1, 2]).default(1).describe('Stop bits.'),
  rts: z
    .enum(['on', 'off', 'while-sending', 'while-receiving'])
    .optional()
    .describe(
      'The RTS line: held on or off, or switched for an RS-485 driver that needs it. Adapters with automatic direction and kernels that switch by themselves need nothing; switching from here is as exact as the system is quick.',
    ),
  rts_before: duration(0, 1000).prefault('0ms').describe('With a switched RTS, from switching to sending.'),
  rts_after: duration(0, 1000)
    .prefault('0ms')
    .describe('With a switched RTS, from the end of sending to switching back.'),
  frame_gap: frameGap.describe('Pause between requests; by default 3.5 characters at the baud rate.'),
  turnaround,
};

const tcpHost = {
  host: text('a host name or an address')
    .regex(/^[^\s/:@]+$|^[0-9a-fA-F:.]+(%[A-Za-z0-9]+)?$/, {
      error: 'a host name or an address, without scheme and port',
    })
    .describe('Host name or address of the device or gateway.'),
  port: z.number().int().min(1).max(65_535).default(502).describe('TCP port.'),
  frame_gap: frameGap.describe('Pause between requests; none by default.'),
};

export const modbusRtuBusSchema = z.strictObject({
  driver: z.literal('modbus-rtu').describe('Modbus RTU on a serial port.'),
  ...serialPort,
  ...modbusTimes,
});
export const modbusAsciiBusSchema = z.strictObject({
  driver: z.literal('modbus-ascii').describe('Modbus ASCII on a serial port.'),
  ...serialPort,
  ...modbusTimes,
});
export const modbusTcpBusSchema = z.strictObject({
  driver: z.literal('modbus-tcp').describe('Modbus TCP.'),
  ...tcpHost,
  concurrency: limit(1, 1, 32).describe(
    'Requests under way at once, each over a connection of its own and to another unit; many devices take only one.',
  ),
  ...modbusTimes,
});
export const modbusRtuOverTcpBusSchema = z.strictObject({
  driver: z
    .literal('modbus-rtu-over-tcp')
    .describe('Modbus RTU frames over TCP, as serial device servers carry them.'),
  ...tcpHost,
  turnaround,
  ...modbusTimes,
});

/** What a device on a Modbus bus may say, beside what every device says. */
export const modbusDeviceKeys = {
  unit: z.number().int().min(0).max(255).optional().describe('Modbus unit (slave) number.'),
  address_base: z
    .literal([0, 1])
    .optional()
    .describe("What the device's document counts registers from: 0, or 1; Modicon numbers always from 1."),
  max_registers: whole(1, 125)
    .optional()
    .describe('Registers that the device gives in one request; 125, the most there is, by default.'),
  max_bits: whole(1, 2000)
    .optional()
    .describe('Coils or discrete inputs that the device gives in one request; 2000 by default.'),
  gap: whole(0, 124)
    .optional()
    .describe(
      'Registers that nobody asked for and that are read all the same to save a request; 16 by default. 0 for devices that refuse them silently.',
    ),
  frame_gap: frameGap.describe(
    "Pause before each request to this device, where it needs more than the bus's.",
  ),
};

const REGISTER =
  'holding/N, input/N, coil/N or discrete/N with N from 0 to 65535, or a Modicon number such as 40101 or "00001"';
const register = z
  .union([
    z.string().regex(/^(holding|input|coil|discrete)\/\d{1,5}$|^[0134]\d{4,5}$/, { error: REGISTER }),
    z.number().int().min(10_001).max(465_536),
  ])
  .refine((value) => parseRegister(value) !== undefined, { error: REGISTER })
  .register(words, { allowed: REGISTER });

const registerTypes = [
  'bool',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float16',
  'float32',
  'float64',
  'bcd16',
  'bcd32',
  'string',
] as const;

const ORDER = 'the bytes by letter as they come, A the highest: such as CDAB or GHEFCDAB';
const BITS = 'the number of a bit from 0 to 63, or a range of bits such as "4-7"';
const SENTINEL = 'a number, such as 0x8000 or -9999, or a list of them; those beyond 2^53 as text';
const sentinel = z.union([
  z.number(),
  z.string().regex(/^0[xX][0-9a-fA-F]{1,16}$|^-?\d{1,20}$/, { error: SENTINEL }),
]);

/** A register-backed point; see the contract for types and word orders. */
export const modbusPointSchema = z.strictObject({
  register: register.describe(
    'Where it is: holding/N, input/N, coil/N or discrete/N, counted from 0 unless the device says address_base: 1, or a Modicon number.',
  ),
  type: z
    .enum(registerTypes)
    .optional()
    .describe(
      'How the registers are read; by default uint16 for holding and input, string where there is a length, bool for coil and discrete.',
    ),
  word_order: z
    .enum(['big', 'little'])
    .default('big')
    .describe('Which register of a long value comes first: big (ABCD) or little (CDAB).'),
  byte_order: z.enum(['big', 'little']).default('big').describe('Order of the bytes within each register.'),
  order: z
    .string({ error: ORDER })
    .regex(/^[A-Ha-h]{2,8}$/, { error: ORDER })
    .refine((letters) => isPermutation(letters.toUpperCase()), { error: ORDER })
    .optional()
    .describe(`Order of all bytes of a number, instead of word_order and byte_order: ${ORDER}.`),
  byte: z
    .enum(['high', 'low'])
    .optional()
    .describe('Which byte of its register an int8 or uint8 is; low by default.'),
  length: whole(1, 250).optional().describe('Length of a string in bytes.'),
  pad: z
    .enum(['nul', 'space'])
    .optional()
    .describe('What fills a string that is written and shorter than its length; NUL by default.'),
  bit: z
    .union([z.number().int().min(0).max(63), z.string().regex(/^\d{1,2}-\d{1,2}$/)])
    .refine((value) => parseBits(value) !== undefined, { error: BITS })
    .register(words, { allowed: BITS })
    .optional()
    .describe('One bit of the number (true or false), or a range of bits such as "4-7" (a number).'),
  scale_register: register
    .optional()
    .describe(
      'A register near it that holds the exponent of ten that its number is multiplied by (SunSpec scale factor); read together with it.',
    ),
  nan: z
    .union([sentinel, z.array(sentinel)])
    .register(words, { allowed: SENTINEL })
    .optional()
    .describe(
      'Raw numbers by which the device says that it has no value, such as 0x8000: bad, not available.',
    ),
  writable,
  ...writeRange,
  write_function: z
    .literal([5, 6, 15, 16, 22, 23])
    .optional()
    .describe(
      'The function code it is written with, where the device knows only one: 5, 6 (the default for one), 15, 16 (for several), 22 (mask, the default for bits), 23 (write and read).',
    ),
  read_back: z
    .boolean()
    .optional()
    .describe(
      'Whether a write is read back and compared, as it is by default; false for registers that cannot be read or change at once.',
    ),
  ...pointBasics,
});

function isPermutation(letters: string): boolean {
  const sorted = [...letters].sort().join('');
  return letters.length % 2 === 0 && sorted === 'ABCDEFGH'.slice(0, letters.length);
}
