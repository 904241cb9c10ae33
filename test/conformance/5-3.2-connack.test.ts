/** MQTT 5.0, section 3.2: CONNACK. */
import { expect, test } from 'vitest';
import { type Connect, connect, publish } from './support/build.js';
import { type Five, usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, subscribed } from './support/flow.js';
import { P, propertyOf } from './support/property.js';
import { hex } from './support/wire.js';

const bench = usePeer5();
const guarded = usePeer5({ guarded: true });
const plain = usePeer5({ maximumQos: 0, retainAvailable: false });
const modest = usePeer5({ maximumQos: 1 });

test('CONNACK comes first, also before a full queue [MQTT5-3.2.0-1] [MQTT5-3.2.0-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  await left(first);
  const publisher = await bench.client();
  for (let count = 0; count < 50; count++) await published(publisher, { topic, qos: 1, payload: `${count}` });
  const again = await bench.kept(clientId);
  for (let count = 0; count < 50; count++) {
    expect((await delivered(again)).payload.toString()).toBe(`${count}`);
  }
  expect(again.received.map(({ type }) => type)).toEqual(['connack', ...Array(50).fill('publish')]);
});

test('CONNACK comes before the answers to what was sent without waiting for it [MQTT5-3.2.0-1]', async () => {
  const client = await bench.open();
  client.send(
    connect({ version: 5, clientId: bench.unique() }),
    publish(5, { topic: bench.unique(), qos: 1, packetIdentifier: 1 }),
    'C0 00',
  );
  await client.take('pingresp');
  await client.take('puback');
  expect(client.received[0]).toMatchObject({ type: 'connack', code: 0 });
});

test('there is one CONNACK in a connection, whatever happens in it [MQTT5-3.2.0-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 2]]);
  for (const qos of [0, 1, 2]) {
    await published(client, { topic, qos });
    await delivered(client);
  }
  await client.fence();
  expect(client.received.filter(({ type }) => type === 'connack')).toHaveLength(1);
});

test('Session Present is the only flag, and it is right [MQTT5-3.2.2-1] [MQTT5-3.2.2-2] [MQTT5-3.2.2-3]', async () => {
  const clientId = bench.unique();
  const flags = async (clean: boolean): Promise<unknown> => {
    const options = { clientId, clean, properties: [[P.sessionExpiryInterval, 3600] as const] };
    const { client, connack } = await bench.connect(options);
    await left(client);
    // Behind the fixed header, which has two octets as long as CONNACK is shorter than 130.
    return [connack.bytes[2], connack.bytes[3]];
  };
  expect(await flags(false)).toEqual([0, 0]);
  expect(await flags(false)).toEqual([1, 0]);
  expect(await flags(true)).toEqual([0, 0]);
  expect(await flags(true)).toEqual([0, 0]);
  expect(await flags(false)).toEqual([1, 0]);
});

const refusals: ReadonlyArray<readonly [string, () => Five, Connect]> = [
  ['an unknown authentication method', () => bench, { properties: [[P.authenticationMethod, 'X-UNKNOWN']] }],
  ['a wrong password', () => guarded, { userName: 'anna', password: 'wrong' }],
  ['a Will Topic with a wildcard', () => bench, { will: { topic: 'a/+' } }],
  ['a malformed CONNECT', () => bench, { flags: 0x03 }],
  ['a Protocol Error in CONNECT', () => bench, { properties: [[P.receiveMaximum, 0]] }],
];
for (const [what, peer, options] of refusals) {
  test(`for ${what} a CONNACK, if any, has a code of its own, Session Present 0, and ends the connection, not the session [MQTT5-3.2.2-6] [MQTT5-3.2.2-7] [MQTT5-3.2.2-8]`, async () => {
    const clientId = peer().unique();
    await left(await peer().kept(clientId));
    const client = await peer().open();
    client.send(connect({ version: 5, clientId, clean: false, ...options }));
    await refused(client);
    for (const one of client.received) expect(one).toMatchObject({ type: 'connack', sessionPresent: false });
    expect((await peer().connectKept(clientId)).connack.sessionPresent).toBe(true);
  });
}

test('where Reason String and User Properties fit they may come, where they do not they stay away [MQTT5-3.2.2-19] [MQTT5-3.2.2-20]', async () => {
  for (const maximum of [10, 20, 40, 80]) {
    const client = await guarded.open();
    client.send(
      connect({
        version: 5,
        clientId: guarded.unique(),
        userName: 'anna',
        password: 'wrong',
        properties: [[P.maximumPacketSize, maximum]],
      }),
    );
    await refused(client, [0x86, 0x87]);
    for (const { bytes } of client.received) expect(bytes.length).toBeLessThanOrEqual(maximum);
  }
});

// A server that can do less says so

