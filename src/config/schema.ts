/**
 * The configuration file as one source: types, defaults, JSON Schema and documentation come from here. Keys keep
 * the file's own names; durations arrive as milliseconds, sizes as bytes. A key that this version does not act on
 * is not here, and so it is refused; `later.ts` knows those by name.
 *
 * What one value must look like is said here, so that every wrong value is found at once; what depends on a
 * second value is in `semantic.ts`.
 */

import { alarmKey, alarmsSchema } from './alarm-schema.js';
import { batchSchema } from './batch-section.js';
import { driverFileBusSchema, driverFilePointSchema, options } from './driver-file-schema.js';
import {
  describeListenerUrl,
  describeListenUrl,
  describeServerUrl,
  LISTENER_URL,
  SERVER_URL,
} from './endpoint.js';
import { gpioBusSchema, gpioPointSchema } from './gpio-schema.js';
import {
  iioBusSchema,
  iioPointSchema,
  onewireBusSchema,
  onewirePointSchema,
  systemBusSchema,
  systemPointSchema,
} from './kernel-schema.js';
import {
  command,
  duration,
  file,
  identifier,
  limit,
  origin,
  percent,
  qos,
  size,
  text,
  url,
  words,
  YEAR_MS,
} from './kind.js';
import {
  modbusAsciiBusSchema,
  modbusDeviceKeys,
  modbusPointSchema,
  modbusRtuBusSchema,
  modbusRtuOverTcpBusSchema,
  modbusTcpBusSchema,
} from './modbus-schema.js';
import { mqttBusSchema, mqttPointSchema } from './mqtt-schema.js';
import { pointBasics, writable, writeRange } from './point-basics.js';
import { transformKeys } from './point-transform.js';
import {
  nmeaPointSchema,
  serialBinaryPointSchema,
  serialBusSchema,
  serialTextPointSchema,
} from './serial-schema.js';
import { z } from './zod.js';

export const gatewaySchema = z.strictObject({
  id: identifier.describe('Name of this gateway, in topics and as the client identifier upstream.'),
  tags: z
    .record(identifier, z.string())
    .default({})
    .describe('Words for topic templates: {tags.site} stands for the value of site.'),
  status_topic: text('a topic, in which {gateway} stands for the gateway id')
    .default('godwit/{gateway}/status')
    .describe('Where the gateway publishes, retained, whether it is online.'),
});

export const journalSchema = z.strictObject({
  path: text('the path of a file')
    .default('data/journal.db')
    .describe(
      'The journal file; relative to $STATE_DIRECTORY, else to /var/lib/godwit for the default configuration, else to the folder of this file.',
    ),
  durability: z
    .enum(['power-loss', 'process-crash'])
    .default('power-loss')
    .describe('What an acknowledged message survives: loss of power, or only a crash of the process.'),
  max_size: size('4MiB', '16TiB')
    .prefault('2GiB')
    .describe('The whole of the journal on disk, write-ahead log included.'),
  max_age: duration(1000, 100 * YEAR_MS)
    .prefault('30d')
    .describe('How long delivered history is kept for replay.'),
  when_full: z
    .enum(['drop-oldest', 'drop-newest', 'thin'])
    .default('drop-oldest')
    .describe(
      'What goes when the journal is full: what every bridge has delivered and then the oldest that waits; or what is new; or, with thin, every second reading of the oldest span, again and again, so that a coarser curve is left (messages that are no readings go oldest first).',
    ),
  record: z
    .union([z.enum(['readings', 'none']), z.array(z.string())])
    .register(words, { allowed: 'readings, none or a list of topic filters' })
    .default('readings')
    .describe('What is kept for replay and export even where no bridge takes it.'),
  max_commit_delay: duration(0, 60_000)
    .prefault('250ms')
    .describe('How long readings may wait for a commit to share.'),
});

