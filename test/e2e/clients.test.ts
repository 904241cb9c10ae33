/**
 * Clients that share no code with godwit, over every kind of listener: mosquitto's, mqtt.js and Eclipse Paho in Python,
 * both versions, every QoS, both ways.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.js';
import { brokerSchema } from '../../src/config/schema.js';
import { SystemClock } from '../../src/core/clock.js';
import { silentLog } from '../../src/core/log.js';
import type { Message } from '../../src/core/message.js';
import { Client } from '../../src/library/client.js';
import { until } from '../support/broker-fixture.js';
import { Authority } from '../support/certificates.js';
import { freePort, Running, runningMosquitto, scratch } from '../support/process.js';

const run = promisify(execFile);
const PAHO = join(import.meta.dirname, '..', 'support', 'paho-client.py');
/** Debian's, where Debian's python3-paho-mqtt is. */
const PYTHON = '/usr/bin/python3';
const COUNT = 50;
const NUMBERS = Array.from({ length: COUNT }, (_, number) => `${number}`);

let place: ReturnType<typeof scratch>;
let broker: Broker;
/** mqtt, mqtts, ws, wss, and the two with TLS once more, with client certificates. */
let urls: Record<'mqtt' | 'mqtts' | 'ws' | 'wss' | 'mqtts+cert' | 'wss+cert', string>;
const file: Record<'ca' | 'cert' | 'key', string> = { ca: '', cert: '', key: '' };

beforeAll(async () => {
  place = scratch();
  const authority = await Authority.make();
  const server = await authority.sign('server');
  const client = await authority.sign('client');
  const write = (name: string, bytes: Buffer): string => {
    const path = join(place.folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  file.ca = write('ca.crt', authority.cert);
  file.cert = write('client.crt', client.cert);
  file.key = write('client.key', client.key);
  const certified = { ...server, clientCa: authority.cert };
  broker = new Broker({
    config: brokerSchema.parse({
      listeners: ['mqtt', 'mqtts', 'ws', 'wss', 'mqtts', 'wss'].map((scheme) => ({
        url: `${scheme}://127.0.0.1:0${scheme.startsWith('ws') ? '/mqtt' : ''}`,
      })),
    }),
    secrets: [undefined, server, undefined, server, certified, certified],
    clock: new SystemClock(),
    log: silentLog,
  });
  await broker.start();
  const [mqtt, mqtts, ws, wss, mqttsCert, wssCert] = broker.urls as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  urls = { mqtt, mqtts, ws, wss, 'mqtts+cert': mqttsCert, 'wss+cert': wssCert };
});
afterAll(async () => {
  await broker.stop();
  place.remove();
});

const ours: Client[] = [];
afterEach(async () => {
  for (const client of ours.splice(0)) await client.close();
});

/** A client of ours that subscribes over TCP, and what it has got. */
async function listener(topicFilter: string, qos: 0 | 1 | 2): Promise<{ client: Client; got: Message[] }> {
  const client = new Client({ url: urls.mqtt });
  ours.push(client);
  await client.connect();
  const got: Message[] = [];
  await client.subscribe(topicFilter, (message) => void got.push(message), { qos });
  return { client, got };
}

function texts(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => Buffer.from(payload).toString());
}

let topics = 0;
function topic(): string {
  topics += 1;
  return `clients/${topics}`;
}

describe.each(['311', '5'])('mosquitto clients, version %s', (version) => {
  const tls = (withCertificate: boolean): string[] => [
    ...['--cafile', file.ca],
    ...(withCertificate ? ['--cert', file.cert, '--key', file.key] : []),
  ];
  const reach = (listening: 'mqtts' | 'mqtts+cert', withCertificate: boolean): string[] => [
    ...['-h', '127.0.0.1', '-p', new URL(urls[listening]).port, '-V', version],
    ...tls(withCertificate),
  ];

  test.each([
    ['mqtts', 0],
    ['mqtts', 1],
    ['mqtts', 2],
    ['mqtts+cert', 0],
    ['mqtts+cert', 1],
    ['mqtts+cert', 2],
  ] as const)('over %s at QoS %i, both ways', async (listening, qos) => {
    const [up, down] = [topic(), topic()];
    const args = reach(listening, listening === 'mqtts+cert');
    const { client, got } = await listener(up, qos);
    const before = broker.snapshot().subscriptions;
    const subscriber = new Running('mosquitto_sub', 'mosquitto_sub', [
      ...args,
      ...['-t', down, '-q', `${qos}`, '-C', `${COUNT}`, '-F', '%t %q %p'],
    ]);
    await until(() => broker.snapshot().subscriptions > before);
    await Promise.all(NUMBERS.map((number) => client.publish(down, number, { qos })));
    expect(await subscriber.exit()).toBe(0);
    expect(subscriber.lines).toEqual(NUMBERS.map((number) => `${down} ${qos} ${number}`));
    const publisher = new Running('mosquitto_pub', 'mosquitto_pub', [
      ...args,
      '-t',
      up,
      '-q',
      `${qos}`,
      '-l',
    ]);
    publisher.process.stdin?.end(`${NUMBERS.join('\n')}\n`);
    expect(await publisher.exit()).toBe(0);
    await until(() => got.length >= COUNT);
    expect(texts(got)).toEqual(NUMBERS);
    expect(got[0]?.qos).toBe(qos);
  });

  test('without a certificate of its own it does not get in where one is needed', async () => {
    const { got } = await listener('secret', 1);
    const publish = [...reach('mqtts+cert', false), '-t', 'secret', '-m', 'x', '-q', '1'];
    await expect(run('mosquitto_pub', publish)).rejects.toMatchObject({ code: expect.any(Number) });
    expect(got).toEqual([]);
  });
});

describe.each([4, 5] as const)('mqtt.js, version %i', (protocolVersion) => {
  const clients: MqttClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.endAsync(true);
  });
  const dial = async (listening: keyof typeof urls): Promise<MqttClient> => {
    const certified = listening.endsWith('+cert');
    const tls: IClientOptions = {
      ca: readFileSync(file.ca),
      ...(certified ? { cert: readFileSync(file.cert), key: readFileSync(file.key) } : {}),
    };
    const secure = urls[listening].includes('s://') && !urls[listening].startsWith('ws://');
    const options: IClientOptions = { protocolVersion, reconnectPeriod: 0, ...(secure ? tls : {}) };
    const client = await connectAsync(urls[listening], options, false);
    clients.push(client);
    return client;
  };

  test.each(['mqtt', 'mqtts', 'ws', 'wss', 'mqtts+cert', 'wss+cert'] as const)(
    'over %s at every QoS, both ways',
    async (listening) => {
      const [up, down] = [topic(), topic()];
      const { client, got } = await listener(`${up}/+`, 2);
      const theirs = await dial(listening);
      const came: string[] = [];
      theirs.on('message', (name, payload, { qos }) => came.push(`${name} ${qos} ${payload.toString()}`));
      await theirs.subscribeAsync(`${down}/+`, { qos: 2 });
      for (const qos of [0, 1, 2] as const) {
        await Promise.all(NUMBERS.map((number) => theirs.publishAsync(`${up}/${qos}`, number, { qos })));
        await Promise.all(NUMBERS.map((number) => client.publish(`${down}/${qos}`, number, { qos })));
      }
      await until(() => got.length >= 3 * COUNT && came.length >= 3 * COUNT);
      for (const qos of [0, 1, 2]) {
        expect(texts(got.filter((message) => message.topic.endsWith(`/${qos}`)))).toEqual(NUMBERS);
        expect(came.filter((line) => line.startsWith(`${down}/${qos} ${qos} `))).toHaveLength(COUNT);
      }
    },
  );

  test('a large message goes over WebSocket in one piece or in many', async () => {
    const [up, down] = [topic(), topic()];
    const { client, got } = await listener(up, 1);
    const theirs = await dial('ws');
    const came: Buffer[] = [];
    theirs.on('message', (_name, payload) => came.push(payload));
    await theirs.subscribeAsync(down, { qos: 1 });
    const large = Buffer.alloc(1_000_000, 'large');
    await theirs.publishAsync(up, large, { qos: 1 });
    await client.publish(down, large, { qos: 1 });
    await until(() => got.length === 1 && came.length === 1);
    expect(Buffer.from(got[0]?.payload ?? []).equals(large)).toBe(true);
    expect(came[0]?.equals(large)).toBe(true);
  });
});

