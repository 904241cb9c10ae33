/** MQTT 5.0, section 4.13: errors close the one connection and say why; the rest goes on. */
import { expect, test } from 'vitest';
import { acknowledge, auth, connect, disconnect, publish, subscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { published, refused, subscribed } from './support/flow.js';
import { P } from './support/property.js';
import { hex, packet, text, u8, u16 } from './support/wire.js';

const PACKET_BYTES_MAX = 1024 * 1024;
const bench = usePeer5({ maxPacketSize: PACKET_BYTES_MAX });

const none = u8(0);
const MALFORMED = [0x81];
const PROTOCOL = [0x82];
/** The standard leaves it open which of the two it is. */
const EITHER = [0x81, 0x82];

const violations: ReadonlyArray<readonly [string, readonly number[], Uint8Array]> = [
  ['the reserved packet type 0', MALFORMED, hex('00 00')],
  ['CONNACK from a client', EITHER, hex('20 03 00 00 00')],
  ['SUBACK from a client', EITHER, hex('90 04 00 01 00 00')],
  ['UNSUBACK from a client', EITHER, hex('B0 04 00 01 00 00')],
  ['PINGRESP from a client', EITHER, hex('D0 00')],
  ['a second CONNECT', PROTOCOL, connect({ version: 5, clientId: 'x' })],
  ['AUTH where CONNECT named no method', PROTOCOL, auth(0x18, [[P.authenticationMethod, 'X']])],
  ['PINGREQ with flags', MALFORMED, hex('C1 00')],
  ['PINGREQ with a payload', MALFORMED, hex('C0 01 00')],
  ['a Remaining Length of five octets', MALFORMED, hex('30 80 80 80 80 01')],
  ['PUBLISH at QoS 3', MALFORMED, packet(0x36, text('a'), u16(1), none)],
  ['PUBLISH shorter than its Topic Name', MALFORMED, packet(0x30, u16(5), hex('61'))],
  ['PUBLISH without Topic Name', MALFORMED, hex('30 00')],
  ['PUBLISH without Property Length', MALFORMED, packet(0x30, text('a'))],
  ['PUBLISH at QoS 1 without Packet Identifier', MALFORMED, packet(0x32, text('a'))],
  ['PUBLISH with Packet Identifier 0', EITHER, packet(0x32, text('a'), u16(0), none)],
  ['a Property Length beyond the packet', MALFORMED, packet(0x30, text('a'), u8(9), hex('01 00'))],
  ['a property that is cut', MALFORMED, packet(0x30, text('a'), u8(3), hex('02 00 00'))],
  ['a property of no known kind', MALFORMED, packet(0x30, text('a'), u8(2), hex('7F 00'))],
  ['a property of another packet', EITHER, publish(5, { topic: 'a', properties: [[P.serverKeepAlive, 1]] })],
  [
    'a property that stands twice',
    PROTOCOL,
    publish(5, {
      topic: 'a',
      properties: [
        [P.contentType, 'a'],
        [P.contentType, 'b'],
      ],
    }),
  ],
  [
    'a Subscription Identifier from a publisher',
    PROTOCOL,
    publish(5, { topic: 'a', properties: [[P.subscriptionIdentifier, 1]] }),
  ],
  ['Topic Alias 0', [0x94], publish(5, { topic: 'a', properties: [[P.topicAlias, 0]] })],
  ['an unknown Topic Alias', PROTOCOL, publish(5, { topic: '', properties: [[P.topicAlias, 1]] })],
  ['PUBACK without Packet Identifier', MALFORMED, hex('40 00')],
  ['PUBACK with half a Packet Identifier', MALFORMED, hex('40 01 00')],
  ['PUBACK with Packet Identifier 0', EITHER, acknowledge('puback', 0)],
  ['PUBACK with a Server Reference', EITHER, acknowledge('puback', 1, 0, [[P.serverReference, 'a']])],
  [
    'PUBACK with two Reason Strings',
    PROTOCOL,
    acknowledge('puback', 1, 0, [
      [P.reasonString, 'a'],
      [P.reasonString, 'b'],
    ]),
  ],
  ['octets behind the properties of PUBACK', MALFORMED, packet(0x40, u16(1), u8(0), none, u8(0))],
  ['SUBSCRIBE with Packet Identifier 0', EITHER, subscribe(5, 0, [['a', 0]])],
  ['SUBSCRIBE asking QoS 3', EITHER, subscribe(5, 1, [['a', 0x03]])],
  ['SUBSCRIBE with Retain Handling 3', EITHER, subscribe(5, 1, [['a', 0x30]])],
  [
    'SUBSCRIBE with Subscription Identifier 0',
    PROTOCOL,
    subscribe(5, 1, [['a', 0]], [[P.subscriptionIdentifier, 0]]),
  ],
  [
    'SUBSCRIBE with two Subscription Identifiers',
    PROTOCOL,
    subscribe(
      5,
      1,
      [['a', 0]],
      [
        [P.subscriptionIdentifier, 1],
        [P.subscriptionIdentifier, 2],
      ],
    ),
  ],
  ['SUBSCRIBE cut within its filter', MALFORMED, hex('82 07 00 01 00 00 09 61 00')],
  ['UNSUBSCRIBE cut within its filter', MALFORMED, hex('A2 06 00 01 00 00 09 61')],
  ['DISCONNECT with octets behind its properties', MALFORMED, hex('E0 03 00 00 00')],
  [
    'a packet larger than the server takes',
    [0x95],
    publish(5, { topic: 'a', payload: Buffer.alloc(PACKET_BYTES_MAX) }),
  ],
];
for (const [what, codes, bytes] of violations) {
  test(`${what} closes that connection and no other, and the code says why [MQTT5-4.13.1-1]`, async () => {
    const topic = bench.unique();
    const bystander = await bench.client();
    await subscribed(bystander, [topic]);
    const client = await bench.client({ will: { topic, payload: 'will' } });
    client.send(bytes);
    await refused(client, codes);
    expect((await bystander.take('publish')).payload.toString()).toBe('will');
    await published(await bench.client(), { topic, payload: 'undisturbed' });
    expect((await bystander.take('publish')).payload.toString()).toBe('undisturbed');
  });
}

test('an error closes the connection but leaves the session, with what waits in it [MQTT5-4.13.1-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  first.send('00 00');
  await refused(first, MALFORMED);
  await published(await bench.client(), { topic, qos: 1, payload: 'waits' });
  const { client, connack } = await bench.connectKept(clientId);
  expect(connack.sessionPresent).toBe(true);
  expect((await client.take('publish')).payload.toString()).toBe('waits');
});

