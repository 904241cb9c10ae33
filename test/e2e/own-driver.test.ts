/** The example of a driver of one's own, in the real process; and one that does all it can to take the gateway down. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  freePort,
  godwit,
  ROOT,
  type Running,
  received,
  runningGateway,
  scratch,
  subscribed,
} from '../support/process.js';

let folder: string;
let remove: () => void;
let ends: (() => Promise<unknown>)[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  ends = [];
});

afterEach(async () => {
  for (const end of ends.reverse()) await end();
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  ends.push(() => child.kill());
  return child;
}

function latest(subscriber: Running, topic: string): Record<string, unknown> | undefined {
  const payload = received(subscriber).findLast((message) => message.topic === topic)?.payload;
  return payload === undefined ? undefined : (JSON.parse(payload) as Record<string, unknown>);
}

test('the example checks, and its values arrive; beside a driver that breaks in every way, which only its own bus feels', async () => {
  const port = await freePort();
  const file = join(folder, 'own-driver.yaml');
  copyFileSync(join(ROOT, 'config/own-driver.mjs'), join(folder, 'own-driver.mjs'));
  writeFileSync(
    join(folder, 'vandal.mjs'),
    `const deeds = [() => { throw new Error('thrown'); }, () => process.exit(1), () => { for (;;); }, () => ({ x: () => 1 }), () => new Promise(() => {})];
     let turn = Math.floor(Math.random() * deeds.length);
     process.on('exit', () => {});
     export const open = () => { setTimeout(() => { throw new Error('stray'); }, 1500); return { read: async () => deeds[turn++ % deeds.length]() }; };`,
  );
  const example = readFileSync(join(ROOT, 'config/own-driver.yaml'), 'utf8')
    .replace(
      'buses:\n',
      `journal: { path: state/journal.db }\nbroker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }\nbuses:\n  bad: { driver: ./vandal.mjs, timeout: 200ms, retry_max: 200ms }\n`,
    )
    .replace('devices:\n', 'devices:\n  wreck: { bus: bad, poll: 100ms, points: { x: {} } }\n')
    .replace('poll: 10s', 'poll: 100ms');
  writeFileSync(file, example);

  const check = keep(godwit(['check', '-c', file]));
  expect(await check.exit()).toBe(0);
  expect(check.lines).toContainEqual(
    expect.stringMatching(/^roof\/rain: driver of your own on gauge every 100ms; topic weather\/roof\/rain /),
  );

  const gateway = keep(await runningGateway(file));
  const subscriber = keep(await subscribed(port, ['-t', '#']));
  await subscriber.until(() => Number(latest(subscriber, 'weather/roof/rain')?.value) > 3.5);
  expect(latest(subscriber, 'weather/roof/rain')).toMatchObject({ unit: 'mm' });
  await subscriber.until(() => latest(subscriber, 'weather/roof/alarm')?.value === false);
  await subscriber.until(
    () => latest(subscriber, 'godwit/weather/devices/wreck/status')?.state === 'offline',
  );
  expect(latest(subscriber, 'weather/wreck/x')).toMatchObject({ value: null, quality: 'bad' });
  const rain = Number(latest(subscriber, 'weather/roof/rain')?.value);
  await subscriber.until(() => Number(latest(subscriber, 'weather/roof/rain')?.value) > rain + 2);

  const status = keep(godwit(['status', '--json', '-c', file]));
  expect(await status.exit()).toBe(0);
  const { buses, devices } = JSON.parse(status.lines.join('\n'));
  expect(buses.gauge).toMatchObject({ state: 'up' });
  expect(buses.bad.errors).toBeGreaterThan(0);
  expect(devices.roof).toMatchObject({ state: 'online' });
  expect(gateway.ended).toBe(false);
  expect(await gateway.kill('SIGTERM')).toBe(0);
}, 60_000);

test('what a driver refuses is told at its place, and the gateway does not start', async () => {
  const file = join(folder, 'own-driver.yaml');
  copyFileSync(join(ROOT, 'config/own-driver.mjs'), join(folder, 'own-driver.mjs'));
  writeFileSync(
    file,
    readFileSync(join(ROOT, 'config/own-driver.yaml'), 'utf8').replace('seed: 3', 'seed: high'),
  );
  const run = keep(godwit(['run', '-c', file]));
  expect(await run.exit()).toBe(78);
  expect(run.errors).toContain(
    `${file}:7:14: buses.gauge.options: refused by ./own-driver.mjs: seed is high, allowed: a whole number`,
  );
});
