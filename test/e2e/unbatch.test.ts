/**
 * gateway ─batches─▶ mosquitto ─▶ unbatch ─messages─▶ mosquitto, with SIGKILLs of all that is ours in between: what
 * comes out is what the gateway's own history has, value by value.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type IPublishPacket, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  freePort,
  godwit,
  type Running,
  runningGateway,
  runningMosquitto,
  scratch,
} from '../support/process.js';

let folder: string;
let ends: (() => unknown)[];
let port: number;

beforeEach(async () => {
  const { folder: made, remove } = scratch();
  folder = made;
  ends = [remove];
  port = await freePort();
  keep(await runningMosquitto(folder, port));
});

afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

function keep<Child extends Running>(child: Child): Child {
  ends.push(() => child.kill());
  return child;
}

async function gatewayFile(batch: string, qos: number): Promise<string> {
  const file = join(folder, 'godwit.yaml');
  const local = await freePort();
  writeFileSync(
    file,
    `
gateway: { id: well-17 }
journal: { path: state/journal.db }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${local}" } ] }
buses: { demo: { driver: simulator } }
devices:
  tank: { bus: demo, poll: 100ms, points: {
    level: { simulate: { wave: walk, min: -50, max: 50, decimals: 2 }, unit: "%" },
    open: { simulate: { wave: square } } } }
mappings:
  - { from: "*/level", topic: "site/{device}/{point}", qos: 1, retain: true }
  - { from: "*/*", topic: "bare/{device}/{point}", payload: value, qos: 1 }
bridges:
  cloud:
    servers: [ "mqtt://127.0.0.1:${port}" ]
    backoff: { min: 50ms, max: 200ms }
    forward: [ { filter: "#", qos: ${qos}, prefix: "fleet/", batch: { max_delay: 150ms, ${batch} } } ]
`,
  );
  return file;
}

async function unbatching(): Promise<Running> {
  const url = `mqtt://127.0.0.1:${port}`;
  const started = keep(godwit(['unbatch', '--from', url, '--to', url, '--state', join(folder, 'unbatch')]));
  await started.line((line) => line.includes('Unbatching'));
  return started;
}

/** Its subscription stands: what is no batch is told, once it comes. */
async function subscribing(unbatch: Running): Promise<void> {
  const client = connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });
  ends.push(() => client.endAsync(true));
  const isTold = (): boolean => unbatch.lines.some((line) => line.includes('no batch'));
  for (let left = 200; !isTold() && left > 0; left -= 1) {
    await client.publishAsync('godwit/other/batch', 'hello', { qos: 1 });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(isTold()).toBe(true);
}

interface Got {
  readonly seq: number;
  readonly topic: string;
  readonly payload: string;
  readonly ts: number;
  readonly qos: number;
}

async function consumer(): Promise<{ readonly got: Got[]; readonly client: MqttClient }> {
  const client = connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, clientId: 'consumer' });
  ends.push(() => client.endAsync(true));
  const got: Got[] = [];
  client.on('message', (topic, payload, { properties, qos }: IPublishPacket) => {
    const { gw, j, seq, ts } = (properties?.userProperties ?? {}) as Record<string, string>;
    expect([gw, j?.length]).toEqual(['well-17', 8]);
    got.push({ seq: Number(seq), topic, payload: payload.toString(), ts: Number(ts), qos });
  });
  await client.subscribeAsync('fleet/#', { qos: 2 });
  return { got, client };
}

/** The gateway's own history, as `godwit export` has it. */
async function history(file: string): Promise<Map<number, Omit<Got, 'seq' | 'qos'>>> {
  const exported = godwit(['export', '-c', file, '--since', '1h', '--filter', '#']);
  expect(await exported.exit()).toBe(0);
  return new Map(
    exported.lines
      .map((line) => JSON.parse(line) as { seq: number; ts: number; topic: string; payload: string })
      .map(({ payload, seq, topic, ts }) => [seq, { topic: `fleet/${topic}`, payload, ts }]),
  );
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let left = 1500; !isSo(); left -= 1) {
    if (left === 0) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test.each([
  [2, 'encoding: columnar, compress: deflate'],
  [1, 'encoding: json, compress: brotli'],
] as const)(
  'at QoS %i every value comes through SIGKILLs on both sides as it was read (%s)',
  async (qos, batch) => {
    const file = await gatewayFile(batch, qos);
    const { got } = await consumer();
    const isThere = (count: number): (() => boolean) => {
      return () => new Set(got.map(({ seq }) => seq)).size >= count;
    };
    let unbatch = await unbatching();
    await subscribing(unbatch);
    let gateway = keep(await runningGateway(file));
    for (let kills = 1; kills <= 3; kills += 1) {
      await until(isThere(kills * 30), `${kills * 30} messages`);
      await unbatch.kill();
      if (kills === 2) {
        await gateway.kill();
        gateway = keep(await runningGateway(file));
      }
      unbatch = await unbatching();
    }
    await until(isThere(120), '120 messages');
    await gateway.kill('SIGTERM');
    const expected = await history(file);
    // Drained by another run, which reads nothing new: what formed at the end leaves with it.
    const last = Math.max(...[...expected.keys()]);
    gateway = keep(await runningGateway(file));
    await until(() => got.some(({ seq }) => seq >= last), `message ${last}`);

    const bySeq = new Map(got.map((one) => [one.seq, one]));
    for (const [seq, { payload, topic, ts }] of expected) {
      if (topic.startsWith('fleet/godwit/')) continue;
      expect(bySeq.get(seq)).toEqual({ seq, payload, topic, ts, qos });
    }
    if (qos === 2) expect(got.length).toBe(bySeq.size);
  },
  120_000,
);

test('what is no batch is passed over and told; retained messages keep their RETAIN', async () => {
  const file = await gatewayFile('encoding: cbor', 1);
  const unbatch = await unbatching();
  await subscribing(unbatch);
  keep(await runningGateway(file));
  const { got } = await consumer();
  await until(() => got.length > 10, 'messages');
  const late = connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });
  ends.push(() => late.endAsync(true));
  const kept: string[] = [];
  late.on('message', (topic, _payload, { retain }) => {
    if (retain) kept.push(topic);
  });
  await late.subscribeAsync('fleet/+/tank/+');
  await until(() => kept.length > 0, 'what is retained');
  expect(new Set(kept)).toEqual(new Set(['fleet/site/tank/level']));
  expect(await unbatch.kill('SIGTERM')).toBe(0);
}, 120_000);
