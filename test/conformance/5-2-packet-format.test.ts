/** MQTT 5.0, chapter 2: fixed header flags, Packet Identifiers, property lists. */
import { expect, test } from 'vitest';
import { acknowledge, publish, subscribe, unsubscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { delivered, published, refused, settle, subscribed, unsubscribed } from './support/flow.js';
import { P, properties, property } from './support/property.js';
import { hex, packet, text, u8, u16, vbi } from './support/wire.js';

const bench = usePeer5();

test('every packet the server sends has the reserved flags of its type [MQTT5-2.1.3-1]', async () => {
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
  ['SUBSCRIBE 80', packet(0x80, u16(1), u8(0), text('a'), u8(0))],
  ['SUBSCRIBE 83', packet(0x83, u16(1), u8(0), text('a'), u8(0))],
  ['UNSUBSCRIBE A0', packet(0xa0, u16(1), u8(0), text('a'))],
  ['UNSUBSCRIBE A6', packet(0xa6, u16(1), u8(0), text('a'))],
  ['DISCONNECT E1', packet(0xe1)],
  ['AUTH F2', packet(0xf2, u8(0x19), properties([[P.authenticationMethod, 'X']]))],
];
for (const [what, bytes] of wrongFlags) {
  test(`wrong fixed header flags are malformed: ${what} [MQTT5-2.1.3-1]`, async () => {
    const client = await bench.client();
    client.send(bytes);
    await refused(client, [0x81]);
  });
}

test('CONNECT with fixed header flags is malformed [MQTT5-2.1.3-1] [MQTT5-3.1.4-1]', async () => {
  const client = await bench.open();
  client.send(packet(0x11, text('MQTT'), hex('05 02 00 00 00'), text(bench.unique())));
  await refused(client, [0x81]);
});

test('a QoS 0 PUBLISH has no Packet Identifier, and without properties a Property Length of 0 [MQTT5-2.2.1-2] [MQTT5-2.2.2-1]', async () => {
  const subscriber = await bench.client();
  const topic = bench.unique();
  await subscribed(subscriber, [[topic, 2]]);
  await published(await bench.client(), { topic, payload: 'PAYLOAD' });
  const message = await subscriber.take('publish');
  expect(message.bytes).toEqual(packet(0x30, text(topic), u8(0), Buffer.from('PAYLOAD')));
});

test('a QoS 1 PUBLISH without properties has a Property Length of 0 behind its Packet Identifier [MQTT5-2.2.2-1]', async () => {
  const subscriber = await bench.client();
  const topic = bench.unique();
  await subscribed(subscriber, [[topic, 1]]);
  await published(await bench.client(), { topic, qos: 1, payload: 'PAYLOAD' });
  const { bytes, packetIdentifier } = await delivered(subscriber);
  expect(bytes).toEqual(packet(0x32, text(topic), u16(packetIdentifier), u8(0), Buffer.from('PAYLOAD')));
});

test('SUBACK and UNSUBACK without properties have a Property Length of 0 [MQTT5-2.2.2-1] [MQTT5-2.2.1-6]', async () => {
  const client = await bench.client();
  const topic = bench.unique();
  const suback = await subscribed(client, [[topic, 1]]);
  if (suback.properties.length === 0) expect(suback.bytes).toEqual(packet(0x90, u16(1), u8(0), u8(1)));
  await published(client, { topic });
  expect((await client.take('publish')).topic).toBe(topic);
  const unsuback = await unsubscribed(client, [topic]);
  if (unsuback.properties.length === 0) expect(unsuback.bytes).toEqual(packet(0xb0, u16(2), u8(0), u8(0)));
});

const identifierZero: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['PUBLISH at QoS 1', publish(5, { topic: 'a', qos: 1, packetIdentifier: 0 })],
  ['PUBLISH at QoS 2', publish(5, { topic: 'a', qos: 2, packetIdentifier: 0 })],
  ['SUBSCRIBE', subscribe(5, 0, [['a', 0]])],
  ['UNSUBSCRIBE', unsubscribe(5, 0, ['a'])],
];
for (const [what, bytes] of identifierZero) {
  test(`Packet Identifier 0 closes the connection: ${what} [MQTT5-2.2.1-3]`, async () => {
    const client = await bench.client();
    client.send(bytes);
    await refused(client, [0x81, 0x82]);
  });
}

test('messages open towards one client have distinct Packet Identifiers, none of them 0 [MQTT5-2.2.1-4]', async () => {
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

test("the server's Packet Identifiers and the client's do not disturb each other [MQTT5-2.2.1-4]", async () => {
  const client = await bench.client();
  const topic = bench.unique();
  await subscribed(client, [[topic, 1]]);
  await published(await bench.client(), { topic, qos: 1, payload: 'theirs' });
  const theirs = await client.take('publish');
  client.send(publish(5, { topic, qos: 1, packetIdentifier: theirs.packetIdentifier, payload: 'ours' }));
  await client.take('puback', (puback) => puback.packetIdentifier === theirs.packetIdentifier);
  const ours = await client.take('publish');
  expect(ours.payload.toString()).toBe('ours');
  expect(ours.packetIdentifier).not.toBe(theirs.packetIdentifier);
  await settle(client, theirs);
  await settle(client, ours);
});

for (const qos of [1, 2] as const) {
  test(`the Packet Identifier of an open QoS ${qos} message is given to no other [MQTT5-2.2.1-4]`, async () => {
    const subscriber = await bench.client();
    const topic = bench.unique();
    await subscribed(subscriber, [[topic, 2]]);
    const publisher = await bench.client();
    await published(publisher, { topic, qos, payload: 'kept open' });
    const open = await subscriber.take('publish');
    if (qos === 2) {
      // Open until PUBCOMP: PUBREC does not free it.
      subscriber.send(acknowledge('pubrec', open.packetIdentifier));
      await subscriber.take('pubrel');
    }
    for (let count = 0; count < 200; count++) {
      await published(publisher, { topic, qos: 1 });
      const message = await subscriber.take('publish');
      expect(message.packetIdentifier).not.toBe(open.packetIdentifier);
      await settle(subscriber, message);
    }
  });
}

test('PUBACK, PUBREC, PUBREL and PUBCOMP repeat the Packet Identifier of their PUBLISH [MQTT5-2.2.1-5]', async () => {
  const client = await bench.client();
  const topic = bench.unique();
  await subscribed(client, [[topic, 2]]);
  client.send(publish(5, { topic, qos: 1, packetIdentifier: 0x1234 }));
  expect((await client.take('puback')).packetIdentifier).toBe(0x1234);
  await settle(client, await client.take('publish'));
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 0xfffe }));
  expect((await client.take('pubrec')).packetIdentifier).toBe(0xfffe);
  client.send(acknowledge('pubrel', 0xfffe));
  expect((await client.take('pubcomp')).packetIdentifier).toBe(0xfffe);
  const message = await client.take('publish');
  expect(message.qos).toBe(2);
  client.send(acknowledge('pubrec', message.packetIdentifier));
  expect((await client.take('pubrel')).packetIdentifier).toBe(message.packetIdentifier);
});

