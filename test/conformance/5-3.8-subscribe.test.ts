/** MQTT 5.0, sections 3.8 and 3.9: SUBSCRIBE and SUBACK. */
import { expect, test } from 'vitest';
import { subscribe, type Wanted } from './support/build.js';
import { cramped, expectCramped } from './support/cramped.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, subscribed } from './support/flow.js';
import { numbers, payloads } from './support/messages.js';
import { P, propertiesOf } from './support/property.js';
import { INVALID_UTF8, packet, text, u8, u16 } from './support/wire.js';

const bench = usePeer5({ guarded: true });

/** Subscription Options above the QoS. */
const NO_LOCAL = 0x04;
const RETAIN_AS_PUBLISHED = 0x08;
const RETAIN_IF_NEW = 0x10;
const RETAIN_NEVER = 0x20;

for (const firstOctet of [0x80, 0x81, 0x83, 0x8a]) {
  test(`SUBSCRIBE ${firstOctet.toString(16)} closes the connection [MQTT5-3.8.1-1]`, async () => {
    const client = await bench.client();
    client.send(packet(firstOctet, u16(1), u8(0), text(bench.unique()), u8(0)));
    await refused(client, [0x81]);
  });
}

for (const [what, octets] of INVALID_UTF8) {
  test(`a filter with ${what} closes the connection [MQTT5-3.8.3-1]`, async () => {
    const client = await bench.client();
    client.send(subscribe(5, 1, [[octets, 0]]));
    await refused(client, [0x81]);
  });
}

test('SUBSCRIBE without a filter closes the connection [MQTT5-3.8.3-2]', async () => {
  const client = await bench.client();
  client.send('82 03 00 01 00');
  await refused(client, [0x81, 0x82]);
});

test('a filter without its options closes the connection [MQTT5-3.8.3-2]', async () => {
  const client = await bench.client();
  client.send(packet(0x82, u16(1), u8(0), text('a')));
  await refused(client, [0x81, 0x82]);
});

for (const options of [0x40, 0x80, 0xc0, 0x41, 0x82]) {
  test(`Subscription Options ${options.toString(16)} use a reserved bit and close the connection [MQTT5-3.8.3-5]`, async () => {
    const client = await bench.client();
    client.send(
      subscribe(5, 1, [
        [bench.unique(), 1],
        [bench.unique(), options],
      ]),
    );
    await refused(client, [0x81]);
  });
}

test('No Local with a shared subscription closes the connection [MQTT5-3.8.3-4]', async () => {
  const client = await bench.client();
  client.send(subscribe(5, 1, [[`$share/g/${bench.unique()}`, NO_LOCAL]]));
  await refused(client, [0x82]);
});

test('No Local keeps own publications away, at every QoS, and no others [MQTT5-3.8.3-3]', async () => {
  const topic = bench.unique();
  const [client, other, publisher] = [await bench.client(), await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 2 | NO_LOCAL]]);
  await subscribed(other, [[topic, 2 | NO_LOCAL]]);
  for (const qos of [0, 1, 2]) await published(client, { topic, qos, payload: `own ${qos}` });
  await published(publisher, { topic, qos: 2, payload: 'foreign' });
  expect(payloads(await before(client, publisher, topic, 2))).toEqual(['foreign']);
  const heard: string[] = [];
  while (heard.length < 4) heard.push((await delivered(other)).payload.toString());
  expect(heard.sort()).toEqual(['foreign', 'own 0', 'own 1', 'own 2']);
});

test('No Local goes by Client Identifier: it also holds for the next connection and for the queue [MQTT5-3.8.3-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1 | NO_LOCAL]]);
  await left(first);
  const { client, connack } = await bench.connectKept(clientId);
  expect(connack.sessionPresent).toBe(true);
  await published(client, { topic, qos: 1, payload: 'own' });
  expect(payloads(await before(client, await bench.client(), topic, 1))).toEqual([]);
});

test("No Local keeps a client's own Will away from its session [MQTT5-3.8.3-3]", async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 1]]);
  const will = { topic, payload: 'will', qos: 1 };
  const first = await bench.kept(clientId, { will });
  await subscribed(first, [[topic, 1 | NO_LOCAL]]);
  first.reset();
  expect((await delivered(watcher)).payload.toString()).toBe('will');
  const client = await bench.kept(clientId);
  expect(payloads(await before(client, await bench.client(), topic, 1))).toEqual([]);
});

test('No Local of one subscription does not silence another that overlaps [MQTT5-3.8.3-3]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [
    [`${topic}/#`, 2 | NO_LOCAL],
    [`${topic}/+`, 1],
  ]);
  await published(client, { topic: `${topic}/a`, qos: 2, payload: 'own' });
  expect(await delivered(client)).toMatchObject({ qos: 1, payload: Buffer.from('own') });
  expect(await before(client, await bench.client(), `${topic}/end`, 2)).toEqual([]);
});

test('SUBSCRIBE is answered by a SUBACK with its identifier, and from then on counts [MQTT5-3.8.4-1] [MQTT5-3.8.4-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  client.send(subscribe(5, 0xabcd, [[topic, 0]]));
  expect(await client.expect('suback')).toMatchObject({ packetIdentifier: 0xabcd, codes: [0] });
  await published(await bench.client(), { topic });
  expect((await client.take('publish')).topic).toBe(topic);
});

test('SUBSCRIBE with User Properties and an identifier of the largest size is answered [MQTT5-3.8.4-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const suback = await subscribed(
    client,
    [[topic, 0]],
    [
      [P.userProperty, ['a', '1']],
      [P.subscriptionIdentifier, 268_435_455],
      [P.userProperty, ['a', '1']],
    ],
  );
  expect(suback.codes).toEqual([0]);
  await published(await bench.client(), { topic, payload: 'x' });
  expect(propertiesOf(await client.take('publish'), P.subscriptionIdentifier)).toEqual([268_435_455]);
});

