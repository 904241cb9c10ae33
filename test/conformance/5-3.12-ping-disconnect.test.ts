/** MQTT 5.0, sections 3.12 to 3.14: PINGREQ and DISCONNECT. */
import { expect, test } from 'vitest';
import { acknowledge, connect, disconnect, publish, subscribe } from './support/build.js';
import { cramped, expectCramped } from './support/cramped.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, dropped, left, published, refused, subscribed } from './support/flow.js';
import { numbers } from './support/messages.js';
import { P } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import { packet, u8 } from './support/wire.js';

const bench = usePeer5({ maxInflight: 3 });

test('every PINGREQ is answered by PINGRESP, whatever else is under way [MQTT5-3.12.4-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  for (let count = 0; count < 3; count++) {
    client.send('C0 00');
    expect((await client.expect('pingresp')).bytes).toEqual(Buffer.of(0xd0, 0));
  }
  client.send('C0 00 C0 00', subscribe(5, 1, [[topic, 0]]), 'C0 00');
  const types = [];
  while (types.length < 4) types.push((await client.next()).type);
  expect(types.sort()).toEqual(['pingresp', 'pingresp', 'pingresp', 'suback']);
});

const beforeAcceptance: ReadonlyArray<readonly [string, Uint8Array | string]> = [
  ['PINGREQ', 'C0 00'],
  ['PUBLISH', publish(5, { topic: 'a', payload: 'x' })],
  ['DISCONNECT', 'E0 00'],
  ['AUTH', 'F0 00'],
  ['a malformed CONNECT', connect({ version: 5, clientId: 'x', flags: 0x03 })],
  ['CONNECT with an unknown level', connect({ version: 5, protocolLevel: 9, clientId: 'x' })],
  ['CONNECT with Receive Maximum 0', connect({ version: 5, properties: [[P.receiveMaximum, 0]] })],
  ['a Remaining Length of five octets', '10 80 80 80 80 01'],
];
for (const [what, bytes] of beforeAcceptance) {
  test(`what a server says against ${what} before it accepted anything is no DISCONNECT [MQTT5-3.14.0-1]`, async () => {
    const client = await bench.open();
    client.send(bytes);
    const said = await client.closed();
    // A refusing CONNACK may be of any version where the level is unknown; the reader knows none but 5.0.
    expect(said.map(({ type }) => type).filter((type) => type !== 'connack')).toEqual([]);
    expect(said.length).toBeLessThanOrEqual(1);
    // It is alive and well.
    await (await bench.client()).fence();
  });
}

for (const firstOctet of [0xe1, 0xe2, 0xe8]) {
  test(`DISCONNECT ${firstOctet.toString(16)} is answered by DISCONNECT 0x81, and the Will is published [MQTT5-3.14.1-1]`, async () => {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const client = await bench.client({ will: { topic, payload: 'will' } });
    client.send(packet(firstOctet));
    expect(await refused(client, [0x81])).toBe(0x81);
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
  });
}

/** Reasons for which a server disconnects, with the codes that fit. */
const endings: ReadonlyArray<
  readonly [string, readonly number[], (client: RawClient, clientId: string) => Promise<unknown>]
> = [
  ['a second CONNECT', [0x82], async (client) => client.send(connect({ version: 5, clientId: 'x' }))],
  ['a malformed packet', [0x81], async (client) => client.send('C1 00')],
  ['a take-over', [0x8e], (_client, clientId) => bench.client({ clientId })],
  [
    'a Topic Alias that is too high',
    [0x94],
    async (client) =>
      client.send(publish(5, { topic: 'a', payload: 'x', properties: [[P.topicAlias, 0xffff]] })),
  ],
  [
    'too much in flight',
    [0x93],
    async (client) => {
      for (const at of [1, 2, 3]) {
        client.send(publish(5, { topic: 'a', payload: 'x', qos: 2, packetIdentifier: at }));
        await client.take('pubrec');
      }
      client.send(publish(5, { topic: 'a', payload: 'x', qos: 2, packetIdentifier: 4 }));
    },
  ],
  ['a filter without options', [0x81, 0x82], async (client) => client.send('82 06 00 01 00 00 01 61')],
];
for (const [what, codes, provoke] of endings) {
  test(`after ${what} DISCONNECT names a reason, has no Session Expiry Interval, and ends the connection [MQTT5-3.14.2-1] [MQTT5-3.14.2-2] [MQTT5-3.14.4-2]`, async () => {
    const clientId = bench.unique();
    const { client } = await bench.connectKept(clientId);
    await provoke(client, clientId);
    const last = await client.take('disconnect');
    expect(codes).toContain(last.code);
    expect(last.properties.map(([identifier]) => identifier)).not.toContain(P.sessionExpiryInterval);
    expect(await client.closed()).toEqual([]);
  });

  test(`after ${what} a client that takes no long packets is told why in few octets, or not at all [MQTT5-3.14.2-3] [MQTT5-3.14.2-4]`, async () => {
    const clientId = bench.unique();
    const client = await cramped(bench, { clientId });
    await provoke(client, clientId);
    await refused(client, codes);
    expectCramped(client);
  });
}

