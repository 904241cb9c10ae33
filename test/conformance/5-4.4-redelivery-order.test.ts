/** MQTT 5.0, sections 4.4 to 4.6: sending again, who receives, order. */
import { expect, test } from 'vitest';
import { acknowledge, publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, settle, subscribed } from './support/flow.js';
import { numbers, payloads, take } from './support/messages.js';
import { P } from './support/property.js';
import type { Published } from './support/read.js';

const bench = usePeer5();

test('after a reconnect PUBREL and PUBLISH are sent again under their identifiers, then the queue [MQTT5-4.4.0-1] [MQTT5-4.6.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  for (const payload of numbers(10)) await published(publisher, { topic, qos: 1, payload });
  const open = await take(first, 10);
  // Acknowledged out of order, so that what is left has gaps.
  for (const at of [7, 0, 3]) await settle(first, open[at] as Published);
  await first.fence();
  first.reset();
  for (const payload of ['10', '11']) await published(publisher, { topic, qos: 1, payload });
  const again = await bench.kept(clientId);
  const resent = await take(again, 9);
  expect(payloads(resent)).toEqual(['1', '2', '4', '5', '6', '8', '9', '10', '11']);
  for (const message of resent.slice(0, 7)) {
    expect(message).toMatchObject({ dup: true });
    expect(message.packetIdentifier).toBe(open[Number(message.payload)]?.packetIdentifier);
  }
  // Whether the queue went out before the reset is noticed is the server's luck.
  expect(new Set(resent.map(({ packetIdentifier }) => packetIdentifier)).size).toBe(9);
});

test('PUBREL and PUBLISH that were both pending are both sent again [MQTT5-4.4.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  for (const payload of ['released', 'sent']) await published(publisher, { topic, qos: 2, payload });
  const [released, sent] = (await take(first, 2)) as [Published, Published];
  first.send(acknowledge('pubrec', released.packetIdentifier));
  await first.take('pubrel');
  first.reset();
  const again = await bench.kept(clientId);
  expect((await again.take('pubrel')).packetIdentifier).toBe(released.packetIdentifier);
  const resent = await again.take('publish');
  expect(resent).toMatchObject({ dup: true, packetIdentifier: sent.packetIdentifier });
  expect(await bench.arrived(again)).toEqual([]);
});

test('what is sent again keeps its properties, and its Topic Name in full [MQTT5-4.4.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), `${bench.unique()}/with/a/name/worth/an/alias`];
  const publisher = await bench.client();
  const aliases = { properties: [[P.topicAliasMaximum, 10]] as const };
  const first = await bench.kept(clientId, aliases);
  await subscribed(first, [[topic, 1]], [[P.subscriptionIdentifier, 7]]);
  const properties = [
    [P.contentType, 'text/plain'],
    [P.responseTopic, 'answer/here'],
    [P.correlationData, Buffer.from([1, 2])],
    [P.userProperty, ['a', '1']],
    [P.userProperty, ['a', '2']],
  ] as const;
  for (const payload of ['one', 'two']) await published(publisher, { topic, qos: 1, payload, properties });
  const sent = await take(first, 2);
  first.reset();
  const again = await bench.kept(clientId, aliases);
  const resent = await take(again, 2);
  expect(resent[0]?.topic).toBe(topic);
  const plain = ({ properties: list }: Published) =>
    list.filter(([identifier]) => identifier !== P.topicAlias).sort(([a], [b]) => a - b);
  expect(resent.map(plain)).toEqual(sent.map(plain));
  expect(plain(resent[0] as Published)).toHaveLength(6);
});

test('nothing is sent again on the same connection, however long the answer takes [MQTT5-4.4.0-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 2]]);
  for (const qos of [1, 2, 2]) await published(publisher, { topic, qos, payload: `${qos}` });
  const open = await take(client, 3);
  client.send(acknowledge('pubrec', (open[1] as Published).packetIdentifier));
  await client.take('pubrel');
  await bench.timePasses();
  await bench.timePasses();
  expect(await client.fence()).toEqual([]);
});