export const brokerSchema = z.strictObject({
  listeners: z
    .array(
      z.strictObject({
        url: url(describeListenerUrl, LISTENER_URL).describe(
          'mqtt://ADDRESS:PORT; mqtts:// with TLS, ws://ADDRESS:PORT/PATH and wss:// for WebSocket; port 0 takes a free one. A WebSocket listener without a path takes any.',
        ),
        cert: file(
          'PEM file of the certificate that a mqtts or wss listener shows, with those of its issuers; read again on SIGHUP.',
        ),
        key: file('PEM file of its private key; read again on SIGHUP.'),
        client_ca: file(
          'PEM file of the authorities whose clients may connect: with it a client certificate is required; read again on SIGHUP.',
        ),
        origins: z
          .array(origin)
          .min(1)
          .optional()
          .describe(
            'For a ws or wss listener: the web pages whose scripts may connect, as https://HOST[:PORT]; absent: those of any page. Programs that are no browser send no origin and are not asked.',
          ),
      }),
    )
    .default([{ url: 'mqtt://127.0.0.1:1883' }])
    .describe('Where the built-in broker listens.'),
  allow_anonymous: z
    .boolean()
    .optional()
    .describe(
      'Whether clients need no user name; by default only while every listener is on loopback. Set it for listeners that others can reach.',
    ),
  password_file: file(
    'User names and passwords, as godwit passwd and mosquitto_passwd write them. A user name that is given is checked; read again on SIGHUP.',
  ),
  scram_file: file(
    'Users for the enhanced authentication of MQTT 5.0 with SCRAM-SHA-256, as godwit passwd --scram writes them; read again on SIGHUP.',
  ),
  acl_file: file(
    "Who may read and write which topics, in the form of mosquitto's acl_file: user, topic and pattern lines; absent: everyone everything. Read again on SIGHUP.",
  ),
  limits: z
    .strictObject({
      max_connections: limit(1000).describe('Clients connected at the same time.'),
      max_packet_size: size('128B', '268435461B').prefault('1MiB').describe('Largest packet from a client.'),
      max_inflight: limit(100, 1, 65_535).describe(
        'QoS 1 and 2 messages under way per client, each way; announced as Receive Maximum.',
      ),
      max_queued: limit(10_000, 0).describe('Messages waiting per offline session.'),
      max_queued_bytes: size('0B', '1TiB').prefault('16MiB').describe('Bytes waiting per offline session.'),
      max_subscriptions: limit(10_000).describe('Subscriptions per client.'),
      max_retained: limit(100_000, 0).describe('Retained messages.'),
      max_retained_bytes: size('0B', '1TiB').prefault('64MiB').describe('Bytes of all retained messages.'),
      max_sessions_bytes: size('64KiB', '1TiB')
        .prefault('256MiB')
        .describe(
          'All that is kept for clients that may come back: sessions, subscriptions, messages that wait; beside journal.max_size, not part of it.',
        ),
      maximum_qos: qos
        .default(2)
        .describe(
          'Highest Quality of Service that clients may publish with; subscriptions are granted up to it.',
        ),
      retain_available: z.boolean().default(true).describe('Whether clients may publish retained messages.'),
      max_session_expiry: duration(0, 4_294_967_294_000)
        .prefault('30d')
        .describe(
          'Longest that a session is kept for a client that is away; 5.0 clients that ask for more are told.',
        ),
      topic_alias_max: z
        .number()
        .int()
        .min(0)
        .max(65_535)
        .default(100)
        .describe('Topic Aliases that a 5.0 client may use; 0 for none.'),
      max_keepalive: duration(1000, 65_535_000)
        .prefault('10m')
        .describe('Longest Keep Alive; 5.0 clients get it as Server Keep Alive.'),
      connect_timeout: duration(100, 3_600_000)
        .prefault('10s')
        .describe('How long a connection may be open before its CONNECT.'),
      max_connect_rate: limit(100).describe(
        'CONNECTs per second and address; ten seconds of it may come at once, more are refused. Loopback is exempt.',
      ),
      max_auth_failures: limit(100).describe(
        'Failed logins per minute and address; more, and the address is refused for ten seconds, then for twice as long each time, up to an hour. Loopback is exempt.',
      ),
    })
    .prefault({})
    .describe('Bounds of the broker.'),
});

const simulatorBusSchema = z.strictObject({
  driver: z.literal('simulator').describe('Simulated devices: no hardware.'),
});
/** The drivers that ship with godwit, by name. */
export const namedBusSchema = z.discriminatedUnion('driver', [
  modbusRtuBusSchema,
  modbusAsciiBusSchema,
  modbusTcpBusSchema,
  modbusRtuOverTcpBusSchema,
  serialBusSchema,
  gpioBusSchema,
  onewireBusSchema,
  iioBusSchema,
  systemBusSchema,
  simulatorBusSchema,
  mqttBusSchema,
]);
export const busSchema = z.union([namedBusSchema, driverFileBusSchema]);

