/** MQTT 5.0, sections 3.1.3 and 3.1.4: Client Identifier, user name, and how CONNECT is answered. */
import { expect, test } from 'vitest';
import { connect, publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, settle, subscribed } from './support/flow.js';
import { type Given, P, propertyOf } from './support/property.js';
import { hex, packet, text } from './support/wire.js';

const bench = usePeer5();
const guarded = usePeer5({ guarded: true });

test('sessions are kept by Client Identifier: another one does not see the state [MQTT5-3.1.3-2]', async () => {
  const topic = bench.unique();
  const clientId = bench.unique('id');
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  await left(first);
  await published(await bench.client(), { topic, qos: 1, payload: 'mine' });
  for (const other of [`${clientId}x`, clientId.toUpperCase(), ` ${clientId}`]) {
    expect((await bench.connectKept(other)).connack.sessionPresent).toBe(false);
  }
  const { client, connack } = await bench.connectKept(clientId);
  expect(connack.sessionPresent).toBe(true);
  expect((await delivered(client)).payload.toString()).toBe('mine');
});

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const identifiers = ['0', 'z', ALPHABET.slice(0, 23), ALPHABET.slice(23, 46), ALPHABET.slice(39)];
for (const clientId of identifiers) {
  test(`Client Identifier ${clientId} is accepted, and none is assigned in its place [MQTT5-3.1.3-5] [MQTT5-3.1.4-5]`, async () => {
    const { client, connack } = await bench.connect({ clientId });
    expect(connack).toMatchObject({ code: 0, sessionPresent: false });
    expect(propertyOf(connack, P.assignedClientIdentifier)).toBeUndefined();
    const topic = bench.unique();
    await subscribed(client, [topic]);
    await published(client, { topic, payload: clientId });
    expect((await client.take('publish')).payload.toString()).toBe(clientId);
  });
}

test('an empty Client Identifier is exchanged for a unique one, which CONNACK tells [MQTT5-3.1.3-6] [MQTT5-3.1.3-7] [MQTT5-3.2.2-16]', async () => {
  const assigned = new Set<unknown>();
  for (const clean of [true, true, false]) {
    const { client, connack } = await bench.connect({ clientId: '', clean });
    expect(connack.sessionPresent).toBe(false);
    const clientId = propertyOf(connack, P.assignedClientIdentifier);
    expect(clientId).toMatch(/./);
    assigned.add(clientId);
    await client.fence();
  }
  expect(assigned.size).toBe(3);
});

test('a session with an assigned Client Identifier is found again under it [MQTT5-3.1.3-7] [MQTT5-3.2.2-16]', async () => {
  const topic = bench.unique();
  const { client: first, connack } = await bench.connectKept('');
  const assigned = String(propertyOf(connack, P.assignedClientIdentifier));
  await subscribed(first, [[topic, 1]]);
  await left(first);
  await published(await bench.client(), { topic, qos: 1, payload: 'for the assigned one' });
  // Assigned while the first one's session waits: it must be another one.
  const second = await bench.connectKept('');
  expect(second.connack.sessionPresent).toBe(false);
  expect(propertyOf(second.connack, P.assignedClientIdentifier)).not.toBe(assigned);
  const again = await bench.connectKept(assigned);
  expect(again.connack.sessionPresent).toBe(true);
  expect((await delivered(again.client)).payload.toString()).toBe('for the assigned one');
});

test('a Client Identifier of 65,535 octets is served, or refused with 0x85 [MQTT5-3.1.4-5]', async () => {
  const client = await bench.open();
  client.send(connect({ version: 5, clientId: 'x'.repeat(65_535) }));
  const connack = await client.expect('connack');
  expect([0x00, 0x85]).toContain(connack.code);
  if (connack.code === 0) expect(await client.fence()).toEqual([]);
  else expect(await client.closed()).toEqual([]);
});

