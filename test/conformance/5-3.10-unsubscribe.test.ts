/** MQTT 5.0, sections 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK. */
import { expect, test } from 'vitest';
import { acknowledge, unsubscribe } from './support/build.js';
import { cramped, expectCramped } from './support/cramped.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, subscribed, unsubscribed } from './support/flow.js';
import { payloads, take } from './support/messages.js';
import { P } from './support/property.js';
import type { Published } from './support/read.js';
import { hex, INVALID_UTF8, packet, text, u8, u16 } from './support/wire.js';

const bench = usePeer5();

for (const firstOctet of [0xa0, 0xa1, 0xa3, 0xaa]) {
  test(`UNSUBSCRIBE ${firstOctet.toString(16)} closes the connection [MQTT5-3.10.1-1]`, async () => {
    const client = await bench.client();
    client.send(packet(firstOctet, u16(1), u8(0), text(bench.unique())));
    await refused(client, [0x81]);
  });
}

for (const [what, octets] of [...INVALID_UTF8, ['NUL', hex('61 00 62')] as const]) {
  test(`a filter with ${what} closes the connection [MQTT5-3.10.3-1]`, async () => {
    const client = await bench.client();
    client.send(unsubscribe(5, 1, [octets]));
    await refused(client, [0x81]);
  });
}

test('UNSUBSCRIBE without a filter closes the connection [MQTT5-3.10.3-2]', async () => {
  const client = await bench.client();
  client.send('A2 03 00 01 00');
  await refused(client, [0x81, 0x82]);
});

test('filters are compared character by character, wildcards mean nothing here [MQTT5-3.10.4-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [`${topic}/a`, `${topic}/+/b`]);
  const others = [`${topic}/#`, `${topic}/+`, '#', `${topic}/A`, `${topic}/a/`, `${topic}/x/b`];
  expect((await unsubscribed(client, others)).codes).toEqual(others.map(() => 0x11));
  const publisher = await bench.client();
  for (const name of [`${topic}/a`, `${topic}/x/b`]) {
    await published(publisher, { topic: name, payload: 'x' });
    expect((await client.take('publish')).topic).toBe(name);
  }
  expect((await unsubscribed(client, [`${topic}/+/b`])).codes).toEqual([0x00]);
  await published(publisher, { topic: `${topic}/x/b`, payload: 'x' });
  expect(await before(client, publisher, `${topic}/a`)).toEqual([]);
});

test('a shared subscription is left by its whole name alone [MQTT5-3.10.4-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [`$share/g/${topic}/a`, topic]);
  const { codes } = await unsubscribed(client, [`${topic}/a`, `$share/h/${topic}/a`]);
  expect(codes).toEqual([0x11, 0x11]);
  await published(publisher, { topic: `${topic}/a`, payload: 'x' });
  expect((await client.take('publish')).topic).toBe(`${topic}/a`);
  expect((await unsubscribed(client, [`$share/g/${topic}/a`])).codes).toEqual([0x00]);
  await published(publisher, { topic: `${topic}/a`, payload: 'x' });
  expect(await before(client, publisher, topic)).toEqual([]);
});

test('what is published after UNSUBACK is not delivered, to nobody else is it lost [MQTT5-3.10.4-2]', async () => {
  const topic = bench.unique();
  const [client, other, publisher] = [await bench.client(), await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 1], `${topic}/end`]);
  await subscribed(other, [[topic, 1]]);
  await unsubscribed(client, [topic]);
  for (const qos of [0, 1, 2]) await published(publisher, { topic, qos, payload: `${qos}` });
  expect(await before(client, publisher, `${topic}/end`)).toEqual([]);
  expect(payloads(await take(other, 3)).sort()).toEqual(['0', '1', '2']);
});

test('a subscription that was ended stays ended in the next connection [MQTT5-3.10.4-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [
    [topic, 1],
    [`${topic}/end`, 1],
  ]);
  await unsubscribed(first, [topic]);
  await left(first);
  await published(publisher, { topic, qos: 1, payload: 'x' });
  const client = await bench.kept(clientId);
  expect(await before(client, publisher, `${topic}/end`, 1)).toEqual([]);
});

test('deliveries that had begun are completed after UNSUBSCRIBE [MQTT5-3.10.4-3]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 2]]);
  for (const qos of [2, 2, 1]) await published(publisher, { topic, qos, payload: `${qos}` });
  const open = await take(client, 3);
  const [released, published2] = open.filter(({ qos }) => qos === 2) as [Published, Published];
  client.send(acknowledge('pubrec', released.packetIdentifier));
  await client.take('pubrel');
  await unsubscribed(client, [topic]);
  client.send(acknowledge('pubrec', published2.packetIdentifier));
  expect(await client.expect('pubrel')).toMatchObject({
    packetIdentifier: published2.packetIdentifier,
    code: 0x00,
  });
  for (const { packetIdentifier } of [released, published2]) {
    client.send(acknowledge('pubcomp', packetIdentifier));
  }
  expect(await client.fence()).toEqual([]);
});

test('deliveries that had begun are sent again after UNSUBSCRIBE and a reconnect [MQTT5-3.10.4-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'begun' });
  const { packetIdentifier } = await first.take('publish');
  await unsubscribed(first, [topic]);
  first.reset();
  const client = await bench.kept(clientId);
  expect(await delivered(client)).toMatchObject({ packetIdentifier, dup: true, qos: 2 });
});

test('UNSUBSCRIBE is answered by an UNSUBACK with its identifier, also where nothing was there to end [MQTT5-3.10.4-4] [MQTT5-3.10.4-5]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  for (const code of [0x00, 0x11]) {
    client.send(unsubscribe(5, 0xabcd, [topic], [[P.userProperty, ['a', '1']]]));
    expect(await client.expect('unsuback')).toMatchObject({ packetIdentifier: 0xabcd, codes: [code] });
  }
});

test('several filters get one UNSUBACK with a code for each, in order [MQTT5-3.10.4-6] [MQTT5-3.11.3-1] [MQTT5-3.11.3-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [`${topic}/0`, `${topic}/2`, `$share/g/${topic}/4`, `${topic}/end`]);
  client.send(unsubscribe(5, 9, [0, 1, 2, 0].map((at) => `${topic}/${at}`).concat(`$share/g/${topic}/4`)));
  expect((await client.expect('unsuback')).codes).toEqual([0x00, 0x11, 0x00, 0x11, 0x00]);
  expect(await client.fence()).toEqual([]);
  const publisher = await bench.client();
  for (const at of [0, 1, 2, 4]) await published(publisher, { topic: `${topic}/${at}`, payload: 'x' });
  expect(await before(client, publisher, `${topic}/end`)).toEqual([]);
});

test('UNSUBACK has no explanation that the Maximum Packet Size leaves no room for [MQTT5-3.11.2-1] [MQTT5-3.11.2-2]', async () => {
  const client = await cramped(bench);
  const { codes } = await unsubscribed(client, [bench.unique(), bench.unique()]);
  expect(codes).toEqual([0x11, 0x11]);
  expectCramped(client);
});
