/** MQTT 3.1.1, chapter 2: fixed header flags and Packet Identifiers. */
import { expect, test } from 'vitest';
import { acknowledge, publish, subscribe, unsubscribe } from './support/build.js';
import { delivered, published, refused, settle, subscribed, unsubscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { packet, text, u8, u16 } from './support/wire.js';

const bench = usePeer();

test('every packet the server sends has the reserved flags of its type [MQTT311-2.2.2-1]', async () => {
  const client = await bench.client();
  const topic = bench.unique();
  await subscribed(client, [[topic, 2]]);
  for (const qos of [0, 1, 2]) {
    await published(client, { topic, qos, payload: 'x' });
    await delivered(client);
  }
  await unsubscribed(client, [topic]);
  await client.fence();
  const flags = new Map(client.received.map(({ type, bytes }) => [type, (bytes[0] as number) & 0x0f]));
  flags.delete('publish');
  expect(Object.fromEntries(flags)).toEqual({
    connack: 0,
    suback: 0,
    puback: 0,
    pubrec: 0,
    pubrel: 2,
    pubcomp: 0,
    unsuback: 0,
    pingresp: 0,
  });
});

const wrongFlags: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['PINGREQ C1', packet(0xc1)],
  ['PINGREQ C8', packet(0xc8)],
  ['PUBACK 42', packet(0x42, u16(1))],
  ['PUBREC 51', packet(0x51, u16(1))],
  ['PUBREL 60', packet(0x60, u16(1))],
  ['PUBREL 63', packet(0x63, u16(1))],
  ['PUBCOMP 74', packet(0x74, u16(1))],
  ['SUBSCRIBE 80', packet(0x80, u16(1), text('a'), u8(0))],
  ['SUBSCRIBE 83', packet(0x83, u16(1), text('a'), u8(0))],
  ['UNSUBSCRIBE A0', packet(0xa0, u16(1), text('a'))],
  ['UNSUBSCRIBE A6', packet(0xa6, u16(1), text('a'))],
];
for (const [what, bytes] of wrongFlags) {
  test(`wrong fixed header flags close the connection: ${what} [MQTT311-2.2.2-2]`, async () => {
    const client = await bench.client();
    client.send(bytes);
    await refused(client);
  });
}

const identifierZero: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['PUBLISH at QoS 1', publish(4, { topic: 'a', qos: 1, packetIdentifier: 0 })],
  ['PUBLISH at QoS 2', publish(4, { topic: 'a', qos: 2, packetIdentifier: 0 })],
  ['SUBSCRIBE', subscribe(4, 0, [['a', 0]])],
  ['UNSUBSCRIBE', unsubscribe(4, 0, ['a'])],
];
for (const [what, bytes] of identifierZero) {
  test(`Packet Identifier 0 closes the connection: ${what} [MQTT311-2.3.1-1]`, async () => {
    const client = await bench.client();
    client.send(bytes);
    await refused(client);
  });
}

test('messages open towards one client have distinct Packet Identifiers, none of them 0 [MQTT311-2.3.1-1] [MQTT311-2.3.1-4]', async () => {
  const subscriber = await bench.client();
  const topic = bench.unique();
  await subscribed(subscriber, [[topic, 2]]);
  const publisher = await bench.client();
  for (let count = 0; count < 10; count++) await published(publisher, { topic, qos: 1 + (count % 2) });
  const open: number[] = [];
  for (let count = 0; count < 10; count++) open.push((await subscriber.take('publish')).packetIdentifier);
  expect(new Set(open).size).toBe(10);
  expect(open).not.toContain(0);
});

test("the server's Packet Identifiers and the client's do not disturb each other [MQTT311-2.3.1-4]", async () => {
  const client = await bench.client();
  const topic = bench.unique();
  await subscribed(client, [[topic, 1]]);
  await published(await bench.client(), { topic, qos: 1, payload: 'theirs' });
  const theirs = await client.take('publish');
  // The same number in the other direction while the first exchange is open.
  client.send(publish(4, { topic, qos: 1, packetIdentifier: theirs.packetIdentifier, payload: 'ours' }));
  await client.take('puback', (puback) => puback.packetIdentifier === theirs.packetIdentifier);
  const ours = await client.take('publish');
  expect(ours.payload.toString()).toBe('ours');
  expect(ours.packetIdentifier).not.toBe(theirs.packetIdentifier);
  await settle(client, theirs);
  await settle(client, ours);
});

