/** MQTT 5.0, sections 3.1.0 to 3.1.2: Protocol Name and Version, Connect Flags, Clean Start. */
import { expect, test } from 'vitest';
import { type Connect, connect, pingreq, publish, subscribe, unsubscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, dropped, left, published, refused, settle, subscribed } from './support/flow.js';
import { P } from './support/property.js';
import { hex, packet, text, u16 } from './support/wire.js';

const bench = usePeer5();

const notConnect: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['PUBLISH', publish(5, { topic: 'a', payload: 'x' })],
  ['SUBSCRIBE', subscribe(5, 1, [['a', 0]])],
  ['UNSUBSCRIBE', unsubscribe(5, 1, ['a'])],
  ['PINGREQ', pingreq()],
  ['DISCONNECT', packet(0xe0)],
  ['AUTH', hex('F0 07 18 05 15 00 02 58 59')],
  ['CONNACK', packet(0x20, u16(0), hex('00'))],
  ['the reserved type 0', packet(0x00)],
];
for (const [what, bytes] of notConnect) {
  test(`a connection that begins with ${what} is closed without an answer [MQTT5-3.1.0-1]`, async () => {
    const client = await bench.open();
    client.send(bytes);
    await refused(client);
    expect(client.bytesReceived).toBe(0);
    // The peer does serve those who begin with CONNECT.
    await bench.connect();
  });
}

test('a second CONNECT is a Protocol Error: the connection is closed, its Will is published [MQTT5-3.1.0-2] [MQTT5-3.2.0-2]', async () => {
  const watcher = await bench.client();
  const [clientId, topic] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const client = await bench.client({ clientId, will: { topic, payload: 'second CONNECT' } });
  client.send(connect({ version: 5, clientId }));
  await refused(client, [0x82]);
  expect(client.received.filter(({ type }) => type === 'connack')).toHaveLength(1);
  expect((await watcher.take('publish')).payload.toString()).toBe('second CONNECT');
});

for (const protocolName of ['MQTX', 'mqtt', 'MQTTX', 'MQT', '', 'MQIsdp']) {
  test(`Protocol Name '${protocolName}' with version 5 is not served [MQTT5-3.1.2-1]`, async () => {
    const client = await bench.open();
    client.send(connect({ version: 5, protocolName, clientId: bench.unique() }));
    await refused(client, [0x84]);
  });
}

for (const protocolLevel of [0, 1, 2, 3, 6, 127, 255]) {
  test(`Protocol Version ${protocolLevel} is not served [MQTT5-3.1.2-2]`, async () => {
    const client = await bench.open();
    client.send(connect({ version: 5, protocolLevel, clientId: bench.unique() }));
    await refused(client, [0x84]);
  });
}

const none = hex('00');
const wrongFlags: ReadonlyArray<readonly [string, Connect]> = [
  ['the reserved bit [MQTT5-3.1.2-3]', { flags: 0x03 }],
  ['the reserved bit alone [MQTT5-3.1.2-3]', { flags: 0x01 }],
  ['Will QoS 1 without Will Flag [MQTT5-3.1.2-11]', { flags: 0x0a }],
  ['Will QoS 2 without Will Flag [MQTT5-3.1.2-11]', { flags: 0x12 }],
  [
    'Will QoS 3 [MQTT5-3.1.2-12]',
    { flags: 0x1e, payload: Buffer.concat([text('w3'), none, text('t'), text('p')]) },
  ],
  ['Will Retain without Will Flag [MQTT5-3.1.2-13]', { flags: 0x22 }],
  ['Will Flag and nothing of a Will [MQTT5-3.1.2-9]', { flags: 0x06, payload: text('w1') }],
  [
    'Will Flag without Will Topic [MQTT5-3.1.2-9]',
    { flags: 0x06, payload: Buffer.concat([text('w2'), none]) },
  ],
  [
    'Will Flag without Will Payload [MQTT5-3.1.2-9]',
    { flags: 0x06, payload: Buffer.concat([text('w3'), none, text('t')]) },
  ],
  [
    'a Will without Will Flag [MQTT5-3.1.2-9]',
    { flags: 0x02, payload: Buffer.concat([text('w4'), none, text('t'), text('p')]) },
  ],
  [
    'a user name without its flag [MQTT5-3.1.2-16]',
    { flags: 0x02, payload: Buffer.concat([text('u1'), text('name')]) },
  ],
  ['User Name Flag without user name [MQTT5-3.1.2-17]', { flags: 0x82, payload: text('u2') }],
  [
    'a password without its flag [MQTT5-3.1.2-18]',
    { flags: 0x82, payload: Buffer.concat([text('u3'), text('name'), text('secret')]) },
  ],
  [
    'Password Flag without password [MQTT5-3.1.2-19]',
    { flags: 0xc2, payload: Buffer.concat([text('u4'), text('name')]) },
  ],
  ['an empty payload [MQTT5-3.1.3-3]', { payload: Buffer.alloc(0) }],
  ['a Client Identifier longer than the packet [MQTT5-3.1.3-3]', { payload: Buffer.of(0, 5, 0x61) }],
];
for (const [what, options] of wrongFlags) {
  test(`CONNECT with ${what} is closed unserved [MQTT5-3.1.4-1]`, async () => {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: bench.unique(), ...options }));
    await refused(client, [0x81, 0x82]);
  });
}

