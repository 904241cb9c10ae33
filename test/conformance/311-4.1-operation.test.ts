/** MQTT 3.1.1, sections 4.1 to 4.6: session state, QoS flows, sending again, order. */
import { expect, test } from 'vitest';
import { acknowledge, publish } from './support/build.js';
import { before, delivered, left, published, settle, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import type { RawClient } from './support/raw-client.js';
import type { Published } from './support/read.js';

const bench = usePeer();

async function take(client: RawClient, count: number): Promise<Published[]> {
  const got: Published[] = [];
  while (got.length < count) got.push(await client.take('publish'));
  return got;
}

const payloads = (messages: readonly Published[]): string[] =>
  messages.map(({ payload }) => payload.toString());
const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`);

test('subscriptions, queue and open exchanges survive reconnect after reconnect [MQTT311-4.1.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  let client = await bench.client({ clientId, clean: false });
  await subscribed(client, [[topic, 2]]);
  await published(publisher, { topic, qos: 2, payload: 'open' });
  const { packetIdentifier } = await client.take('publish');
  for (let round = 0; round < 3; round++) {
    client.reset();
    const resumed = await bench.connect({ clientId, clean: false });
    client = resumed.client;
    expect(resumed.connack.sessionPresent).toBe(true);
    expect(await client.take('publish')).toMatchObject({ packetIdentifier, dup: true });
    await published(publisher, { topic, qos: 1, payload: 'acknowledged' });
    await settle(client, await client.take('publish', ({ qos }) => qos === 1));
    await client.fence();
  }
});

test('a half-received QoS 2 message survives a reconnect of its publisher [MQTT311-4.1.0-1] [MQTT311-4.3.3-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const first = await bench.client({ clientId, clean: false });
  const message = { topic, qos: 2, packetIdentifier: 5, payload: 'once' };
  first.send(publish(4, message));
  await first.expect('pubrec');
  first.reset();
  const again = await bench.client({ clientId, clean: false });
  again.send(publish(4, { ...message, dup: true }));
  expect(await again.expect('pubrec')).toMatchObject({ packetIdentifier: 5 });
  again.send(acknowledge('pubrel', 5));
  expect(await again.expect('pubcomp')).toMatchObject({ packetIdentifier: 5 });
  const got = await before(watcher, await bench.client(), topic, 2);
  expect(payloads(got)).toEqual(['once']);
});

test('a session lives at least as long as its connection, whatever happens on it [MQTT311-4.1.0-2]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 2]]);
  await published(publisher, { topic, qos: 2, payload: 'open' });
  const open = await client.take('publish');
  for (let count = 0; count < 20; count++) {
    await published(client, { topic: `${topic}/other`, qos: count % 3, payload: 'x' });
    await client.fence();
  }
  await settle(client, open);
  await published(publisher, { topic, qos: 1, payload: 'still subscribed' });
  expect((await delivered(client)).payload.toString()).toBe('still subscribed');
});

test('a QoS 0 message is sent once, at QoS 0, with DUP 0 [MQTT311-4.3.1-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 2]]);
  await published(publisher, { topic, payload: 'x' });
  const got = await before(client, publisher, topic, 0);
  expect(got.map(({ bytes }) => bytes[0])).toEqual([0x30]);
});

test('a QoS 1 message is pending until its PUBACK, and not after it [MQTT311-4.3.2-1] [MQTT311-4.4.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await published(publisher, { topic, qos: 1, payload: 'acknowledged' });
  await published(publisher, { topic, qos: 1, payload: 'pending' });
  const [one, two] = (await take(first, 2)) as [Published, Published];
  expect([one.dup, two.dup]).toEqual([false, false]);
  expect(one.packetIdentifier).not.toBe(two.packetIdentifier);
  await settle(first, one);
  await first.fence();
  first.reset();
  const again = await bench.client({ clientId, clean: false });
  const resent = await again.take('publish');
  expect(resent).toMatchObject({ dup: true, qos: 1, topic, packetIdentifier: two.packetIdentifier });
  expect(resent.payload.toString()).toBe('pending');
  await settle(again, resent);
  expect(await before(again, publisher, topic, 1)).toEqual([]);
});

test('after PUBACK the same identifier is a new message, whatever its DUP [MQTT311-4.3.2-2]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 1]]);
  const client = await bench.client();
  for (const [payload, dup] of [
    ['first', false],
    ['second', true],
    ['third', false],
  ] as const) {
    client.send(publish(4, { topic, qos: 1, packetIdentifier: 3, payload, dup }));
    expect(await client.expect('puback')).toMatchObject({ packetIdentifier: 3 });
  }
  expect(payloads(await take(watcher, 3))).toEqual(['first', 'second', 'third']);
});

test('a QoS 1 message that was acknowledged has been passed on also when its publisher vanishes [MQTT311-4.3.2-2] [MQTT311-4.5.0-1]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 1]]);
  const client = await bench.client();
  client.send(publish(4, { topic, qos: 1, packetIdentifier: 3, payload: 'owned' }));
  await client.expect('puback');
  client.reset();
  expect((await delivered(watcher)).payload.toString()).toBe('owned');
});

test('before PUBREC a QoS 2 message is sent again as PUBLISH [MQTT311-4.3.3-1] [MQTT311-4.4.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'x' });
  const { packetIdentifier, dup } = await first.take('publish');
  expect(dup).toBe(false);
  first.reset();
  const again = await bench.client({ clientId, clean: false });
  expect(await delivered(again)).toMatchObject({ packetIdentifier, dup: true, qos: 2 });
  expect(await again.fence()).toEqual([]);
});

test('after PUBREC only PUBREL is sent again, never PUBLISH [MQTT311-4.3.3-1] [MQTT311-4.4.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 2]]);
  await published(publisher, { topic, qos: 2, payload: 'x' });
  const { packetIdentifier } = await first.take('publish');
  first.send(acknowledge('pubrec', packetIdentifier));
  expect(await first.expect('pubrel')).toMatchObject({ packetIdentifier });
  for (let round = 0; round < 2; round++) {
    (round === 0 ? first : await bench.client({ clientId, clean: false })).reset();
    const again = await bench.client({ clientId, clean: false });
    expect(await again.expect('pubrel')).toMatchObject({ packetIdentifier });
    expect(await again.fence()).toEqual([]);
  }
  const last = await bench.client({ clientId, clean: false });
  await last.expect('pubrel');
  last.send(acknowledge('pubcomp', packetIdentifier));
  expect(await before(last, publisher, topic, 2)).toEqual([]);
  last.reset();
  const finished = await bench.client({ clientId, clean: false });
  expect(await before(finished, publisher, topic, 2)).toEqual([]);
});

test('until PUBREL the same identifier gets PUBREC again and no second delivery; after PUBCOMP it is new [MQTT311-4.3.3-2]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  const send = async (payload: string, dup: boolean): Promise<void> => {
    client.send(publish(4, { topic, qos: 2, packetIdentifier: 9, payload, dup }));
    expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 9 });
  };
  await send('first', false);
  await send('first', true);
  await send('first', true);
  client.send(acknowledge('pubrel', 9));
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 9 });
  await send('second', false);
  client.send(acknowledge('pubrel', 9));
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 9 });
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['first', 'second']);
});

test('PUBREL is answered by PUBCOMP again and again, also where nothing is known any more [MQTT311-4.3.3-2]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  client.send(publish(4, { topic, qos: 2, packetIdentifier: 9, payload: 'x' }));
  await client.expect('pubrec');
  for (let round = 0; round < 3; round++) {
    client.send(acknowledge('pubrel', 9));
    expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 9 });
  }
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['x']);
});

test('after a reconnect everything unacknowledged is sent again in its order, then the queue [MQTT311-4.4.0-1] [MQTT311-4.6.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 2]]);
  for (const payload of numbers(10)) await published(publisher, { topic, qos: 1, payload });
  const open = await take(first, 10);
  // Acknowledged out of order, so that what is left has gaps.
  for (const at of [7, 0, 3]) await settle(first, open[at] as Published);
  await first.fence();
  first.reset();
  for (const payload of ['10', '11']) await published(publisher, { topic, qos: 1, payload });
  const again = await bench.client({ clientId, clean: false });
  const resent = await take(again, 9);
  expect(payloads(resent)).toEqual(['1', '2', '4', '5', '6', '8', '9', '10', '11']);
  for (const message of resent.slice(0, 7)) {
    expect(message).toMatchObject({ dup: true });
    expect(message.packetIdentifier).toBe(open[Number(message.payload)]?.packetIdentifier);
  }
  // Whether the queue went out before the reset is noticed is the server's luck.
  expect(new Set(resent.map(({ packetIdentifier }) => packetIdentifier)).size).toBe(9);
});

test('a message goes to every matching session, online or not [MQTT311-4.5.0-1]', async () => {
  const topic = bench.unique();
  const away = [bench.unique(), bench.unique()];
  for (const clientId of away) {
    const client = await bench.client({ clientId, clean: false });
    await subscribed(client, [[`${topic}/+`, 1]]);
    await left(client);
  }
  const online = [await bench.client(), await bench.client()];
  for (const client of online) await subscribed(client, [[`${topic}/#`, 1]]);
  const unconcerned = await bench.client();
  await subscribed(unconcerned, [
    [bench.unique(), 1],
    [`${topic}x`, 1],
  ]);
  const publisher = await bench.client();
  await published(publisher, { topic: `${topic}/a`, qos: 1, payload: 'for all' });
  for (const client of online) expect((await delivered(client)).payload.toString()).toBe('for all');
  for (const clientId of away) {
    const client = await bench.client({ clientId, clean: false });
    expect((await delivered(client)).payload.toString()).toBe('for all');
  }
  expect(await before(unconcerned, publisher, `${topic}x`, 1)).toEqual([]);
});