/** A point of the simulator: a wave with noise, now and then silent. */
export const simulatorPointSchema = z.strictObject({
  simulate: z
    .strictObject({
      wave: z
        .enum(['sine', 'ramp', 'square', 'walk', 'constant'])
        .default('sine')
        .describe('How the value moves between min and max.'),
      min: z.number().default(0).describe('Lowest value before noise.'),
      max: z.number().default(100).describe('Highest value before noise.'),
      period: duration(10).prefault('1m').describe('Length of one wave.'),
      noise: z.number().min(0).default(0).describe('Largest random deviation, both ways.'),
      decimals: z.number().int().min(0).max(6).default(2).describe('Digits after the point.'),
      type: z
        .enum(['number', 'boolean', 'integer'])
        .default('number')
        .describe('What it is worth; a boolean is true in the upper half.'),
      dropout: z.number().min(0).max(1).default(0).describe('Share of polls that get no answer.'),
    })
    .describe('How the value is made up.'),
  writable,
  ...writeRange,
  ...pointBasics,
});

export const pointSchema = z.union([
  modbusPointSchema,
  simulatorPointSchema,
  serialTextPointSchema,
  serialBinaryPointSchema,
  nmeaPointSchema,
  gpioPointSchema,
  onewirePointSchema,
  iioPointSchema,
  systemPointSchema,
  mqttPointSchema,
  driverFilePointSchema,
]);

export const deviceSchema = z.strictObject({
  bus: text('the name of a bus').describe('The bus it is on: a key of buses.'),
  ...modbusDeviceKeys,
  poll: duration(10, 366 * 86_400_000)
    .prefault('1s')
    .describe('How often its points are read, unless they say otherwise.'),
  options: options.optional().describe('Handed to a driver of your own, which checks it.'),
  profile: text('the name of a profile, or the path of one')
    .optional()
    .describe(
      'A named set of points that ships with godwit (godwit profiles lists them), or the path of one; keys and points beside it override what it says.',
    ),
  only: z.array(identifier).min(1).optional().describe('With profile: only these of its points.'),
  points: z.record(identifier, pointSchema).default({}).describe('What is read, by name.'),
});

const EXPRESSION = 'an expression such as meter/voltage * meter/current / 1000';

/** A point that is reckoned from others. */
export const derivedSchema = z.strictObject({
  expr: text(EXPRESSION).describe(
    'Of DEVICE/POINT, numbers, + - * / % ^, comparisons, && || !, cond ? a : b, and functions such as min and round.',
  ),
  ...transformKeys,
  ...alarmKey,
});

