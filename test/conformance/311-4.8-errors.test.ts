/** MQTT 3.1.1, section 4.8, and chapter 7: errors close the one connection; the rest goes on. */
import { expect, test } from 'vitest';
import { publish } from './support/build.js';
import { delivered, left, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { hex, packet, text, u16 } from './support/wire.js';

const bench = usePeer({ maxPacketSize: 1024 * 1024 });

const violations: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['the reserved packet type 0', hex('00 00')],
  ['packet type 15, reserved in 3.1.1', hex('F0 00')],
  ['CONNACK from a client', hex('20 02 00 00')],
  ['SUBACK from a client', hex('90 03 00 01 00')],
  ['UNSUBACK from a client', hex('B0 02 00 01')],
  ['PINGRESP from a client', hex('D0 00')],
  ['a Remaining Length of five octets', hex('30 80 80 80 80 01')],
  ['PUBLISH shorter than its Topic Name', packet(0x30, u16(5), hex('61'))],
  ['PUBLISH without Topic Name', hex('30 00')],
  ['PUBLISH at QoS 1 without Packet Identifier', packet(0x32, text('a'))],
  ['PUBACK without Packet Identifier', hex('40 00')],
  ['PUBACK with half a Packet Identifier', hex('40 01 00')],
  ['PUBACK with a Reason Code, as in 5.0', hex('40 03 00 01 00')],
  ['SUBSCRIBE cut within its filter', hex('82 06 00 01 00 09 61 00')],
  ['UNSUBSCRIBE cut within its filter', hex('A2 05 00 01 00 09 61')],
  ['DISCONNECT with a payload', hex('E0 01 00')],
];
for (const [what, bytes] of violations) {
  test(`${what} closes that connection, and no other [MQTT311-4.8.0-1]`, async () => {
    const topic = bench.unique();
    const bystander = await bench.client();
    await subscribed(bystander, [topic]);
    const client = await bench.client();
    client.send(bytes);
    await refused(client);
    await published(await bench.client(), { topic, payload: 'undisturbed' });
    expect((await bystander.take('publish')).payload.toString()).toBe('undisturbed');
  });
}

test('a packet larger than the server takes closes that connection, and no other [MQTT311-4.8.0-2]', async () => {
  const topic = bench.unique();
  const bystander = await bench.client();
  await subscribed(bystander, [topic]);
  const client = await bench.client();
  client.send(publish(4, { topic, payload: Buffer.alloc(1024 * 1024 + 1) }));
  await refused(client);
  await published(await bench.client(), { topic, payload: 'undisturbed' });
  expect((await bystander.take('publish')).payload.toString()).toBe('undisturbed');
});

test('a packet as large as the server takes goes through [MQTT311-4.8.0-2]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  // First octet, three octets of length, two of the topic's length.
  const payload = Buffer.alloc(1024 * 1024 - 1 - 3 - 2 - topic.length, 'x');
  await published(await bench.client(), { topic, payload });
  expect((await watcher.take('publish')).payload.equals(payload)).toBe(true);
});

test('a stream may be cut anywhere: packets sent octet by octet are read as if they came at once [MQTT311-7.1.1-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  const bytes = publish(4, { topic, payload: 'x'.repeat(200), qos: 1, packetIdentifier: 300 });
  await client.sendSlowly(Array.from(bytes, (octet) => Buffer.of(octet)));
  expect((await client.take('puback')).packetIdentifier).toBe(300);
  expect((await client.take('publish')).payload.toString()).toBe('x'.repeat(200));
});

test('many packets in one piece are all read, in order [MQTT311-7.1.1-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  client.send(...Array.from({ length: 200 }, (_, at) => publish(4, { topic, payload: `${at}` })));
  for (let at = 0; at < 200; at++) expect((await client.take('publish')).payload.toString()).toBe(`${at}`);
});

test('Remaining Lengths at the borders of their encoding are right in both directions [MQTT311-7.1.1-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [topic]);
  for (const length of [127, 128, 16_383, 16_384]) {
    const payload = Buffer.alloc(length - 2 - topic.length, 'x');
    await published(publisher, { topic, payload });
    const message = await client.take('publish');
    expect(message.payload.equals(payload)).toBe(true);
    expect(message.bytes.subarray(1)).toEqual(packet(0x30, text(topic), payload).subarray(1));
  }
});

test('a client of nothing but 3.1.1 does all it needs with the defaults [MQTT311-7.0.0-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({
    clientId,
    clean: false,
    keepAlive: 60,
    will: { topic, payload: 'will' },
  });
  expect((await subscribed(first, [[topic, 2]])).codes).toEqual([2]);
  await published(first, { topic, qos: 2, retain: true, payload: 'x' });
  expect(await delivered(first)).toMatchObject({ qos: 2, retain: false });
  await left(first);
  expect((await bench.connect({ clientId, clean: false })).connack.sessionPresent).toBe(true);
});
