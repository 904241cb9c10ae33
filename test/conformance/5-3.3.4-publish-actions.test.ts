/** MQTT 5.0, section 3.3.4: how PUBLISH is answered and passed on; Subscription Identifiers; Receive Maximum. */
import { expect, test } from 'vitest';
import { acknowledge, publish, subscribe, unsubscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, settle, subscribed } from './support/flow.js';
import { P, propertiesOf, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import type { Published } from './support/read.js';
import { vbi } from './support/wire.js';

const bench = usePeer5();
const narrow = usePeer5({ maxInflight: 3 });

test('the answer follows QoS: none, PUBACK, PUBREC [MQTT5-3.3.4-1]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  client.send(publish(5, { topic, payload: '0' }));
  expect(await client.fence()).toEqual([]);
  client.send(publish(5, { topic, payload: '1', qos: 1, packetIdentifier: 7 }));
  expect(await client.expect('puback')).toMatchObject({ packetIdentifier: 7, code: 0 });
  client.send(publish(5, { topic, payload: '2', qos: 2, packetIdentifier: 8 }));
  expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 8, code: 0 });
  expect(await client.fence()).toEqual([]);
  client.send(acknowledge('pubrel', 8));
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 8, code: 0 });
  const got = [await delivered(watcher), await delivered(watcher), await delivered(watcher)];
  expect(got.map(({ qos, payload }) => `${payload} at ${qos}`).sort()).toEqual([
    '0 at 0',
    '1 at 1',
    '2 at 2',
  ]);
});

// Overlapping subscriptions

test('a message that matches several filters comes at the highest of their QoS [MQTT5-3.3.4-2]', async () => {
  const prefix = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [
    [`${prefix}/#`, 0],
    [`${prefix}/+`, 2],
    [`${prefix}/a`, 1],
  ]);
  const publisher = await bench.client();
  for (const qos of [2, 1, 0]) {
    await published(publisher, { topic: `${prefix}/a`, qos, payload: 'x' });
    const got = await before(subscriber, publisher, `${prefix}/b`, 2);
    for (const message of got) await settle(subscriber, message);
    expect(Math.max(...got.map((message) => message.qos))).toBe(qos);
  }
});

const identified = (identifier: number) => [[P.subscriptionIdentifier, identifier] as const];
const identifiersOf = (message: Published): number[] =>
  propertiesOf(message, P.subscriptionIdentifier).map(Number);
const numerically = (one: number, two: number): number => one - two;

for (const identifier of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
  test(`Subscription Identifier ${identifier} comes with what its subscription matches [MQTT5-3.3.4-3] [MQTT5-1.5.5-1]`, async () => {
    const topic = bench.unique();
    const client = await bench.client();
    await subscribed(client, [[topic, 1]], identified(identifier));
    const publisher = await bench.client();
    for (const qos of [0, 1]) {
      await published(publisher, { topic, qos });
      const message = await delivered(client);
      expect(identifiersOf(message)).toEqual([identifier]);
      expect(message.bytes.includes(Buffer.concat([vbi(P.subscriptionIdentifier), vbi(identifier)]))).toBe(
        true,
      );
    }
  });
}

test('queued and retained messages have the Subscription Identifier too, and no stranger has it [MQTT5-3.3.4-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]], identified(77));
  await left(first);
  const stranger = await bench.client();
  await subscribed(stranger, [[topic, 1]]);
  await published(publisher, { topic, qos: 1, retain: true, payload: 'x' });
  expect(identifiersOf(await delivered(stranger))).toEqual([]);
  expect(identifiersOf(await delivered(await bench.kept(clientId)))).toEqual([77]);
  const later = await bench.client();
  await subscribed(later, [[topic, 1]], identified(78));
  expect(identifiersOf(await delivered(later))).toEqual([78]);
});

test('a subscription made anew has its new identifier, or none [MQTT5-3.3.4-3]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const publisher = await bench.client();
  for (const identifier of [1, 2, undefined, 3]) {
    await subscribed(client, [[topic, 0]], identifier === undefined ? [] : identified(identifier));
    await published(publisher, { topic });
    expect(identifiersOf(await client.take('publish'))).toEqual(identifier === undefined ? [] : [identifier]);
  }
});

