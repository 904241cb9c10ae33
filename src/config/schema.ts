/**
 * The configuration file as one source: types, defaults, JSON Schema and documentation come from here. Keys keep
 * the file's own names; durations arrive as milliseconds, sizes as bytes. A key that this version does not act on
 * is not here, and so it is refused.
 */
import { z } from 'zod';
import { parseDuration, parseSize } from './quantity.js';

const duration = () =>
  z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'a duration such as 250ms, 5s, 10m, 2h or 30d')
    .transform((text) => parseDuration(text) as number);
const durationOr = (standard: string) => duration().prefault(standard);

const size = () =>
  z
    .string()
    .regex(/^\d+(\.\d+)?(B|KiB|MiB|GiB|TiB|KB|MB|GB)$/, 'a size such as 512B, 64KiB or 2GiB')
    .transform((text) => parseSize(text) as number);
const sizeOr = (standard: string) => size().prefault(standard);

const identifier = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 . _ -');
const qos = z.union([z.literal(0), z.literal(1), z.literal(2)]);
const limit = (standard: number, least = 1) => z.number().int().min(least).default(standard);

export const gatewaySchema = z.strictObject({
  id: identifier.describe('Name of this gateway, in topics and as the client identifier upstream'),
  tags: z.record(identifier, z.string()).default({}).describe('Words for topic templates: {tags.site}'),
  status_topic: z.string().default('godwit/{gateway}/status'),
});

export const journalSchema = z.strictObject({
  path: z.string().default('data/journal.db'),
  durability: z.enum(['power-loss', 'process-crash']).default('power-loss'),
  max_size: sizeOr('2GiB'),
  max_age: durationOr('30d'),
  when_full: z.enum(['drop-oldest', 'drop-newest']).default('drop-oldest'),
  record: z.union([z.enum(['readings', 'none']), z.array(z.string())]).default('readings'),
  max_commit_delay: durationOr('250ms'),
});

export const brokerSchema = z.strictObject({
  listeners: z.array(z.strictObject({ url: z.string() })).default([{ url: 'mqtt://127.0.0.1:1883' }]),
  allow_anonymous: z.boolean().optional(),
  limits: z
    .strictObject({
      max_connections: limit(1000),
      max_packet_size: sizeOr('1MiB'),
      max_inflight: limit(100),
      max_queued: limit(10_000),
      max_queued_bytes: sizeOr('16MiB'),
      max_subscriptions: limit(10_000),
      max_retained: limit(100_000),
      max_retained_bytes: sizeOr('64MiB'),
      max_keepalive: durationOr('10m'),
      connect_timeout: durationOr('10s'),
    })
    .prefault({}),
});

const modbusTimes = {
  timeout: durationOr('500ms'),
  retries: z.number().int().min(0).max(10).default(1),
  offline_after: limit(3),
  retry_max: durationOr('1m'),
};

export const busSchema = z.discriminatedUnion('driver', [
  z.strictObject({
    driver: z.literal('modbus-rtu'),
    path: z.string(),
    baud_rate: limit(9600),
    parity: z.enum(['none', 'even', 'odd']).default('none'),
    data_bits: z.union([z.literal(7), z.literal(8)]).default(8),
    stop_bits: z.union([z.literal(1), z.literal(2)]).default(1),
    frame_gap: duration().optional(),
    ...modbusTimes,
  }),
  z.strictObject({
    driver: z.literal('modbus-tcp'),
    host: z.string(),
    port: z.number().int().min(1).max(65_535).default(502),
    ...modbusTimes,
  }),
  z.strictObject({ driver: z.literal('simulator') }),
]);

