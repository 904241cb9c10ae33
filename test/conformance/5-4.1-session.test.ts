/** MQTT 5.0, sections 4.1 and 4.2: Session State and the network connection. */
import { expect, test } from 'vitest';
import { acknowledge, publish } from './support/build.js';
import { Five } from './support/five.js';
import { before, delivered, left, published, settle, subscribed } from './support/flow.js';
import { payloads } from './support/messages.js';
import { usePeer } from './support/peer.js';
import { P, propertiesOf } from './support/property.js';

const peer = usePeer();
const bench = new Five(peer);
const NO_LOCAL = 0x04;
const RETAIN_AS_PUBLISHED = 0x08;
const ENDLESS = 0xffff_ffff;

test('a session lives as long as its connection, even if it expires with it or is older than its expiry [MQTT5-4.1.0-1]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  const clients = [await bench.client(), await bench.client({ properties: [[P.sessionExpiryInterval, 1]] })];
  const open = [];
  for (const client of clients) await subscribed(client, [[topic, 2]]);
  await published(publisher, { topic, qos: 2, payload: 'open' });
  for (const client of clients) open.push(await client.take('publish'));
  await bench.timePasses();
  for (const [at, client] of clients.entries()) await settle(client, open[at] as (typeof open)[number]);
  await published(publisher, { topic, qos: 1, payload: 'still subscribed' });
  for (const client of clients) expect((await delivered(client)).payload.toString()).toBe('still subscribed');
});

test('subscriptions, queue and open exchanges survive reconnect after reconnect [MQTT5-4.1.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  let client = await bench.kept(clientId);
  await subscribed(client, [[topic, 2]]);
  await published(publisher, { topic, qos: 2, payload: 'open' });
  const { packetIdentifier } = await client.take('publish');
  for (let round = 0; round < 3; round++) {
    client.reset();
    const resumed = await bench.connectKept(clientId);
    client = resumed.client;
    expect(resumed.connack.sessionPresent).toBe(true);
    expect(await client.take('publish')).toMatchObject({ packetIdentifier, dup: true });
    await published(publisher, { topic, qos: 1, payload: 'acknowledged' });
    await settle(client, await client.take('publish', ({ qos }) => qos === 1));
    await client.fence();
  }
});

test('a subscription comes back with its options and its identifier, for the queue too [MQTT5-4.1.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[`${topic}/#`, 1 | RETAIN_AS_PUBLISHED]], [[P.subscriptionIdentifier, 9]]);
  await subscribed(first, [[`${topic}/own`, 2 | NO_LOCAL]], [[P.subscriptionIdentifier, 200]]);
  await left(first);
  await published(publisher, { topic: `${topic}/a`, qos: 2, retain: true, payload: 'queued' });
  const client = await bench.kept(clientId);
  await published(publisher, { topic: `${topic}/a`, qos: 2, retain: true, payload: 'live' });
  for (const payload of ['queued', 'live']) {
    const message = await delivered(client);
    expect(message).toMatchObject({ qos: 1, retain: true, payload: Buffer.from(payload) });
    expect(propertiesOf(message, P.subscriptionIdentifier)).toEqual([9]);
  }
  await published(client, { topic: `${topic}/own`, qos: 2, payload: 'own' });
  const own = await delivered(client);
  expect([own.qos, propertiesOf(own, P.subscriptionIdentifier)]).toEqual([1, [9]]);
  await published(publisher, { topic: `${topic}/own`, qos: 2, payload: 'foreign' });
  const foreign = propertiesOf(await delivered(client), P.subscriptionIdentifier);
  // Both in one copy, or one in each of two.
  if (foreign.length === 1) foreign.push(...propertiesOf(await delivered(client), P.subscriptionIdentifier));
  expect(foreign.sort()).toEqual([200, 9]);
});

test('a half-received QoS 2 message survives a reconnect of its publisher [MQTT5-4.1.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const first = await bench.kept(clientId);
  const message = { topic, qos: 2, packetIdentifier: 5, payload: 'once' };
  first.send(publish(5, message));
  await first.expect('pubrec');
  first.reset();
  const again = await bench.kept(clientId);
  again.send(publish(5, { ...message, dup: true }));
  expect(await again.expect('pubrec')).toMatchObject({ packetIdentifier: 5 });
  again.send(acknowledge('pubrel', 5));
  expect(await again.expect('pubcomp')).toMatchObject({ packetIdentifier: 5, code: 0 });
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['once']);
});

test('a QoS 2 message whose PUBLISH is not repeated is completed after the reconnect [MQTT5-4.1.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const first = await bench.kept(clientId);
  first.send(publish(5, { topic, qos: 2, packetIdentifier: 5, payload: 'once' }));
  await first.expect('pubrec');
  first.reset();
  const again = await bench.kept(clientId);
  again.send(acknowledge('pubrel', 5));
  expect(await again.expect('pubcomp')).toMatchObject({ packetIdentifier: 5, code: 0 });
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['once']);
});

