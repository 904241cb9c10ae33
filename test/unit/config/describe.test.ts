import { describe, expect, test } from 'vitest';
import { describeConfig, renderReport } from '../../../src/config/describe.js';
import { configOf } from './fixtures.js';

const YAML = `gateway: { id: well-17, tags: { site: north } }
buses: { tcp: { driver: modbus-tcp, host: h }, spare: { driver: simulator } }
devices:
  tank:
    bus: tcp
    unit: 3
    poll: 1s
    points:
      level: { register: holding/100, type: float32, unit: "%" }
      pressure: { register: input/7, type: int16, scale: 0.01, offset: -1, poll: 10s }
      high: { register: discrete/12 }
      unused: { register: coil/1 }
  idle: { bus: tcp, unit: 4, points: {} }
mappings:
  - { from: "tank/zz*", topic: never }
  - { from: "tank/level", topic: "site/{tags.site}/{point}", qos: 0, retain: true, report: { on: change } }
  - { from: "tank/pressure", topic: "site/{gateway}/{unit}", payload: value }
  - { from: "tank/*l*", topic: "site/all", group: device }
  - { from: "tank/high", topic: same }
  - { from: "tank/h*", topic: same }
bridges:
  cloud: { servers: ["mqtts://up"], forward: [{ filter: "site/+/level", qos: 2, strip: "site/", prefix: "{gateway}/" }, { filter: "site/#" }] }
  lazy: { servers: ["mqtts://other"] }
  odd: { servers: ["mqtts://third"], forward: [{ filter: "a/#", strip: "b/" }] }
`;

const report = describeConfig(configOf(YAML));
const point = (name: string) => report.devices[0]?.points.find((one) => one.point === name);