test('a user name that is no UTF-8 is malformed [MQTT5-3.1.3-12] [MQTT5-3.1.4-1]', async () => {
  for (const userName of [hex('61 ED A0 80'), hex('61 00'), hex('C0 80')]) {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: bench.unique(), userName }));
    await refused(client, [0x81]);
  }
});

test('the fields of the payload are read in their order [MQTT5-3.1.3-1]', async () => {
  const watcher = await bench.client();
  const [topic, clientId] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const will = { topic, payload: 'Will Payload', properties: [[P.contentType, 'text/plain'] as const] };
  const client = await bench.open();
  client.send(
    connect({
      version: 5,
      clientId,
      clean: false,
      will,
      userName: 'anna',
      password: 'secret',
      properties: [[P.sessionExpiryInterval, 3600]],
    }),
  );
  expect((await client.expect('connack')).code).toBe(0);
  client.reset();
  const message = await watcher.take('publish');
  expect(message.payload.toString()).toBe('Will Payload');
  expect(message.properties).toEqual([[P.contentType, 'text/plain']]);
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(true);
});

const malformed: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['with octets behind its payload', packet(0x10, text('MQTT'), hex('05 02 00 00 00'), text('m'), hex('00'))],
  ['that ends after its flags', packet(0x10, text('MQTT'), hex('05 02'))],
  ['that ends within Keep Alive', packet(0x10, text('MQTT'), hex('05 02 00'))],
  ['without Property Length', packet(0x10, text('MQTT'), hex('05 02 00 00'))],
  ['whose Protocol Name is longer than the packet', packet(0x10, hex('00 44'), Buffer.from('MQTT'))],
];
for (const [what, bytes] of malformed) {
  test(`CONNECT ${what} is closed unserved [MQTT5-3.1.4-1]`, async () => {
    const client = await bench.open();
    client.send(bytes);
    await refused(client, [0x81, 0x82, 0x84]);
  });
}

test('who fails to authenticate gets no service: 0x86 or 0x87 if anything, and the end of the connection [MQTT5-3.1.4-2] [MQTT5-3.2.2-7]', async () => {
  const client = await guarded.open();
  client.send(connect({ version: 5, clientId: guarded.unique(), userName: 'anna', password: 'wrong' }));
  await refused(client, [0x86, 0x87]);
  // Others are served.
  expect(await (await guarded.client()).fence()).toEqual([]);
});

test('who fails to authenticate does not end the connection that owns the session, nor the session [MQTT5-3.1.4-2] [MQTT5-3.2.2-6]', async () => {
  const [clientId, topic] = [guarded.unique(), guarded.unique()];
  const owner = await guarded.kept(clientId);
  await subscribed(owner, [[topic, 1]]);
  for (const clean of [true, false]) {
    const client = await guarded.open();
    client.send(connect({ version: 5, clientId, clean, userName: 'anna', password: 'wrong' }));
    const [connack] = await client.closed();
    expect(connack ?? { sessionPresent: false }).toMatchObject({ sessionPresent: false });
  }
  await published(await guarded.client(), { topic, qos: 1, payload: 'still there' });
  expect((await delivered(owner)).payload.toString()).toBe('still there');
});

test('a Client Identifier that is online belongs to the newer connection; the older one gets 0x8E [MQTT5-3.1.4-3]', async () => {
  const watcher = await bench.client();
  const [topic, clientId] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const older = await bench.client({ clientId, will: { topic, payload: 'older' } });
  const newer = await bench.client({ clientId });
  expect(await older.closed()).toMatchObject([{ type: 'disconnect', code: 0x8e }]);
  expect((await watcher.take('publish')).payload.toString()).toBe('older');
  await subscribed(newer, [topic]);
  await published(newer, { topic, payload: 'works' });
  expect((await newer.take('publish')).payload.toString()).toBe('works');
});