export const mappingSchema = z.strictObject({
  from: z
    .string({ error: 'DEVICE/POINT, with * as the wildcard' })
    .regex(/^[^/]+\/[^/]+$/, { error: 'DEVICE/POINT, with * as the wildcard' })
    .describe('Which readings: DEVICE/POINT, with * as the wildcard.'),
  topic: text('a topic').describe(
    'Topic template: knows {gateway}, {device}, {point}, {unit} and {tags.NAME}.',
  ),
  payload: z
    .union([
      z.enum(['json', 'value']),
      z.strictObject({
        template: text('text such as "{value} {unit}"')
          .max(4096, { error: 'at most 4096 characters' })
          .describe(
            'Knows {value}, {unit}, {ts}, {quality}, {reason}, {device}, {point}, {gateway} and {tags.NAME}; other braces stand for themselves.',
          ),
      }),
    ])
    .register(words, { allowed: 'json, value or { template: "…" }' })
    .default('json')
    .describe('json: {"ts":…,"value":…,"unit":…}; value: the bare value as text; or text of a template.'),
  qos: qos.default(1).describe('Quality of Service it is published with.'),
  retain: z.boolean().default(false).describe('Whether late subscribers get the last one.'),
  report: z
    .strictObject({
      on: z
        .enum(['change', 'always', 'trend'])
        .default('always')
        .describe(
          'Every reading; those that changed; or the fewest with which every other lies within the tolerance of the straight line between its neighbours.',
        ),
      tolerance: z
        .number()
        .min(0)
        .optional()
        .describe('With on: trend, which needs it: how far from the line.'),
      deadband: z
        .union([z.number().min(0), z.string().regex(/^\d+(\.\d+)?%$/)])
        .register(words, { allowed: 'a number from 0, or per cent such as "1%"' })
        .optional()
        .describe('With on: change, the change that counts: absolute, or per cent such as "1%".'),
      every: duration(10).optional().describe('With on: change or trend, at the latest after this time.'),
      min_interval: duration(10)
        .optional()
        .describe(
          'At least so long between two messages; what changes meanwhile is told after it. Turning bad is told at once.',
        ),
    })
    .optional()
    .describe('When a reading is published; always where absent.'),
  aggregate: z
    .strictObject({
      window: duration(1000, 31 * 86_400_000).describe(
        'Length of the windows, which begin at its multiples since 1970 (UTC): 1m, 15m, 1h, 1d.',
      ),
      emit: z
        .array(z.enum(['min', 'max', 'mean', 'last', 'count', 'sum', 'stddev', 'time_in_state']))
        .min(1, { error: 'at least one of min, max, mean, last, count, sum, stddev, time_in_state' })
        .default(['min', 'max', 'mean', 'last', 'count'])
        .describe('What is told of each window; time_in_state in milliseconds by value.'),
    })
    .optional()
    .describe('One message per window instead of one per reading.'),
  group: z.literal('device').optional().describe('device: one message per poll with all points together.'),
});

export const commandsSchema = z.strictObject({
  topic: text('a topic, in which {gateway}, {device} and {point} stand for their names')
    .default('cmd/{gateway}/{device}/{point}')
    .describe(
      'Where a value is published that a writable point is to take; {device} and {point} are levels of their own.',
    ),
  max_age: duration(100, 86_400_000)
    .prefault('1m')
    .describe("How old a command may be, by its `ts` or its Message Expiry and the gateway's trusted clock."),
  require_expiry: z
    .boolean()
    .default(false)
    .describe('true: a command that carries neither ts nor a Message Expiry is refused.'),
  result_topic: text('a topic, in which {gateway}, {device} and {point} stand for their names')
    .default('cmd/{gateway}/{device}/{point}/result')
    .describe('Where the result of each command is published.'),
});

const forwardSchema = z.strictObject({
  filter: text('a topic filter').describe(
    'Topic filter; {gateway} stands for the gateway id. The first rule that matches decides.',
  ),
  qos: qos.default(1).describe('Quality of Service upstream.'),
  priority: z
    .enum(['high', 'normal'])
    .default('normal')
    .describe('high: overtakes everything else of this bridge; some of the window is kept for it.'),
  order: z
    .enum(['fifo', 'live-first'])
    .default('fifo')
    .describe(
      'fifo: in order per topic. live-first: what is new goes at once, what has waited beside it; it goes with RETAIN 0 where a newer message of its topic went before.',
    ),
  strip: z.string().default('').describe('Taken from the beginning of the topic.'),
  prefix: z.string().default('').describe('Put before the topic, after strip.'),
  retain: z
    .enum(['keep', 'clear'])
    .default('keep')
    .describe('keep: RETAIN as the message has it; clear: always 0.'),
  properties: z
    .enum(['all', 'none'])
    .default('all')
    .describe('Whether the User Properties gw, j, seq and ts go along (MQTT 5).'),
  batch: batchSchema.optional().describe('Many messages leave as one; absent: each by itself.'),
});
const receiveSchema = z.strictObject({
  filter: text('a topic filter').describe('Topic filter; {gateway} stands for the gateway id.'),
  qos: qos.default(1).describe('Quality of Service of the subscription.'),
});

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, {
    error: 'the name of an HTTP header, such as Authorization',
  })
  .refine((name) => !/^(connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)$/i.test(name), {
    error: 'another header: WebSocket sets this one itself',
  });
const HEADER_VALUE = 'text of printable ASCII, at most 8192 characters';
const headerValue = z.string({ error: HEADER_VALUE }).regex(/^[\x20-\x7e]{1,8192}$/, { error: HEADER_VALUE });

