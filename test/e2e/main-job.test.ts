/**
 * The main job, against peers that are not ours: pymodbus slaves on TCP and on a serial line, mosquitto upstream,
 * mosquitto_sub at both ends.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { float32Words, ModbusSlave } from '../support/modbus-slave.js';
import {
  freePort,
  type Running,
  received,
  runningGateway,
  runningMosquitto,
  scratch,
  subscribed,
} from '../support/process.js';
import { SerialPair } from '../support/serial-pair.js';

let folder: string;
let remove: () => void;
let ends: (() => Promise<unknown>)[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  ends = [];
});

afterEach(async () => {
  await Promise.all(ends.map((end) => end()));
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  ends.push(() => child.kill());
  return child;
}

function configured(lines: readonly string[]): string {
  const file = join(folder, 'godwit.yaml');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

/** The last payload of a topic, as JSON. */
function latest(subscriber: Running, topic: string): Record<string, unknown> | undefined {
  const payload = received(subscriber).findLast((message) => message.topic === topic)?.payload;
  return payload === undefined ? undefined : (JSON.parse(payload) as Record<string, unknown>);
}

test('values set in TCP and RTU slaves arrive scaled at the upstream, and retained at a late local subscriber', async () => {
  const tcp = await ModbusSlave.tcp([1]);
  ends.push(() => tcp.stop());
  const line = await SerialPair.start();
  ends.push(() => line.stop());
  const rtu = await ModbusSlave.rtu(line.theirs, [7]);
  ends.push(() => rtu.stop());
  await tcp.set('holding', 100, float32Words(71.2));
  await tcp.set('input', 7, [0x10000 - 250]);
  await tcp.set('discrete', 12, [1]);
  await rtu.set('input', 0, [...float32Words(230.1)]);
  await rtu.set('holding', 10, [0x5678, 0x1234]);

  const [upstream, local] = [await freePort(), await freePort()];
  keep(await runningMosquitto(folder, upstream));
  const far = keep(await subscribed(upstream, ['-t', 'fleet/#', '-q', '1']));
  const gateway = keep(
    await runningGateway(
      configured([
        'gateway: { id: well-17, tags: { site: north } }',
        'journal: { path: state/journal.db }',
        `broker: { listeners: [ { url: "mqtt://127.0.0.1:${local}" } ] }`,
        'buses:',
        `  plc: { driver: modbus-tcp, host: 127.0.0.1, port: ${tcp.port} }`,
        `  rs485: { driver: modbus-rtu, path: ${line.ours}, baud_rate: 19200 }`,
        'devices:',
        '  tank:',
        '    bus: plc',
        '    unit: 1',
        '    poll: 100ms',
        '    points:',
        '      level: { register: holding/100, type: float32, unit: "%" }',
        '      pressure: { register: input/7, type: int16, scale: 0.01, offset: -1, unit: bar }',
        '      high: { register: discrete/12 }',
        '  meter:',
        '    bus: rs485',
        '    unit: 7',
        '    poll: 100ms',
        '    points:',
        '      voltage: { register: input/0, type: float32, unit: V }',
        '      energy: { register: holding/10, type: uint32, word_order: little }',
        'mappings:',
        '  - { from: "*/*", topic: "site/{tags.site}/{device}/{point}", retain: true, report: { on: change } }',
        'bridges:',
        '  cloud:',
        `    servers: [ "mqtt://127.0.0.1:${upstream}" ]`,
        '    forward: [ { filter: "site/#", qos: 1, strip: "site/", prefix: "fleet/{gateway}/" } ]',
      ]),
    ),
  );
  const arrives = async (topic: string, value: unknown): Promise<void> =>
    far.until(() => latest(far, `fleet/well-17/north/${topic}`)?.value === value);
  await arrives('tank/level', 71.2);
  await arrives('tank/pressure', -3.5);
  await arrives('tank/high', true);
  await arrives('meter/voltage', 230.1);
  await arrives('meter/energy', 0x12345678);

  await tcp.set('holding', 100, float32Words(12.5));
  await arrives('tank/level', 12.5);
  expect(latest(far, 'fleet/well-17/north/tank/level')).toEqual({
    ts: expect.any(Number),
    value: 12.5,
    unit: '%',
  });

  const late = keep(await subscribed(local, ['-t', 'site/#', '-t', 'godwit/#']));
  await late.until(() => received(late).length >= 8);
  expect(received(late).every(({ retain }) => retain)).toBe(true);
  expect(latest(late, 'site/north/tank/level')).toMatchObject({ value: 12.5 });
  expect(latest(late, 'godwit/well-17/status')).toMatchObject({ state: 'online' });
  expect(latest(late, 'godwit/well-17/devices/meter/status')).toMatchObject({ state: 'online' });
  expect(await gateway.kill('SIGTERM')).toBe(0);
}, 60_000);

