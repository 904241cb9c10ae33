/** The broker alone, used by clients that know nothing of it: mosquitto's and mqtt.js. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { connectAsync, connect as connectNow, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.js';
import { brokerSchema } from '../../src/config/schema.js';
import { SystemClock } from '../../src/core/clock.js';
import { silentLog } from '../../src/core/log.js';
import { until } from '../support/broker-fixture.js';

const run = promisify(execFile);
let broker: Broker;
let port: string;

beforeEach(async () => {
  const config = brokerSchema.parse({ listeners: [{ url: 'mqtt://127.0.0.1:0' }] });
  broker = new Broker({ config, clock: new SystemClock(), log: silentLog });
  await broker.start();
  port = new URL(broker.urls[0]!).port;
});
afterEach(() => broker.stop());

describe.each(['311', '5'])('mosquitto clients, version %s', (version) => {
  test.each(['0', '1', '2'])('QoS %s from mosquitto_pub to mosquitto_sub', async (qos) => {
    const subscriber = spawn('mosquitto_sub', [
      ...['-p', port, '-V', version, '-q', qos, '-t', 'site/+/temp', '-C', '20', '-F', '%t %q %p'],
    ]);
    const lines: string[] = [];
    subscriber.stdout.on('data', (chunk: Buffer) =>
      lines.push(...chunk.toString().split('\n').filter(Boolean)),
    );
    await until(() => broker.snapshot().subscriptions === 1);
    const publisher = spawn('mosquitto_pub', [
      '-p',
      port,
      '-V',
      version,
      '-q',
      qos,
      '-t',
      'site/a/temp',
      '-l',
    ]);
    publisher.stdin.end([...Array(20).keys()].map((count) => `${count}\n`).join(''));
    await once(subscriber, 'close');
    expect(lines).toEqual([...Array(20).keys()].map((count) => `site/a/temp ${qos} ${count}`));
  });

  test('a retained message reaches a late mosquitto_sub', async () => {
    await run('mosquitto_pub', ['-p', port, '-V', version, '-q', '1', '-r', '-t', 'state', '-m', 'on']);
    const { stdout } = await run('mosquitto_sub', [
      ...['-p', port, '-V', version, '-t', 'state', '-C', '1', '-F', '%r %p'],
    ]);
    expect(stdout).toBe('1 on\n');
  });

  test('the Will of a killed mosquitto_sub is published', async () => {
    const watcher = spawn('mosquitto_sub', ['-p', port, '-V', version, '-t', 'will', '-C', '1']);
    const said: Buffer[] = [];
    watcher.stdout.on('data', (chunk: Buffer) => said.push(chunk));
    await until(() => broker.snapshot().subscriptions === 1);
    const dying = spawn('mosquitto_sub', [
      ...['-p', port, '-V', version, '-t', 'x', '--will-topic', 'will', '--will-payload', 'gone'],
    ]);
    await until(() => broker.snapshot().subscriptions === 2);
    dying.kill('SIGKILL');
    await once(watcher, 'close');
    expect(Buffer.concat(said).toString()).toBe('gone\n');
  });
});

describe.each([4, 5] as const)('mqtt.js, version %i', (protocolVersion) => {
  const clients: MqttClient[] = [];
  const connect = async (options: object = {}): Promise<MqttClient> => {
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion, ...options });
    clients.push(client);
    return client;
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.endAsync(true);
  });

  test('a thousand messages at each QoS arrive once, in order', async () => {
    const subscriber = await connect();
    const publisher = await connect();
    const got: Record<string, string[]> = { q0: [], q1: [], q2: [] };
    subscriber.on('message', (topic, payload) => got[topic]!.push(payload.toString()));
    await subscriber.subscribeAsync({ q0: { qos: 0 }, q1: { qos: 1 }, q2: { qos: 2 } });
    const sent = [...Array(1000).keys()].map(String);
    for (const qos of [0, 1, 2] as const) {
      // mqtt.js does not keep to the Receive Maximum by itself, and the broker holds 5.0 clients to it.
      for (let at = 0; at < sent.length; at += 50) {
        const some = sent.slice(at, at + 50);
        await Promise.all(some.map((payload) => publisher.publishAsync(`q${qos}`, payload, { qos })));
      }
    }
    await until(() => Object.values(got).every(({ length }) => length >= 1000));
    expect(got).toEqual({ q0: sent, q1: sent, q2: sent });
  });

  test('a kept session gets what it missed', async () => {
    const kept = {
      clientId: 'kept',
      clean: false,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
    };
    const first = await connect(kept);
    await first.subscribeAsync('t', { qos: 2 });
    await first.endAsync();
    const publisher = await connect();
    for (const payload of ['1', '2', '3']) await publisher.publishAsync('t', payload, { qos: 2 });
    const got: string[] = [];
    const back = connectNow(`mqtt://127.0.0.1:${port}`, { ...kept, protocolVersion });
    clients.push(back);
    back.on('message', (_topic, payload) => got.push(payload.toString()));
    await until(() => got.length >= 3);
    expect(got).toEqual(['1', '2', '3']);
  });
});
