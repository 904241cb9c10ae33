/** MQTT 3.1.1, sections 3.8 and 3.9: SUBSCRIBE and SUBACK. */
import { expect, test } from 'vitest';
import { subscribe, type Wanted } from './support/build.js';
import { before, delivered, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { packet, text, u8, u16 } from './support/wire.js';

const bench = usePeer();

for (const firstOctet of [0x80, 0x81, 0x83, 0x8a]) {
  test(`SUBSCRIBE ${firstOctet.toString(16)} closes the connection [MQTT311-3.8.1-1]`, async () => {
    const client = await bench.client();
    client.send(packet(firstOctet, u16(1), text(bench.unique()), u8(0)));
    await refused(client);
  });
}

test('SUBSCRIBE without a filter closes the connection [MQTT311-3.8.3-3]', async () => {
  const client = await bench.client();
  client.send('82 02 00 01');
  await refused(client);
});

for (const octet of [0x03, 0x04, 0x08, 0x10, 0x41, 0x80, 0xff]) {
  test(`SUBSCRIBE with ${octet.toString(16)} for QoS closes the connection [MQTT311-3.8.3-4]`, async () => {
    const client = await bench.client();
    client.send(subscribe(4, 1, [[bench.unique(), octet]]));
    await refused(client);
  });
}

test('one wrong QoS among several closes the connection without SUBACK [MQTT311-3.8.3-4]', async () => {
  const client = await bench.client();
  client.send(
    subscribe(4, 1, [
      [bench.unique(), 1],
      [bench.unique(), 3],
    ]),
  );
  await refused(client);
});

test('a filter without its QoS closes the connection [MQTT311-3.8.3-3]', async () => {
  const client = await bench.client();
  client.send(packet(0x82, u16(1), text('a')));
  await refused(client);
});

test('SUBSCRIBE is answered by a SUBACK with its identifier, and from then on counts [MQTT311-3.8.4-1] [MQTT311-3.8.4-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  client.send(subscribe(4, 0xabcd, [[topic, 0]]));
  expect(await client.expect('suback')).toMatchObject({ packetIdentifier: 0xabcd, codes: [0] });
  await published(await bench.client(), { topic });
  expect((await client.take('publish')).topic).toBe(topic);
});

test('the same filter again replaces the subscription: one copy, new QoS [MQTT311-3.8.4-3]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  for (const granted of [0, 2, 1] as const) {
    await subscribed(client, [[topic, granted]]);
    await published(publisher, { topic, qos: 2, payload: `${granted}` });
    expect(await delivered(client)).toMatchObject({ qos: granted });
    expect(await before(client, publisher, topic, granted)).toEqual([]);
  }
});

test('the same filter again brings the retained messages again [MQTT311-3.8.4-3]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  for (let round = 0; round < 3; round++) {
    await subscribed(client, [[`${topic}/#`, 1]]);
    expect(await delivered(client)).toMatchObject({ retain: true, payload: Buffer.from('kept') });
  }
  expect(await before(client, publisher, topic, 1)).toEqual([]);
});

test('no publication is lost or doubled while a subscription is replaced [MQTT311-3.8.4-3]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 1]]);
  for (let count = 0; count < 40; count++) {
    client.send(subscribe(4, 100 + count, [[topic, 1]]));
    await published(publisher, { topic, qos: 1, payload: `${count}` });
  }
  const got = await before(client, publisher, topic, 1);
  expect(got.map(({ payload }) => Number(payload))).toEqual(Array.from({ length: 40 }, (_, count) => count));
});

test('several filters get one SUBACK with a code for each, in order, and each is a subscription [MQTT311-3.8.4-4] [MQTT311-3.8.4-5] [MQTT311-3.9.3-1] [MQTT311-3.9.3-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const wanted: Wanted[] = [2, 0, 1, 1, 2, 0].map((qos, at) => [`${topic}/${at}`, qos]);
  client.send(subscribe(4, 9, wanted));
  expect((await client.expect('suback')).codes).toEqual([2, 0, 1, 1, 2, 0]);
  expect(await client.fence()).toEqual([]);
  const publisher = await bench.client();
  for (const [filter, qos] of wanted) {
    await published(publisher, { topic: filter, qos: 2 });
    expect(await delivered(client)).toMatchObject({ topic: filter, qos });
  }
});

test('the same filter twice in one SUBSCRIBE counts as the second [MQTT311-3.8.4-4] [MQTT311-3.8.4-3]', async () => {
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
    test(`published at ${publishedQos}, granted ${granted}: delivered at the lower [MQTT311-3.8.4-6]`, async () => {
      const topic = bench.unique();
      const client = await bench.client();
      expect((await subscribed(client, [[topic, granted]])).codes).toEqual([granted]);
      await published(await bench.client(), { topic, qos: publishedQos, payload: 'x' });
      expect((await delivered(client)).qos).toBe(Math.min(publishedQos, granted));
    });
  }
}