test('nothing follows a DISCONNECT of the server, even in the middle of a stream [MQTT5-3.14.4-1] [MQTT5-3.14.4-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const client = await bench.client({ clientId });
  const publisher = await bench.client();
  await subscribed(client, [topic]);
  publisher.send(...numbers(200).map((payload) => publish(5, { topic, payload })));
  await client.take('publish');
  const other = bench.client({ clientId });
  publisher.send(...numbers(200).map((payload) => publish(5, { topic, payload })));
  await client.closed();
  await other;
  await publisher.fence();
  expect(client.received.at(-1)).toMatchObject({ type: 'disconnect', code: 0x8e });
  expect(client.received.filter(({ type }) => type === 'disconnect')).toHaveLength(1);
});

test('a client that is taken over after errors of its own is disconnected once [MQTT5-3.14.4-1]', async () => {
  const client = await bench.client();
  client.send('C1 00', 'C1 00', connect({ version: 5, clientId: 'x' }), 'C0 00');
  expect((await client.closed()).map(({ type }) => type)).toEqual(['disconnect']);
});

test('what a client sends after its DISCONNECT is ignored, and the server closes [MQTT5-3.14.4-1] [MQTT5-3.14.4-2]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client();
  client.send(
    publish(5, { topic, payload: 'before' }),
    disconnect(),
    publish(5, { topic, payload: 'after' }),
    'C0 00',
  );
  expect(await client.closed()).toEqual([]);
  const got = await before(watcher, await bench.client(), topic);
  expect(got.map(({ payload }) => payload.toString())).toEqual(['before']);
});

test('DISCONNECT 0x00 in each of its forms discards the Will [MQTT5-3.14.4-3]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const forms = [
    disconnect(),
    disconnect(0x00),
    disconnect(0x00, []),
    disconnect(0x00, [
      [P.reasonString, 'going home'],
      [P.userProperty, ['a', '1']],
    ]),
    disconnect(0x00, [[P.sessionExpiryInterval, 0]]),
  ];
  for (const form of forms) {
    const client = await bench.client({ will: { topic, payload: 'will' } });
    client.send(form);
    client.end();
    expect(await client.closed()).toEqual([]);
  }
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('DISCONNECT 0x00 discards the Will for good, also where the session goes on [MQTT5-3.14.4-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  await left(await bench.kept(clientId, { will: { topic, payload: 'will' } }));
  await dropped(await bench.kept(clientId));
  await bench.client({ clientId });
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

for (const code of [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]) {
  test(`DISCONNECT 0x${code.toString(16)} is allowed to a client, and publishes the Will [MQTT5-3.14.2-1] [MQTT5-3.14.4-3]`, async () => {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [[topic, 1]]);
    const client = await bench.client({ will: { topic, payload: 'will', qos: 1 } });
    await left(client, code);
    expect((await delivered(watcher)).payload.toString()).toBe('will');
  });
}

test("a client's DISCONNECT with a code that is none of its own is an error, and publishes the Will [MQTT5-3.14.2-1]", async () => {
  for (const code of [0x01, 0x87, 0x8b, 0x8e, 0xff]) {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const client = await bench.client({ will: { topic, payload: 'will' } });
    client.send(disconnect(code));
    await refused(client, [0x81, 0x82]);
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
  }
});

test('a session that ends with its connection is not revived by DISCONNECT: an error, and the Will is published [MQTT5-3.14.2-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client({ clientId, will: { topic, payload: 'will' } });
  client.send(disconnect(0x00, [[P.sessionExpiryInterval, 60]]));
  await refused(client, [0x82]);
  expect((await watcher.take('publish')).payload.toString()).toBe('will');
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
});

test('a Server Reference or a repeated property in DISCONNECT is an error, and publishes the Will [MQTT5-3.14.2-2]', async () => {
  const lists = [
    [[P.serverReference, 'elsewhere']],
    [
      [P.reasonString, 'a'],
      [P.reasonString, 'b'],
    ],
    [
      [P.sessionExpiryInterval, 1],
      [P.sessionExpiryInterval, 1],
    ],
  ] as const;
  for (const list of lists) {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const client = await bench.kept(bench.unique(), { will: { topic, payload: 'will' } });
    client.send(disconnect(0x00, list));
    await refused(client, [0x81, 0x82]);
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
  }
});

test('DISCONNECT of a client that still owes acknowledgements keeps them for the session [MQTT5-3.14.4-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'open' });
  const { packetIdentifier } = await first.take('publish');
  await left(first);
  const client = await bench.kept(clientId);
  expect(await client.take('publish')).toMatchObject({ packetIdentifier, dup: true });
  client.send(acknowledge('pubrec', packetIdentifier), packet(0xe0, u8(0)));
  await client.closed();
});