/** In one copy all identifiers, equal ones as often as there are subscriptions; in several each its own. */
const overlaps: ReadonlyArray<readonly [string, ReadonlyArray<number | undefined>]> = [
  ['three identifiers', [11, 12, 13]],
  ['two identifiers and a subscription without one', [11, undefined, 13]],
  ['the same identifier twice', [11, 11, 13]],
  ['no identifier', [undefined, undefined, undefined]],
];
for (const [what, identifiers] of overlaps) {
  test(`overlapping subscriptions with ${what}: one copy has them all, or each copy its own [MQTT5-3.3.4-4] [MQTT5-3.3.4-5]`, async () => {
    const prefix = bench.unique();
    const client = await bench.client();
    const filters = [`${prefix}/#`, `${prefix}/+`, `${prefix}/a`];
    for (const [at, identifier] of identifiers.entries()) {
      const list = identifier === undefined ? [] : identified(identifier);
      await subscribed(client, [[filters[at] as string, 0]], list);
    }
    const publisher = await bench.client();
    await published(publisher, { topic: `${prefix}/a`, payload: 'x' });
    const got = await before(client, publisher, `${prefix}/marker`);
    // The marker matches two filters; copies of it that come later do not matter.
    const copies = got.filter(({ payload }) => payload.toString() === 'x');
    const given = identifiers.filter((identifier) => identifier !== undefined);
    expect(copies.flatMap(identifiersOf).sort(numerically)).toEqual(given);
    if (copies.length === 1) return;
    expect(copies).toHaveLength(3);
    expect(copies.every((copy) => identifiersOf(copy).length <= 1)).toBe(true);
  });
}

test('a shared subscription brings its own identifier, beside the copy of the ordinary one [MQTT5-3.3.4-3] [MQTT5-3.3.4-5]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[`$share/group/${topic}`, 0]], identified(5));
  await subscribed(client, [[topic, 0]], identified(6));
  await published(await bench.client(), { topic, payload: 'x' });
  const copies = [await client.take('publish'), await client.take('publish')];
  expect(copies.flatMap(identifiersOf).sort(numerically)).toEqual([5, 6]);
});

test('PUBLISH of a client with a Subscription Identifier is a Protocol Error and goes to nobody [MQTT5-3.3.4-6]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client();
  client.send(publish(5, { topic, payload: 'x', properties: identified(1) }));
  await refused(client, [0x81, 0x82]);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

// Receive Maximum

test('more open messages than the Receive Maximum in CONNACK end the connection, with 0x93 if anything [MQTT5-3.3.4-7]', async () => {
  const topic = narrow.unique();
  const { client, connack } = await narrow.connect();
  const maximum = Number(propertyOf(connack, P.receiveMaximum));
  expect(maximum).toBe(3);
  // QoS 2 stays open until PUBREL, so the count is the client's to make.
  for (let at = 1; at <= maximum; at++) {
    client.send(publish(5, { topic, qos: 2, packetIdentifier: at }));
    await client.take('pubrec');
  }
  // Full: QoS 0 and other packets are free, a repeated PUBLISH is not a new one.
  client.send(publish(5, { topic, payload: '0' }));
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 1, dup: true }));
  await client.take('pubrec');
  await subscribed(client, [`${topic}/other`]);
  // One is completed, so one more may come.
  client.send(acknowledge('pubrel', 1));
  await client.take('pubcomp');
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 10 }));
  await client.take('pubrec');
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 11 }));
  await refused(client, [0x93]);
});

async function openMessages(client: RawClient): Promise<Published[]> {
  return (await bench.arrived(client)).filter((one) => one.type === 'publish');
}

