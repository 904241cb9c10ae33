import { describe, expect, test } from 'vitest';
import { LISTENER_URL } from '../../../src/config/endpoint.js';
import { BASE, configOf, errorLines } from './fixtures.js';

const withRules = (...rules: string[]): string =>
  `${BASE}mappings:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`;
const bridge = (keys: string): string => `gateway: { id: a }\nbridges:\n  b: { ${keys} }\n`;
const broker = (keys: string, more = ''): string => `gateway: { id: a }\nbroker: { ${keys} }\n${more}`;

type Cases = readonly (readonly [yaml: string, ...lines: string[]])[];
const check = (yaml: string, lines: readonly string[]): void => {
  expect(errorLines(yaml)).toEqual(lines);
};

describe('devices and their buses', () => {
  const on = (bus: string, device: string): string =>
    `gateway: { id: a }
buses: { rtu: { driver: modbus-rtu, path: /dev/a }, tcp: { driver: modbus-tcp, host: h }, sim: { driver: simulator } }
devices:
  d: { bus: ${bus}, ${device} }
`;
  const cases: Cases = [
    [
      on('rtc', 'points: {}'),
      '4:13: devices.d.bus: found no bus rtc, did you mean rtu? allowed: rtu, tcp, sim',
    ],
    [
      'gateway: { id: a }\ndevices: { d: { bus: x, points: {} } }',
      '2:22: devices.d.bus: found no bus x, allowed: none, since there are no buses',
    ],
    [
      on('tcp', 'points: {}'),
      "4:6: devices.d.unit: found nothing, needed: unit, the device's Modbus unit (slave) number",
    ],
    [
      on('tcp', 'unti: 1, points: {}'),
      '4:18: devices.d.unti: found an unknown key, did you mean unit? allowed: bus, unit, address_base, max_registers, max_bits, gap, frame_gap, poll, options, profile, only, points',
    ],
    [
      on('tcp', 'unit: 256, points: {}'),
      '4:24: devices.d.unit: found 256, allowed: a whole number from 0 to 255',
    ],
    [
      on(
        'rtu',
        'unit: 0, points: { p: { register: holding/1 }, q: { register: holding/2, writable: true } }',
      ),
      '4:40: devices.d.points.p: found a point to read on unit 0, the broadcast address, which nobody answers; allowed: writable: true',
    ],
    [
      on('rtu', 'unit: 248, points: {}'),
      '4:24: devices.d.unit: found 248, allowed on a serial bus: a whole number from 1 to 247, or 0 for broadcast',
    ],
    [
      on('sim', 'unit: 1, points: {}'),
      '4:18: devices.d.unit: found a unit number, which only Modbus devices have; remove it',
    ],
    [
      on('tcp', 'unit: 1'),
      '4:6: devices.d.points: found nothing, needed: points, or a profile that has them',
    ],
    [
      on('tcp', 'unit: 1, points: { p: { simulate: {} } }'),
      '4:42: devices.d.points.p.simulate: found simulate, but the device is on a bus with driver modbus-tcp, needed: register',
    ],
    [
      on('sim', 'points: { p: { register: holding/1 } }'),
      '4:33: devices.d.points.p.register: found register, but the device is on a bus with driver simulator, needed: simulate',
    ],
    [
      on('tcp', 'unit: 1, points: { p: { unit: V } }'),
      '4:40: devices.d.points.p.register: found nothing, needed: holding/N, input/N, coil/N or discrete/N with N from 0 to 65535, or a Modicon number such as 40101 or "00001"',
    ],
    [
      on('tcp', 'unit: 1, points: { p: { register: 40000 } }'),
      '4:52: devices.d.points.p.register: found 40000, allowed: holding/N, input/N, coil/N or discrete/N with N from 0 to 65535, or a Modicon number such as 40101 or "00001"',
    ],
    [
      on('tcp', 'unit: 1, points: { p: { register: holding/65536 } }'),
      '4:52: devices.d.points.p.register: found holding/65536, allowed: holding/N, input/N, coil/N or discrete/N with N from 0 to 65535, or a Modicon number such as 40101 or "00001"',
    ],
    [
      on('tcp', 'unit: 1, points: { p: { register: holding/65533, type: int64 } }'),
      '4:52: devices.d.points.p.register: found a value of type int64 that goes beyond register 65535, allowed: up to holding/65532',
    ],
    [
      on(
        'tcp',
        'unit: 1, points: { p: { register: coil/65535 }, q: { register: holding/65535 }, r: { register: input/65532, type: float64 } }',
      ),
    ],
    [
      on('tcp', 'unit: 1, points: { p: { register: coil/1, type: uint16 } }'),
      '4:66: devices.d.points.p.type: found uint16, allowed for a coil: bool',
    ],
    [
      on('tcp', 'unit: 1, points: { p: { register: discrete/1, scale: 2 } }'),
      '4:64: devices.d.points.p.scale: found scale on a value that is true or false, allowed: only on numbers',
    ],
    [
      on('sim', 'points: { p: { simulate: { type: boolean }, offset: 2 } }'),
      '4:62: devices.d.points.p.offset: found offset on a value that is true or false, allowed: only on numbers',
    ],
    [
      on('sim', 'points: { p: { simulate: { min: 200 } } }'),
      '4:50: devices.d.points.p.simulate.min: found min 200 above max 100, allowed: min up to max',
    ],
    [
      'gateway: { id: a }\nbuses:\n  one: { driver: modbus-rtu, path: /dev/ttyUSB0 }\n  two: { driver: modbus-rtu, path: /dev/ttyUSB0 }\n',
      '4:36: buses.two.path: found /dev/ttyUSB0, which is the port of bus one already, allowed: one bus per port',
    ],
  ];
  test.each(cases)('%s', (yaml, ...lines) => check(yaml, lines));
});

