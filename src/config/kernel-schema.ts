/** What the kernel measures and shows in files: 1-Wire probes, industrial I/O, the board itself. */
import { text } from './kind.js';
import { pointBasics, silence } from './point-basics.js';
import { z } from './zod.js';

const sysfsRoot = text('the path of a folder').default('/sys').describe('Where sysfs is mounted.');

export const onewireBusSchema = z.strictObject({
  driver: z.literal('onewire').describe('1-Wire thermometers of the DS18B20 family, from /sys/bus/w1.'),
  root: sysfsRoot,
  ...silence,
});

const PROBE = 'the id of a probe such as 28-0316a2794ef1, or any where there is only one';
export const onewirePointSchema = z.strictObject({
  probe: z
    .string({ error: PROBE })
    .regex(/^([0-9a-f]{2}-[0-9a-f]{12}|any)$/i, { error: PROBE })
    .describe(`Which probe: ${PROBE}. In °C.`),
  ...pointBasics,
});

export const iioBusSchema = z.strictObject({
  driver: z
    .literal('iio')
    .describe('Sensors and converters that the kernel drives over I2C or SPI, from /sys/bus/iio.'),
  root: sysfsRoot,
  ...silence,
});

const CHANNEL = 'CHANNEL or CHIP/CHANNEL, such as voltage0, temp or ads1015/voltage0';
export const iioPointSchema = z.strictObject({
  channel: z
    .string({ error: CHANNEL })
    .regex(/^([^/\s]+\/)?(in_)?[a-z0-9_-]+$/i, { error: CHANNEL })
    .describe(
      `Which channel: ${CHANNEL}. (raw + offset) × scale as the kernel says them: mV, mA, m°C, kPa, thousandths of % humidity.`,
    ),
  ...pointBasics,
});

export const systemBusSchema = z.strictObject({
  driver: z.literal('system').describe('The board itself: temperature, load, memory, disk, supply, link.'),
  root: text('the path of a folder').default('/').describe('Where the file system with proc and sys begins.'),
  ...silence,
});

export const systemMetrics = [
  'cpu_temperature',
  'cpu_frequency',
  'cpu_usage',
  'load_1m',
  'load_5m',
  'load_15m',
  'memory_total',
  'memory_available',
  'memory_used',
  'swap_used',
  'disk_total',
  'disk_free',
  'disk_used',
  'uptime',
  'undervoltage',
  'undervoltage_since_boot',
  'throttled',
  'throttled_since_boot',
  'frequency_capped',
  'soft_temperature_limit',
  'link_up',
  'link_speed',
  'link_quality',
  'link_signal',
  'process_memory',
] as const;

export const systemPointSchema = z.strictObject({
  metric: z
    .enum(systemMetrics)
    .describe(
      'What: temperatures in °C, cpu_usage, memory_used, swap_used, disk_used and link_quality in %, other amounts in bytes, uptime in s, cpu_frequency in MHz, link_speed in Mbit/s, link_signal in dBm; undervoltage and the like true or false.',
    ),
  path: text('a path on that file system').optional().describe('For disk metrics; by default /.'),
  interface: text('the name of a network interface')
    .optional()
    .describe('For link metrics; by default the first that is there.'),
  ...pointBasics,
});
