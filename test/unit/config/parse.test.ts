import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/parse.js';
import { BASE, configOf, errorLines } from './fixtures.js';

const FUZZ_RUNS = 600;

describe('a whole file', () => {
  test('eight different mistakes are eight errors, each at its place', () => {
    const yaml = `gateway:
  id: well 17
jornal:
  path: data/journal.db
broker:
  listeners:
    - url: tcp://127.0.0.1:1883
buses:
  rs485:
    driver: modbus-rtu
    path: /dev/ttyUSB0
    baud_rate: 9600baud
devices:
  meter:
    bus: rs48
    unit: 1
    points:
      power: { register: input/65535, type: float32 }
mappings:
  - topic: "a/{device}"
bridges:
  cloud:
    servers: [ "mqtt://up" ]
    password: \${CLOUD_PASSWORD}
`;
    expect(errorLines(yaml)).toEqual([
      '2:7: gateway.id: found well 17, allowed: 1 to 64 of A-Z a-z 0-9 . _ -',
      '3:1: jornal: found an unknown key, did you mean journal? allowed: gateway, journal, broker, buses, devices, derived, mappings, alarms, commands, bridges, http, log',
      '7:12: broker.listeners[0].url: found tcp://127.0.0.1:1883, allowed: mqtt://ADDRESS:PORT, mqtts://ADDRESS:PORT, ws://ADDRESS:PORT/PATH or wss://ADDRESS:PORT/PATH',
      '12:16: buses.rs485.baud_rate: found 9600baud, allowed: a whole number from 50 to 4000000',
      '15:10: devices.meter.bus: found no bus rs48, did you mean rs485? allowed: rs485',
      '18:26: devices.meter.points.power.register: found a value of type float32 that goes beyond register 65535, allowed: up to input/65534',
      '20:5: mappings[0].from: found nothing, needed: DEVICE/POINT, with * as the wildcard',
      `24:15: bridges.cloud.password: found \${CLOUD_PASSWORD}, but the environment has no variable CLOUD_PASSWORD; set it, or write $\${ for a plain \${`,
    ]);
  });

  test('only gateway.id is required', () => {
    const config = configOf('gateway: { id: a }');
    expect(config.gateway.status_topic).toBe('godwit/{gateway}/status');
    expect(config.journal).toEqual({
      path: 'data/journal.db',
      durability: 'power-loss',
      max_size: 2 * 2 ** 30,
      max_age: 30 * 86_400_000,
      when_full: 'drop-oldest',
      record: 'readings',
      max_commit_delay: 250,
    });
    expect(config.broker.listeners).toEqual([{ url: 'mqtt://127.0.0.1:1883' }]);
    expect(config.broker.limits.max_packet_size).toBe(2 ** 20);
    expect(config.log.level).toBe('info');
    expect(errorLines('gateway: {}')).toEqual(['1:10: gateway.id: found nothing, needed: text']);
    expect(errorLines('\n# hello\n\nlog: {}')).toEqual(['4:1: gateway: found nothing, needed: a mapping']);
  });

  test('the contract’s own snippets are taken as they stand', () => {
    const config = configOf(
      `gateway:
  id: well-17                          # [A-Za-z0-9._-]{1,64}
  tags: { site: north, asset: pump-3 } # for templates: {tags.site}
  status_topic: godwit/{gateway}/status   # the default
journal:
  path: data/journal.db
  durability: power-loss
  max_size: 2GiB
  max_age: 30d
  when_full: drop-oldest
  record: readings
  max_commit_delay: 250ms
broker:
  listeners:
    - url: mqtt://127.0.0.1:1883
  allow_anonymous: true
  limits:
    max_connections: 1000
    max_packet_size: 1MiB
    max_inflight: 100
    max_queued: 10000
    max_queued_bytes: 16MiB
    max_subscriptions: 10000
    max_retained: 100000
    max_retained_bytes: 64MiB
    max_keepalive: 10m
    connect_timeout: 10s
buses:
  rs485:
    driver: modbus-rtu                 # modbus-rtu | modbus-ascii | modbus-tcp | modbus-rtu-over-tcp
    path: /dev/serial/by-id/usb-FTDI_FT232R-if00-port0
    baud_rate: 9600
    parity: none
    data_bits: 8
    stop_bits: 1
    timeout: 500ms
    retries: 1
    offline_after: 3
    retry_max: 1m
    frame_gap: 20ms
  plc:
    driver: modbus-tcp
    host: 192.168.1.40
    port: 502
  demo: { driver: simulator }
devices:
  meter: { bus: rs485, unit: 1, poll: 5s, points: { power: { register: input/12, type: float32 } } }
  tank:
    bus: plc
    unit: 1
    poll: 1s
    points:
      level:    { register: holding/100, type: float32, word_order: big, unit: "%" }
      pressure: { register: input/7, type: int16, scale: 0.01, offset: -1, unit: bar, poll: 10s }
      high:     { register: discrete/12 }
      low:      { register: holding/12 }
mappings:
  - from: "*/*"
    topic: "site/{tags.site}/{device}/{point}"
    payload: json
    qos: 1
    retain: true
    report: { on: change, deadband: 0.2, every: 10m }
  - from: "tank/*"
    topic: "site/{tags.site}/tank"
    group: device
bridges:
  cloud:
    servers: [mqtts://mqtt.example.com:8883, mqtts://mqtt2.example.com:8883]
    version: 5
    client_id: "{gateway}"
    username: well-17
    password: \${CLOUD_PASSWORD}        # or password_file
    tls: { ca: tls/ca.crt, cert: tls/gw.crt, key: tls/gw.key }
    keepalive: 60s
    session_expiry: 7d
    inflight: 1000
    ack_timeout: 1m
    backoff: { min: 1s, max: 5m }
    forward:
      - { filter: "site/+/alarm/#", qos: 2 }
      - { filter: "site/#", qos: 1, order: fifo, strip: "site/", prefix: "fleet/{gateway}/", retain: keep, properties: none }
    receive:
      - { filter: "cmd/{gateway}/#", qos: 2 }
http:
  listen: http://127.0.0.1:8088
log: { level: info }
`,
      { CLOUD_PASSWORD: 's3cret' },
    );
    expect(config.buses.rs485).toMatchObject({ timeout: 500, retry_max: 60_000, frame_gap: 20 });
    expect(config.devices.tank?.points.high).toMatchObject({ register: 'discrete/12', type: 'bool' });
    expect(config.devices.tank?.points.low).toMatchObject({ register: 'holding/12', type: 'uint16' });
    expect(config.devices.tank?.points.pressure).toMatchObject({ scale: 0.01, offset: -1, poll: 10_000 });
    expect(config.bridges.cloud).toMatchObject({
      password: 's3cret',
      keepalive: 60_000,
      session_expiry: 604_800_000,
    });
  });

  test('3.1.1 is a version, as it is written', () => {
    const yaml = 'gateway: { id: a }\nbridges: { b: { servers: ["mqtt://up"], version: 3.1.1 } }';
    expect(configOf(yaml).bridges.b?.version).toBe('3.1.1');
  });

  test('every key of the contract that this version lacks is refused as not available', () => {
    const lines = errorLines(`${BASE}mappings:
  - { from: "*/*", topic: a, aggregate: { window: 1m } }
  - { from: "*/*", topic: b, payload: cbor }
clock: { wait: 2m }
bridges:
  b: { servers: ["mqtt://up"], window: {}, budget: 20MB/day, status: own, forward: [{ filter: a, priority: high }] }
`).map((line) => line.replace(/^\d+:\d+: /, ''));
    const refused = lines.filter((line) => line.includes('not available in this version of godwit'));
    expect(refused.map((line) => line.split(':')[0]).sort()).toEqual(
      ['bridges.b.budget', 'bridges.b.window', 'clock', 'mappings[1].payload'].sort(),
    );
    expect(lines.filter((line) => !refused.includes(line))).toEqual([]);
  });

  test('a bus with a slip in its driver is judged as what was meant', () => {
    const bus = (text: string): string[] => errorLines(`gateway: { id: a }\nbuses:\n  b: ${text}`);
    expect(bus('{ driver: modbus-tpc, host: h, port: 70000 }')).toEqual([
      '3:16: buses.b.driver: found modbus-tpc, did you mean modbus-tcp? allowed: modbus-rtu, modbus-ascii, modbus-tcp, modbus-rtu-over-tcp, serial, gpio, onewire, iio, system, simulator, mqtt or a path such as ./my-driver.mjs',
      '3:43: buses.b.port: found 70000, allowed: a whole number from 1 to 65535',
    ]);
    expect(bus('{ drivr: modbus-tcp, host: h, prot: 1 }')).toEqual([
      '3:8: buses.b.drivr: found an unknown key, did you mean driver? allowed: driver, host, port, frame_gap, concurrency, timeout, retries, offline_after, retry_max, connect_delay',
      '3:36: buses.b.prot: found an unknown key, did you mean port? allowed: driver, host, port, frame_gap, concurrency, timeout, retries, offline_after, retry_max, connect_delay',
    ]);
    expect(bus('{ host: h }')).toEqual([
      '3:6: buses.b.driver: found nothing, needed: modbus-rtu, modbus-ascii, modbus-tcp, modbus-rtu-over-tcp, serial, gpio, onewire, iio, system, simulator, mqtt or a path such as ./my-driver.mjs',
    ]);
    expect(bus('{ driver: 5 }')).toEqual([
      '3:16: buses.b.driver: found 5, allowed: modbus-rtu, modbus-ascii, modbus-tcp, modbus-rtu-over-tcp, serial, gpio, onewire, iio, system, simulator, mqtt or a path such as ./my-driver.mjs',
    ]);
    expect(bus('modbus-tcp')).toEqual(['3:6: buses.b: found modbus-tcp, allowed: a mapping']);
  });

  test('commands that only speak to a running gateway read gateway and journal alone', () => {
    const yaml = `gateway: { id: a }\nnonsense: 1\nbridges: { b: { password: "\${NOT_SET}" } }\njournal: { path: j.db }`;
    const { config, errors } = parseConfig(yaml, 'f.yaml', {}, ['gateway', 'journal']);
    expect(errors).toEqual([]);
    expect(config?.journal.path).toBe('j.db');
    const bad = parseConfig(`${yaml}\n`.replace('j.db', `"\${ALSO_NOT}"`), 'f.yaml', {}, [
      'gateway',
      'journal',
    ]);
    expect(bad.errors.map((error) => error.key)).toEqual(['journal.path']);
  });
});

