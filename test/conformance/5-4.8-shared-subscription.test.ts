/** MQTT 5.0, section 4.8: shared subscriptions, `$share/{ShareName}/{filter}`. */
import { expect, test } from 'vitest';
import { acknowledge, subscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, settle, subscribed } from './support/flow.js';
import { numbers, payloads } from './support/messages.js';
import { P, propertiesOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import type { Published } from './support/read.js';

const bench = usePeer5();

/** Clients in one group on one topic, each at its QoS; in a session that stays where it has a name. */
async function group(
  topic: string,
  members: readonly { readonly qos: number; readonly clientId?: string }[],
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const { qos, clientId } of members) {
    const client = clientId === undefined ? await bench.client() : await bench.kept(clientId);
    await subscribed(client, [
      [`$share/g/${topic}`, qos],
      [`${topic}/end`, 2],
    ]);
    clients.push(client);
  }
  return clients;
}

/** What each member was sent on the topic until now, unanswered. */
async function received(
  clients: readonly RawClient[],
  topic: string,
  qos: 0 | 2 = 2,
): Promise<Published[][]> {
  const publisher = await bench.client();
  const lists: Published[][] = [];
  for (const client of clients) {
    const upTo = await before(client, publisher, `${topic}/end`, qos);
    // Markers for other members come here too.
    const foreign = upTo.filter((message) => message.topic !== topic);
    for (const message of foreign) await settle(client, message);
    lists.push(upTo.filter((message) => message.topic === topic));
  }
  return lists;
}

/** The index of the one member that was chosen, and what it was sent. */
async function chosen(
  clients: readonly RawClient[],
  topic: string,
): Promise<{ readonly at: number; readonly message: Published }> {
  const lists = await received(clients, topic);
  expect(lists.flat()).toHaveLength(1);
  const at = lists.findIndex((list) => list.length === 1);
  return { at, message: lists[at]?.[0] as Published };
}

for (const filter of ['$share//a', '$share///a', '$share/', '$share']) {
  test(`a shared subscription has a ShareName: '${filter}' is refused [MQTT5-4.8.2-1]`, async () => {
    await expectRefused(filter);
  });
}
for (const filter of ['$share/g', '$share/g/', '$share/+/a', '$share/#/a', '$share/g+/a', '$share/a#b/a']) {
  test(`a ShareName has no wildcard, and a filter follows it: '${filter}' is refused [MQTT5-4.8.2-2]`, async () => {
    await expectRefused(filter);
  });
}

async function expectRefused(filter: string): Promise<void> {
  const client = await bench.client();
  client.send(subscribe(5, 1, [[filter, 0]]));
  const answer = await client.take('suback').catch(() => undefined);
  if (answer === undefined) await refused(client, [0x81, 0x82, 0x8f]);
  else expect(answer.codes).toEqual([0x8f]);
}

test('ShareNames are any text, and the filter may begin with a slash or a wildcard [MQTT5-4.8.2-1] [MQTT5-4.8.2-2]', async () => {
  const [client, publisher] = [await bench.client(), await bench.client()];
  const topic = bench.unique();
  for (const [share, filter, name] of [
    [' ', `${topic}/a`, `${topic}/a`],
    ['$share', `${topic}/b`, `${topic}/b`],
    ['grün', `/${topic}`, `/${topic}`],
    ['x', `+/${topic}/+`, `a/${topic}/b`],
    ['y', `${topic}/c/#`, `${topic}/c`],
  ] as const) {
    expect((await subscribed(client, [[`$share/${share}/${filter}`, 1]])).codes).toEqual([1]);
    await published(publisher, { topic: name, qos: 1, payload: share });
    expect(await delivered(client)).toMatchObject({ topic: name, payload: Buffer.from(share) });
  }
});

test('each message goes to one member of each group, and to every other subscriber [MQTT5-4.8.2-1]', async () => {
  const topic = bench.unique();
  const members = await group(topic, [{ qos: 0 }, { qos: 0 }, { qos: 0 }]);
  const [other, plain, publisher] = [await bench.client(), await bench.client(), await bench.client()];
  await subscribed(other, [`$share/other/${topic}`]);
  await subscribed(plain, [topic]);
  for (const payload of numbers(30)) await published(publisher, { topic, payload });
  const lists = await received(members, topic, 0);
  const all = lists.flatMap(payloads);
  expect(all.sort((a, b) => Number(a) - Number(b))).toEqual(numbers(30));
  for (const client of [other, plain]) {
    const got = await client.publishedUntil(({ payload }) => payload.toString() === '29');
    expect(payloads(got)).toEqual(numbers(30));
  }
});

test('a member that also subscribes by itself gets both copies [MQTT5-4.8.2-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [`$share/g/${topic}`], [[P.subscriptionIdentifier, 1]]);
  await subscribed(client, [topic], [[P.subscriptionIdentifier, 2]]);
  await published(publisher, { topic, payload: 'x' });
  const got = [await client.take('publish'), await client.take('publish')];
  const identifiers = got.flatMap((message) => propertiesOf(message, P.subscriptionIdentifier));
  expect(identifiers.sort()).toEqual([1, 2]);
});

test('retained messages do not come by shared subscriptions [MQTT5-4.8.2-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  for (const handling of [0x00, 0x10, 0x00]) {
    await subscribed(client, [
      [`$share/g/${topic}`, 1 | handling],
      [`${topic}/end`, 1],
    ]);
    expect(await before(client, publisher, `${topic}/end`, 1)).toEqual([]);
  }
});