test('with Clean Start 1 nothing is sent again [MQTT5-4.4.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  for (const qos of [1, 2]) await published(await bench.client(), { topic, qos, payload: 'x' });
  await take(first, 2);
  first.reset();
  const { client, connack } = await bench.connect({ clientId, clean: true });
  expect(connack.sessionPresent).toBe(false);
  expect(await bench.arrived(client)).toEqual([]);
});

test('PUBACK or PUBREC with a failure settles a message for good [MQTT5-4.4.0-2]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  for (const code of [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]) {
    for (const qos of [1, 2]) {
      await published(publisher, { topic, qos, payload: 'x' });
      const { packetIdentifier } = await first.take('publish');
      first.send(acknowledge(qos === 1 ? 'puback' : 'pubrec', packetIdentifier, code));
    }
  }
  expect(await first.fence()).toEqual([]);
  first.reset();
  const again = await bench.kept(clientId);
  expect(await before(again, publisher, topic, 2)).toEqual([]);
});

test('a message goes to every matching session, online or not [MQTT5-4.5.0-1]', async () => {
  const topic = bench.unique();
  const away = [bench.unique(), bench.unique()];
  for (const clientId of away) {
    const client = await bench.kept(clientId);
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
    const client = await bench.kept(clientId);
    expect((await delivered(client)).payload.toString()).toBe('for all');
  }
  expect(await before(unconcerned, publisher, `${topic}x`, 1)).toEqual([]);
});

test('a client that gets what it did not ask for any more and acknowledges it disturbs nothing [MQTT5-4.5.0-2]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 1]]);
  client.send(acknowledge('puback', 0x7777), acknowledge('pubcomp', 0x7778));
  await published(await bench.client(), { topic, qos: 1, payload: 'goes on' });
  expect((await delivered(client)).payload.toString()).toBe('goes on');
});

for (const qos of [0, 1, 2] as const) {
  test(`numbered bursts at QoS ${qos} arrive in their order at several subscribers, by default [MQTT5-4.6.0-5] [MQTT5-4.6.0-6]`, async () => {
    const topic = bench.unique();
    const properties = [[P.receiveMaximum, 7]] as const;
    const watchers = [await bench.client(), await bench.client({ properties })];
    for (const watcher of watchers) await subscribed(watcher, [[topic, qos]]);
    const publisher = await bench.client();
    const burst = numbers(60).map((payload, at) =>
      publish(5, { topic, qos, payload, ...(qos === 0 ? {} : { packetIdentifier: at + 1 }) }),
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

test('messages that wait for the window and those that come meanwhile keep their order [MQTT5-4.6.0-5]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  await left(first);
  for (const payload of numbers(20)) await published(publisher, { topic, qos: 1, payload });
  const again = await bench.kept(clientId, { properties: [[P.receiveMaximum, 3]] });
  const got: string[] = [];
  for (const payload of numbers(40).slice(20)) {
    await published(publisher, { topic, qos: 1, payload });
    got.push((await delivered(again)).payload.toString());
  }
  while (got.length < 40) got.push((await delivered(again)).payload.toString());
  expect(got).toEqual(numbers(40));
});

test('the server acknowledges in the order of arrival, also when QoS 1 and 2 alternate [MQTT5-4.6.0-2] [MQTT5-4.6.0-3]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  client.send(
    ...numbers(20).map((at) =>
      publish(5, { topic, qos: 1 + (Number(at) % 2), packetIdentifier: 100 - Number(at), payload: at }),
    ),
  );
  const [acks, recs]: [number[], number[]] = [[], []];
  while (acks.length < 10) acks.push((await client.take('puback')).packetIdentifier);
  while (recs.length < 10) recs.push((await client.take('pubrec')).packetIdentifier);
  expect(acks).toEqual(Array.from({ length: 10 }, (_, at) => 100 - 2 * at));
  expect(recs).toEqual(Array.from({ length: 10 }, (_, at) => 99 - 2 * at));
  await watcher.take('publish');
});

test('the server sends PUBREL in the order of the PUBRECs [MQTT5-4.6.0-4]', async () => {
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