test('the newer connection goes on with the session of the older one [MQTT5-3.1.4-3] [MQTT5-3.1.4-4] [MQTT5-3.1.2-5]', async () => {
  const [topic, clientId] = [bench.unique(), bench.unique()];
  const older = await bench.kept(clientId);
  await subscribed(older, [[topic, 1]]);
  await published(await bench.client(), { topic, qos: 1, payload: 'not acknowledged' });
  const { packetIdentifier } = await older.take('publish');
  const { client: newer, connack } = await bench.connectKept(clientId);
  expect(await older.closed()).toMatchObject([{ type: 'disconnect', code: 0x8e }]);
  expect(connack.sessionPresent).toBe(true);
  const again = await newer.take('publish');
  expect(again).toMatchObject({ packetIdentifier, dup: true, payload: Buffer.from('not acknowledged') });
  await settle(newer, again);
});

test('a newer connection with Clean Start 1 ends the session of the older one [MQTT5-3.1.4-4] [MQTT5-3.1.2-4]', async () => {
  const [topic, clientId] = [bench.unique(), bench.unique()];
  const older = await bench.kept(clientId);
  await subscribed(older, [[topic, 1]]);
  const { client: newer, connack } = await bench.connect({ clientId, clean: true });
  expect(await older.closed()).toMatchObject([{ type: 'disconnect', code: 0x8e }]);
  expect(connack.sessionPresent).toBe(false);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'no one subscribes' });
  await subscribed(newer, [[topic, 1]]);
  expect(await before(newer, publisher, topic, 1)).toEqual([]);
});

test('an older connection of 3.1.1 is closed without a word it could not read [MQTT5-3.1.4-3] [MQTT311-3.1.4-2]', async () => {
  const clientId = bench.unique();
  const older = await bench.client({ version: 4, clientId });
  const newer = await bench.client({ clientId });
  expect(await older.closed()).toEqual([]);
  expect(await newer.fence()).toEqual([]);
});

const rejectedFor = (properties: readonly Given[]): Buffer =>
  connect({ version: 5, clientId: 'rejected', properties });
const rejected: ReadonlyArray<readonly [string, (topic: string) => Uint8Array]> = [
  ['an unknown authentication method', () => rejectedFor([[P.authenticationMethod, 'X-UNKNOWN']])],
  ['Receive Maximum 0', () => rejectedFor([[P.receiveMaximum, 0]])],
  ['the reserved flag', () => connect({ version: 5, flags: 3, clientId: 'rejected' })],
  [
    'a Will Topic with a wildcard',
    (topic) => connect({ version: 5, clientId: 'rejected', will: { topic: `${topic}/#` } }),
  ],
];
for (const [what, bytes] of rejected) {
  test(`what was sent behind a CONNECT rejected for ${what} is not processed [MQTT5-3.1.4-6]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [topic]);
    const client = await bench.open();
    client.send(bytes(topic), publish(5, { topic, payload: 'never', qos: 1, packetIdentifier: 1 }));
    await refused(client);
    expect(await before(watcher, await bench.client(), topic)).toEqual([]);
  });
}

test('what was sent behind a CONNECT rejected for its password is not processed [MQTT5-3.1.4-6]', async () => {
  const topic = guarded.unique();
  const watcher = await guarded.client();
  await subscribed(watcher, [topic]);
  const client = await guarded.open();
  client.send(
    connect({ version: 5, clientId: guarded.unique(), userName: 'anna', password: 'wrong' }),
    publish(5, { topic, payload: 'never', qos: 1, packetIdentifier: 1 }),
  );
  await refused(client, [0x86, 0x87]);
  expect(await before(watcher, await guarded.client(), topic)).toEqual([]);
});

test('what was sent behind an accepted CONNECT without waiting is processed [MQTT5-3.1.4-5]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const client = await bench.open();
  client.send(connect({ version: 5, clientId: bench.unique() }), publish(5, { topic, payload: 'early' }));
  expect((await client.expect('connack')).code).toBe(0);
  expect((await watcher.take('publish')).payload.toString()).toBe('early');
});