describe('mapping rules', () => {
  const cases: Cases = [
    [
      withRules('{ from: "tnak/level", topic: a }'),
      '14:13: mappings[0].from: found no device tnak, did you mean tank? allowed: meter, tank, fake',
    ],
    [
      withRules('{ from: "tank/levle", topic: a }'),
      '14:13: mappings[0].from: found no point levle of device tank, did you mean level? allowed: level, high',
    ],
    [
      withRules('{ from: "*", topic: a }'),
      '14:13: mappings[0].from: found "*", allowed: DEVICE/POINT, with * as the wildcard',
    ],
    [withRules('{ from: "*/nobody", topic: a }', '{ from: "ta*/l*l", topic: b }')],
    [
      withRules('{ from: "*/*", topic: "a/{divice}" }'),
      '14:27: mappings[0].topic: found {divice}, did you mean {device}? allowed: {gateway}, {device}, {point}, {unit}, {tags.site}',
    ],
    [
      withRules('{ from: "*/*", topic: "a/{tags.sit}" }'),
      '14:27: mappings[0].topic: found {tags.sit}, did you mean {tags.site}? allowed: {gateway}, {device}, {point}, {unit}, {tags.site}',
    ],
    [
      withRules('{ from: "*/*", topic: "a/{device" }'),
      '14:27: mappings[0].topic: found { without its partner, allowed: {gateway}, {device}, {point}, {unit}, {tags.site}',
    ],
    [
      withRules('{ from: "*/*", topic: "a/+/{point}" }'),
      '14:27: mappings[0].topic: found + in a topic, allowed: a topic without +, # and NUL',
    ],
    [
      withRules('{ from: "*/*", topic: "a/#" }'),
      '14:27: mappings[0].topic: found # in a topic, allowed: a topic without +, # and NUL',
    ],
    [
      withRules('{ from: "*/*", topic: "a\\0b" }'),
      '14:27: mappings[0].topic: found NUL in a topic, allowed: a topic without +, # and NUL',
    ],
    [withRules('{ from: "*/*", topic: "" }'), '14:27: mappings[0].topic: found "", allowed: a topic'],
    [
      withRules('{ from: "*/*", topic: "a/{unit}" }'),
      '14:27: mappings[0].topic: found {unit}, which for fake/x holds #: no topic may; leave {unit} out',
    ],
    [
      withRules('{ from: "tank/*", topic: "{unit}" }'),
      '14:30: mappings[0].topic: found {unit} alone, which is empty for tank/level; add something that is always there',
    ],
    [withRules('{ from: "meter/*", topic: "{unit}" }')],
    [
      'gateway: { id: a, tags: { bad: "x+y", none: "" } }\nmappings:\n  - { from: "*/*", topic: "{tags.bad}" }\n  - { from: "*/*", topic: "{tags.none}" }\n  - { from: "*/*", topic: "a{tags.none}" }\n',
      '3:27: mappings[0].topic: found {tags.bad}, whose value holds +: no topic may; change the tag or the topic',
      '4:27: mappings[1].topic: found a template that makes an empty topic, allowed: a topic with at least one character',
    ],
    [
      withRules('{ from: "*/*", topic: "a/{point}", group: device }'),
      '14:27: mappings[0].topic: found {point} with group: device, allowed: {gateway}, {device} and {tags.NAME}, since one message holds all points',
    ],
    [
      withRules('{ from: "*/*", topic: a, report: { deadband: 1, every: 5s } }'),
      '14:40: mappings[0].report.deadband: found deadband without on: change, which it needs; add on: change or remove it',
      '14:53: mappings[0].report.every: found every without on: change, which it needs; add on: change or remove it',
    ],
    [withRules('{ from: "*/*", topic: a, report: { on: change, deadband: "1%" } }')],
    [
      withRules('{ from: "*/*", topic: a, report: { on: change, deadband: "1" } }'),
      '14:62: mappings[0].report.deadband: found "1", allowed: a number from 0, or per cent such as "1%"',
    ],
  ];
  test.each(cases)('%s', (yaml, ...lines) => check(yaml, lines));
});

