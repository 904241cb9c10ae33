/** MQTT 3.1.1, sections 3.1.3 and 3.1.4: Client Identifier, user name, and how CONNECT is answered. */
import { expect, test } from 'vitest';
import { connect, publish } from './support/build.js';
import { before, delivered, left, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { hex } from './support/wire.js';

const bench = usePeer();

test('sessions are kept by Client Identifier: another one does not see the state [MQTT311-3.1.3-2]', async () => {
  const topic = bench.unique();
  const clientId = bench.unique('id');
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await left(first);
  await published(await bench.client(), { topic, qos: 1, payload: 'mine' });
  for (const other of [`${clientId}x`, clientId.toUpperCase(), ` ${clientId}`]) {
    expect((await bench.connect({ clientId: other, clean: false })).connack.sessionPresent).toBe(false);
  }
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(true);
  expect((await delivered(client)).payload.toString()).toBe('mine');
});

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const identifiers = ['0', 'z', ALPHABET.slice(0, 23), ALPHABET.slice(23, 46), ALPHABET.slice(39)];
for (const clientId of identifiers) {
  test(`Client Identifier ${clientId} is accepted [MQTT311-3.1.3-5] [MQTT311-3.1.4-4]`, async () => {
    const { client, connack } = await bench.connect({ clientId });
    expect(connack.bytes).toEqual(hex('20 02 00 00'));
    const topic = bench.unique();
    await subscribed(client, [topic]);
    client.send(publish(4, { topic, payload: clientId }));
    expect((await client.take('publish')).payload.toString()).toBe(clientId);
  });
}

test('clients with an empty Client Identifier are each served on their own [MQTT311-3.1.3-6]', async () => {
  const one = await bench.client({ clientId: '' });
  const two = await bench.client({ clientId: '' });
  const topic = bench.unique();
  await subscribed(one, [`${topic}/1`]);
  await subscribed(two, [`${topic}/2`]);
  const publisher = await bench.client();
  await published(publisher, { topic: `${topic}/1`, payload: 'for one' });
  await published(publisher, { topic: `${topic}/2`, payload: 'for two' });
  expect((await one.take('publish')).payload.toString()).toBe('for one');
  expect((await two.take('publish')).payload.toString()).toBe('for two');
});

test('an empty Client Identifier with Clean Session 0 gets return code 2 [MQTT311-3.1.3-8] [MQTT311-3.1.3-7]', async () => {
  const client = await bench.open();
  client.send(connect({ clientId: '', clean: false }));
  expect((await client.expect('connack')).bytes).toEqual(hex('20 02 00 02'));
  expect(await client.closed()).toEqual([]);
});

test('a user name that is no UTF-8 closes the connection [MQTT311-3.1.3-11]', async () => {
  const client = await bench.open();
  client.send(connect({ clientId: bench.unique(), userName: hex('61 ED A0 80') }));
  await refused(client);
});

test('a password is Binary Data: FF FE is not malformed [MQTT311-3.1.3-11]', async () => {
  const client = await bench.open();
  client.send(connect({ clientId: bench.unique(), userName: 'anna', password: hex('FF FE 00') }));
  // Whether it is right is another matter, but the server has to say so.
  const connack = await client.expect('connack');
  expect([0, 4, 5]).toContain(connack.code);
  if (connack.code === 0) {
    const topic = bench.unique();
    await subscribed(client, [topic]);
    client.send(publish(4, { topic }));
    await client.take('publish');
  }
});

test('the fields of the payload are read in their order [MQTT311-3.1.3-1]', async () => {
  const watcher = await bench.client();
  const [topic, clientId] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const will = { topic, payload: 'Will Message' };
  const client = await bench.open();
  client.send(connect({ clientId, clean: false, will, userName: 'anna', password: 'secret' }));
  expect((await client.expect('connack')).code).toBe(0);
  client.reset();
  expect((await watcher.take('publish')).payload.toString()).toBe('Will Message');
  expect((await bench.connect({ clientId, clean: false })).connack.sessionPresent).toBe(true);
});

test('a Client Identifier that is online already belongs to the newer connection [MQTT311-3.1.4-2]', async () => {
  const watcher = await bench.client();
  const [topic, clientId] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const older = await bench.client({ clientId, will: { topic, payload: 'older' } });
  const newer = await bench.client({ clientId });
  expect(await older.closed()).toEqual([]);
  expect((await watcher.take('publish')).payload.toString()).toBe('older');
  await subscribed(newer, [topic]);
  newer.send(publish(4, { topic, payload: 'works' }));
  expect((await newer.take('publish')).payload.toString()).toBe('works');
});

test('the newer connection goes on with the session of the older one [MQTT311-3.1.4-2] [MQTT311-3.1.4-3] [MQTT311-4.1.0-2]', async () => {
  const [topic, clientId] = [bench.unique(), bench.unique()];
  const older = await bench.client({ clientId, clean: false });
  await subscribed(older, [[topic, 1]]);
  await published(await bench.client(), { topic, qos: 1, payload: 'not acknowledged' });
  const { packetIdentifier } = await older.take('publish');
  const { client: newer, connack } = await bench.connect({ clientId, clean: false });
  await older.closed();
  expect(connack.sessionPresent).toBe(true);
  expect(await delivered(newer)).toMatchObject({
    packetIdentifier,
    dup: true,
    payload: Buffer.from('not acknowledged'),
  });
});

test('a newer connection with Clean Session 1 ends the session of the older one [MQTT311-3.1.4-3]', async () => {
  const [topic, clientId] = [bench.unique(), bench.unique()];
  const older = await bench.client({ clientId, clean: false });
  await subscribed(older, [[topic, 1]]);
  const { client: newer, connack } = await bench.connect({ clientId, clean: true });
  await older.closed();
  expect(connack.sessionPresent).toBe(false);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'no one subscribes' });
  await subscribed(newer, [[topic, 1]]);
  expect(await before(newer, publisher, topic, 1)).toEqual([]);
});

const rejected: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['an unsupported level', connect({ protocolLevel: 6, clientId: 'rejected' })],
  ['an empty identifier and Clean Session 0', connect({ clientId: '', clean: false })],
  ['the reserved flag', connect({ flags: 3, clientId: 'rejected' })],
];
for (const [what, bytes] of rejected) {
  test(`what was sent behind a CONNECT rejected for ${what} is not processed [MQTT311-3.1.4-5]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [topic]);
    const client = await bench.open();
    client.send(bytes, publish(4, { topic, payload: 'never', qos: 1, packetIdentifier: 1 }));
    expect((await client.closed()).filter(({ type }) => type !== 'connack')).toEqual([]);
    expect(await before(watcher, await bench.client(), topic)).toEqual([]);
  });
}

test('what was sent behind an accepted CONNECT without waiting is processed [MQTT311-3.1.4-4]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const client = await bench.open();
  client.send(connect({ clientId: bench.unique() }), publish(4, { topic, payload: 'early' }));
  expect((await client.expect('connack')).code).toBe(0);
  expect((await watcher.take('publish')).payload.toString()).toBe('early');
});