for (const qos of [0, 1, 2] as const) {
  test(`numbered bursts at QoS ${qos} arrive in their order at several subscribers [MQTT311-4.6.0-5] [MQTT311-4.6.0-6]`, async () => {
    const topic = bench.unique();
    const watchers = [await bench.client(), await bench.client()];
    for (const watcher of watchers) await subscribed(watcher, [[topic, qos]]);
    const publisher = await bench.client();
    const burst = numbers(60).map((payload, at) =>
      publish(4, { topic, qos, payload, ...(qos === 0 ? {} : { packetIdentifier: at + 1 }) }),
    );
    publisher.send(...burst);
    for (const at of numbers(60)) {
      if (qos === 1) expect((await publisher.take('puback')).packetIdentifier).toBe(Number(at) + 1);
      if (qos === 2) expect((await publisher.take('pubrec')).packetIdentifier).toBe(Number(at) + 1);
    }
    if (qos === 2) {
      publisher.send(...numbers(60).map((at) => acknowledge('pubrel', Number(at) + 1)));
      for (const at of numbers(60)) {
        expect((await publisher.take('pubcomp')).packetIdentifier).toBe(Number(at) + 1);
      }
    }
    for (const watcher of watchers) {
      const got: string[] = [];
      while (got.length < 60) got.push((await delivered(watcher)).payload.toString());
      expect(got).toEqual(numbers(60));
    }
  });
}

