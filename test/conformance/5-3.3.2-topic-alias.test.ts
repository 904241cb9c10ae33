/** MQTT 5.0, section 3.3.2.3.4: Topic Aliases, in both directions. */
import { expect, test } from 'vitest';
import { publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, published, refused, subscribed } from './support/flow.js';
import { type Given, P, propertiesOf, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';

const bench = usePeer5();

interface Aliased {
  readonly client: RawClient;
  readonly maximum: number;
}

async function aliased(): Promise<Aliased> {
  const { client, connack } = await bench.connect();
  return { client, maximum: Number(propertyOf(connack, P.topicAliasMaximum) ?? 0) };
}

const alias = (value: number): readonly Given[] => [[P.topicAlias, value]];

test('every alias from 1 to the maximum in CONNACK is accepted, and stands for its topic alone [MQTT5-3.3.2-12]', async () => {
  const prefix = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[`${prefix}/#`, 0]]);
  const { client, maximum } = await aliased();
  const some = [...new Set([1, 2, Math.ceil(maximum / 2), maximum - 1, maximum])];
  const values = some.filter((value) => value >= 1 && value <= maximum);
  for (const value of values) {
    await published(client, { topic: `${prefix}/${value}`, payload: 'named', properties: alias(value) });
  }
  for (const value of values)
    await published(client, { topic: '', payload: 'aliased', properties: alias(value) });
  const got = await before(watcher, client, `${prefix}/end`);
  expect(got.map(({ topic, payload }) => `${topic} ${payload}`)).toEqual([
    ...values.map((value) => `${prefix}/${value} named`),
    ...values.map((value) => `${prefix}/${value} aliased`),
  ]);
});

test('an alias may be given to another topic, and its messages may have any QoS [MQTT5-3.3.2-12]', async () => {
  const prefix = bench.unique();
  const { client, maximum } = await aliased();
  if (maximum === 0) return expect(maximum).toBe(0);
  const watcher = await bench.client();
  await subscribed(watcher, [[`${prefix}/#`, 2]]);
  for (const name of ['first', 'second']) {
    await published(client, { topic: `${prefix}/${name}`, payload: '0', properties: alias(1) });
    for (const qos of [1, 2, 0]) {
      await published(client, { topic: '', qos, payload: `${qos}`, properties: alias(1) });
    }
  }
  const got: string[] = [];
  while (got.length < 8) {
    const message = await delivered(watcher);
    got.push(`${message.topic.slice(prefix.length + 1)} ${message.payload}`);
    expect(propertiesOf(message, P.topicAlias)).toEqual([]);
  }
  expect(got.sort()).toEqual(
    ['first', 'second'].flatMap((name) => ['0', '0', '1', '2'].map((qos) => `${name} ${qos}`)),
  );
});

test('a retained message that came under an alias is retained under its topic [MQTT5-3.3.2-12]', async () => {
  const topic = bench.unique();
  const { client, maximum } = await aliased();
  if (maximum > 0) await published(client, { topic, properties: alias(1) });
  await published(client, {
    topic: maximum > 0 ? '' : topic,
    qos: 1,
    retain: true,
    payload: 'kept',
    properties: maximum > 0 ? alias(1) : [],
  });
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  const message = await delivered(later);
  expect(message).toMatchObject({ topic, retain: true, payload: Buffer.from('kept') });
  expect(message.properties).toEqual([]);
});

test('an alias does not outlive its connection: on the next one it stands for nothing [MQTT5-3.3.2-7]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const kept = [P.sessionExpiryInterval, 3600] as const;
  const first = await bench.client({ clientId, properties: [kept] });
  first.send(publish(5, { topic, payload: 'mapped', properties: alias(1) }));
  // Where the server takes no alias at all the first connection is over here, and the rule is kept already.
  await first.fence().catch(() => first.closed());
  first.reset();
  const again = await bench.client({ clientId, clean: false, properties: [kept] });
  again.send(publish(5, { topic: '', payload: 'unknown', properties: alias(1) }));
  await refused(again, [0x82, 0x94]);
  const got = await before(watcher, await bench.client(), topic);
  expect(got.map(({ payload }) => payload.toString()).filter((payload) => payload !== 'mapped')).toEqual([]);
});

test('aliases of one client mean nothing in the connection of another [MQTT5-3.3.2-7]', async () => {
  const topic = bench.unique();
  const { client: one, maximum } = await aliased();
  if (maximum > 0) await published(one, { topic, properties: alias(1) });
  const { client: two } = await aliased();
  two.send(publish(5, { topic: '', payload: 'unknown', properties: alias(1) }));
  await refused(two, [0x82, 0x94]);
  expect(await one.fence()).toEqual([]);
});

test('the aliases of the server end with the connection: what is sent again has its full topic [MQTT5-3.3.2-7] [MQTT5-3.3.2-8]', async () => {
  const clientId = bench.unique();
  const topic = bench.unique('a/topic/long/enough/for/an/alias');
  const properties: readonly Given[] = [[P.topicAliasMaximum, 10]];
  const publisher = await bench.client();
  const first = await bench.kept(clientId, { properties });
  await subscribed(first, [[topic, 1]]);
  for (let count = 0; count < 5; count++) await published(publisher, { topic, qos: 1, payload: `${count}` });
  for (let count = 0; count < 5; count++) await first.take('publish');
  first.reset();
  const again = await bench.kept(clientId, { properties });
  let known: unknown;
  for (let count = 0; count < 5; count++) {
    const message = await delivered(again);
    const used = propertyOf(message, P.topicAlias);
    expect(used ?? 1).toBeGreaterThanOrEqual(1);
    if (message.topic === '') expect(used).toBe(known);
    else expect(message.topic).toBe(topic);
    known = used;
    expect(message.payload.toString()).toBe(`${count}`);
  }
});

test('Topic Alias 0 ends the connection, with 0x94 if anything [MQTT5-3.3.2-8]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const { client } = await aliased();
  client.send(publish(5, { topic, properties: alias(0) }));
  await refused(client, [0x94]);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('an alias above the maximum in CONNACK ends the connection, with 0x94 if anything [MQTT5-3.3.2-9]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const { maximum } = await aliased();
  for (const value of new Set([maximum + 1, 65_535])) {
    const { client } = await aliased();
    client.send(publish(5, { topic, properties: alias(value) }));
    await refused(client, [0x94]);
  }
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('an empty Topic Name without an alias, or with one not yet given, is a Protocol Error [MQTT5-3.3.2-1]', async () => {
  for (const properties of [[], alias(1)]) {
    const { client } = await aliased();
    client.send(publish(5, { topic: '', payload: 'x', properties }));
    await refused(client, [0x82, 0x90, 0x94]);
  }
});
