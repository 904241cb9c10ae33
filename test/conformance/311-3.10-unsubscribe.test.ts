/** MQTT 3.1.1, sections 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK. */
import { expect, test } from 'vitest';
import { acknowledge, unsubscribe } from './support/build.js';
import { before, left, published, refused, subscribed, unsubscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { hex, packet, text, u16 } from './support/wire.js';

const bench = usePeer();

for (const firstOctet of [0xa0, 0xa1, 0xa3, 0xaa]) {
  test(`UNSUBSCRIBE ${firstOctet.toString(16)} closes the connection [MQTT311-3.10.1-1]`, async () => {
    const client = await bench.client();
    client.send(packet(firstOctet, u16(1), text(bench.unique())));
    await refused(client);
  });
}

test('UNSUBSCRIBE without a filter closes the connection [MQTT311-3.10.3-2]', async () => {
  const client = await bench.client();
  client.send('A2 02 00 01');
  await refused(client);
});

test('filters are compared as text: one that covers another does not remove it [MQTT311-3.10.4-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [`${topic}/b`, `${topic}/end`]);
  await unsubscribed(client, [`${topic}/#`, `${topic}/+`, '#', `${topic}/B`, `${topic}/b/`]);
  await published(publisher, { topic: `${topic}/b`, payload: 'still' });
  expect((await client.take('publish')).payload.toString()).toBe('still');
  await unsubscribed(client, [`${topic}/b`]);
  await published(publisher, { topic: `${topic}/b`, payload: 'no more' });
  expect(await before(client, publisher, `${topic}/end`)).toEqual([]);
});

test('a wildcard filter is removed by its own text, and those beside it stay [MQTT311-3.10.4-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [`${topic}/#`, `${topic}/+/c`, `${topic}/end`]);
  await unsubscribed(client, [`${topic}/#`]);
  await published(publisher, { topic: `${topic}/b`, payload: 'not this' });
  await published(publisher, { topic: `${topic}/b/c`, payload: 'this' });
  const got = await before(client, publisher, `${topic}/end`);
  expect(got.map(({ payload }) => payload.toString())).toEqual(['this']);
});

for (const qos of [0, 1, 2] as const) {
  test(`after UNSUBACK nothing new comes at QoS ${qos}, neither live nor queued [MQTT311-3.10.4-2]`, async () => {
    const [topic, clientId] = [bench.unique(), bench.unique()];
    const publisher = await bench.client();
    const client = await bench.client({ clientId, clean: false });
    await subscribed(client, [
      [topic, qos],
      [`${topic}/end`, qos],
    ]);
    await unsubscribed(client, [topic]);
    await published(publisher, { topic, qos, payload: 'live' });
    expect(await before(client, publisher, `${topic}/end`, qos)).toEqual([]);
    await left(client);
    await published(publisher, { topic, qos, payload: 'queued' });
    const again = await bench.client({ clientId, clean: false });
    expect(await before(again, publisher, `${topic}/end`, qos)).toEqual([]);
  });
}

test('QoS 2 deliveries that have begun are finished after UNSUBSCRIBE [MQTT311-3.10.4-3]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'x' });
  const { packetIdentifier } = await client.take('publish');
  await unsubscribed(client, [topic]);
  client.send(acknowledge('pubrec', packetIdentifier));
  expect(await client.expect('pubrel')).toMatchObject({ packetIdentifier });
  client.send(acknowledge('pubcomp', packetIdentifier));
  expect(await client.fence()).toEqual([]);
});

test('QoS 1 and 2 deliveries that have begun are sent again after UNSUBSCRIBE and a reconnect [MQTT311-3.10.4-3]', async () => {
  const [topic, clientId] = [bench.unique(), bench.unique()];
  const client = await bench.client({ clientId, clean: false });
  await subscribed(client, [[topic, 2]]);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'one' });
  await published(publisher, { topic, qos: 2, payload: 'two' });
  await client.take('publish');
  await client.take('publish');
  await unsubscribed(client, [topic]);
  client.reset();
  const again = await bench.client({ clientId, clean: false });
  const got = [await again.take('publish'), await again.take('publish')];
  expect(got.map(({ dup, payload }) => `${dup} ${payload}`)).toEqual(['true one', 'true two']);
});

test('UNSUBSCRIBE is answered by UNSUBACK with its identifier and without payload [MQTT311-3.10.4-4]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [topic, `${topic}/end`]);
  client.send(unsubscribe(4, 0xfedc, [topic]));
  expect((await client.expect('unsuback')).bytes).toEqual(hex('B0 02 FE DC'));
  await published(publisher, { topic });
  expect(await before(client, publisher, `${topic}/end`)).toEqual([]);
});

test('UNSUBACK comes too where there was nothing to remove, and what there is stays [MQTT311-3.10.4-5]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  client.send(unsubscribe(4, 77, [`${topic}/unknown`]));
  expect((await client.expect('unsuback')).packetIdentifier).toBe(77);
  await published(await bench.client(), { topic });
  await client.take('publish');
});

test('several filters get one UNSUBACK and are all removed [MQTT311-3.10.4-6]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [`${topic}/1`, `${topic}/2`, `${topic}/3`, `${topic}/end`]);
  client.send(unsubscribe(4, 5, [`${topic}/1`, `${topic}/unknown`, `${topic}/2`, `${topic}/3`]));
  expect((await client.expect('unsuback')).packetIdentifier).toBe(5);
  expect(await client.fence()).toEqual([]);
  for (const at of [1, 2, 3]) await published(publisher, { topic: `${topic}/${at}` });
  expect(await before(client, publisher, `${topic}/end`)).toEqual([]);
});