describe('what was found and what is allowed', () => {
  const cases: readonly [yaml: string, lines: readonly string[]][] = [
    ['gateway: { id: 17 }', ['1:16: gateway.id: found 17, allowed: text; put it in quotes to make it one']],
    ['gateway: { id: }', ['1:16: gateway.id: found nothing, allowed: text']],
    ['gateway: 5', ['1:10: gateway: found 5, allowed: a mapping']],
    ['gateway: [a]', ['1:10: gateway: found a list, allowed: a mapping']],
    [
      'gateway: { id: a }\njournal: { max_size: 1MiB }',
      ['2:22: journal.max_size: found 1MiB, allowed: a size from 4MiB to 16TiB, such as 512B, 64KiB or 2GiB'],
    ],
    [
      'gateway: { id: a }\njournal: { max_age: 30 }',
      [
        '2:21: journal.max_age: found 30, allowed: a duration from 1s to 36500d, such as 250ms, 5s, 10m, 2h or 30d',
      ],
    ],
    [
      'gateway: { id: a }\njournal: { record: all }',
      ['2:20: journal.record: found all, allowed: readings, none or a list of topic filters'],
    ],
    [
      'gateway: { id: a }\njournal: { record: [ "a/#", 3, "b#" ] }',
      [
        '2:29: journal.record[1]: found 3, allowed: text; put it in quotes to make it one',
        '2:32: journal.record[2]: found "b#", allowed: a topic filter, with + for a whole level and # for all that follow at the end',
      ],
    ],
    [
      'gateway: { id: a }\nbroker: { allow_anonymous: yes }',
      ['2:28: broker.allow_anonymous: found yes, allowed: true or false'],
    ],
    [
      'gateway: { id: a }\nbroker: { limits: { max_inflight: 70000 } }',
      ['2:35: broker.limits.max_inflight: found 70000, allowed: a whole number from 1 to 65535'],
    ],
    [
      'gateway: { id: a }\nbroker: { limits: { max_inflight: 1.5 } }',
      ['2:35: broker.limits.max_inflight: found 1.5, allowed: a whole number from 1 to 65535'],
    ],
    [
      'gateway: { id: a }\nbuses: { "a b": { driver: simulator } }',
      ['2:10: buses.a b: found a b as a name, allowed: 1 to 64 of A-Z a-z 0-9 . _ -'],
    ],
    [
      'gateway: { id: a }\nlog: { level: verbose }',
      ['2:15: log.level: found verbose, allowed: error, warn, info or debug'],
    ],
    [
      'gateway: { id: a }\nbridges: { b: { servers: [] } }',
      [
        '2:26: bridges.b.servers: found an empty list, allowed: at least one mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH',
      ],
    ],
    [
      'gateway: { id: a }\nbridges: { b: { servers: ["mqtt://u"], username: "", password: 12 } }',
      ['2:64: bridges.b.password: found a number, allowed: text; put it in quotes to make it one'],
    ],
    [
      'gateway: { id: a }\nbridges: { b: { servers: ["mqtt://u"], forward: [ { filter: a, qos: "1" } ] } }',
      ['2:69: bridges.b.forward[0].qos: found "1", did you mean 1? allowed: 0, 1 or 2'],
    ],
    [
      'gateway: { id: a, tags: { n: 0x1F } }',
      ['1:30: gateway.tags.n: found 0x1F, allowed: text; put it in quotes to make it one'],
    ],
    ['gateway: { id: a }\nmappings: { from: x }', ['2:11: mappings: found a mapping, allowed: a list']],
    [
      'gateway: { id: a }\nbroker: { limits: { maxConnections: 5 } }',
      [
        '2:21: broker.limits.maxConnections: found an unknown key, did you mean max_connections? allowed: max_connections, max_packet_size, max_inflight, max_queued, max_queued_bytes, max_subscriptions, max_retained, max_retained_bytes, max_sessions_bytes, maximum_qos, retain_available, max_session_expiry, topic_alias_max, max_keepalive, connect_timeout, max_connect_rate, max_auth_failures',
      ],
    ],
  ];
  test.each(cases)('%s', (yaml, lines) => {
    expect(errorLines(yaml)).toEqual(lines);
  });

  test('a value never breaks the line nor reaches the terminal as a control character', () => {
    const [line] = errorLines('gateway: { id: "a\\n\\u001b[31mb" }');
    expect(line).toBe('1:16: gateway.id: found "a\\n\\u001b[31mb", allowed: 1 to 64 of A-Z a-z 0-9 . _ -');
  });

  test('a long value is cut', () => {
    expect(errorLines(`gateway: { id: ${'x'.repeat(5000)} }`)[0]?.length).toBeLessThan(200);
  });

  test('a mistake in one part hides none in another', () => {
    const keys =
      errorLines(`${BASE}  bad: { bus: nowhere, poll: 5, points: { p: { register: coil/1, type: int16 } } }
mappings:
  - { from: "tank/levle", topic: "a/{pont}", qos: 7 }
`).map((line) => line.split(' ')[1]);
    expect(keys).toEqual([
      'devices.bad.bus:',
      'devices.bad.poll:',
      'devices.bad.points.p.type:',
      'mappings[0].from:',
      'mappings[0].topic:',
      'mappings[0].qos:',
    ]);
  });
});