test('a session outlives a restart of the server: subscriptions with their options, queue, open exchanges both ways [MQTT5-4.1.0-1]', async ({
  skip,
}) => {
  skip(!peer.peer.keepsSessions, 'this peer keeps sessions in memory only');
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[`${topic}/#`, 2 | RETAIN_AS_PUBLISHED]], [[P.subscriptionIdentifier, 9]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'released' });
  await published(await bench.client(), { topic, qos: 2, payload: 'sent' });
  const [released, sent] = [await first.take('publish'), await first.take('publish')];
  first.send(acknowledge('pubrec', released.packetIdentifier));
  await first.take('pubrel');
  first.send(publish(5, { topic: `${topic}/own`, qos: 2, packetIdentifier: 5, payload: 'own' }));
  await first.take('pubrec');
  await first.fence();
  first.reset();
  await published(await bench.client(), { topic, qos: 1, retain: true, payload: 'queued' });
  await peer.peer.restart();
  const { client, connack } = await bench.connectKept(clientId);
  expect(connack.sessionPresent).toBe(true);
  expect((await client.take('pubrel')).packetIdentifier).toBe(released.packetIdentifier);
  client.send(acknowledge('pubcomp', released.packetIdentifier));
  const resent = await client.take('publish');
  expect(resent).toMatchObject({ packetIdentifier: sent.packetIdentifier, dup: true });
  await settle(client, resent);
  client.send(publish(5, { topic: `${topic}/own`, qos: 2, packetIdentifier: 5, payload: 'own', dup: true }));
  await client.take('pubrec');
  client.send(acknowledge('pubrel', 5));
  expect(await client.take('pubcomp')).toMatchObject({ packetIdentifier: 5, code: 0 });
  // Some servers pass it on at PUBREC, others at PUBREL.
  await settle(client, await client.take('publish', (message) => message.topic === `${topic}/own`));
  const queued = await delivered(client);
  expect([queued.payload.toString(), queued.retain, queued.qos]).toEqual(['queued', true, 1]);
  expect(propertiesOf(queued, P.subscriptionIdentifier)).toEqual([9]);
  expect(await before(client, await bench.client(), `${topic}/end`, 1)).toEqual([]);
});

test('a session that has expired is not brought back by a restart of the server [MQTT5-4.1.0-2]', async ({
  skip,
}) => {
  skip(!peer.peer.keepsSessions, 'this peer keeps sessions in memory only');
  const [short, bound] = [bench.unique(), bench.unique()];
  await left(await bench.kept(short, { properties: [[P.sessionExpiryInterval, 1]] }));
  await bench.client({ clientId: bound });
  await bench.timePasses();
  await peer.peer.restart();
  for (const clientId of [short, bound]) {
    expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
  }
});

test('a session without Session Expiry Interval ends with its connection, however that ends [MQTT5-4.1.0-2]', async () => {
  const topic = bench.unique();
  for (const end of ['disconnect', 'reset', 'take-over'] as const) {
    const clientId = bench.unique();
    const first = await bench.client({ clientId });
    await subscribed(first, [[topic, 1]]);
    if (end === 'disconnect') await left(first);
    if (end === 'reset') first.reset();
    await published(await bench.client(), { topic, qos: 1, payload: 'x' });
    const { client, connack } = await bench.connectKept(clientId);
    expect(connack.sessionPresent).toBe(false);
    await subscribed(client, [[`${topic}/end`, 1]]);
    expect(await before(client, await bench.client(), `${topic}/end`, 1)).toEqual([]);
  }
});

test('a session is kept until its Session Expiry Interval has passed, and not longer [MQTT5-4.1.0-2]', async () => {
  const [short, long, endless, topic] = [bench.unique(), bench.unique(), bench.unique(), bench.unique()];
  for (const [clientId, seconds] of [
    [short, 1],
    [long, 60],
    [endless, ENDLESS],
  ] as const) {
    const client = await bench.kept(clientId, { properties: [[P.sessionExpiryInterval, seconds]] });
    await subscribed(client, [[topic, 1]]);
    await left(client);
  }
  await bench.timePasses();
  await bench.timePasses();
  await published(await bench.client(), { topic, qos: 1, payload: 'x' });
  for (const clientId of [long, endless]) {
    const { client, connack } = await bench.connectKept(clientId);
    expect(connack.sessionPresent).toBe(true);
    expect((await delivered(client)).payload.toString()).toBe('x');
  }
  const { client, connack } = await bench.connectKept(short);
  expect(connack.sessionPresent).toBe(false);
  expect(await bench.arrived(client)).toEqual([]);
});

test('DISCONNECT may shorten the Session Expiry Interval to nothing [MQTT5-4.1.0-2]', async () => {
  const clientId = bench.unique();
  await left(await bench.kept(clientId), 0x00, [[P.sessionExpiryInterval, 0]]);
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
});

test('DISCONNECT may change the Session Expiry Interval, and the next CONNECT sets it anew [MQTT5-4.1.0-2]', async () => {
  const clientId = bench.unique();
  const first = await bench.kept(clientId, { properties: [[P.sessionExpiryInterval, 1]] });
  await left(first, 0x00, [[P.sessionExpiryInterval, 60]]);
  await bench.timePasses();
  await bench.timePasses();
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(true);
  // This one asked for none, so nothing is left of it.
  await left(client);
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
});

test('a stream may be cut anywhere: packets sent octet by octet are read as if they came at once [MQTT5-4.2-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  const properties = [[P.userProperty, ['name', 'y'.repeat(150)]]] as const;
  const bytes = publish(5, { topic, payload: 'x'.repeat(200), qos: 1, packetIdentifier: 300, properties });
  await client.sendSlowly(Array.from(bytes, (octet) => Buffer.of(octet)));
  expect((await client.take('puback')).packetIdentifier).toBe(300);
  const message = await client.take('publish');
  expect(message.payload.toString()).toBe('x'.repeat(200));
  expect(propertiesOf(message, P.userProperty)).toEqual([['name', 'y'.repeat(150)]]);
});

test('many packets in one piece are all read, in order [MQTT5-4.2-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  client.send(...Array.from({ length: 200 }, (_, at) => publish(5, { topic, payload: `${at}` })));
  for (let at = 0; at < 200; at++) expect((await client.take('publish')).payload.toString()).toBe(`${at}`);
});