test('SUBACK and UNSUBACK repeat the Packet Identifier of their request [MQTT5-2.2.1-6]', async () => {
  const client = await bench.client();
  const topic = bench.unique();
  const publisher = await bench.client();
  for (const packetIdentifier of [1, 0x1234, 0xffff]) {
    client.send(subscribe(5, packetIdentifier, [[topic, 0]]));
    expect((await client.expect('suback')).packetIdentifier).toBe(packetIdentifier);
    await published(publisher, { topic, payload: 'x' });
    expect((await client.take('publish')).topic).toBe(topic);
    client.send(unsubscribe(5, packetIdentifier, [topic]));
    expect((await client.expect('unsuback')).packetIdentifier).toBe(packetIdentifier);
  }
});

const lists: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['an unknown property', properties([[0x7f, 1]])],
  ['a property of another packet', properties([[P.receiveMaximum, 10]])],
  ['a property of the Will', properties([[P.willDelayInterval, 10]])],
  ['a Property Length beyond the packet', Buffer.concat([vbi(50), property(P.contentType, 'text')])],
  ['a Property Length that cuts a property', Buffer.concat([vbi(4), property(P.contentType, 'text')])],
  ['a Property Length that cuts a number', Buffer.concat([vbi(3), property(P.messageExpiryInterval, 9)])],
  ['a string longer than its list', hex('04 03 00 09 61')],
  ['half a String Pair', hex('04 26 00 01 61')],
];
for (const [what, list] of lists) {
  test(`PUBLISH with ${what} is malformed, and goes to nobody [MQTT5-4.13.1-1]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [topic]);
    const client = await bench.client();
    client.send(packet(0x30, text(topic), list));
    await refused(client, [0x81, 0x82]);
    await published(await bench.client(), { topic, payload: 'the first that comes' });
    expect((await watcher.take('publish')).payload.toString()).toBe('the first that comes');
  });
}

const twice = [
  [P.payloadFormatIndicator, 1],
  [P.messageExpiryInterval, 60],
  [P.contentType, 'text'],
  [P.responseTopic, 'answers'],
  [P.correlationData, Buffer.of(1)],
  [P.topicAlias, 1],
] as const;
for (const one of twice) {
  test(`PUBLISH with property 0x${one[0].toString(16)} twice is a Protocol Error [MQTT5-4.13.1-1]`, async () => {
    const client = await bench.client();
    client.send(publish(5, { topic: 'a', properties: [one, one] }));
    await refused(client, [0x82]);
  });
}