describe('listeners', () => {
  test('clients need no name while every listener is on loopback', () => {
    expect(
      configOf(
        broker(
          'listeners: [{ url: "mqtt://127.0.0.1:0" }, { url: "mqtt://[::1]" }, { url: "mqtt://localhost:1884" }]',
        ),
      ).broker.allow_anonymous,
    ).toBe(true);
    expect(configOf(broker('listeners: []')).broker.allow_anonymous).toBe(true);
    expect(
      configOf(broker('listeners: [{ url: "mqtt://0.0.0.0" }], allow_anonymous: true')).broker
        .allow_anonymous,
    ).toBe(true);
  });

  const cases: Cases = [
    [
      broker('listeners: [{ url: "mqtt://0.0.0.0:1883" }]'),
      '2:30: broker.listeners[0].url: found 0.0.0.0, which others can reach, and nothing about who may connect; name a broker.password_file, listen on 127.0.0.1, or set broker.allow_anonymous: true to let everyone in',
    ],
    [
      broker('allow_anonymous: false'),
      '2:28: broker.allow_anonymous: found false and no users, so that nobody could connect; name a broker.password_file (godwit passwd FILE USER makes one), or set it to true',
    ],
    [
      broker('listeners: [{ url: "mqtts://127.0.0.1", key: k }]'),
      '2:23: broker.listeners[0].cert: found nothing, needed: the path of a file, for a mqtts listener',
    ],
    [
      broker('listeners: [{ url: "wss://127.0.0.1/mqtt", crt: c, key: k }]'),
      '2:54: broker.listeners[0].crt: found an unknown key, did you mean cert? allowed: url, cert, key, client_ca, origins',
    ],
    [
      broker('listeners: [{ url: "ws://127.0.0.1:9001", client_ca: ca.crt }]'),
      '2:53: broker.listeners[0].client_ca: found client_ca for a ws listener, which has no TLS; remove it, or write wss:// in url',
    ],
    [
      broker('listeners: [{ url: "mqtt://127.0.0.1:1883", origins: ["https://a.example"] }]'),
      '2:55: broker.listeners[0].origins: found origins for a mqtt listener, allowed: for ws and wss, which browsers speak',
    ],
    [
      broker('listeners: [{ url: "ws://127.0.0.1:9001", origins: ["https://a.example/page"] }]'),
      '2:63: broker.listeners[0].origins[0]: found "https://a.example/page", allowed: an origin such as https://scada.example.com or http://10.0.0.5:8080, without a path, or null for pages from a file',
    ],
    [
      broker('listeners: [{ url: "tcp://127.0.0.1" }]'),
      `2:30: broker.listeners[0].url: found "tcp://127.0.0.1", allowed: ${LISTENER_URL}`,
    ],
    [
      broker('listeners: [{ url: "mqtt://127.0.0.1:1883/mqtt" }]'),
      `2:30: broker.listeners[0].url: found "mqtt://127.0.0.1:1883/mqtt", allowed: ${LISTENER_URL}, and nothing after the port`,
    ],
    [
      broker('listeners: [{ url: "ws://127.0.0.1:9001/mqtt?x=1" }]'),
      `2:30: broker.listeners[0].url: found "ws://127.0.0.1:9001/mqtt?x=1", allowed: ${LISTENER_URL}, the path without spaces, ? and #`,
    ],
    [
      broker('listeners: [{ url: "ws://127.0.0.1:90010/mqtt" }]'),
      `2:30: broker.listeners[0].url: found "ws://127.0.0.1:90010/mqtt", allowed: ${LISTENER_URL} with a port from 1 to 65535`,
    ],
    [
      broker('listeners: [{ url: "mqtts://0.0.0.0", cert: c, key: k, client_ca: a }]'),
      '2:30: broker.listeners[0].url: found 0.0.0.0 and client certificates, but nothing about users; name a broker.password_file, or set broker.allow_anonymous: true to let in everyone with a certificate',
    ],
    [
      broker('listeners: [{ url: "mqtt://127.0.0.1:9001" }, { url: "ws://127.0.0.1:9001/mqtt" }]'),
      '2:64: broker.listeners[1].url: found port 9001 a second time, allowed: an address and port of its own for each listener',
    ],
    [broker('limits: { maximum_qos: 3 }'), '2:34: broker.limits.maximum_qos: found 3, allowed: 0, 1 or 2'],
    [
      broker('listeners: [{ url: "mqtt://127.0.0.1:65536" }]'),
      `2:30: broker.listeners[0].url: found "mqtt://127.0.0.1:65536", allowed: ${LISTENER_URL} with a port from 1 to 65535`,
    ],
    [broker('listeners: [{}]'), `2:23: broker.listeners[0].url: found nothing, needed: ${LISTENER_URL}`],
    [
      broker('listeners: [{ url: "mqtt://127.0.0.1" }, { url: "mqtt://127.0.0.1:1883" }]'),
      '2:59: broker.listeners[1].url: found port 1883 a second time, allowed: an address and port of its own for each listener',
    ],
    [
      broker('listeners: [{ url: "mqtt://127.0.0.1:80" }]', 'http: { listen: "http://0.0.0.0" }'),
      '3:17: http.listen: found port 80 a second time, allowed: an address and port of its own for each listener',
    ],
    [
      broker(
        'listeners: [{ url: "mqtt://127.0.0.1:0" }, { url: "mqtt://127.0.0.1:0" }, { url: "mqtt://127.0.0.2:1" }, { url: "mqtt://127.0.0.1:1" }]',
      ),
    ],
    [
      'gateway: { id: a }\nhttp: { listen: "https://127.0.0.1" }',
      '2:17: http.listen: found "https://127.0.0.1", allowed: http://ADDRESS:PORT',
    ],
    [
      'gateway: { id: a }\nhttp: { listen: "http://127.0.0.1/x" }',
      '2:17: http.listen: found "http://127.0.0.1/x", allowed: http://ADDRESS:PORT, and nothing after the port',
    ],
    [
      'gateway: { id: a, status_topic: "x/{device}" }',
      '1:33: gateway.status_topic: found {device}, allowed here: {gateway}',
    ],
    [
      'gateway: { id: a, status_topic: "x/+" }',
      '1:33: gateway.status_topic: found +, allowed: a topic without +, # and NUL',
    ],
  ];
  test.each(cases)('%s', (yaml, ...lines) => check(yaml, lines));

  test('filters of what is recorded know the gateway', () => {
    const config = configOf('gateway: { id: a }\njournal: { record: ["x/{gateway}/#"] }');
    expect(config.journal.record).toEqual(['x/a/#']);
  });
});