test('a slave that is switched off takes only its own device offline, and it returns by itself', async () => {
  const tcp = await ModbusSlave.tcp([1]);
  ends.push(() => tcp.stop());
  const line = await SerialPair.start();
  ends.push(() => line.stop());
  const rtu = await ModbusSlave.rtu(line.theirs, [7, 8]);
  ends.push(() => rtu.stop());
  const local = await freePort();
  keep(
    await runningGateway(
      configured([
        'gateway: { id: well-17 }',
        'journal: { path: state/journal.db }',
        `broker: { listeners: [ { url: "mqtt://127.0.0.1:${local}" } ] }`,
        'buses:',
        `  plc: { driver: modbus-tcp, host: 127.0.0.1, port: ${tcp.port} }`,
        `  rs485: { driver: modbus-rtu, path: ${line.ours}, timeout: 200ms, retries: 0, retry_max: 1s }`,
        'devices:',
        '  tank: { bus: plc, unit: 1, poll: 100ms, points: { level: { register: holding/0 } } }',
        '  near: { bus: rs485, unit: 7, poll: 200ms, points: { power: { register: input/0 } } }',
        '  gone: { bus: rs485, unit: 8, poll: 200ms, points: { power: { register: input/0 } } }',
        'mappings: [ { from: "*/*", topic: "site/{device}/{point}" } ]',
      ]),
    ),
  );
  const subscriber = keep(await subscribed(local, ['-t', 'site/#', '-t', 'godwit/#']));
  const count = (topic: string): number =>
    received(subscriber).filter((message) => message.topic === topic).length;
  await subscriber.until(() =>
    ['near', 'gone', 'tank'].every(
      (device) => latest(subscriber, `site/${device}/${device === 'tank' ? 'level' : 'power'}`)?.value === 0,
    ),
  );

  await rtu.silence(8);
  await subscriber.until(() => latest(subscriber, 'godwit/well-17/devices/gone/status')?.state === 'offline');
  await subscriber.until(() => latest(subscriber, 'site/gone/power')?.quality === 'bad');
  expect(latest(subscriber, 'site/gone/power')).toEqual({
    ts: expect.any(Number),
    value: null,
    quality: 'bad',
    reason: 'timeout',
  });
  const told = count('site/gone/power');
  const before = { near: count('site/near/power'), tank: count('site/tank/level') };
  await subscriber.until(
    () => count('site/near/power') > before.near + 5 && count('site/tank/level') > before.tank + 10,
  );
  expect(count('site/gone/power')).toBe(told);
  for (const device of ['near', 'tank']) {
    expect(latest(subscriber, `godwit/well-17/devices/${device}/status`)).toMatchObject({ state: 'online' });
  }

  await rtu.answer(8);
  await subscriber.until(() => latest(subscriber, 'godwit/well-17/devices/gone/status')?.state === 'online');
  await subscriber.until(() => latest(subscriber, 'site/gone/power')?.value === 0);
}, 60_000);

test('an upstream that wants TLS and a password gets both, as the configuration names them', async () => {
  const [upstream, local] = [await freePort(), await freePort()];
  const certificate = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  writeFileSync(join(folder, 'server.crt'), certificate.cert);
  writeFileSync(join(folder, 'server.key'), certificate.private);
  writeFileSync(join(folder, 'secret'), 'over the hills\n');
  execFileSync('mosquitto_passwd', ['-c', '-b', join(folder, 'passwd'), 'well-17', 'over the hills']);
  const upstreamSettings = [
    `certfile ${folder}/server.crt`,
    `keyfile ${folder}/server.key`,
    'allow_anonymous false',
    `password_file ${folder}/passwd`,
  ];
  keep(await runningMosquitto(folder, upstream, upstreamSettings));
  const far = keep(
    await subscribed(upstream, [
      '-h',
      'localhost',
      '--cafile',
      `${folder}/server.crt`,
      '-u',
      'well-17',
      '-P',
      'over the hills',
      '-t',
      'site/#',
    ]),
  );
  const file = configured([
    'gateway: { id: well-17 }',
    'journal: { path: state/journal.db }',
    `broker: { listeners: [ { url: "mqtt://127.0.0.1:${local}" } ] }`,
    'buses: { sim: { driver: simulator } }',
    'devices: { tank: { bus: sim, poll: 100ms, points: { level: { simulate: { wave: sine } } } } }',
    'mappings: [ { from: "*/*", topic: "site/{device}/{point}" } ]',
    'bridges:',
    '  cloud:',
    `    servers: [ "mqtts://localhost:${upstream}" ]`,
    '    tls: { ca: server.crt }',
    '    username: well-17',
    '    password_file: secret',
    '    forward: [ { filter: "site/#" } ]',
  ]);
  keep(await runningGateway(file));
  await far.until(() => latest(far, 'site/tank/level') !== undefined);
}, 60_000);
