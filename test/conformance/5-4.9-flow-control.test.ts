/** MQTT 5.0, section 4.9: flow control by Receive Maximum. The peer lets a client have three messages open. */
import { expect, test } from 'vitest';
import { acknowledge, publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, published, refused, settle, subscribed } from './support/flow.js';
import { numbers, payloads, take } from './support/messages.js';
import { P, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import type { Published } from './support/read.js';

const MAXIMUM = 3;
const bench = usePeer5({ maxInflight: MAXIMUM });

/** A subscriber with this Receive Maximum, and messages of these QoS published to it. */
async function windowed(
  receiveMaximum: number,
  qos: readonly number[],
): Promise<{ readonly client: RawClient; readonly publisher: RawClient; readonly topic: string }> {
  const topic = bench.unique();
  const client = await bench.client({ properties: [[P.receiveMaximum, receiveMaximum]] });
  const publisher = await bench.client();
  await subscribed(client, [[topic, 2]]);
  for (const [at, one] of qos.entries()) await published(publisher, { topic, qos: one, payload: `${at}` });
  return { client, publisher, topic };
}

const arrived = async (client: RawClient): Promise<Published[]> =>
  (await bench.arrived(client)).filter((packet): packet is Published => packet.type === 'publish');

for (const qos of [1, 2]) {
  test(`no more QoS ${qos} messages are open than the client's Receive Maximum [MQTT5-4.9.0-1] [MQTT5-4.9.0-2]`, async () => {
    for (const receiveMaximum of [1, 2]) {
      const { client } = await windowed(
        receiveMaximum,
        numbers(6).map(() => qos),
      );
      const got: string[] = [];
      while (got.length < 6) {
        const open = await arrived(client);
        expect(open).toHaveLength(Math.min(receiveMaximum, 6 - got.length));
        got.push(...payloads(open));
        for (const message of open) await settle(client, message);
      }
      expect(got).toEqual(numbers(6));
      expect(await client.fence()).toEqual([]);
    }
  });
}

test('PUBREC gives no room for another message, PUBCOMP does [MQTT5-4.9.0-2]', async () => {
  const { client } = await windowed(1, [2, 1, 2]);
  const { packetIdentifier } = await client.take('publish');
  client.send(acknowledge('pubrec', packetIdentifier));
  await client.take('pubrel');
  expect(await client.fence()).toEqual([]);
  client.send(acknowledge('pubcomp', packetIdentifier));
  expect((await client.take('publish')).payload.toString()).toBe('1');
  expect(await client.fence()).toEqual([]);
});

test('PUBREC 0x80 and PUBACK 0x80 give room for another message [MQTT5-4.9.0-2]', async () => {
  const { client } = await windowed(1, [2, 1, 2]);
  const first = await client.take('publish');
  client.send(acknowledge('pubrec', first.packetIdentifier, 0x80));
  const second = await client.take('publish');
  expect(second.payload.toString()).toBe('1');
  client.send(acknowledge('puback', second.packetIdentifier, 0x80));
  expect((await client.take('publish')).payload.toString()).toBe('2');
});

test('acknowledgements of nothing do not widen the window [MQTT5-4.9.0-1]', async () => {
  const { client, publisher, topic } = await windowed(2, []);
  for (const packetIdentifier of [0x7001, 0x7002, 0x7003]) {
    client.send(acknowledge('puback', packetIdentifier), acknowledge('pubcomp', packetIdentifier));
  }
  await client.fence();
  for (const payload of numbers(5)) await published(publisher, { topic, qos: 1, payload });
  expect(payloads(await arrived(client))).toEqual(['0', '1']);
});

test('an answer given twice counts once [MQTT5-4.9.0-1]', async () => {
  const { client } = await windowed(1, [1, 1, 1, 1]);
  const { packetIdentifier } = await client.take('publish');
  client.send(acknowledge('puback', packetIdentifier), acknowledge('puback', packetIdentifier));
  const open = await arrived(client);
  // Where the identifier is used at once again, the second answer is one to the next message.
  const [next] = open as [Published];
  expect(open).toHaveLength(next.packetIdentifier === packetIdentifier ? 2 : 1);
});

test('QoS 0 may pass a window that is full, and takes no part of it [MQTT5-4.9.0-2]', async () => {
  const { client, publisher, topic } = await windowed(1, [0, 0, 1]);
  const open = await take(client, 3);
  expect(payloads(open)).toEqual(['0', '1', '2']);
  await published(publisher, { topic, qos: 1, payload: 'waits' });
  expect(payloads(await arrived(client))).toEqual([]);
  await settle(client, open[2] as Published);
  expect((await client.take('publish')).payload.toString()).toBe('waits');
});

test('a full window delays no other packet, in either direction [MQTT5-4.9.0-3]', async () => {
  const { client, topic } = await windowed(1, [2, 1]);
  const open = await client.take('publish');
  expect((await subscribed(client, [`${topic}/more`])).codes).toEqual([0]);
  client.send(publish(5, { topic: bench.unique(), qos: 1, packetIdentifier: 900, payload: 'x' }));
  await client.take('puback');
  await published(client, { topic: bench.unique(), qos: 2, payload: 'x' });
  client.send(acknowledge('pubrec', open.packetIdentifier));
  await client.take('pubrel');
  expect(await client.fence()).toEqual([]);
});

test('messages that are sent again on a new connection take part of its window [MQTT5-4.9.0-1] [MQTT5-4.9.0-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  for (const payload of numbers(6)) await published(publisher, { topic, qos: 1, payload });
  await take(first, MAXIMUM);
  first.reset();
  const again = await bench.kept(clientId, { properties: [[P.receiveMaximum, 2]] });
  const got: string[] = [];
  while (got.length < 6) {
    const open = await arrived(again);
    expect(open).toHaveLength(2);
    expect(open.map(({ dup }) => dup)).toEqual(open.map(({ payload }) => Number(payload) < MAXIMUM));
    got.push(...payloads(open));
    for (const message of open) await settle(again, message);
  }
  expect(got).toEqual(numbers(6));
});