describe('text that is no configuration', () => {
  test.each([
    ['', '1:1: the file is empty, needed: at least gateway with its id'],
    ['# nothing\n', '1:1: the file is empty, needed: at least gateway with its id'],
    ['null', '1:1: the file is empty, needed: at least gateway with its id'],
    ['hello', '1:1: found a text that is no mapping, allowed: a mapping that begins with gateway:'],
    ['- a', '1:1: found a list, allowed: a mapping that begins with gateway:'],
    ['gateway:\n\tid: a', '2:1: found a tab in the indentation, allowed: spaces'],
    ['gateway: { id: a }\n---\nb: 1', '2:1: found a second YAML document, allowed: one per file'],
    ['%YAML 1.1\n---\ngateway: { id: a }', '1:1: found %YAML 1.1, allowed: YAML 1.2'],
    ['gateway: { id: *nobody }', '1:16: gateway.id: found *nobody, but there is no &nobody before it'],
    [
      'gateway: { id: !!binary aGk= }',
      '1:25: gateway.id: found the YAML tag tag:yaml.org,2002:binary, allowed: plain values without tags',
    ],
    ['gateway: { id: !secret a }', '1:16: no valid YAML: Unresolved tag: !secret'],
    [
      'gateway: { id: a }\ngateway: { id: b }',
      '2:1: gateway: found gateway a second time in the same mapping, allowed: once',
    ],
    ['gateway: { id: a }\n__proto__: 1', '2:1: found __proto__ as a key, allowed: a name'],
    ['gateway: { id: a }\n[x]: 1', '2:1: found no name as a key, allowed: a name'],
    [
      'gateway: { id: "\\ud800" }',
      '1:16: gateway.id: found half of a character (a lone surrogate), allowed: valid text',
    ],
  ])('%j', (text, line) => {
    expect(errorLines(text)).toEqual([line]);
  });

  test('what follows a slip of syntax is not told line by line', () => {
    const lines = errorLines(`gateway: { id: a\n${'buses: { b: c }\n'.repeat(40)}`);
    expect(lines.length).toBeLessThan(4);
    expect(lines[0]).toMatch(/^\d+:\d+: no valid YAML: /);
  });

  test('an unquoted variable inside braces is explained', () => {
    expect(errorLines(`gateway: { id: \${ID} }`, { ID: 'a' })[0]).toMatch(/needs quotes: "\$\{NAME\}"/);
  });

  test('a byte order mark is no character', () => {
    expect(errorLines('\uFEFFgatway: { id: a }')[0]).toMatch(/^1:1: gatway: /);
  });

  test('an alias is read where it is used; its mistakes stand where they were written', () => {
    const yaml = `gateway: { id: a }
buses: { s: { driver: simulator } }
devices:
  one: { bus: s, points: &p { x: { simulate: { wave: sin } } } }
  two: { bus: s, points: *p }
`;
    expect(errorLines(yaml)).toEqual([
      '4:54: devices.one.points.x.simulate.wave: found sin, did you mean sine? allowed: sine, ramp, square, walk or constant',
      '4:54: devices.two.points.x.simulate.wave: found sin, did you mean sine? allowed: sine, ramp, square, walk or constant',
    ]);
    expect(Object.keys(configOf(yaml.replace('sin ', 'sine ')).devices)).toEqual(['one', 'two']);
  });

  test('bombs are refused, not carried out', () => {
    const level = (n: number): string => `l${n}: &l${n} [${`*l${n - 1},`.repeat(10)}]\n`;
    const bomb = `gateway: { id: a }\nl0: &l0 [x]\n${[1, 2, 3, 4, 5, 6, 7, 8, 9].map(level).join('')}`;
    expect(errorLines(bomb)[0]).toMatch(/more than \d+ values|nested more than/);
    expect(errorLines('a: &a [*a]')[0]).toMatch(/nested more than|no &a before it/);
    expect(errorLines(`a: ${'['.repeat(100_000)}`)[0]).toMatch(/nested/);
    expect(errorLines(`a: ${'['.repeat(50)}${']'.repeat(50)}`)).toEqual([
      '1:1: nested more than 32 levels deep, or an alias holds itself',
    ]);
    expect(errorLines(`gateway: { id: a }\n# ${'x'.repeat(4 * 2 ** 20)}`)).toEqual([
      '1:1: found more than 4 MiB, which no configuration needs',
    ]);
  });

  test('a thousand mistakes are told up to a limit, with the number of the rest', () => {
    const lines = errorLines(
      `gateway: { id: a }\n${Array.from({ length: 2000 }, (_, n) => `zz${n}: 1\n`).join('')}`,
    );
    expect(lines).toHaveLength(501);
    expect(lines.at(-1)).toMatch(/1500 more errors follow/);
  });
});

