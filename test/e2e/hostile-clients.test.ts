/**
 * Clients that mean no good, against listeners on real time. Each is bounded by a limit, told with its Reason Code where
 * the protocol has one, counted, and told in the log once; and a client that behaves notices nothing.
 */
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.js';
import { brokerSchema } from '../../src/config/schema.js';
import { SystemClock } from '../../src/core/clock.js';
import { encode } from '../../src/mqtt/encoder.js';
import { WebSocketStream } from '../conformance/support/web-socket.js';
import { SaidLog } from '../support/bridge-bench.js';
import { until } from '../support/broker-fixture.js';
import { RawClient } from '../support/raw-client.js';

const REFUSED = 'A client was refused; more for the same reason are only counted';
let broker: Broker;
let log: SaidLog;
let good: RawClient;
let url: string;
let port: number;
let webSocketPort: number;

async function start(limits: Parameters<typeof brokerSchema.parse>[0] = {}): Promise<void> {
  log = new SaidLog();
  broker = new Broker({
    config: brokerSchema.parse({
      listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'ws://127.0.0.1:0/mqtt' }],
      limits,
    }),
    clock: new SystemClock(),
    log,
  });
  await broker.start();
  url = broker.urls[0] as string;
  [port, webSocketPort] = broker.urls.map((one) => Number(new URL(one).port)) as [number, number];
  good = await RawClient.connect(url, { clientId: 'good' });
  await good.subscribe('good', { qos: 1 });
}

/** The one that behaves: its message comes back. */
async function served(): Promise<void> {
  good.publish('good', 'still', { qos: 0 });
  expect((await good.nextPublish()).topic).toBe('good');
}

function complaints(): readonly unknown[] {
  return log.said.filter(({ level }) => level === 'warn' || level === 'error');
}

const sockets: Socket[] = [];
async function dial(to = port): Promise<Socket> {
  const socket = connect({ port: to, host: '127.0.0.1', noDelay: true });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.resume();
  await new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', resolve);
  });
  return socket;
}

function gone(socket: Socket): Promise<unknown> {
  return socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));
}

/** Writes them one at a time, never in a hurry, until they are gone or the other side has closed. */
function trickle(socket: Socket, bytes: Uint8Array): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at >= bytes.length || !socket.writable) clearInterval(timer);
    else socket.write(bytes.subarray(at, at + 1));
    at += 1;
  }, 20);
  socket.once('close', () => clearInterval(timer));
}

beforeEach(() => {
  sockets.length = 0;
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await broker.stop();
});

test('a byte now and then does not make a CONNECT in time', async () => {
  await start({ connect_timeout: '500ms' });
  const connectBytes = encode(
    { type: 'connect', protocolVersion: 5, clientId: 'x'.repeat(1000), cleanStart: true, keepAlive: 0 },
    5,
  );
  const slow = await Promise.all(Array.from({ length: 20 }, () => dial()));
  for (const socket of slow) trickle(socket, connectBytes);
  await Promise.all(slow.map(gone));
  expect(broker.snapshot()).toMatchObject({ connections: 1, connectionsRefused: 20 });
  expect(complaints()).toMatchObject([
    { sentence: REFUSED, fields: { why: 'CONNECT did not come in time' } },
  ]);
  await served();
});

test('a byte now and then does not make a packet within Keep Alive: 0x8D', async () => {
  await start();
  const socket = await dial();
  const client = RawClient.over(socket);
  await client.welcome({ clientId: 'slow', keepAlive: 1 });
  const publish = encode(
    { type: 'publish', topic: 't', payload: Buffer.alloc(1000), qos: 0, retain: false, dup: false },
    5,
  );
  trickle(socket, publish);
  expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x8d }]);
  await served();
});