test('a server without QoS 2 says Maximum QoS 1, one without QoS 1 says 0, one with all of them says nothing [MQTT5-3.2.2-9]', async () => {
  for (const [peer, expected] of [
    [bench, undefined],
    [modest, 1],
    [plain, 0],
  ] as const) {
    const { client, connack } = await peer.connect();
    expect(propertyOf(connack, P.maximumQos)).toBe(expected);
    expect(await client.fence()).toEqual([]);
  }
});

for (const [maximum, peer] of [
  [0, () => plain],
  [1, () => modest],
] as const) {
  test(`with Maximum QoS ${maximum} a SUBSCRIBE for more is accepted and granted up to it [MQTT5-3.2.2-10]`, async () => {
    const topic = peer().unique();
    const client = await peer().client();
    const { codes } = await subscribed(client, [
      [`${topic}/0`, 0],
      [`${topic}/1`, 1],
      [`${topic}/2`, 2],
    ]);
    expect(codes).toHaveLength(3);
    expect(codes.every((code) => code <= 2)).toBe(true);
    const publisher = await peer().client();
    for (const level of [0, 1, 2]) {
      await published(publisher, { topic: `${topic}/${level}`, qos: maximum });
      expect((await delivered(client)).qos).toBe(Math.min(maximum, level));
    }
  });

  test(`with Maximum QoS ${maximum} a PUBLISH above it ends the connection, with 0x9B if anything [MQTT5-3.2.2-11]`, async () => {
    const client = await peer().client();
    client.send(publish(5, { topic: peer().unique(), qos: maximum + 1, packetIdentifier: 1 }));
    await refused(client, [0x9b]);
  });

  test(`with Maximum QoS ${maximum} a Will above it is refused, with 0x9B if anything [MQTT5-3.2.2-12]`, async () => {
    const watcher = await peer().client();
    const topic = peer().unique();
    await subscribed(watcher, [topic]);
    const client = await peer().open();
    const will = { topic, payload: 'never', qos: maximum + 1 };
    client.send(connect({ version: 5, clientId: peer().unique(), will }));
    await refused(client, [0x9b]);
    expect(await before(watcher, await peer().client(), topic)).toEqual([]);
  });
}

test('a server without retained messages says so, and refuses a Will to be retained, with 0x9A if anything [MQTT5-3.2.2-13]', async () => {
  const { client: watcher, connack } = await plain.connect();
  expect(propertyOf(connack, P.retainAvailable)).toBe(0);
  const topic = plain.unique();
  await subscribed(watcher, [topic]);
  const client = await plain.open();
  const will = { topic, payload: 'never', retain: true };
  client.send(connect({ version: 5, clientId: plain.unique(), will }));
  await refused(client, [0x9a]);
  expect(await before(watcher, await plain.client(), topic)).toEqual([]);
});

test('a server without retained messages ends a connection that publishes one, with 0x9A if anything [MQTT5-3.2.2-14]', async () => {
  const topic = plain.unique();
  const client = await plain.client();
  client.send(publish(5, { topic, payload: 'x', retain: true }));
  await refused(client, [0x9a]);
  const later = await plain.client();
  await subscribed(later, [topic]);
  expect(await before(later, await plain.client(), topic)).toEqual([]);
});

test('a server with retained messages says nothing of them, or Retain Available 1 [MQTT5-3.2.2-13]', async () => {
  const topic = bench.unique();
  const { client, connack } = await bench.connect({ will: { topic, payload: 'kept', retain: true } });
  expect(propertyOf(connack, P.retainAvailable) ?? 1).toBe(1);
  client.reset();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  expect((await watcher.take('publish')).payload.toString()).toBe('kept');
});

// What the client has to keep to

const limited = usePeer5({ maxPacketSize: 1024 });

test('the Maximum Packet Size of the server is told and holds: a larger packet ends the connection, with 0x95 if anything [MQTT5-3.2.2-15]', async () => {
  const topic = limited.unique();
  const watcher = await limited.client();
  await subscribed(watcher, [topic]);
  const { client, connack } = await limited.connect();
  const maximum = Number(propertyOf(connack, P.maximumPacketSize));
  expect(maximum).toBe(1024);
  const payload = Buffer.alloc(maximum - 1 - 2 - 2 - topic.length - 1, 'x');
  await published(client, { topic, payload });
  expect((await watcher.take('publish')).payload.length).toBe(payload.length);
  client.send(publish(5, { topic, payload: Buffer.concat([payload, hex('78')]) }));
  await refused(client, [0x95]);
  expect(await before(watcher, await limited.client(), topic)).toEqual([]);
});

test('a CONNECT larger than the server takes is refused, with 0x95 if anything [MQTT5-3.2.2-15]', async () => {
  const client = await limited.open();
  client.send(connect({ version: 5, clientId: limited.unique(), userName: 'x'.repeat(2000) }));
  await refused(client, [0x95]);
  expect(await (await limited.client()).fence()).toEqual([]);
});