test('a password without a user name is well-formed [MQTT5-3.1.2-19]', async () => {
  const client = await bench.open();
  client.send(connect({ version: 5, clientId: bench.unique(), password: hex('FF FE 00') }));
  // Whether it is right is another matter.
  const connack = await client.expect('connack');
  expect([0x00, 0x86, 0x87]).toContain(connack.code);
  if (connack.code !== 0) return;
  const topic = bench.unique();
  await subscribed(client, [topic]);
  await published(client, { topic });
  expect((await client.take('publish')).topic).toBe(topic);
});

test('Clean Start 1 discards the session: no state, no subscriptions, no queue [MQTT5-3.1.2-4] [MQTT5-3.2.2-2] [MQTT5-3.1.4-4]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  await left(first);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'queued' });
  const { client, connack } = await bench.connect({ clientId, clean: true });
  expect(connack).toMatchObject({ sessionPresent: false, code: 0 });
  await published(publisher, { topic, qos: 1, payload: 'live' });
  await subscribed(client, [[topic, 1]]);
  expect(await before(client, publisher, topic, 1)).toEqual([]);
});

test('Clean Start 1 also forgets what was in flight: the same QoS 2 identifier is a new message [MQTT5-3.1.2-4]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const first = await bench.kept(clientId);
  first.send(publish(5, { topic, payload: 'one', qos: 2, packetIdentifier: 9 }));
  await first.take('pubrec');
  first.reset();
  const again = await bench.client({ clientId, clean: true });
  again.send(publish(5, { topic, payload: 'two', qos: 2, packetIdentifier: 9 }));
  await again.take('pubrec');
  again.send('62 02 00 09');
  await again.take('pubcomp');
  // A server may pass a QoS 2 message on at once, or at PUBREL, which the first one never got.
  const [one, two] = [await delivered(watcher), await before(watcher, again, topic, 2)];
  expect([one, ...two].map(({ payload }) => payload.toString()).at(-1)).toBe('two');
});

for (const ending of ['DISCONNECT', 'connection loss'] as const) {
  test(`with Clean Start 0 the session goes on after ${ending}: subscriptions, queue, exchanges under way [MQTT5-3.1.2-5] [MQTT5-3.1.2-23] [MQTT5-3.2.2-3]`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const publisher = await bench.client();
    const first = await bench.kept(clientId);
    await subscribed(first, [[topic, 2]]);
    await published(publisher, { topic, qos: 1, payload: 'in flight' });
    const inFlight = await first.take('publish');
    if (ending === 'DISCONNECT') await left(first);
    else await dropped(first);
    await published(publisher, { topic, qos: 1, payload: 'queued at 1' });
    await published(publisher, { topic, qos: 2, payload: 'queued at 2' });
    const { client, connack } = await bench.connectKept(clientId);
    expect(connack).toMatchObject({ sessionPresent: true, code: 0 });
    const again = await client.take('publish');
    const { packetIdentifier } = inFlight;
    expect(again).toMatchObject({ packetIdentifier, dup: true, payload: Buffer.from('in flight') });
    await settle(client, again);
    const rest = [await delivered(client), await delivered(client)];
    expect(rest.map(({ payload }) => payload.toString()).sort()).toEqual(['queued at 1', 'queued at 2']);
    expect(rest.map(({ dup, retain }) => dup || retain)).toEqual([false, false]);
    await published(publisher, { topic, qos: 1, payload: 'without a new SUBSCRIBE' });
    expect((await delivered(client)).payload.toString()).toBe('without a new SUBSCRIBE');
  });
}

test('Clean Start 0 begins a session where there is none [MQTT5-3.1.2-6] [MQTT5-3.2.2-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const { client, connack } = await bench.connectKept(clientId);
  expect(connack).toMatchObject({ sessionPresent: false, code: 0 });
  await subscribed(client, [[topic, 1]]);
  expect(await before(client, await bench.client(), topic, 1)).toEqual([]);
  await left(client);
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(true);
});

test('Clean Start 0 after a session that ended with its connection begins a new one [MQTT5-3.1.2-6] [MQTT5-3.1.2-23]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  for (const properties of [[], [[P.sessionExpiryInterval, 0] as const]]) {
    const first = await bench.client({ clientId, clean: false, properties });
    await subscribed(first, [[topic, 1]]);
    await dropped(first);
    const { client, connack } = await bench.connectKept(clientId);
    expect(connack.sessionPresent).toBe(false);
    await left(client, 0, [[P.sessionExpiryInterval, 0]]);
  }
});