test('subscribing again does not make a member count twice [MQTT5-4.8.2-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  for (let round = 0; round < 3; round++) await subscribed(client, [[`$share/g/${topic}`, 1]]);
  await subscribed(client, [[`${topic}/end`, 1]]);
  await published(publisher, { topic, qos: 1, payload: 'x' });
  expect(payloads(await before(client, publisher, `${topic}/end`, 1))).toEqual(['x']);
});

test('each member gets its messages at no more than its own QoS [MQTT5-4.8.2-3]', async () => {
  const topic = bench.unique();
  const granted = [0, 1, 2];
  const members = await group(
    topic,
    granted.map((qos) => ({ qos })),
  );
  const publisher = await bench.client();
  for (const payload of numbers(12)) await published(publisher, { topic, qos: 2, payload });
  const seen = await received(members, topic);
  expect(seen.flat()).toHaveLength(12);
  for (const [at, list] of seen.entries()) {
    for (const { qos } of list) expect(qos).toBe(granted[at]);
  }
  // Nobody was left out.
  expect(seen.every((list) => list.length > 0)).toBe(true);
});

for (const [what, answer] of [
  ['before its PUBREC', undefined],
  ['before its PUBCOMP', 'pubrec'],
] as const) {
  test(`a QoS 2 delivery whose member is lost ${what} is completed with that member alone [MQTT5-4.8.2-4]`, async () => {
    const topic = bench.unique();
    const ids = [bench.unique(), bench.unique()];
    const members = await group(
      topic,
      ids.map((clientId) => ({ qos: 2, clientId })),
    );
    await published(await bench.client(), { topic, qos: 2, payload: 'begun' });
    const { at, message } = await chosen(members, topic);
    const [member, other] = [members[at] as RawClient, members[1 - at] as RawClient];
    if (answer !== undefined) {
      member.send(acknowledge(answer, message.packetIdentifier));
      await member.take('pubrel');
    }
    member.reset();
    expect(await received([other], topic)).toEqual([[]]);
    const back = await bench.kept(ids[at] as string);
    if (answer === undefined) {
      const resent = await back.take('publish');
      expect(resent).toMatchObject({ dup: true, packetIdentifier: message.packetIdentifier });
      await settle(back, resent);
    } else {
      expect(await back.expect('pubrel')).toMatchObject({ packetIdentifier: message.packetIdentifier });
      back.send(acknowledge('pubcomp', message.packetIdentifier));
    }
    expect(await received([back, other], topic)).toEqual([[], []]);
  });
}

test('a QoS 2 delivery whose member ends its session goes to nobody else [MQTT5-4.8.2-5]', async () => {
  const topic = bench.unique();
  const members = await group(topic, [{ qos: 2 }, { qos: 2 }, { qos: 2 }]);
  await published(await bench.client(), { topic, qos: 2, payload: 'begun' });
  const { at } = await chosen(members, topic);
  await left(members[at] as RawClient);
  const others = members.filter((_, index) => index !== at);
  expect(await received(others, topic)).toEqual([[], []]);
});

test('a QoS 2 delivery whose member comes back with Clean Start 1 goes to nobody else [MQTT5-4.8.2-5]', async () => {
  const topic = bench.unique();
  const ids = [bench.unique(), bench.unique()];
  const members = await group(
    topic,
    ids.map((clientId) => ({ qos: 2, clientId })),
  );
  await published(await bench.client(), { topic, qos: 2, payload: 'begun' });
  const { at } = await chosen(members, topic);
  (members[at] as RawClient).reset();
  const fresh = await bench.client({ clientId: ids[at] as string });
  expect(await bench.arrived(fresh)).toEqual([]);
  expect(await received([members[1 - at] as RawClient], topic)).toEqual([[]]);
});

test('a QoS 1 delivery whose member ends its session goes on to another or is dropped, never to two [MQTT5-4.8.2-5]', async () => {
  const topic = bench.unique();
  const members = await group(topic, [{ qos: 1 }, { qos: 1 }, { qos: 1 }]);
  await published(await bench.client(), { topic, qos: 1, payload: 'begun' });
  const { at } = await chosen(members, topic);
  await left(members[at] as RawClient);
  const others = members.filter((_, index) => index !== at);
  expect((await received(others, topic)).flat().length).toBeLessThanOrEqual(1);
});

for (const [type, qos, code] of [
  ['puback', 1, 0x80],
  ['puback', 1, 0x97],
  ['pubrec', 2, 0x80],
  ['pubrec', 2, 0x97],
] as const) {
  test(`what a member refuses with ${type.toUpperCase()} 0x${code.toString(16)} goes to nobody else [MQTT5-4.8.2-6]`, async () => {
    const topic = bench.unique();
    const members = await group(topic, [{ qos: 2 }, { qos: 2 }, { qos: 2 }]);
    await published(await bench.client(), { topic, qos, payload: 'refused' });
    const { at, message } = await chosen(members, topic);
    const member = members[at] as RawClient;
    member.send(acknowledge(type, message.packetIdentifier, code));
    // The fence is for the refusal to be known before anything else happens.
    const markers = (await member.fence()).filter((packet) => packet.type === 'publish');
    expect(markers.filter((packet) => packet.topic === topic)).toEqual([]);
    expect(await received(members, topic)).toEqual([[], [], []]);
    await left(member);
    const others = members.filter((_, index) => index !== at);
    expect(await received(others, topic)).toEqual([[], []]);
  });
}

test('when the last member has gone nothing is kept for the group [MQTT5-4.8.2-5]', async () => {
  const topic = bench.unique();
  const [member] = (await group(topic, [{ qos: 1 }])) as [RawClient];
  await left(member);
  await published(await bench.client(), { topic, qos: 1, payload: 'unheard' });
  const [next] = (await group(topic, [{ qos: 1 }])) as [RawClient];
  expect(await received([next], topic)).toEqual([[]]);
});
