/** MQTT 5.0, section 1.5: strings, Variable Byte Integers, String Pairs. */
import { expect, test } from 'vitest';
import { connect, publish, subscribe, unsubscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, published, refused, subscribed } from './support/flow.js';
import { P } from './support/property.js';
import { hex, INVALID_UTF8, packet, text, u8, u16 } from './support/wire.js';

const bench = usePeer5();
const large = usePeer5({ maxPacketSize: 4 * 1024 * 1024 });
const SURROGATE = hex('61 ED A0 80');

for (const [what, octets] of INVALID_UTF8) {
  test(`a Topic Name with ${what} is malformed and goes to nobody [MQTT5-1.5.4-1] [MQTT5-3.3.2-1]`, async () => {
    const watcher = await bench.client();
    await subscribed(watcher, ['#']);
    const client = await bench.client();
    client.send(publish(5, { topic: octets, payload: 'x', qos: 1, packetIdentifier: 1 }));
    await refused(client, [0x81]);
    expect(await before(watcher, await bench.client(), bench.unique())).toEqual([]);
  });

  test(`a Topic Filter with ${what} is malformed [MQTT5-1.5.4-1]`, async () => {
    const client = await bench.client();
    client.send(subscribe(5, 1, [[octets, 0]]));
    await refused(client, [0x81]);
  });

  test(`a Client Identifier with ${what} is malformed [MQTT5-1.5.4-1] [MQTT5-3.1.3-4]`, async () => {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: octets }));
    await refused(client, [0x81]);
  });

  test(`a User Property with ${what} in its name or its value is malformed [MQTT5-1.5.4-1] [MQTT5-1.5.7-1]`, async () => {
    for (const pair of [[octets, 'value'] as const, ['name', octets] as const]) {
      const client = await bench.client();
      client.send(publish(5, { topic: 'a', properties: [[P.userProperty, pair]] }));
      await refused(client, [0x81]);
    }
  });
}

const elsewhere: ReadonlyArray<readonly [string, (octets: Uint8Array) => Uint8Array]> = [
  ['filter to unsubscribe', (octets) => unsubscribe(5, 1, [octets])],
  ['Content Type', (octets) => publish(5, { topic: 'a', properties: [[P.contentType, octets]] })],
  ['Response Topic', (octets) => publish(5, { topic: 'a', properties: [[P.responseTopic, octets]] })],
  [
    'User Property of SUBSCRIBE',
    (octets) => subscribe(5, 1, [['a', 0]], [[P.userProperty, ['name', octets]]]),
  ],
];
for (const [what, bytes] of elsewhere) {
  test(`a ${what} that is no UTF-8, or holds U+0000, is malformed [MQTT5-1.5.4-1] [MQTT5-1.5.4-2]`, async () => {
    for (const octets of [SURROGATE, hex('61 00')]) {
      const client = await bench.client();
      client.send(bytes(octets));
      await refused(client, [0x81]);
    }
  });
}

test('U+0000 in a Topic Name is malformed and goes to nobody [MQTT5-1.5.4-2]', async () => {
  const watcher = await bench.client();
  await subscribed(watcher, ['#']);
  const client = await bench.client();
  client.send(publish(5, { topic: 'a\0b', payload: 'x' }));
  await refused(client, [0x81]);
  expect(await before(watcher, await bench.client(), bench.unique())).toEqual([]);
});

test('U+0000 in a Topic Filter is malformed [MQTT5-1.5.4-2]', async () => {
  const client = await bench.client();
  client.send(subscribe(5, 1, [['a\0b', 0]]));
  await refused(client, [0x81]);
});

test('U+0000 in a Client Identifier is malformed [MQTT5-1.5.4-2]', async () => {
  const client = await bench.open();
  client.send(connect({ version: 5, clientId: 'a\0b' }));
  await refused(client, [0x81]);
});

test('U+0000 in the name or the value of a User Property is malformed [MQTT5-1.5.4-2] [MQTT5-1.5.7-1]', async () => {
  for (const pair of [['\0', 'value'] as const, ['name', 'v\0'] as const]) {
    const client = await bench.client();
    client.send(publish(5, { topic: 'a', properties: [[P.userProperty, pair]] }));
    await refused(client, [0x81]);
  }
});

test('U+FEFF stays where it stands: in topics, their filters and in properties [MQTT5-1.5.4-3]', async () => {
  const bare = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [bare, `\uFEFF${bare}`]);
  const publisher = await bench.client();
  await published(publisher, {
    topic: `\uFEFF${bare}`,
    properties: [[P.userProperty, ['\uFEFFname', '\uFEFF']]],
  });
  const message = await delivered(watcher);
  expect(message.topic).toBe(`\uFEFF${bare}`);
  expect(message.bytes.subarray(4, 7)).toEqual(hex('EF BB BF'));
  expect(message.properties).toEqual([[P.userProperty, ['\uFEFFname', '\uFEFF']]]);
  expect(await before(watcher, publisher, bare)).toEqual([]);
});

test('lengths at the borders of their encoding are read, and written in the shortest form [MQTT5-1.5.5-1]', async () => {
  const topic = large.unique();
  const [client, publisher] = [await large.client(), await large.client()];
  await subscribed(client, [topic]);
  for (const length of [127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const payload = Buffer.alloc(length - 3 - topic.length, 'x');
    await published(publisher, { topic, payload });
    const { bytes } = await client.take('publish');
    // Not toEqual, which takes seconds for megabytes.
    expect(bytes.equals(packet(0x30, text(topic), u8(0), payload))).toBe(true);
  }
});

test('Property Lengths at the borders of their encoding are read, and written in the shortest form [MQTT5-1.5.5-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [topic]);
  for (const length of [127, 128, 16_383, 16_384]) {
    // Identifier, two lengths, a name of one letter.
    const value = 'v'.repeat(length - 6);
    await published(publisher, { topic, payload: 'p', properties: [[P.userProperty, ['n', value]]] });
    const message = await client.take('publish');
    expect(message.properties).toEqual([[P.userProperty, ['n', value]]]);
    expect(message.payload.toString()).toBe('p');
  }
});

const overlong: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['a Remaining Length', hex('C0 80 00')],
  ['a Property Length', packet(0x30, text('a'), hex('80 00'))],
  ['a property identifier', packet(0x30, text('a'), hex('03 81 00 01'))],
  ['a Subscription Identifier', packet(0x82, u16(1), hex('03 0B 81 00'), text('a'), u8(0))],
  ['a Remaining Length of five octets', hex('30 80 80 80 80 01')],
  ['a Property Length of five octets', packet(0x30, text('a'), hex('80 80 80 80 01'))],
];
for (const [what, bytes] of overlong) {
  test(`${what} that is longer than it has to be is malformed [MQTT5-1.5.5-1]`, async () => {
    const client = await bench.client();
    client.send(bytes);
    await refused(client, [0x81]);
  });
}