test('the same filter again replaces the subscription: one copy, new QoS [MQTT5-3.8.4-3]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  for (const granted of [0, 2, 1] as const) {
    await subscribed(client, [[topic, granted]]);
    await published(publisher, { topic, qos: 2, payload: `${granted}` });
    expect(await delivered(client)).toMatchObject({ qos: granted });
    expect(await before(client, publisher, topic, granted)).toEqual([]);
  }
});

test('the same filter again replaces options and identifier, also by none [MQTT5-3.8.4-3]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const seen = async (): Promise<unknown> => {
    await published(client, { topic, retain: true, payload: 'x' });
    const got = await before(client, await bench.client(), topic);
    return got.map((message) => [message.retain, propertiesOf(message, P.subscriptionIdentifier)]);
  };
  await subscribed(client, [[topic, NO_LOCAL | RETAIN_NEVER]], [[P.subscriptionIdentifier, 5]]);
  expect(await seen()).toEqual([]);
  await subscribed(client, [[topic, RETAIN_AS_PUBLISHED | RETAIN_NEVER]], [[P.subscriptionIdentifier, 6]]);
  expect(await seen()).toEqual([[true, [6]]]);
  await subscribed(client, [[topic, RETAIN_NEVER]]);
  expect(await seen()).toEqual([[false, []]]);
  await subscribed(client, [[topic, NO_LOCAL | RETAIN_NEVER]]);
  expect(await seen()).toEqual([]);
});

test('the same filter again brings the retained messages again with Retain Handling 0 alone [MQTT5-3.8.4-4]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  for (const [options, copies] of [
    [0, 1],
    [0, 1],
    [RETAIN_IF_NEW, 0],
    [RETAIN_NEVER, 0],
    [0, 1],
  ] as const) {
    await subscribed(client, [[`${topic}/#`, 1 | options]]);
    const got = await before(client, publisher, `${topic}/end`, 1);
    expect(got.map(({ retain, payload }) => [retain, payload.toString()])).toEqual(
      Array.from({ length: copies }, () => [true, 'kept']),
    );
  }
});

test('no publication is lost or doubled while a subscription is replaced [MQTT5-3.8.4-4]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 1]]);
  for (const payload of numbers(40)) {
    client.send(subscribe(5, 100 + Number(payload), [[topic, 1 + (Number(payload) % 2)]]));
    await published(publisher, { topic, qos: 1, payload });
  }
  expect(payloads(await before(client, publisher, topic, 1))).toEqual(numbers(40));
});

test('several filters get one SUBACK with a code for each, in order, and each is a subscription [MQTT5-3.8.4-5] [MQTT5-3.8.4-6] [MQTT5-3.8.4-7] [MQTT5-3.9.3-1] [MQTT5-3.9.3-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const wanted: Wanted[] = [2, 0, 1, 1, 2, 0].map((qos, at) => [`${topic}/${at}`, qos]);
  client.send(subscribe(5, 9, wanted));
  expect((await client.expect('suback')).codes).toEqual([2, 0, 1, 1, 2, 0]);
  expect(await client.fence()).toEqual([]);
  const publisher = await bench.client();
  for (const [filter, qos] of wanted) {
    await published(publisher, { topic: filter, qos: 2 });
    expect(await delivered(client)).toMatchObject({ topic: filter, qos });
  }
});

test('a filter that is refused does not spoil its neighbours [MQTT5-3.9.3-1] [MQTT5-3.9.3-2] [MQTT5-3.8.4-7]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const { codes } = await subscribed(client, [
    [`${topic}/0`, 1],
    ['forbidden/x', 1],
    [`${topic}/2`, 2],
    [`$share/g/${topic}/3`, 0],
  ]);
  expect(codes).toEqual([1, 0x87, 2, 0]);
  const publisher = await bench.client();
  for (const at of [0, 2, 3]) {
    await published(publisher, { topic: `${topic}/${at}`, qos: 1, payload: 'x' });
    expect((await delivered(client)).topic).toBe(`${topic}/${at}`);
  }
});

test('the same filter twice in one SUBSCRIBE counts as the second [MQTT5-3.8.4-5] [MQTT5-3.8.4-3]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  const suback = await subscribed(client, [
    [topic, 2],
    [topic, 1],
  ]);
  expect(suback.codes).toEqual([2, 1]);
  await published(publisher, { topic, qos: 2, payload: 'x' });
  expect(await delivered(client)).toMatchObject({ qos: 1 });
  expect(await before(client, publisher, topic, 1)).toEqual([]);
});

for (const publishedQos of [0, 1, 2]) {
  for (const granted of [0, 1, 2]) {
    test(`published at ${publishedQos}, granted ${granted}: delivered at the lower [MQTT5-3.8.4-8]`, async () => {
      const topic = bench.unique();
      const client = await bench.client();
      expect((await subscribed(client, [[topic, granted]])).codes).toEqual([granted]);
      await published(await bench.client(), { topic, qos: publishedQos, payload: 'x' });
      expect((await delivered(client)).qos).toBe(Math.min(publishedQos, granted));
    });
  }
}

test('a refusing SUBACK has no explanation that the Maximum Packet Size leaves no room for [MQTT5-3.9.2-1] [MQTT5-3.9.2-2]', async () => {
  const client = await cramped(bench);
  const { codes } = await subscribed(client, ['forbidden/x', bench.unique(), 'forbidden/y']);
  expect(codes).toEqual([0x87, 0, 0x87]);
  expectCramped(client);
});
