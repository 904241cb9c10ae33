/** More than one server, against real mosquittos: bridges side by side, fail-over and return, a session that is gone. */
import { join } from 'node:path';
import { connect, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { routeFor } from '../../src/bridge/forward.js';
import { InlineStorage } from '../../src/storage/inline-storage.js';
import { BridgeBench, GATEWAY } from '../support/bridge-bench.js';
import { CuttingProxy } from '../support/cutting-proxy.js';
import { freePort, type Running, runningMosquitto, scratch } from '../support/process.js';

let folder: string;
let storage: InlineStorage;
let ends: (() => Promise<unknown> | unknown)[];

beforeEach(async () => {
  const { folder: made, remove } = scratch();
  folder = made;
  ends = [remove];
  storage = new InlineStorage({ path: join(folder, 'journal.db') });
  await storage.start();
  ends.push(() => storage.stop());
});

afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

async function mosquitto(port: number): Promise<Running> {
  const server = await runningMosquitto(folder, port);
  ends.push(() => server.kill());
  return server;
}

async function bench(name: string, servers: readonly number[], config: object = {}): Promise<BridgeBench> {
  const made = new BridgeBench(
    storage,
    {
      servers: servers.map((port) => `mqtt://127.0.0.1:${port}`),
      backoff: { min: '20ms', max: '100ms' },
      ...config,
    },
    { name },
  );
  ends.push(() => made.bridge.stop());
  await made.bridge.start();
  return made;
}

/** Accepts as the broker does, for all of these bridges. */
function accept(benches: ReadonlyMap<string, BridgeBench>, payload: number): void {
  const topic = 'site/pump';
  const routes = [...benches].flatMap(([name, { config }]) => {
    const route = routeFor(name, config, GATEWAY, topic);
    return route === undefined ? [] : [storage.routeId(route)];
  });
  const message = { topic, payload: Buffer.from(String(payload)), qos: 1, retain: false } as const;
  expect(storage.append({ kind: 'message', message }, routes, Date.now(), true)).toBe(true);
}

/** What an independent client of that server sees, from now on. */
async function watch(port: number): Promise<number[]> {
  const seen: number[] = [];
  const client: MqttClient = connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on('message', (_topic, payload) => seen.push(Number(payload)));
  await new Promise<void>((resolve) => client.once('connect', () => resolve()));
  await client.subscribeAsync('site/#', { qos: 2 });
  ends.push(() => client.endAsync(true));
  return seen;
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

test('bridges side by side have cursors of their own: a server that is away holds up only its own bridge', async () => {
  const [here, away] = [await freePort(), await freePort()];
  await mosquitto(here);
  const seenHere = await watch(here);
  const benches = new Map([
    ['here', await bench('here', [here], { forward: [{ filter: 'site/#', qos: 2 }] })],
    ['away', await bench('away', [away], { forward: [{ filter: 'site/#', qos: 1 }] })],
  ]);
  const of = (name: string) => benches.get(name)?.bridge.snapshot();
  for (const n of numbers(0, 500)) accept(benches, n);
  await until(() => seenHere.length >= 500, 'the one has all');
  expect(of('away')).toMatchObject({ waiting: 500, delivered: 0 });

  await mosquitto(away);
  const seenAway = await watch(away);
  await until(() => of('away')?.state === 'connected', 'the other is connected');
  for (const n of numbers(500, 600)) accept(benches, n);
  await until(() => of('away')?.delivered === 600 && of('here')?.delivered === 600, 'both have all');
  await until(() => seenHere.length >= 600 && seenAway.includes(599), 'both have shown all');
  expect(seenHere).toEqual(numbers(0, 600));
  // What came before the watcher did was not for it; what it has is in order and without a gap.
  expect(seenAway).toEqual(numbers(seenAway[0] ?? -1, 600));
});

test('servers are tried in order, and after return_after the first has the rest, with nothing missing', async () => {
  const [first, second] = [await freePort(), await freePort()];
  await mosquitto(second);
  const atSecond = await watch(second);
  const made = await bench('cloud', [first, second], {
    return_after: '100ms',
    forward: [{ filter: 'site/#', qos: 2 }],
  });
  const benches = new Map([['cloud', made]]);
  for (const n of numbers(0, 300)) accept(benches, n);
  await until(() => atSecond.length >= 300, 'the second has them');
  expect(made.bridge.snapshot().server).toBe(`mqtt://127.0.0.1:${second}`);

  let server = await mosquitto(first);
  const atFirst = await watch(first);
  await until(
    () =>
      made.bridge.snapshot().server === `mqtt://127.0.0.1:${first}` &&
      made.bridge.snapshot().state === 'connected',
    'it is back with the first',
  );
  for (const n of numbers(300, 600)) accept(benches, n);
  await until(() => atFirst.length >= 300, 'the first has the rest');

  await server.kill();
  for (const n of numbers(600, 900)) accept(benches, n);
  await until(() => made.bridge.snapshot().delivered === 900, 'the second has taken over');
  await until(() => atSecond.includes(899), 'the second has shown it');
  server = await mosquitto(first);
  const again = await watch(first);
  await until(() => made.bridge.snapshot().server === `mqtt://127.0.0.1:${first}`, 'it is back once more');
  accept(benches, 900);
  await until(() => again.includes(900), 'the first has what is new');
  expect(new Set([...atSecond, ...atFirst, ...again])).toEqual(new Set(numbers(0, 901)));
  expect(atSecond.filter((n) => n < 300)).toEqual(numbers(0, 300));
  expect(made.bridge.snapshot()).toMatchObject({ waiting: 0, inFlight: 0, lost: 0 });
});

test.each([1, 2] as const)(
  'a server that comes back without its session gets what was in flight again, counted, at QoS %i',
  async (qos) => {
    const [port, other] = [await freePort(), await freePort()];
    const server = await mosquitto(port);
    const before = await watch(port);
    const way = await CuttingProxy.to(port);
    const made = await bench('cloud', [way.port], { forward: [{ filter: 'site/#', qos }] });
    const { port: bridged } = way;
    const benches = new Map([['cloud', made]]);
    for (const n of numbers(0, 5000)) accept(benches, n);
    await until(() => made.bridge.snapshot().delivered > 200, 'some are delivered');
    await way.close();
    // What it has acknowledged it is to show before it dies: it is the server's to lose.
    await until(() => before.length >= made.bridge.snapshot().delivered, 'the watcher has seen them');
    await server.kill();
    await until(() => made.bridge.snapshot().state !== 'connected', 'the bridge has noticed');
    expect(made.bridge.snapshot().inFlight).toBeGreaterThan(0);

    // The same address, and nothing of what it was.
    await mosquitto(other);
    const after = await watch(other);
    const anew = await CuttingProxy.to(other, bridged);
    ends.push(() => anew.close());
    await until(() => made.bridge.snapshot().delivered === 5000, 'all is delivered');
    await until(() => after.includes(4999), 'all has arrived');
    expect(new Set([...before, ...after])).toEqual(new Set(numbers(0, 5000)));
    expect(after).toEqual(numbers(after[0] ?? -1, 5000));
    expect(made.bridge.snapshot()).toMatchObject({ sessionsLost: 1, lost: 0, waiting: 0 });
  },
);