test('those that never send CONNECT are closed', async () => {
  await start({ connect_timeout: '300ms' });
  const silent = await Promise.all(Array.from({ length: 50 }, () => dial()));
  await Promise.all(silent.map(gone));
  expect(broker.snapshot()).toMatchObject({ connections: 1, connectionsRefused: 50 });
  expect(complaints()).toHaveLength(1);
  await served();
});

test('two thousand connections: as many as allowed stay, the others get 0x89 or are closed', async () => {
  await start({ max_connections: 100 });
  const hello = (index: number): Uint8Array =>
    encode(
      { type: 'connect', protocolVersion: 5, clientId: `flood-${index}`, cleanStart: true, keepAlive: 0 },
      5,
    );
  const answers: number[] = [];
  let ended = 0;
  const all = Array.from({ length: 2000 }, (_, index) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('connect', () => socket.write(hello(index)));
    // The Reason Code of CONNACK stands behind its flags.
    socket.once('data', (chunk: Buffer) => answers.push(chunk[3] as number));
    socket.on('close', () => {
      ended += 1;
    });
    return socket;
  });
  const welcome = (): number => answers.filter((code) => code === 0).length;
  await until(() => ended + welcome() === all.length);
  // The good client is the hundredth.
  expect(welcome()).toBe(99);
  expect(answers.filter((code) => code !== 0).every((code) => code === 0x89)).toBe(true);
  expect(broker.snapshot().connections).toBe(100);
  expect(broker.snapshot().connectionsRefused).toBe(1901);
  expect(complaints().length).toBeGreaterThan(0);
  expect(
    new Set(log.said.filter(({ level }) => level === 'warn').map(({ fields }) => JSON.stringify(fields)))
      .size,
  ).toBe(complaints().length);
  expect(complaints().length).toBeLessThanOrEqual(3);
  await served();
});

test('a hundred thousand topics cost what is allowed, and what is retained beyond it is refused: 0x97', async () => {
  await start({ max_retained: 1000 });
  const client = await RawClient.connect(url, { clientId: 'inventive' });
  for (let number = 0; number < 100_000; number += 1) client.publish(`t/${number}/x`, 'x');
  await client.settled();
  let refused = 0;
  for (let batch = 0; batch < 100; batch += 1) {
    for (let number = 0; number < 100; number += 1) {
      client.publish(`r/${batch}/${number}`, 'x', { qos: 1, retain: true, packetIdentifier: number + 1 });
    }
    for (const packet of await client.settled()) {
      if (packet.type === 'puback' && packet.reasonCode === 0x97) refused += 1;
    }
  }
  expect(refused).toBe(9000);
  expect(broker.snapshot()).toMatchObject({ retained: 1000, messagesDropped: 9000 });
  expect(complaints()).toMatchObject([
    {
      sentence:
        'Retained messages are at their limit; raise broker.limits.max_retained or max_retained_bytes',
    },
  ]);
  await served();
});

test('ten thousand filters: what is beyond the limit is refused with 0x97', async () => {
  await start({ max_subscriptions: 1000 });
  const client = await RawClient.connect(url, { clientId: 'greedy' });
  const codes: number[] = [];
  for (let batch = 0; batch < 100; batch += 1) {
    const subscriptions = Array.from({ length: 100 }, (_, number) => ({
      ...{ topicFilter: `f/${batch}/${number}/#`, qos: 0 as const },
      ...{ noLocal: false, retainAsPublished: false, retainHandling: 0 as const },
    }));
    client.send({ type: 'subscribe', packetIdentifier: batch + 1, subscriptions });
    const suback = await client.next();
    if (suback.type === 'suback') codes.push(...suback.reasonCodes);
  }
  expect(codes.filter((code) => code === 0)).toHaveLength(1000);
  expect(codes.filter((code) => code === 0x97)).toHaveLength(9000);
  expect(broker.snapshot()).toMatchObject({ subscriptions: 1001, subscriptionsRefused: 9000 });
  expect(complaints()).toMatchObject([
    { fields: { client: 'greedy', why: 'broker.limits.max_subscriptions is reached' } },
  ]);
  await served();
});

