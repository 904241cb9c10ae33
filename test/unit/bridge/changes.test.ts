/** A change of the configuration orphans no backlog: what was accepted under the old one is delivered under the new. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { BridgeBench } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ScriptedServer } from '../../support/scripted-server.js';

let folder: string;
let clock: FakeClock;
let server: ScriptedServer;
let storage: InlineStorage;
let made: BridgeBench | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-changes-'));
  clock = new FakeClock({ monotonicMs: 1000 });
  server = new ScriptedServer();
  storage = new InlineStorage({ path: join(folder, 'journal.db'), clock });
  await storage.start();
  made = undefined;
});

afterEach(async () => {
  await end();
  await storage.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function settle(turns = 60): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function begin(config: object): Promise<BridgeBench> {
  made = new BridgeBench(storage, config, { clock, dial: server.dial });
  await made.bridge.start();
  await settle();
  return made;
}

async function end(): Promise<void> {
  const stopped = made?.bridge.stop();
  await clock.advanceAsync(6000);
  await stopped;
  made = undefined;
}

/** Twenty messages that wait while the server cannot be reached. */
async function backlog(config: object): Promise<void> {
  server.dialFault = () => new Error('connect ECONNREFUSED');
  const bench = await begin(config);
  for (let n = 1; n <= 20; n += 1)
    bench.accept({ topic: 'site/pump', payload: Buffer.from(String(n)) }, clock);
  await settle();
  await end();
  server.dialFault = undefined;
}

const numbers = Array.from({ length: 20 }, (_, index) => String(index + 1));
const ALL = { waiting: 0, inFlight: 0, delivered: 20, lost: 0 };

test.each([
  ['a rule with priority high that is gone', [{ filter: 'site/#', priority: 'high' }], [{ filter: 'x' }]],
  ['a rule with order live-first that is gone', [{ filter: 'site/#', order: 'live-first' }], []],
  ['a rule that has another QoS now', [{ filter: 'site/#', qos: 2 }], [{ filter: 'site/#', qos: 0 }]],
])('other rules: the backlog of %s leaves as it was accepted', async (_, before, after) => {
  await backlog({ forward: before });
  const now = await begin({ forward: after });
  await settle();
  expect(server.payloads).toEqual(numbers);
  const qos = (before[0] as { qos?: number }).qos ?? 1;
  expect(server.delivered.filter(({ topic }) => topic === 'site/pump').every((one) => one.qos === qos)).toBe(
    true,
  );
  expect(now.bridge.snapshot()).toMatchObject(ALL);
});

test('another server: it gets the backlog, and what was in flight to the old one again, after Clean Start', async () => {
  const forward = [{ filter: 'site/#', qos: 2 }];
  const bench = await begin({ servers: ['mqtt://old:1883'], forward });
  server.intercept = (packet) => packet.type === 'publish' && packet.topic === 'site/pump';
  for (let n = 1; n <= 20; n += 1)
    bench.accept({ topic: 'site/pump', payload: Buffer.from(String(n)) }, clock);
  await settle();
  expect(bench.bridge.snapshot().inFlight).toBe(20);
  await end();
  server.intercept = () => false;
  server.loseSession();
  const connections = server.connections.length;
  const now = await begin({ servers: ['mqtt://new:1883'], forward });
  await settle();
  expect(server.connections.slice(connections).map(({ connect }) => connect?.cleanStart)).toEqual([
    true,
    false,
  ]);
  expect(server.payloads).toEqual(numbers);
  expect(now.bridge.snapshot()).toMatchObject({ ...ALL, sessionsLost: 1 });
});

test('a server without QoS 2 and without RETAIN gets QoS 1 and RETAIN 0', async () => {
  server.connackProperties = { maximumQoS: 1, retainAvailable: 0 };
  const bench = await begin({ forward: [{ filter: 'site/#', qos: 2 }] });
  bench.accept({ topic: 'site/pump', retain: true, payload: Buffer.from('1') }, clock);
  await settle();
  const arrived = server.packets('publish');
  expect(arrived.map(({ topic }) => topic)).toEqual(['godwit/well-17/status', 'site/pump']);
  expect(arrived.every(({ qos, retain }) => qos === 1 && !retain)).toBe(true);
});