describe('whatever the text', () => {
  const sane = (text: string): void => {
    const { config, errors } = parseConfig(text, 'f.yaml', { A: 'x' });
    expect(config === undefined).toBe(errors.length > 0);
    const lines = text.split('\n');
    for (const { position, line } of errors) {
      expect(position.line).toBeGreaterThanOrEqual(1);
      expect(position.line).toBeLessThanOrEqual(lines.length);
      expect(position.column).toBeGreaterThanOrEqual(1);
      expect(position.column).toBeLessThanOrEqual((lines[position.line - 1] ?? '').length + 1);
      expect(line).not.toMatch(/[\n\r]/);
    }
  };

  test('nothing is thrown and every place is in the file', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), sane), { numRuns: FUZZ_RUNS });
  });

  test('nor for YAML made of its own signs', () => {
    const sign = fc.constantFrom(
      ...'{}[]:,-?&*!|>%@`"\'#$ \n\tab10~<=',
      '${',
      `\${A}`,
      '\n  ',
      ': ',
      '- ',
      'gateway',
      'id',
      'buses',
      'devices',
    );
    fc.assert(
      fc.property(fc.array(sign, { maxLength: 60 }), (signs) => sane(signs.join(''))),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('nor for any value in any place', () => {
    const section = fc.constantFrom(
      'gateway',
      'journal',
      'broker',
      'buses',
      'devices',
      'mappings',
      'bridges',
      'http',
      'log',
    );
    const key = fc.constantFrom(
      ...[
        'id',
        'tags',
        'path',
        'record',
        'listeners',
        'url',
        'limits',
        'driver',
        'bus',
        'unit',
        'points',
        'register',
        'type',
      ],
      ...[
        'simulate',
        'from',
        'topic',
        'group',
        'report',
        'on',
        'deadband',
        'servers',
        'forward',
        'filter',
        'tls',
        'backoff',
        'x',
      ],
    );
    const { node } = fc.letrec((tie) => ({
      node: fc.oneof({ maxDepth: 5 }, tie('leaf'), tie('map'), fc.array(tie('node'), { maxLength: 3 })),
      leaf: fc.constantFrom(
        0,
        -1,
        1.5,
        true,
        null,
        '',
        'x',
        'modbus-rtu',
        'simulator',
        '*/*',
        'holding/1',
        `\${A}`,
        '5s',
        'a/#',
        '{unit}',
        'mqtt://h',
        'device',
      ),
      map: fc.dictionary(key, tie('node'), { maxKeys: 4 }),
    }));
    fc.assert(
      fc.property(fc.dictionary(section, node, { maxKeys: 6 }), (value) =>
        sane(JSON.stringify(value, null, 1)),
      ),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('nor for a good file with a piece cut out or doubled', () => {
    fc.assert(
      fc.property(fc.nat(BASE.length), fc.nat(20), fc.boolean(), (at, length, cut) => {
        const piece = BASE.slice(at, at + length);
        sane(BASE.slice(0, at) + (cut ? '' : piece + piece) + BASE.slice(at + length));
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

test('whatever is wrong, a line stays readable', () => {
  const long = 'x'.repeat(100_000);
  for (const yaml of [
    `gateway: { id: "${'${'.repeat(50_000)}" }`,
    `gateway: { id: a, ${long}: 1 }`,
    `${long}: [`,
  ]) {
    for (const line of errorLines(yaml)) expect(line.length).toBeLessThan(1500);
  }
});
