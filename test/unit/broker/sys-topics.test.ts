/** $SYS over real sockets, on a clock that moves when told. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PublishPacket } from '../../../src/mqtt/packet.js';
import { type RunningBroker, startBroker } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

let running: RunningBroker;
beforeEach(async () => {
  running = await startBroker({}, { version: '1.2.3' });
});
afterEach(() => running.stop());

const NAMES = [
  ...['version', 'uptime', 'heap/current', 'retained messages/count'],
  ...['subscriptions/count', 'shared_subscriptions/count'],
  ...['total', 'connected', 'disconnected', 'expired', 'maximum'].map((name) => `clients/${name}`),
  ...['messages/received', 'messages/sent', 'messages/stored', 'bytes/received', 'bytes/sent'],
  ...['received', 'sent', 'dropped'].map((name) => `publish/messages/${name}`),
  ...['messages', 'publish', 'bytes'].flatMap((what) =>
    ['received', 'sent'].flatMap((way) => [1, 5, 15].map((minutes) => `load/${what}/${way}/${minutes}min`)),
  ),
  ...['connections', 'sockets', 'publish/dropped'].map((what) => `load/${what}/1min`),
];

async function said(client: RawClient): Promise<Record<string, string>> {
  const packets = (await client.settled()).filter(
    (packet): packet is PublishPacket => packet.type === 'publish',
  );
  return Object.fromEntries(
    packets.map((packet) => [packet.topic.replace('$SYS/broker/', ''), text(packet)]),
  );
}

test('a subscriber finds the figures of now as retained messages, with the names of mosquitto', async () => {
  running.clock.advance(61_500);
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  await client.subscribe('$SYS/#', { qos: 2 });
  const packets = await client.settled();
  expect(packets.every((packet) => packet.type === 'publish' && packet.retain && packet.qos === 0)).toBe(
    true,
  );
  const found = Object.fromEntries(packets.map((packet) => [(packet as PublishPacket).topic, text(packet)]));
  expect(Object.keys(found)).toEqual(expect.arrayContaining(NAMES.map((name) => `$SYS/broker/${name}`)));
  expect(found).toMatchObject({
    '$SYS/broker/version': 'godwit version 1.2.3',
    '$SYS/broker/uptime': '61 seconds',
    '$SYS/broker/clients/connected': '1',
    '$SYS/broker/clients/total': '1',
    '$SYS/broker/messages/received': '2',
  });
  expect(Number(found['$SYS/broker/heap/current'])).toBeGreaterThan(1_000_000);
});

test('wildcards in the first level do not see them [MQTT5-4.7.2-1]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  await client.subscribe('#');
  await client.subscribe('+/broker/uptime');
  const other = await RawClient.connect(running.url, { clientId: 'b' });
  await other.subscribe('$SYS/broker/uptime');
  running.clock.advance(20_000);
  expect(await said(client)).toEqual({});
  expect(await said(other)).toEqual({ uptime: '20 seconds' });
});

test('every ten seconds those that changed are published, without RETAIN, until nobody listens', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  for (const topic of ['uptime', 'version', 'clients/+']) {
    await client.subscribe(`$SYS/broker/${topic}`);
    await client.settled();
  }
  const gone = await RawClient.connect(running.url, {
    clientId: 'b',
    properties: { sessionExpiryInterval: 15 },
  });
  running.clock.advance(10_000);
  expect(await said(client)).toEqual({
    uptime: '10 seconds',
    'clients/total': '2',
    'clients/connected': '2',
    'clients/active': '2',
    'clients/maximum': '2',
  });
  await gone.disconnect();
  running.clock.advance(10_000);
  expect(await said(client)).toEqual({
    uptime: '20 seconds',
    'clients/connected': '1',
    'clients/active': '1',
    'clients/disconnected': '1',
    'clients/inactive': '1',
  });
  running.clock.advance(10_000);
  expect(await said(client)).toMatchObject({ 'clients/expired': '1', 'clients/total': '1' });
  running.clock.advance(10_000);
  const [live] = await client.settled();
  expect(live).toMatchObject({ type: 'publish', retain: false });
  client.send({
    type: 'unsubscribe',
    packetIdentifier: 7,
    topicFilters: ['$SYS/broker/uptime', '$SYS/broker/version', '$SYS/broker/clients/+'],
  });
  await client.next();
  running.clock.advance(10_000);
  const timers = running.clock.waiting;
  running.clock.advance(100_000);
  expect(running.clock.waiting).toBe(timers);
});

test('what is counted is what happened', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  await client.subscribe('t', { qos: 1 });
  client.publish('t', 'four', { qos: 1, retain: true });
  await client.next();
  await client.next();
  client.send({ type: 'puback', packetIdentifier: 1, reasonCode: 0 });
  await client.subscribe('$share/g/t');
  await client.subscribe('$SYS/#');
  expect(await said(client)).toMatchObject({
    'publish/messages/received': '1',
    'publish/messages/sent': '1',
    'publish/bytes/received': '4',
    'publish/bytes/sent': '4',
    // CONNECT, SUBSCRIBE three times, PUBLISH, PUBACK
    'messages/received': '6',
    // CONNACK, SUBACK twice, PUBACK, PUBLISH; the third SUBACK follows the figures' making
    'messages/sent': '5',
    'retained messages/count': '1',
    'messages/stored': '1',
    'subscriptions/count': '2',
    'shared_subscriptions/count': '1',
  });
});

test('the load averages forget with their own times, also over a gap in which nobody asked', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  for (let count = 0; count < 120; count += 1) client.publish('t', 'x');
  await client.settled();
  running.clock.advance(60_000);
  await client.subscribe('$SYS/broker/load/publish/received/+');
  const [one, five, fifteen] = [1, 5, 15].map((minutes) => 120 * (1 - Math.exp(-1 / minutes)));
  expect(await said(client)).toEqual({
    'load/publish/received/1min': one?.toFixed(2),
    'load/publish/received/5min': five?.toFixed(2),
    'load/publish/received/15min': fifteen?.toFixed(2),
  });
  running.clock.advance(10_000);
  expect(await said(client)).toMatchObject({
    'load/publish/received/1min': ((one ?? 0) * Math.exp(-1 / 6)).toFixed(2),
  });
});

test('clients read them and do not write them', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  await client.subscribe('$SYS/broker/uptime');
  await client.settled();
  client.publish('$SYS/broker/uptime', 'forged', { qos: 1 });
  client.publish('$SYS/broker/uptime', 'forged', { retain: true });
  expect(await client.settled()).toMatchObject([{ type: 'puback', reasonCode: 0x87 }]);
  const old = await RawClient.connect(running.url, { clientId: 'b', protocolVersion: 4 });
  old.publish('$SYS/broker/uptime', 'forged');
  expect(await old.settled()).toEqual([]);
  expect(running.broker.snapshot()).toMatchObject({ publishesDenied: 3, retained: 0 });
  const willing = await RawClient.open(running.url);
  willing.connect({
    clientId: 'w',
    will: { topic: '$SYS/broker/uptime', payload: Buffer.from('forged'), qos: 0, retain: false },
  });
  expect(await willing.next()).toMatchObject({ type: 'connack', reasonCode: 0x87 });
  expect(await client.settled()).toEqual([]);
});
