/**
 * Mapping as a whole, on the real process: computed points, windows and alarms that live through SIGKILL, and an
 * ESP-like client that publishes JSON of its own; mosquitto_pub and mosquitto_sub at both ends.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  freePort,
  godwit,
  Running,
  received,
  runningGateway,
  scratch,
  subscribed,
} from '../support/process.js';

let folder: string;
let remove: () => void;
let running: Running[];
let file: string;
let port: number;

beforeEach(async () => {
  ({ folder, remove } = scratch());
  running = [];
  port = await freePort();
  file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    `gateway: { id: e2e }
journal: { path: state/journal.db }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }
buses: { here: { driver: mqtt }, sim: { driver: simulator } }
devices:
  meter:
    bus: sim
    poll: 100ms
    points:
      voltage: { simulate: { wave: constant, min: 230.1, max: 230.1 }, unit: V }
      current: { simulate: { wave: constant, min: 2, max: 2 }, unit: A }
  esp:
    bus: here
    poll: 10m
    points:
      temperature:
        topic: "tele/{device}/SENSOR"
        json: AM2301.Temperature
        raw_unit: °F
        unit: °C
        resolution: 0.1
        alarm: { high: 80, clear: 75, priority: high }
derived:
  kw: { expr: "meter/voltage * meter/current / 1000", unit: kW }
mappings:
  - { from: "derived/*", topic: "site/{device}/{point}", report: { on: change } }
  - { from: "esp/*", topic: "site/{device}/{point}" }
  - { from: "esp/temperature", topic: "site/esp/window", aggregate: { window: 5s, emit: [sum, count] } }
`,
  );
});

afterEach(async () => {
  await Promise.all(running.map((child) => child.kill()));
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  running.push(child);
  return child;
}

const start = async (): Promise<Running> => keep(await runningGateway(file));
const listen = async (...topics: string[]): Promise<Running> =>
  keep(
    await subscribed(
      port,
      topics.flatMap((topic) => ['-t', topic]),
    ),
  );

/** As an ESP publishes; when this ends its message, and all that came of it, is on the disk: it is retained, at QoS 1. */
async function esp(fahrenheit: number): Promise<void> {
  const payload = JSON.stringify({
    Time: '2026-11-29T12:00:00',
    AM2301: { Temperature: fahrenheit, Humidity: 40 },
  });
  const args = [
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-q',
    '1',
    '-r',
    '-t',
    'tele/esp/SENSOR',
    '-m',
    payload,
  ];
  expect(await keep(new Running('mosquitto_pub', 'mosquitto_pub', args)).exit()).toBe(0);
}

async function json(...args: string[]): Promise<unknown[]> {
  const child = keep(godwit([...args, '-c', file]));
  expect(await child.exit(), child.errors).toBe(0);
  return child.lines.map((line) => JSON.parse(line) as unknown);
}

test('a computed point and the JSON of a local client are messages like any other', async () => {
  await start();
  const subscriber = await listen('site/#');
  await esp(212);
  await subscriber.until(() => received(subscriber).some(({ topic }) => topic === 'site/esp/temperature'));
  const [temperature] = received(subscriber).filter(({ topic }) => topic === 'site/esp/temperature');
  expect(JSON.parse(temperature!.payload)).toEqual({ ts: expect.any(Number), value: 100, unit: '°C' });
  // It is told at the start and not again, since it does not change; the first may have been before we listened.
  const told = await json('export', '--since', '1h', '--filter', 'site/derived/kw');
  expect(told).toHaveLength(1);
  const { payload } = told[0] as { payload: string };
  expect(JSON.parse(payload)).toEqual({ ts: expect.any(Number), value: 0.4602, unit: 'kW' });
}, 60_000);

test('a window lives through SIGKILL: nothing that was read in it is missing or told twice', async () => {
  let gateway = await start();
  for (const celsius of [10, 20, 30]) await esp(celsius * 1.8 + 32);
  await gateway.kill('SIGKILL');
  gateway = await start();
  await esp(40 * 1.8 + 32);
  const windows = async (): Promise<{ ts: number; sum: number; count: number }[]> =>
    (await json('export', '--since', '1h', '--filter', 'site/esp/window')).map((record) =>
      JSON.parse((record as { payload: string }).payload),
    );
  let told = await windows();
  while (told.reduce((all, { count }) => all + count, 0) < 4) told = await windows();
  expect(told.reduce((all, { count }) => all + count, 0)).toBe(4);
  expect(told.reduce((all, { sum }) => all + sum, 0)).toBe(100);
  expect(new Set(told.map(({ ts }) => ts)).size).toBe(told.length);
  for (const { ts } of told) expect(ts % 5000).toBe(0);
}, 60_000);

test('an alarm is known over SIGKILL: told once, cleared once, acknowledged by a command', async () => {
  const topic = 'godwit/e2e/alarms/high/esp/temperature/high';
  let gateway = await start();
  await esp(200);
  await gateway.kill('SIGKILL');
  gateway = await start();
  const subscriber = await listen(topic);
  await esp(201);
  const child = keep(godwit(['status', '--json', '-c', file]));
  expect(await child.exit()).toBe(0);
  const { alarms } = JSON.parse(child.lines.join('\n')) as { alarms: unknown };
  expect(alarms).toMatchObject([
    { alarm: 'esp/temperature/high', state: 'active', value: 93.3, acknowledged: false },
  ]);
  const acknowledge = [
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-q',
    '1',
    '-t',
    'cmd/e2e/$acknowledge',
    '-m',
    'esp/temperature/high',
  ];
  expect(await keep(new Running('mosquitto_pub', 'mosquitto_pub', acknowledge)).exit()).toBe(0);
  await subscriber.until(() => received(subscriber).length >= 2);
  await esp(100);
  await subscriber.until(() => received(subscriber).length >= 3);
  const told = received(subscriber).map(({ payload, retain }) => {
    const { state, acknowledged, value, since } = JSON.parse(payload) as Record<string, unknown>;
    return { state, acknowledged, value, retain, since };
  });
  expect(told).toMatchObject([
    { state: 'active', acknowledged: false, value: 93.3, retain: true },
    { state: 'active', acknowledged: true, value: 93.3, retain: false },
    { state: 'cleared', acknowledged: true, value: 37.8, retain: false },
  ]);
  expect(told[1]!.since).toBe(told[0]!.since);
}, 60_000);