test('a length of 256 MiB takes no memory and is refused: 0x95', async () => {
  await start();
  const before = process.memoryUsage().arrayBuffers;
  const header = Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]);
  const some = Buffer.alloc(1000);
  for (let count = 0; count < 50; count += 1) {
    const client = await RawClient.connect(url, { clientId: `large-${count}` });
    client.write(Buffer.concat([header, some]));
    expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x95 }]);
  }
  const old = await RawClient.connect(url, { clientId: 'old', protocolVersion: 4 });
  old.write(header);
  expect(await old.rest()).toEqual([]);
  // As the first packet, where no version is known that it could be told in.
  const first = await dial();
  first.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4]));
  await gone(first);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  expect(broker.snapshot().protocolErrors).toBe(52);
  expect(complaints()).toHaveLength(1);
  await served();
});

test('garbage before, in and after the upgrade to WebSocket is refused, and the next client served', async () => {
  await start({ connect_timeout: '500ms' });
  const noise = (bytes: number): Buffer => randomFillSync(Buffer.alloc(bytes));
  const request = (lines: string): string => `GET /mqtt HTTP/1.1\r\nHost: x\r\n${lines}\r\n\r\n`;
  const hopeless = await Promise.all(Array.from({ length: 60 }, () => dial(webSocketPort)));
  for (const [index, socket] of hopeless.entries()) {
    const what = [
      noise(2000),
      request('Connection: Upgrade\r\nUpgrade: websocket'),
      request(`Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: ${'x,'.repeat(3000)}`),
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n`,
      request('Transfer-Encoding: chunked\r\nContent-Length: 5'),
      'GET /mqtt HT',
    ][index % 6] as string | Buffer;
    socket.write(what);
  }
  await Promise.all(hopeless.map(gone));
  for (let count = 0; count < 20; count += 1) {
    const stream = await WebSocketStream.open(webSocketPort);
    const ended = once(stream, 'end');
    stream.resume();
    stream.frame(count % 16, noise(100), count % 3 !== 0);
    stream.frame(2, noise(100));
    await ended;
    stream.destroy();
  }
  await until(() => broker.snapshot().connections === 1);
  const next = RawClient.over(await WebSocketStream.open(webSocketPort));
  await next.welcome({ clientId: 'next' });
  await served();
  expect(broker.snapshot().connectionsRefused).toBeGreaterThanOrEqual(60);
  expect(complaints().length).toBeLessThan(30);
});

test('a flood of topic aliases, identifiers and acknowledgements that answer nothing is taken or refused, not kept', async () => {
  await start({ max_inflight: 10 });
  const reasons: number[] = [];
  const wrong: readonly ((client: RawClient) => void)[] = [
    (client) => client.publish('t', 'x', { properties: { topicAlias: 60_000 } }),
    (client) => client.send({ type: 'puback', packetIdentifier: 7, reasonCode: 0 }),
    (client) => {
      for (let identifier = 1; identifier <= 11; identifier += 1) {
        client.publish('t', 'x', { qos: 2, packetIdentifier: identifier });
      }
    },
    (client) => client.write(Buffer.from([0x00, 0x00])),
    (client) =>
      client.write(
        encode({ type: 'connect', protocolVersion: 5, clientId: 'twice', cleanStart: true, keepAlive: 0 }, 5),
      ),
  ];
  for (const [index, misbehave] of wrong.entries()) {
    const client = await RawClient.connect(url, { clientId: `wrong-${index}` });
    misbehave(client);
    // One that was not closed for it says goodbye.
    client.send({ type: 'disconnect', reasonCode: 0 });
    const last = (await client.rest()).at(-1);
    reasons.push(last?.type === 'disconnect' ? last.reasonCode : 0);
  }
  expect(reasons).toEqual([0x94, 0, 0x93, 0x81, 0x82]);
  await served();
});