describe('godwit check', () => {
  test('tells where each point is read', () => {
    expect(report.devices[0]).toMatchObject({ device: 'tank', bus: 'tcp', driver: 'modbus-tcp', unitId: 3 });
    expect(point('level')).toMatchObject({ source: 'holding/100 float32', unit: '%', pollMs: 1000 });
    expect(point('pressure')).toMatchObject({ source: 'input/7 int16', pollMs: 10_000 });
    expect(point('high')).toMatchObject({ source: 'discrete/12 bool' });
  });

  test('tells what each point becomes, and which bridges carry it as what', () => {
    expect(point('level')?.publishes).toEqual([
      {
        rule: 1,
        topic: 'site/north/level',
        payload: '{"ts":1732147200123,"value":21.5,"unit":"%"}',
        qos: 0,
        retain: true,
        grouped: false,
        messagesPerDay: 86_400,
        bytesPerDay: 5_529_600,
        onChange: true,
        bridges: [{ bridge: 'cloud', topic: 'well-17/north/level', qos: 2 }],
      },
      {
        rule: 3,
        topic: 'site/all',
        payload: '{"ts":1732147200123,"values":{"level":21.5}}',
        qos: 1,
        retain: false,
        grouped: true,
        messagesPerDay: 86_400,
        bytesPerDay: 5_011_200,
        onChange: false,
        bridges: [{ bridge: 'cloud', topic: 'site/all', qos: 1 }],
      },
    ]);
    expect(point('pressure')?.publishes).toMatchObject([
      { topic: 'site/well-17/_', payload: '1.15', messagesPerDay: 8640 },
    ]);
  });

  test('counts a grouped message once', () => {
    const yaml = `gateway: { id: a }
buses: { s: { driver: simulator } }
devices: { d: { bus: s, points: { x: { simulate: {}, poll: 10s }, y: { simulate: {}, poll: 1s } } } }
mappings: [{ from: "d/*", topic: t, group: device }]
`;
    expect(describeConfig(configOf(yaml)).messagesPerDay).toBe(86_400);
  });

  test('warns of what is allowed and probably not meant', () => {
    expect(report.warnings).toEqual([
      'bus spare has no devices',
      'no rule of mappings publishes tank/unused',
      'device idle has no points, so that nothing is read from it',
      'mappings[0] never matches: no point is tank/zz*',
      'topic same is written by mappings[4] with tank/high, mappings[5] with tank/high',
      'bridge lazy has no forward and no receive rules: it carries only status and losses',
      'bridges.odd.forward[0]: no topic of a/# begins with b/, so that strip does nothing',
    ]);
  });

  test('is a table for a person', () => {
    const lines = renderReport(report, true).split('\n');
    expect(lines.slice(0, 8)).toEqual([
      'tank on tcp (modbus-tcp, unit 3)',
      '  POINT     FROM                 EVERY  TOPIC             QOS  RETAIN  A DAY    BYTES A DAY  BRIDGES',
      '  level     holding/100 float32  1s     site/north/level  0    yes     ≤ 86400  5.53 MB      cloud',
      '                                        site/all          1    no      86400    5.01 MB      cloud',
      '  pressure  input/7 int16        10s    site/well-17/_    1    no      8640     207 kB       cloud',
      '  high      discrete/12 bool     1s     same              1    no      86400    3.72 MB      -',
      '                                        same              1    no      86400    3.72 MB      -',
      '  unused    coil/1 bool          1s     -',
    ]);
    expect(lines).toContain('warning: bus spare has no devices');
  });

  test('tells of aggregates, rates that are held back, names and alarms', () => {
    const yaml = `gateway: { id: a }
buses: { s: { driver: simulator } }
devices:
  d:
    bus: s
    poll: 1s
    points:
      x: { simulate: {}, unit: W, alarm: { high: 80, clear: 75, delay: 5s, priority: high } }
      y: { simulate: {}, enum: { 1: auto } }
      z: { simulate: {} }
derived: { twice: "d/z * 2" }
mappings:
  - { from: "d/x", topic: x, aggregate: { window: 1m, emit: [mean, count] } }
  - { from: "d/y", topic: y, report: { min_interval: 10s } }
`;
    const { devices, warnings } = describeConfig(configOf(yaml));
    expect(devices[0]?.points).toMatchObject([
      {
        publishes: [
          {
            payload: '{"ts":1732147200123,"mean":50,"count":60,"window":60000,"unit":"W"}',
            messagesPerDay: 1440,
          },
        ],
        alarms: [
          { alarm: 'd/x/high', topic: 'godwit/a/alarms/high/d/x/high', when: 'high 80 until 75 after 5s' },
        ],
      },
      { publishes: [{ payload: '{"ts":1732147200123,"value":"auto"}', messagesPerDay: 8640 }] },
      { publishes: [] },
    ]);
    // d/z is not published, but computed with.
    expect(warnings).toEqual(['no rule of mappings publishes derived/twice']);
  });

  test('is one line for each publication in a pipe', () => {
    const lines = renderReport(report, false).split('\n');
    expect(lines[0]).toBe(
      'tank/level: holding/100 float32 on tcp unit 3 every 1s; topic site/north/level qos 0 retained; ≤ 86400 a day, 5.53 MB; cloud as well-17/north/level qos 2; {"ts":1732147200123,"value":21.5,"unit":"%"}',
    );
    expect(lines[5]).toBe('tank/unused: coil/1 bool on tcp unit 3 every 1s; published nowhere');
    expect(lines).toContain('bridge lazy: mqtts://other as well-17; MQTT 5');
    expect(lines).toContain('well-17: 2 devices, 4 points, at most 354240 messages and 18.2 MB a day');
  });
});

describe('the way of a bridge', () => {
  const of = (bridge: string) =>
    describeConfig(
      configOf(`gateway: { id: a }\nbridges: { c: { forward: [{ filter: "#" }], ${bridge} } }\n`),
    );

  test('is told without its secrets', () => {
    const report = of(
      'servers: ["wss://up/mqtt", "mqtts://spare"], client_id: "x-{gateway}", proxy: "http://user:s3cret@squid:3128", password_command: [./token], password_max_age: 1h, headers: { Authorization: s3cret }, on_down: { command: [power-cycle], every: 2h }',
    );
    expect(renderReport(report, false).split('\n')[0]).toBe(
      'bridge c: wss://up/mqtt, then mqtts://spare as x-a; MQTT 5; password from a program every 1h; through the proxy http://squid:3128; runs power-cycle when down for 30m and again every 2h',
    );
    expect(JSON.stringify(report)).not.toContain('s3cret');
    expect(report.warnings).toEqual([]);
  });

  test('is warned of where a password goes over it in the clear', () => {
    const servers = 'servers: ["mqtt://up", "mqtts://up", "ws://other", "mqtt://127.0.0.1"]';
    expect(of(`${servers}, username: u, password: p`).warnings).toEqual([
      'bridge c sends its password to mqtt://up in the clear; mqtts:// or wss:// would not',
      'bridge c sends its password to ws://other in the clear; mqtts:// or wss:// would not',
    ]);
    expect(of(servers).warnings).toEqual([]);
  });
});