test('a failure in an acknowledgement closes nothing [MQTT5-4.13.1-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 2]]);
  for (const qos of [1, 2]) {
    await published(await bench.client(), { topic, qos, payload: 'x' });
    const { packetIdentifier } = await client.take('publish');
    client.send(acknowledge(qos === 1 ? 'puback' : 'pubrec', packetIdentifier, 0x80));
  }
  client.send(acknowledge('pubrel', 77, 0x92));
  expect((await client.fence()).map(({ type }) => type)).toEqual(['pubcomp']);
});

test('after a CONNACK or DISCONNECT of 0x80 and above the server closes, and also where it says nothing [MQTT5-4.13.2-1]', async () => {
  const refusing = await bench.open();
  refusing.send(connect({ version: 5, clientId: 'x', properties: [[P.receiveMaximum, 0]] }));
  await refused(refusing, EITHER);
  const silent = await bench.open();
  silent.send('C0 00');
  expect(await silent.closed()).toEqual([]);
  const taken = await bench.client({ clientId: bench.unique() });
  taken.send('C1 00');
  await refused(taken, MALFORMED);
});

test("after a client's DISCONNECT of 0x80 and above the server closes too [MQTT5-4.13.2-1]", async () => {
  for (const code of [0x80, 0x81, 0x82, 0x93]) {
    const client = await bench.client();
    client.send(disconnect(code));
    expect(await client.closed()).toEqual([]);
  }
});

test('what follows an error in the same piece is not processed [MQTT5-4.13.1-1]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client();
  client.send('C1 00', publish(5, { topic, payload: 'too late' }));
  await refused(client, MALFORMED);
  await published(await bench.client(), { topic, payload: 'in time' });
  expect((await watcher.take('publish')).payload.toString()).toBe('in time');
});