/** A register-backed point; see the contract for types and word orders. */
export const modbusPointSchema = z.strictObject({
  register: z
    .string()
    .regex(/^(holding|input|coil|discrete)\/\d{1,5}$/, 'holding/N, input/N, coil/N or discrete/N'),
  type: z
    .enum(['bool', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float16', 'float32', 'float64'])
    .optional(),
  word_order: z.enum(['big', 'little']).default('big'),
  byte_order: z.enum(['big', 'little']).default('big'),
  scale: z.number().optional(),
  offset: z.number().optional(),
  unit: z.string().optional(),
  poll: duration().optional(),
});

/** A point of the simulator: a wave with noise, now and then silent. */
export const simulatorPointSchema = z.strictObject({
  simulate: z.strictObject({
    wave: z.enum(['sine', 'ramp', 'square', 'walk', 'constant']).default('sine'),
    min: z.number().default(0),
    max: z.number().default(100),
    period: durationOr('1m'),
    noise: z.number().min(0).default(0),
    decimals: z.number().int().min(0).max(6).default(2),
    type: z.enum(['number', 'boolean', 'integer']).default('number'),
    dropout: z.number().min(0).max(1).default(0).describe('Share of polls that get no answer'),
  }),
  scale: z.number().optional(),
  offset: z.number().optional(),
  unit: z.string().optional(),
  poll: duration().optional(),
});

export const deviceSchema = z.strictObject({
  bus: z.string(),
  unit: z.number().int().min(0).max(255).optional(),
  poll: durationOr('1s'),
  points: z.record(identifier, z.union([modbusPointSchema, simulatorPointSchema])),
});

export const mappingSchema = z.strictObject({
  from: z.string().regex(/^[^/]+\/[^/]+$/, 'device/point, with * as the wildcard'),
  topic: z.string(),
  payload: z.enum(['json', 'value']).default('json'),
  qos: qos.default(1),
  retain: z.boolean().default(false),
  report: z
    .strictObject({
      on: z.enum(['change', 'always']).default('always'),
      deadband: z.union([z.number().min(0), z.string().regex(/^\d+(\.\d+)?%$/)]).optional(),
      every: duration().optional(),
    })
    .optional(),
  group: z.literal('device').optional(),
});

export const bridgeSchema = z.strictObject({
  servers: z.array(z.string()).min(1),
  version: z.union([z.literal(5), z.literal('3.1.1')]).default(5),
  client_id: z.string().default('{gateway}'),
  username: z.string().optional(),
  password: z.string().optional(),
  password_file: z.string().optional(),
  tls: z
    .strictObject({ ca: z.string().optional(), cert: z.string().optional(), key: z.string().optional() })
    .optional(),
  keepalive: durationOr('60s'),
  session_expiry: durationOr('7d'),
  inflight: z.number().int().min(1).max(65_535).default(1000),
  ack_timeout: durationOr('1m'),
  backoff: z.strictObject({ min: durationOr('1s'), max: durationOr('5m') }).prefault({}),
  forward: z
    .array(
      z.strictObject({
        filter: z.string(),
        qos: qos.default(1),
        order: z.literal('fifo').default('fifo'),
        strip: z.string().default(''),
        prefix: z.string().default(''),
        retain: z.enum(['keep', 'clear']).default('keep'),
        properties: z.enum(['all', 'none']).default('all'),
      }),
    )
    .default([]),
  receive: z.array(z.strictObject({ filter: z.string(), qos: qos.default(1) })).default([]),
});

export const configSchema = z.strictObject({
  gateway: gatewaySchema,
  journal: journalSchema.prefault({}),
  broker: brokerSchema.prefault({}),
  buses: z.record(identifier, busSchema).default({}),
  devices: z.record(identifier, deviceSchema).default({}),
  mappings: z.array(mappingSchema).default([]),
  bridges: z.record(identifier, bridgeSchema).default({}),
  http: z.strictObject({ listen: z.string() }).optional(),
  log: z.strictObject({ level: z.enum(['error', 'warn', 'info', 'debug']).default('info') }).prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type GatewayConfig = Config['gateway'];
export type JournalConfig = Config['journal'];
export type BrokerConfig = Config['broker'];
export type BusConfig = z.output<typeof busSchema>;
export type DeviceConfig = z.output<typeof deviceSchema>;
export type ModbusPointConfig = z.output<typeof modbusPointSchema>;
export type SimulatorPointConfig = z.output<typeof simulatorPointSchema>;
export type PointConfig = DeviceConfig['points'][string];
export type MappingConfig = z.output<typeof mappingSchema>;
export type BridgeConfig = z.output<typeof bridgeSchema>;
