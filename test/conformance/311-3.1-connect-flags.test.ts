/** MQTT 3.1.1, sections 3.1.0 to 3.1.2: Protocol Name and Level, Connect Flags, Clean Session. */
import { expect, test } from 'vitest';
import { type Connect, connect, pingreq, publish, subscribe, unsubscribe } from './support/build.js';
import { before, delivered, dropped, left, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { packet, text, u16 } from './support/wire.js';

const bench = usePeer();

const notConnect: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['PUBLISH', publish(4, { topic: 'a', payload: 'x' })],
  ['SUBSCRIBE', subscribe(4, 1, [['a', 0]])],
  ['UNSUBSCRIBE', unsubscribe(4, 1, ['a'])],
  ['PINGREQ', pingreq()],
  ['DISCONNECT', packet(0xe0)],
  ['CONNACK', packet(0x20, u16(0))],
  ['the reserved type 0', packet(0x00)],
];
for (const [what, bytes] of notConnect) {
  test(`a connection that begins with ${what} is closed without an answer [MQTT311-3.1.0-1]`, async () => {
    const client = await bench.open();
    client.send(bytes);
    await refused(client);
    expect(client.bytesReceived).toBe(0);
    // The peer does serve those who begin with CONNECT.
    await bench.connect();
  });
}

test('a second CONNECT closes the connection, and the Will is published [MQTT311-3.1.0-2]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const clientId = bench.unique();
  const client = await bench.client({ clientId, will: { topic, payload: 'second CONNECT' } });
  client.send(connect({ clientId }));
  expect(await client.closed()).toEqual([]);
  expect((await watcher.take('publish')).payload.toString()).toBe('second CONNECT');
});

for (const protocolName of ['MQTX', 'mqtt', 'MQTTX', 'MQT', '', 'MQIsdp']) {
  test(`Protocol Name '${protocolName}' with level 4 is not served [MQTT311-3.1.2-1]`, async () => {
    const client = await bench.open();
    client.send(connect({ protocolName, clientId: bench.unique() }));
    const answers = await client.closed();
    expect(answers.filter((answer) => answer.type === 'connack' && answer.code === 0)).toEqual([]);
  });
}

for (const protocolLevel of [0, 1, 2, 3, 6, 127]) {
  test(`Protocol Level ${protocolLevel} is answered with return code 1 and closed [MQTT311-3.1.2-2]`, async () => {
    const client = await bench.open();
    client.send(connect({ protocolLevel, clientId: bench.unique() }));
    expect(await client.expect('connack')).toMatchObject({ sessionPresent: false, code: 1 });
    expect(await client.closed()).toEqual([]);
  });
}

const wrongFlags: ReadonlyArray<readonly [string, Connect]> = [
  ['the reserved bit [MQTT311-3.1.2-3]', { flags: 0x03 }],
  ['the reserved bit alone [MQTT311-3.1.2-3]', { flags: 0x01 }],
  ['Will QoS 1 without Will Flag [MQTT311-3.1.2-11] [MQTT311-3.1.2-13]', { flags: 0x0a }],
  ['Will QoS 2 without Will Flag [MQTT311-3.1.2-11] [MQTT311-3.1.2-13]', { flags: 0x12 }],
  [
    'Will QoS 3 [MQTT311-3.1.2-14]',
    { flags: 0x1e, payload: Buffer.concat([text('w3'), text('t'), text('p')]) },
  ],
  ['Will Retain without Will Flag [MQTT311-3.1.2-11] [MQTT311-3.1.2-15]', { flags: 0x22 }],
  ['Will Flag without Will Topic [MQTT311-3.1.2-9]', { flags: 0x06, payload: text('w1') }],
  [
    'Will Flag without Will Message [MQTT311-3.1.2-9]',
    { flags: 0x06, payload: Buffer.concat([text('w2'), text('t')]) },
  ],
  [
    'will fields without Will Flag [MQTT311-3.1.2-11]',
    { flags: 0x02, payload: Buffer.concat([text('w4'), text('t'), text('p')]) },
  ],
  [
    'a user name without its flag [MQTT311-3.1.2-18]',
    { flags: 0x02, payload: Buffer.concat([text('u1'), text('name')]) },
  ],
  ['User Name Flag without user name [MQTT311-3.1.2-19]', { flags: 0x82, payload: text('u2') }],
  [
    'a password without its flag [MQTT311-3.1.2-20]',
    { flags: 0x82, payload: Buffer.concat([text('u3'), text('name'), text('secret')]) },
  ],
  [
    'Password Flag without password [MQTT311-3.1.2-21]',
    { flags: 0xc2, payload: Buffer.concat([text('u4'), text('name')]) },
  ],
  [
    'Password Flag without User Name Flag [MQTT311-3.1.2-22]',
    { flags: 0x42, payload: Buffer.concat([text('u5'), text('secret')]) },
  ],
  ['an empty payload [MQTT311-3.1.3-3]', { payload: Buffer.alloc(0) }],
  ['a Client Identifier longer than the packet [MQTT311-3.1.3-3]', { payload: Buffer.of(0, 5, 0x61) }],
];
for (const [what, options] of wrongFlags) {
  test(`CONNECT with ${what} is closed without CONNACK [MQTT311-3.1.4-1] [MQTT311-3.2.2-6]`, async () => {
    const client = await bench.open();
    client.send(connect({ clientId: bench.unique(), ...options }));
    await refused(client);
    expect(client.bytesReceived).toBe(0);
  });
}