test('the server acknowledges in the order of arrival, also when QoS 1 and 2 alternate [MQTT311-4.6.0-2] [MQTT311-4.6.0-3]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  client.send(
    ...numbers(20).map((at) =>
      publish(4, { topic, qos: 1 + (Number(at) % 2), packetIdentifier: 100 - Number(at), payload: at }),
    ),
  );
  const [acks, recs]: [number[], number[]] = [[], []];
  while (acks.length < 10) acks.push((await client.take('puback')).packetIdentifier);
  while (recs.length < 10) recs.push((await client.take('pubrec')).packetIdentifier);
  expect(acks).toEqual(Array.from({ length: 10 }, (_, at) => 100 - 2 * at));
  expect(recs).toEqual(Array.from({ length: 10 }, (_, at) => 99 - 2 * at));
  await watcher.take('publish');
});

test('the server sends PUBREL in the order of the PUBRECs [MQTT311-4.6.0-4]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 2]]);
  const publisher = await bench.client();
  for (const payload of numbers(8)) await published(publisher, { topic, qos: 2, payload });
  const order = [3, 0, 7, 1, 6, 2, 5, 4];
  const open = await take(client, 8);
  const identifiers = order.map((at) => (open[at] as Published).packetIdentifier);
  client.send(...identifiers.map((packetIdentifier) => acknowledge('pubrec', packetIdentifier)));
  const released: number[] = [];
  while (released.length < 8) released.push((await client.take('pubrel')).packetIdentifier);
  expect(released).toEqual(identifiers);
});

test('a client that gets what it did not ask for any more and acknowledges it disturbs nothing [MQTT311-4.5.0-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 1]]);
  client.send(acknowledge('puback', 0x7777), acknowledge('pubcomp', 0x7778));
  await published(await bench.client(), { topic, qos: 1, payload: 'goes on' });
  expect((await delivered(client)).payload.toString()).toBe('goes on');
});

test('a session outlives a restart of the server: subscriptions, queue, open exchanges [MQTT311-4.1.0-1]', async ({
  skip,
}) => {
  skip(!bench.peer.keepsSessions, 'this peer keeps sessions in memory only');
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'open' });
  const { packetIdentifier } = await first.take('publish');
  first.reset();
  await published(await bench.client(), { topic, qos: 1, payload: 'queued' });
  await bench.peer.restart();
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(true);
  expect(await delivered(client)).toMatchObject({ packetIdentifier, dup: true });
  expect((await delivered(client)).payload.toString()).toBe('queued');
  await published(await bench.client(), { topic, qos: 1, payload: 'live' });
  expect((await delivered(client)).payload.toString()).toBe('live');
});

test('retained messages outlive a restart of the server [MQTT311-3.1.2-7]', async () => {
  const topic = bench.unique();
  await published(await bench.client(), { topic, qos: 1, retain: true, payload: 'kept' });
  await bench.peer.restart();
  const client = await bench.client();
  await subscribed(client, [[topic, 1]]);
  expect(await delivered(client)).toMatchObject({ retain: true, qos: 1, payload: Buffer.from('kept') });
});
