/** MQTT 3.1.1, where the standard speaks of clients that are not authorised: CONNECT, PUBLISH, SUBSCRIBE. */
import { expect, test } from 'vitest';
import { connect, publish } from './support/build.js';
import { before, delivered, published, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';

const bench = usePeer({ guarded: true });

test('a client that may not connect gets return code 4 or 5, Session Present 0, and the end of the connection [MQTT311-3.2.2-4] [MQTT311-3.2.2-5]', async () => {
  const client = await bench.open();
  client.send(connect({ clientId: bench.unique(), clean: false, userName: 'anna', password: 'wrong' }));
  const connack = await client.expect('connack');
  expect([4, 5]).toContain(connack.code);
  expect(connack.sessionPresent).toBe(false);
  expect(await client.closed()).toEqual([]);
});

test('what an unauthorised client sent behind its CONNECT is not processed [MQTT311-3.1.4-5]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.open();
  client.send(
    connect({ clientId: bench.unique(), userName: 'anna', password: 'wrong' }),
    publish(4, { topic, payload: 'never', qos: 1, packetIdentifier: 1 }),
  );
  expect((await client.expect('connack')).code).not.toBe(0);
  expect(await client.closed()).toEqual([]);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('an unauthorised client that asks for a session in use does not end it [MQTT311-3.1.4-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const owner = await bench.client({ clientId, clean: false });
  await subscribed(owner, [topic]);
  const client = await bench.open();
  client.send(connect({ clientId, userName: 'anna', password: 'wrong' }));
  await client.closed();
  await published(await bench.client(), { topic, payload: 'still there' });
  expect((await delivered(owner)).payload.toString()).toBe('still there');
});

for (const qos of [0, 1, 2]) {
  test(`an unauthorised PUBLISH at QoS ${qos} is acknowledged as usual or closed, and forwarded to nobody [MQTT311-3.3.5-2]`, async () => {
    const marker = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, ['+/x', marker]);
    const client = await bench.client();
    const secret = { topic: 'forbidden/x', payload: 'x', retain: true, qos };
    await published(client, secret).catch(() => client.closed());
    const got = await before(watcher, await bench.client(), marker);
    expect(got).toEqual([]);
    const later = await bench.client();
    await subscribed(later, ['+/x', marker]);
    expect(await before(later, await bench.client(), marker)).toEqual([]);
  });
}

test('an unauthorised filter gets 0x80 in its place, and the others are granted [MQTT311-3.8.4-5] [MQTT311-3.9.3-1] [MQTT311-3.9.3-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  const suback = await subscribed(client, [
    [`${topic}/1`, 1],
    ['forbidden/x', 1],
    [`${topic}/2`, 2],
  ]);
  // A server may also grant it and deliver nothing.
  expect([0x80, 1]).toContain(suback.codes[1]);
  expect([suback.codes[0], suback.codes[2]]).toEqual([1, 2]);
  await published(await bench.client(), { topic: `${topic}/2`, qos: 2 });
  expect((await delivered(client)).topic).toBe(`${topic}/2`);
});