describe('bridges', () => {
  const up = 'servers: ["mqtts://up"]';
  const cases: Cases = [
    [
      bridge('servers: ["tcp://up"]'),
      '3:18: bridges.b.servers[0]: found "tcp://up", allowed: mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH',
    ],
    [
      bridge('servers: ["mqtt://u:p@up"]'),
      '3:18: bridges.b.servers[0]: found "mqtt://u:p@up", allowed: mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH, without a user name: that goes into username and password',
    ],
    [
      bridge('servers: ["mqtt://up:0"]'),
      '3:18: bridges.b.servers[0]: found "mqtt://up:0", allowed: a port from 1 to 65535',
    ],
    [bridge('servers: ["wss://up/mqtt", "ws://[::1]:8080", "WSS://up"]')],
    [
      bridge('servers: ["wss://up/mqtt?token=x"]'),
      '3:18: bridges.b.servers[0]: found "wss://up/mqtt?token=x", allowed: mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH, the path without spaces, ? and #; a token goes into headers',
    ],
    [bridge('servers: ["wss://up"], headers: { Authorization: "Bearer x" }, tls: {}')],
    [
      bridge('servers: ["mqtts://up"], headers: { Authorization: "Bearer x" }'),
      '3:33: bridges.b.headers: found headers, but no server is ws:// or wss://; write one of them or remove it',
    ],
    [
      bridge('servers: ["wss://up"], headers: { Authorization: "Bearer {password}" }'),
      '3:40: bridges.b.headers: found {password} in headers, needed: password, password_file or password_command',
    ],
    [
      bridge(
        'servers: ["wss://up"], version: 3.1.1, headers: { Authorization: "Bearer {password}" }, password: x',
      ),
    ],
    [bridge('servers: ["mqtt://up"], username: u, password_command: [sh, -c, "cat token"]')],
    [
      bridge('servers: ["mqtt://up"], password_command: cat token'),
      '3:50: bridges.b.password_command: found cat token, allowed: a list of texts, the program and its arguments, such as ["/usr/local/bin/token", "--short"]',
    ],
    [
      bridge('servers: ["mqtt://up"], password_command: []'),
      '3:50: bridges.b.password_command: found an empty list, allowed: a list of texts, the program and its arguments, such as ["/usr/local/bin/token", "--short"]',
    ],
    [
      bridge('servers: ["mqtt://up"], password_command: [token, 7]'),
      '3:58: bridges.b.password_command[1]: found 7, allowed: text; put it in quotes to make it one',
    ],
    [
      bridge('servers: ["mqtt://up"], password: x, password_command: [token]'),
      '3:45: bridges.b.password_command: found password and password_command, allowed: one of them',
    ],
    [
      bridge('servers: ["mqtt://up"], password: x, password_max_age: 1h'),
      '3:45: bridges.b.password_max_age: found password_max_age without password_command; remove it',
    ],
    [bridge('servers: ["mqtt://up"], on_down: { command: [power-cycle] }')],
    [
      bridge('servers: ["mqtt://up"], on_down: { after: 1h }'),
      '3:41: bridges.b.on_down.command: found nothing, needed: a list of texts, the program and its arguments, such as ["/usr/local/bin/token", "--short"]',
    ],
    [
      bridge('servers: ["mqtt://up"], on_down: { command: [x], evry: 1h, after: 1 }'),
      '3:57: bridges.b.on_down.evry: found an unknown key, did you mean every? allowed: after, command, every, timeout',
      '3:74: bridges.b.on_down.after: found 1, allowed: a duration from 1s to 365d, such as 250ms, 5s, 10m, 2h or 30d',
    ],
    [
      bridge('servers: ["wss://up"], headers: { Upgrade: h2c }'),
      '3:42: bridges.b.headers.Upgrade: found Upgrade as a name, allowed: another header: WebSocket sets this one itself',
    ],
    [
      bridge('servers: ["wss://up"], headers: { "a b": x }'),
      '3:42: bridges.b.headers.a b: found a b as a name, allowed: the name of an HTTP header, such as Authorization',
    ],
    [
      bridge('servers: ["wss://up"], headers: { Authorization: "Bearer\\nx" }'),
      '3:57: bridges.b.headers.Authorization: found a text, allowed: text of printable ASCII, at most 8192 characters',
    ],
    [bridge('servers: ["mqtt://[::1]:1883", "mqtts://up", "MQTT://10.0.0.1/"]')],
    [bridge('{}').replace('{ {} }', '{}'), '3:6: bridges.b.servers: found nothing, needed: a list'],
    [bridge(`${up}, version: 4`), '3:42: bridges.b.version: found 4, allowed: 5 or 3.1.1'],
    [
      bridge(`${up}, version: 3.1.1, session_expiry: 1d`),
      '3:49: bridges.b.session_expiry: found session_expiry, which MQTT 3.1.1 does not have; remove it or set version: 5',
    ],
    [
      bridge(`${up}, version: 3.1.1, password: x`),
      '3:6: bridges.b.username: found nothing, needed: username, since MQTT 3.1.1 has no password without one',
    ],
    [
      bridge(`${up}, password: x, password_file: y`),
      '3:46: bridges.b.password_file: found password and password_file, allowed: one of them',
    ],
    [
      bridge(`${up}, tls: { cert: x }`),
      '3:38: bridges.b.tls.key: found nothing, needed: key, the private key of cert',
    ],
    [
      bridge(`${up}, tls: { key: x }`),
      '3:38: bridges.b.tls.cert: found nothing, needed: cert, the certificate of key',
    ],
    [
      bridge('servers: ["mqtt://up"], tls: {}'),
      '3:32: bridges.b.tls: found tls, but no server is mqtts:// or wss://; write one of them or remove it',
    ],
    [
      bridge(`${up}, backoff: { min: 10m }`),
      '3:49: bridges.b.backoff.min: found min above max, allowed: min up to max',
    ],
    [
      bridge(`${up}, client_id: "{device}"`),
      '3:44: bridges.b.client_id: found {device}, allowed here: {gateway}',
    ],
    [bridge(`${up}, client_id: ""`), '3:44: bridges.b.client_id: found "", allowed: a client identifier'],
    [
      bridge(`${up}, keepalive: 20h`),
      '3:44: bridges.b.keepalive: found 20h, allowed: a duration from 1s to 65535s, such as 250ms, 5s, 10m, 2h or 30d',
    ],
    [
      bridge(`${up}, forward: [{ filter: "a#" }]`),
      '3:53: bridges.b.forward[0].filter: found "a#", allowed: a topic filter, with + for a whole level and # for all that follow at the end',
    ],
    [
      bridge(`${up}, forward: [{ filter: "$share/g/a" }]`),
      '3:53: bridges.b.forward[0].filter: found a shared subscription, allowed: a topic filter without $share',
    ],
    [
      bridge(`${up}, forward: [{ filter: a, strip: "b/#" }]`),
      '3:63: bridges.b.forward[0].strip: found #, allowed: a topic without +, # and NUL',
    ],
    [
      bridge(`${up}, forward: [{ filter: a, prefix: "{gatway}/" }]`),
      '3:64: bridges.b.forward[0].prefix: found {gatway}, did you mean {gateway}? allowed here: {gateway}',
    ],
    [
      bridge(`${up}, forward: [{ filter: a/b, strip: a/b }]`),
      '3:65: bridges.b.forward[0].strip: found the whole topic, allowed: less, since an empty topic would be left',
    ],
    [bridge(`${up}, receive: [{ filter: "cmd/{gateway}/#" }, { filter: "$share/g/x" }]`)],
    [
      bridge(`${up}, receive: [{ filter: "$share/g" }]`),
      '3:53: bridges.b.receive[0].filter: found "$share/g", allowed: a topic filter, with + for a whole level and # for all that follow at the end',
    ],
    [
      `${bridge(up)}  c: { ${up} }\n`,
      '4:18: bridges.c.servers[0]: found client identifier a on up:8883, which bridge b uses already; give each bridge a client_id of its own',
    ],
    [`${bridge(up)}  c: { ${up}, client_id: "{gateway}-2" }\n`],
  ];
  test.each(cases)('%s', (yaml, ...lines) => check(yaml, lines));
});