const PROXY = 'http://USER:PASSWORD@HOST:PORT or socks5://USER:PASSWORD@HOST:PORT, the user optional';

export const bridgeSchema = z.strictObject({
  servers: z
    .array(url(describeServerUrl, SERVER_URL))
    .min(1, { error: `at least one ${SERVER_URL}` })
    .describe(
      'mqtt://HOST:PORT, mqtts:// with TLS, ws://HOST:PORT/PATH and wss:// for WebSocket (the path /mqtt where there is none); tried in order, again from the first.',
    ),
  version: z.literal([5, '3.1.1']).default(5).describe('MQTT version: 5 or 3.1.1.'),
  client_id: text('a client identifier')
    .default('{gateway}')
    .describe('Client identifier; {gateway} stands for the gateway id.'),
  username: z.string().optional().describe('User name for the server.'),
  password: z
    .string()
    .optional()
    .describe('Password for the server, best taken from the environment as $' + '{NAME}; or password_file.'),
  password_file: file('File whose first line is the password; read again at each attempt to connect.'),
  password_command: command
    .optional()
    .describe(
      'A program that writes the password on its first line, for tokens that age: run, without a shell and for 30 s at most, before an attempt to connect.',
    ),
  password_max_age: duration(1000)
    .optional()
    .describe(
      'For so long the output of password_command is used again, unless the server refuses it; absent: it is run for each attempt.',
    ),
  tls: z
    .strictObject({
      ca: file('PEM file of the authorities to trust, instead of the well-known ones.'),
      cert: file('PEM file of the client certificate.'),
      key: file('PEM file of its private key.'),
      servername: text('a host name')
        .optional()
        .describe(
          'The name to ask for and to find in the certificate, where the server is reached by another.',
        ),
      alpn: z
        .array(text('the name of a protocol').max(255))
        .min(1)
        .optional()
        .describe('Protocols to offer by ALPN, such as mqtt or x-amzn-mqtt-ca on port 443.'),
    })
    .optional()
    .describe('For mqtts:// and wss:// servers.'),
  headers: z
    .record(headerName, headerValue)
    .optional()
    .describe(
      'For ws:// and wss:// servers: headers of the request that asks for the WebSocket, such as Authorization; {password} stands for the password, which then is in CONNECT only beside a username.',
    ),
  proxy: z
    .string({ error: PROXY })
    .regex(/^(http|socks5):\/\/([^\s/?#@]+@)?(\[[0-9a-fA-F:.]+\]|[^\s/?#@:]+)(:\d{1,5})?\/?$/, {
      error: PROXY,
    })
    .optional()
    .describe('The way out where there is no other: an HTTP proxy that allows CONNECT, or SOCKS5.'),
  keepalive: duration(1000, 65_535_000)
    .prefault('60s')
    .describe('A silent link is found to be dead after about this time.'),
  session_expiry: duration(0, 4_294_967_294_000)
    .prefault('7d')
    .describe('How long the server keeps the session while the link is down (MQTT 5).'),
  inflight: z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(1000)
    .describe("Messages under way at once; never more than the server's Receive Maximum."),
  status: text('own, none or a topic')
    .default('own')
    .describe(
      'Where the status of the gateway, the Will and losses go on this server: own for their own topics, with the states of devices; none; or one topic for all of them.',
    ),
  will_delay: duration(0, 4_294_967_294_000)
    .prefault('0s')
    .describe(
      'How long the server waits before it publishes the Will, so that a short outage tells nobody (MQTT 5).',
    ),
  return_after: duration(100)
    .prefault('1h')
    .describe(
      'On another server than the first: after so long, and again, whether the first can be reached; then back to it.',
    ),
  history_share: percent
    .prefault('50%')
    .describe('Of the window, for what waits under order: live-first, while what is new goes at once.'),
  history: z
    .enum(['oldest-first', 'newest-first'])
    .default('oldest-first')
    .describe('What of that goes first; newest-first in blocks, each in its own order.'),
  ack_timeout: duration(100, 86_400_000)
    .prefault('1m')
    .describe('Nothing acknowledged for so long with messages in flight: reconnect.'),
  backoff: z
    .strictObject({
      min: duration(10, 86_400_000).prefault('1s').describe('First wait.'),
      max: duration(10, 86_400_000).prefault('5m').describe('Longest wait.'),
    })
    .prefault({})
    .describe('Waits between attempts to connect: exponential, full jitter.'),
  on_down: z
    .strictObject({
      after: duration(1000).prefault('30m').describe('How long the link must have been down.'),
      command: command.describe(
        'The program and its arguments, without a shell; its environment says which bridge (GODWIT_BRIDGE), since when (GODWIT_DOWN_SINCE) and why (GODWIT_REASON).',
      ),
      every: duration(1000)
        .optional()
        .describe('Again after so long, while it is still down; absent: once for each outage.'),
      timeout: duration(100, 3_600_000).prefault('1m').describe('How long the program may run.'),
    })
    .optional()
    .describe(
      'What is run when the link has been down for long, such as a program that power-cycles the modem.',
    ),
  forward: z.array(forwardSchema).default([]).describe('What goes up.'),
  receive: z.array(receiveSchema).default([]).describe('What comes down.'),
});

export const configSchema = z.strictObject({
  gateway: gatewaySchema.describe('This gateway.'),
  journal: journalSchema.prefault({}).describe('What is accepted is kept here until it is delivered.'),
  broker: brokerSchema.prefault({}).describe('The built-in MQTT broker.'),
  buses: z.record(identifier, busSchema).default({}).describe('What devices are wired to, by name.'),
  devices: z.record(identifier, deviceSchema).default({}).describe('What is polled, by name.'),
  derived: z
    .record(
      identifier,
      z
        .union([text(EXPRESSION).transform((expr) => ({ expr })), derivedSchema])
        .register(words, { allowed: `${EXPRESSION}, or a mapping with expr` }),
    )
    .default({})
    .describe('Points that are computed from others, by name: derived/NAME.'),
  mappings: z
    .array(mappingSchema)
    .default([])
    .describe('How readings become messages: every rule that matches a reading publishes it.'),
  alarms: alarmsSchema.prefault({}).describe('Where alarms are told.'),
  commands: commandsSchema.prefault({}).describe('How writable points are set by MQTT.'),
  bridges: z.record(identifier, bridgeSchema).default({}).describe('Upstream servers, by name.'),
  http: z
    .strictObject({
      listen: url(describeListenUrl, 'http://ADDRESS:PORT').describe('http://ADDRESS:PORT.'),
    })
    .optional()
    .describe('/healthz and /api; absent: none.'),
  log: z
    .strictObject({
      level: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('What is logged.'),
    })
    .prefault({})
    .describe('The log on standard output.'),
});

export type Config = z.output<typeof configSchema>;
export type GatewayConfig = Config['gateway'];
export type JournalConfig = Config['journal'];
export type BrokerConfig = Config['broker'];
export type BusConfig = z.output<typeof busSchema>;
export type NamedBusConfig = z.output<typeof namedBusSchema>;
export type SerialBusConfig = z.output<typeof serialBusSchema>;
export type GpioBusConfig = z.output<typeof gpioBusSchema>;
export type DriverFileBusConfig = z.output<typeof driverFileBusSchema>;
export type DeviceConfig = z.output<typeof deviceSchema>;
export type ModbusPointConfig = z.output<typeof modbusPointSchema>;
export type SimulatorPointConfig = z.output<typeof simulatorPointSchema>;
export type SerialTextPointConfig = z.output<typeof serialTextPointSchema>;
export type SerialBinaryPointConfig = z.output<typeof serialBinaryPointSchema>;
export type NmeaPointConfig = z.output<typeof nmeaPointSchema>;
export type GpioPointConfig = z.output<typeof gpioPointSchema>;
export type OnewirePointConfig = z.output<typeof onewirePointSchema>;
export type IioPointConfig = z.output<typeof iioPointSchema>;
export type SystemPointConfig = z.output<typeof systemPointSchema>;
export type MqttPointConfig = z.output<typeof mqttPointSchema>;
export type DriverFilePointConfig = z.output<typeof driverFilePointSchema>;
export type PointConfig = DeviceConfig['points'][string];
export type DerivedConfig = z.output<typeof derivedSchema>;
export type MappingConfig = z.output<typeof mappingSchema>;
export type BridgeConfig = z.output<typeof bridgeSchema>;