test('a Packet Identifier is used again only after its acknowledgement [MQTT311-2.3.1-4]', async () => {
  const subscriber = await bench.client();
  const topic = bench.unique();
  await subscribed(subscriber, [[topic, 1]]);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'kept open' });
  const open = await subscriber.take('publish');
  // More than a small window's worth, each acknowledged while the first stays open.
  for (let count = 0; count < 300; count++) {
    await published(publisher, { topic, qos: 1 });
    const message = await subscriber.take('publish');
    expect(message.packetIdentifier).not.toBe(open.packetIdentifier);
    await settle(subscriber, message);
  }
});

test('Packet Identifiers begin again after 65535 and pass by one that is still open [MQTT311-2.3.1-4] [MQTT311-2.3.1-1]', async () => {
  const subscriber = await bench.client();
  const topic = bench.unique();
  await subscribed(subscriber, [[topic, 1]]);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'kept open' });
  const { packetIdentifier: open } = await subscriber.take('publish');
  const used = new Set<number>();
  const burst = Array.from({ length: 50 }, (_, at) =>
    publish(4, { topic, qos: 1, packetIdentifier: at + 1000 }),
  );
  for (let count = 0; count < 66_000; count += burst.length) {
    publisher.send(...burst);
    for (const _ of burst) {
      const message = await subscriber.expect('publish');
      used.add(message.packetIdentifier);
      await settle(subscriber, message);
      await publisher.expect('puback');
    }
  }
  expect(used.has(open)).toBe(false);
  expect(used.has(0)).toBe(false);
});

test('a QoS 0 PUBLISH has no Packet Identifier: the payload follows the topic [MQTT311-2.3.1-5]', async () => {
  const subscriber = await bench.client();
  const topic = bench.unique();
  await subscribed(subscriber, [[topic, 2]]);
  const publisher = await bench.client();
  await published(publisher, { topic, payload: 'PAYLOAD' });
  const message = await subscriber.take('publish');
  expect(message.bytes.subarray(2)).toEqual(Buffer.concat([text(topic), Buffer.from('PAYLOAD')]));
});

test('PUBACK, PUBREC, PUBREL and PUBCOMP repeat the Packet Identifier of their PUBLISH [MQTT311-2.3.1-6]', async () => {
  const client = await bench.client();
  const topic = bench.unique();
  await subscribed(client, [[topic, 2]]);
  client.send(publish(4, { topic, qos: 1, packetIdentifier: 0x1234 }));
  expect((await client.take('puback')).packetIdentifier).toBe(0x1234);
  await settle(client, await client.take('publish'));
  client.send(publish(4, { topic, qos: 2, packetIdentifier: 0xfffe }));
  expect((await client.take('pubrec')).packetIdentifier).toBe(0xfffe);
  client.send(acknowledge('pubrel', 0xfffe));
  expect((await client.take('pubcomp')).packetIdentifier).toBe(0xfffe);
  const message = await client.take('publish');
  expect(message.qos).toBe(2);
  client.send(acknowledge('pubrec', message.packetIdentifier));
  expect((await client.take('pubrel')).packetIdentifier).toBe(message.packetIdentifier);
});

test('SUBACK and UNSUBACK repeat the Packet Identifier of their request [MQTT311-2.3.1-7]', async () => {
  const client = await bench.client();
  // A stub repeats identifiers too; that the subscription works tells them apart.
  const topic = bench.unique();
  for (const packetIdentifier of [1, 0x1234, 0xffff]) {
    client.send(subscribe(4, packetIdentifier, [[topic, 0]]));
    expect((await client.expect('suback')).packetIdentifier).toBe(packetIdentifier);
    await published(await bench.client(), { topic, payload: 'x' });
    expect((await client.take('publish')).topic).toBe(topic);
    client.send(unsubscribe(4, packetIdentifier, [topic]));
    expect((await client.expect('unsuback')).packetIdentifier).toBe(packetIdentifier);
  }
});