describe('what the environment gives', () => {
  test('is data: never YAML, never replaced again', () => {
    const yaml = bridge(`servers: ["mqtt://up"], username: "\${U}", password: "$\${U}-\${P}"`);
    const config = configOf(yaml, { U: 'x: {y, ]\n- z', P: `\${U}` });
    expect(config.bridges.b).toMatchObject({ username: 'x: {y, ]\n- z', password: `\${U}-\${U}` });
  });

  test('is taken as a number or truth value where one is wanted', () => {
    const yaml = `gateway: { id: a, tags: { n: "\${N}" } }\nbuses:\n  t:\n    driver: modbus-tcp\n    host: h\n    port: \${N}\n`;
    const config = configOf(yaml, { N: '1502' });
    expect(config.buses.t).toMatchObject({ port: 1502 });
    expect(config.gateway.tags.n).toBe('1502');
    expect(errorLines(yaml, { N: 'many' })).toEqual([
      `6:11: buses.t.port: found \${N} (from the environment), allowed: a whole number from 1 to 65535`,
    ]);
  });

  test('is not looked for in keys and comments', () => {
    expect(errorLines(`gateway: { id: a } # \${NOT_SET}`)).toEqual([]);
    expect(errorLines(`gateway: { id: a, tags: { "\${X}": b } }`)[0]).toMatch(
      /^1:27: gateway\.tags\.\$\{X\}: found \$\{X\} as a name/,
    );
  });

  test('is not shown where it is wrong', () => {
    const lines = errorLines(bridge(`servers: ["\${S}"]`), { S: 'mqtt://secret@host' });
    expect(lines[0]).not.toContain('secret');
  });

  test.each([
    [
      `\${NOT_SET}`,
      `3:42: bridges.b.username: found \${NOT_SET}, but the environment has no variable NOT_SET; set it, or write $\${ for a plain \${`,
    ],
    [
      `a \${B-c}`,
      `3:42: bridges.b.username: found \${B-c}, allowed: \${NAME} with NAME of A-Z a-z 0-9 _; write $\${ for a plain \${`,
    ],
    [
      `\${`,
      `3:42: bridges.b.username: found \${, allowed: \${NAME} with NAME of A-Z a-z 0-9 _; write $\${ for a plain \${`,
    ],
    [
      `\${toString}`,
      `3:42: bridges.b.username: found \${toString}, but the environment has no variable toString; set it, or write $\${ for a plain \${`,
    ],
  ])('%s is an error', (text, line) => {
    expect(errorLines(bridge(`servers: ["mqtt://up"], username: "${text}"`))).toEqual([line]);
  });
});