test('a session of Clean Session 0 goes on where it stopped [MQTT311-3.1.2-4] [MQTT311-4.1.0-1]', async () => {
  const clientId = bench.unique();
  const topic = bench.unique();
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await left(first);
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(true);
  await published(await bench.client(), { topic, qos: 1, payload: 'without a new SUBSCRIBE' });
  expect((await delivered(client)).payload.toString()).toBe('without a new SUBSCRIBE');
});

for (const ending of ['DISCONNECT', 'connection loss'] as const) {
  test(`QoS 1 and 2 messages wait, in order, for a client away after ${ending} [MQTT311-3.1.2-5] [MQTT311-4.5.0-1]`, async () => {
    const clientId = bench.unique();
    const topic = bench.unique();
    const first = await bench.client({ clientId, clean: false });
    await subscribed(first, [[topic, 2]]);
    if (ending === 'DISCONNECT') await left(first);
    else await dropped(first);
    const publisher = await bench.client();
    for (const [payload, qos] of [
      ['one', 1],
      ['two', 2],
      ['three', 1],
    ] as const) {
      await published(publisher, { topic, qos, payload });
    }
    const again = await bench.client({ clientId, clean: false });
    const got = [await delivered(again), await delivered(again), await delivered(again)];
    const byQos = (qos: number): string[] =>
      got.filter((message) => message.qos === qos).map(({ payload }) => payload.toString());
    expect(byQos(1)).toEqual(['one', 'three']);
    expect(byQos(2)).toEqual(['two']);
    expect(got.map(({ dup, retain }) => dup || retain)).toEqual([false, false, false]);
  });
}

test('Clean Session 1 drops the stored session: no state, no subscriptions, no queue [MQTT311-3.1.2-6]', async () => {
  const clientId = bench.unique();
  const topic = bench.unique();
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await left(first);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'queued' });
  const { client, connack } = await bench.connect({ clientId, clean: true });
  expect(connack.sessionPresent).toBe(false);
  await published(publisher, { topic, qos: 1, payload: 'live' });
  // Subscribing now and getting the marker first proves that neither came.
  await subscribed(client, [[topic, 1]]);
  expect(await before(client, publisher, topic, 1)).toEqual([]);
});

test('a session of Clean Session 1 ends with its connection and is never reused [MQTT311-3.1.2-6]', async () => {
  const clientId = bench.unique();
  const topic = bench.unique();
  const first = await bench.client({ clientId, clean: true });
  await subscribed(first, [[topic, 1]]);
  await dropped(first);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'nobody takes it' });
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(false);
  await subscribed(client, [[topic, 1]]);
  expect(await before(client, publisher, topic, 1)).toEqual([]);
});

test('retained messages outlive the session of their publisher [MQTT311-3.1.2.7]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  await left(publisher);
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 1]]);
  expect(await delivered(subscriber)).toMatchObject({ retain: true, payload: Buffer.from('kept') });
});