describe.each([4, 5] as const)('Paho for Python, version %i', (version) => {
  test.each([
    ['mqtt', 0],
    ['mqtt', 1],
    ['mqtt', 2],
    ['mqtts', 1],
    ['ws', 2],
    ['wss', 2],
    ['mqtts+cert', 2],
  ] as const)('over %s at QoS %i, both ways', async (listening, qos) => {
    const [up, down] = [topic(), topic()];
    const { client, got } = await listener(up, qos);
    const url = new URL(urls[listening]);
    const secure = listening.startsWith('mqtts') || listening.startsWith('wss');
    const how = {
      ...{ host: '127.0.0.1', port: Number(url.port), version, qos, count: COUNT, topic: up, answer: down },
      ...(listening.startsWith('ws') ? { path: '/mqtt' } : {}),
      ...(secure ? { ca: file.ca } : {}),
      ...(listening === 'mqtts+cert' ? { cert: file.cert, key: file.key } : {}),
    };
    const paho = new Running('paho', PYTHON, [PAHO, JSON.stringify(how)]);
    await paho.line((line) => line === 'ready');
    await Promise.all(NUMBERS.map((number) => client.publish(down, number, { qos })));
    expect(await paho.exit(), paho.errors).toBe(0);
    await until(() => got.length >= COUNT);
    expect(texts(got)).toEqual(NUMBERS);
    expect(paho.lines.slice(1)).toEqual(NUMBERS.map((number) => `${down} ${qos} ${number}`));
  });
});

test('what is said on $SYS topics has the names that mosquitto uses', async () => {
  const port = await freePort();
  const mosquitto = await runningMosquitto(place.folder, port, ['sys_interval 1']);
  const names = async (url: string): Promise<Set<string>> => {
    const client = new Client({ url });
    ours.push(client);
    await client.connect();
    const seen = new Set<string>();
    await client.subscribe('$SYS/#', ({ topic: name }) => void seen.add(name));
    return seen;
  };
  const [theirs, own] = [await names(`mqtt://127.0.0.1:${port}`), await names(urls.mqtt)];
  await until(() => own.size > 40);
  await until(() => [...own].every((name) => theirs.has(name)));
  await mosquitto.kill('SIGTERM');
});