test('the server says how much it takes at once, and takes it [MQTT5-4.9.0-1]', async () => {
  const topic = bench.unique();
  const { client, connack } = await bench.connect();
  expect(propertyOf(connack, P.receiveMaximum)).toBe(MAXIMUM);
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  for (let round = 0; round < 3; round++) {
    const identifiers = [1, 2, 3];
    for (const packetIdentifier of identifiers) {
      client.send(publish(5, { topic, qos: 2, packetIdentifier, payload: `${round}` }));
      await client.take('pubrec');
    }
    for (const packetIdentifier of identifiers) client.send(acknowledge('pubrel', packetIdentifier));
    for (const packetIdentifier of identifiers) {
      expect(await client.take('pubcomp')).toMatchObject({ packetIdentifier, code: 0 });
    }
  }
  expect(await before(watcher, await bench.client(), topic)).toHaveLength(9);
});

test('a client with more open than the server takes is disconnected; what it takes at once is not too much [MQTT5-4.9.0-2]', async () => {
  const client = await bench.client();
  const topic = bench.unique();
  for (const packetIdentifier of [1, 2, 3]) {
    client.send(publish(5, { topic, qos: 2, packetIdentifier, payload: 'x' }));
    await client.take('pubrec');
  }
  // A repeat of one that is open is none more.
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 2, payload: 'x', dup: true }));
  await client.take('pubrec');
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 4, payload: 'x' }));
  await refused(client, [0x93]);
});

test('QoS 0 passes while the client has as much open as the server takes [MQTT5-4.9.0-3]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client();
  for (const packetIdentifier of [1, 2, 3]) {
    client.send(publish(5, { topic: bench.unique(), qos: 2, packetIdentifier, payload: 'x' }));
    await client.take('pubrec');
  }
  await published(client, { topic, payload: 'passes' });
  expect((await watcher.take('publish')).payload.toString()).toBe('passes');
  expect((await subscribed(client, [bench.unique()])).codes).toEqual([0]);
});
