/** Modbus buses and points, as the configuration file has them. */

import { duration, limit, text } from './kind.js';
import { pointBasics } from './point-basics.js';
import { z } from './zod.js';

const modbusTimes = {
  timeout: duration(1, 600_000)
    .prefault('500ms')
    .describe('How long an answer may take before the poll has failed.'),
  retries: z.number().int().min(0).max(10).default(1).describe('Attempts after a failed one within a poll.'),
  offline_after: limit(3, 1, 1000).describe('Failed polls until the device is offline.'),
  retry_max: duration(100, 86_400_000)
    .prefault('1m')
    .describe('A silent unit is asked ever more rarely, at least this often.'),
};

export const modbusRtuBusSchema = z.strictObject({
  driver: z.literal('modbus-rtu').describe('Modbus RTU on a serial port.'),
  path: text('the path of a serial port').describe(
    'The serial port; a path under /dev/serial/by-id survives replugging.',
  ),
  baud_rate: limit(9600, 50, 4_000_000).describe('Bits per second.'),
  parity: z.enum(['none', 'even', 'odd']).default('none').describe('Parity bit.'),
  data_bits: z.literal([7, 8]).default(8).describe('Data bits; Modbus RTU uses 8.'),
  stop_bits: z.literal([1, 2]).default(1).describe('Stop bits.'),
  frame_gap: duration(0, 10_000)
    .optional()
    .describe('Pause between requests; by default 3.5 characters at the baud rate.'),
  ...modbusTimes,
});
export const modbusTcpBusSchema = z.strictObject({
  driver: z.literal('modbus-tcp').describe('Modbus TCP.'),
  host: text('a host name or an address')
    .regex(/^[^\s/:@]+$|^[0-9a-fA-F:.]+(%[A-Za-z0-9]+)?$/, {
      error: 'a host name or an address, without scheme and port',
    })
    .describe('Host name or address of the device or gateway.'),
  port: z.number().int().min(1).max(65_535).default(502).describe('TCP port.'),
  ...modbusTimes,
});
const REGISTER = 'holding/N, input/N, coil/N or discrete/N with N from 0 to 65535';
const registerTypes = [
  'bool',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float16',
  'float32',
  'float64',
] as const;

/** A register-backed point; see the contract for types and word orders. */
export const modbusPointSchema = z.strictObject({
  register: z
    .string({ error: REGISTER })
    .regex(/^(holding|input|coil|discrete)\/\d{1,5}$/, { error: REGISTER })
    .refine((value) => Number(value.split('/')[1]) <= 65_535, { error: REGISTER })
    .describe('Where it is: holding/N, input/N, coil/N or discrete/N, counted from 0.'),
  type: z
    .enum(registerTypes)
    .optional()
    .describe(
      'How the registers are read; by default uint16 for holding and input, bool for coil and discrete.',
    ),
  word_order: z
    .enum(['big', 'little'])
    .default('big')
    .describe('Which register of a long value comes first: big (ABCD) or little (CDAB).'),
  byte_order: z.enum(['big', 'little']).default('big').describe('Order of the bytes within each register.'),
  ...pointBasics,
});