for (const maximum of [1, 2, 5]) {
  test(`of QoS 1 messages no more than ${maximum} are open at once when that is the client's Receive Maximum [MQTT5-3.3.4-9]`, async () => {
    const topic = bench.unique();
    const client = await bench.client({ properties: [[P.receiveMaximum, maximum]] });
    await subscribed(client, [[topic, 1]]);
    const publisher = await bench.client();
    for (let count = 0; count < 10; count++)
      await published(publisher, { topic, qos: 1, payload: `${count}` });
    const open = await openMessages(client);
    const got = open.map(({ payload }) => payload.toString());
    expect(open).toHaveLength(maximum);
    while (got.length < 10) {
      client.send(acknowledge('puback', (open.shift() as Published).packetIdentifier));
      const more = await openMessages(client);
      expect(more.length).toBe(1);
      open.push(...more);
      got.push(...more.map(({ payload }) => payload.toString()));
    }
    expect(got).toEqual(Array.from({ length: 10 }, (_, at) => `${at}`));
  });
}

test('a QoS 2 message is open until PUBCOMP: PUBREC makes no room, PUBREC with a failure does [MQTT5-3.3.4-9]', async () => {
  const topic = bench.unique();
  const client = await bench.client({ properties: [[P.receiveMaximum, 2]] });
  await subscribed(client, [[topic, 2]]);
  const publisher = await bench.client();
  for (let count = 0; count < 5; count++) await published(publisher, { topic, qos: 2, payload: `${count}` });
  const [one, two] = (await openMessages(client)) as [Published, Published];
  client.send(acknowledge('pubrec', one.packetIdentifier));
  await client.take('pubrel');
  expect(await openMessages(client)).toEqual([]);
  client.send(acknowledge('pubcomp', one.packetIdentifier));
  expect((await openMessages(client)).map(({ payload }) => payload.toString())).toEqual(['2']);
  client.send(acknowledge('pubrec', two.packetIdentifier, 0x80));
  expect((await openMessages(client)).map(({ payload }) => payload.toString())).toEqual(['3']);
});

test('what is sent again on a new connection counts for its Receive Maximum [MQTT5-3.3.4-9]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  const publisher = await bench.client();
  for (let count = 0; count < 5; count++) await published(publisher, { topic, qos: 1, payload: `${count}` });
  expect(await openMessages(first)).toHaveLength(5);
  first.reset();
  const again = await bench.kept(clientId, { properties: [[P.receiveMaximum, 2]] });
  const got: Published[] = [];
  while (got.length < 5) {
    const open = await openMessages(again);
    expect(open.length).toBe(Math.min(2, 5 - got.length));
    for (const message of open) await settle(again, message);
    got.push(...open);
  }
  expect(got.map(({ dup, payload }) => `${dup} ${payload}`)).toEqual(
    Array.from({ length: 5 }, (_, at) => `true ${at}`),
  );
});

test('a full window holds back no other packet [MQTT5-3.3.4-10] [MQTT5-3.3.4-9]', async () => {
  const topic = bench.unique();
  const client = await bench.client({ properties: [[P.receiveMaximum, 1]] });
  await subscribed(client, [[topic, 1]]);
  const publisher = await bench.client();
  for (const payload of ['open', 'waits']) await published(publisher, { topic, qos: 1, payload });
  const open = await client.take('publish');
  client.send(
    subscribe(5, 101, [[`${topic}/other`, 0]]),
    unsubscribe(5, 102, [`${topic}/other`]),
    publish(5, { topic: `${topic}/other`, qos: 1, packetIdentifier: 103 }),
    publish(5, { topic: `${topic}/other`, qos: 2, packetIdentifier: 104 }),
    acknowledge('pubrel', 104),
  );
  await client.take('suback');
  await client.take('unsuback');
  await client.take('puback');
  await client.take('pubrec');
  await client.take('pubcomp');
  expect(await client.fence()).toEqual([]);
  await settle(client, open);
  expect((await delivered(client)).payload.toString()).toBe('waits');
});

test('a subscriber that acknowledges nothing holds up neither its publisher nor other subscribers [MQTT5-3.3.4-10]', async () => {
  const topic = bench.unique();
  const [lazy, busy] = [await bench.client({ properties: [[P.receiveMaximum, 1]] }), await bench.client()];
  for (const client of [lazy, busy]) await subscribed(client, [[topic, 1]]);
  const publisher = await bench.client();
  for (let count = 0; count < 100; count++) {
    await published(publisher, { topic, qos: 1, payload: `${count}` });
    expect((await delivered(busy)).payload.toString()).toBe(`${count}`);
  }
  expect(await openMessages(lazy)).toHaveLength(1);
});