describe('command topics', () => {
  const commands = (text: string): string => `gateway: { id: a }\ncommands: { ${text} }`;
  test.each<[string, ...string[]]>([
    [
      commands(
        'topic: "do/{device}/{point}", result_topic: "done/{device}/{point}", max_age: 10s, require_expiry: true',
      ),
    ],
    [
      commands('topic: "cmd/{device}"'),
      '2:20: commands.topic: found "cmd/{device}", needed: {point} once, as a level of its own',
    ],
    [
      commands('topic: "cmd/x{device}/{point}"'),
      '2:20: commands.topic: found "cmd/x{device}/{point}", needed: {device} once, as a level of its own',
    ],
    [
      commands('topic: "cmd/{device}/{piont}"'),
      '2:20: commands.topic: found {piont}, did you mean point? allowed here: {gateway}, {device} and {point}',
    ],
    [
      commands('topic: "cmd/+/{device}/{point}"'),
      '2:20: commands.topic: found +, allowed: a topic without +, # and NUL',
    ],
    [
      commands('topic: "a/{device}/{point}", result_topic: "a/{point}/{device}"'),
      '2:56: commands.result_topic: found the shape of commands.topic, so that each result would be a command; allowed: another topic',
    ],
  ])('%s', (yaml, ...lines) => check(yaml, lines));
});
