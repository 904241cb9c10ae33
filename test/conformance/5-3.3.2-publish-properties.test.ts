/** MQTT 5.0, section 3.3.2: the Topic Name and the properties of PUBLISH; Message Expiry. */
import { expect, test } from 'vitest';
import { publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, settle, subscribed } from './support/flow.js';
import { type Given, P, propertiesOf, propertyOf } from './support/property.js';
import type { Published } from './support/read.js';
import { hex, INVALID_UTF8, text } from './support/wire.js';

const bench = usePeer5();

// Topic Name

test('Topic Name and payload arrive octet by octet as they were sent [MQTT5-3.3.2-1]', async () => {
  const topic = `${bench.unique()}/ é/日本/\u{1F600}//`;
  const payload = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
  const subscriber = await bench.client();
  await subscribed(subscriber, [topic]);
  await published(await bench.client(), { topic, payload });
  const message = await subscriber.take('publish');
  expect(message.bytes.includes(Buffer.concat([text(topic), hex('00'), payload]))).toBe(true);
});

for (const topic of ['a/#', 'a/+', '#', '+', '+/a', 'a+', 'a#b', '$SYS/#']) {
  test(`PUBLISH on '${topic}' closes the connection and goes to nobody [MQTT5-3.3.2-2]`, async () => {
    const watcher = await bench.client();
    const marker = bench.unique();
    await subscribed(watcher, ['#', 'a/#', marker]);
    const client = await bench.client();
    client.send(publish(5, { topic, payload: 'never', qos: 1, packetIdentifier: 1 }));
    await refused(client, [0x81, 0x82, 0x90]);
    const got = await before(watcher, await bench.client(), marker);
    expect(got.filter(({ payload }) => payload.toString() === 'never')).toEqual([]);
  });
}

test('a subscriber gets topics that match its filters and no others [MQTT5-3.3.2-3]', async () => {
  const prefix = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [`${prefix}/a/+`, `${prefix}/b/#`, `${prefix}/end`]);
  const publisher = await bench.client();
  for (const topic of ['a', 'a/1', 'a/1/2', 'b', 'b/1/2', 'c', 'ab/1', 'A/1']) {
    await published(publisher, { topic: `${prefix}/${topic}`, payload: 'x' });
  }
  const got = await before(subscriber, publisher, `${prefix}/end`);
  expect(got.map(({ topic }) => topic.slice(prefix.length + 1))).toEqual(['a/1', 'b', 'b/1/2']);
});

// Properties that pass through

const NAMES = ['b', 'a', 'b', '', 'ä', 'a', 'b'];
const USERS = NAMES.map((name, at) => [P.userProperty, [name, `${at}`]] as const);

/** Each property alone, then all of them: what goes in comes out. */
const passing: ReadonlyArray<readonly [string, readonly Given[]]> = [
  ['Payload Format Indicator 0 [MQTT5-3.3.2-4]', [[P.payloadFormatIndicator, 0]]],
  ['Payload Format Indicator 1 [MQTT5-3.3.2-4]', [[P.payloadFormatIndicator, 1]]],
  ['Response Topic [MQTT5-3.3.2-15]', [[P.responseTopic, 'answers/ä/here']]],
  ['Correlation Data [MQTT5-3.3.2-16]', [[P.correlationData, hex('00 FF 80 C0 80')]]],
  ['Correlation Data of no octets [MQTT5-3.3.2-16]', [[P.correlationData, hex('')]]],
  ['Content Type [MQTT5-3.3.2-20]', [[P.contentType, 'text/plain; charset=ä']]],
  ['a Content Type of no characters [MQTT5-3.3.2-20]', [[P.contentType, '']]],
  ['one User Property [MQTT5-3.3.2-17]', [[P.userProperty, ['name', 'value']]]],
  ['User Properties with repeated names, in their order [MQTT5-3.3.2-17] [MQTT5-3.3.2-18]', USERS],
  [
    'all of them [MQTT5-3.3.2-4] [MQTT5-3.3.2-15] [MQTT5-3.3.2-16] [MQTT5-3.3.2-17] [MQTT5-3.3.2-18] [MQTT5-3.3.2-20]',
    [
      ...USERS.slice(0, 3),
      [P.correlationData, hex('00')],
      [P.contentType, 'application/json'],
      ...USERS.slice(3),
      [P.responseTopic, 'answers'],
      [P.payloadFormatIndicator, 1],
    ],
  ],
];
for (const [what, properties] of passing) {
  test(`subscribers get ${what} as it was sent: live, from the queue, and retained`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const away = await bench.kept(clientId);
    await subscribed(away, [[topic, 1]]);
    await left(away);
    const live = await Promise.all([0, 1, 2].map(() => bench.client()));
    for (const [qos, client] of live.entries()) await subscribed(client, [[topic, qos]]);
    const old = await bench.client({ version: 4 });
    await subscribed(old, [[topic, 1]]);
    const payload = '{"text":"ä"}';
    await published(await bench.client(), { topic, qos: 2, retain: true, payload, properties });
    const later = await bench.client();
    await subscribed(later, [[topic, 1]]);
    const copies: Published[] = [];
    for (const client of [...live, await bench.kept(clientId), later]) copies.push(await delivered(client));
    for (const copy of copies) {
      expect(copy.payload.toString()).toBe(payload);
      // The order of different properties means nothing, that of User Properties does.
      expect(propertiesOf(copy, P.userProperty)).toEqual(
        properties.filter(([identifier]) => identifier === P.userProperty).map(([, value]) => value),
      );
      expect(inOrder(copy.properties)).toEqual(inOrder(properties));
    }
    expect(await delivered(old)).toMatchObject({ topic, payload: Buffer.from(payload), properties: [] });
  });
}

function inOrder(list: ReadonlyArray<readonly [number, unknown]>): unknown[] {
  return list.filter(([identifier]) => identifier !== P.userProperty).sort(([one], [two]) => one - two);
}

for (const [what, octets] of INVALID_UTF8) {
  test(`a Response Topic or Content Type with ${what} is malformed [MQTT5-3.3.2-13] [MQTT5-3.3.2-19]`, async () => {
    for (const identifier of [P.responseTopic, P.contentType]) {
      const client = await bench.client();
      client.send(publish(5, { topic: 'a', properties: [[identifier, octets]] }));
      await refused(client, [0x81]);
    }
  });
}

for (const responseTopic of ['answers/#', 'answers/+', '#', '+']) {
  test(`Response Topic '${responseTopic}' closes the connection and goes to nobody [MQTT5-3.3.2-14]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [topic]);
    const client = await bench.client();
    client.send(publish(5, { topic, properties: [[P.responseTopic, responseTopic]] }));
    await refused(client, [0x81, 0x82, 0x90]);
    expect(await before(watcher, await bench.client(), topic)).toEqual([]);
  });
}

test('Payload Format Indicator 2 closes the connection [MQTT5-4.13.1-1]', async () => {
  const client = await bench.client();
  client.send(publish(5, { topic: 'a', properties: [[P.payloadFormatIndicator, 2]] }));
  await refused(client, [0x81, 0x82]);
});

// Message Expiry

const expiring = (seconds: number): readonly Given[] => [[P.messageExpiryInterval, seconds]];

test('what expires while it waits is not delivered, and what it waited behind or before is [MQTT5-3.3.2-5]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  await left(first);
  const publisher = await bench.client();
  for (const [payload, seconds] of [
    ['short', 1],
    ['long', 3600],
    ['short too', 1],
  ] as const) {
    await published(publisher, { topic, qos: 2, payload, properties: expiring(seconds) });
  }
  await published(publisher, { topic, qos: 2, payload: 'for ever' });
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept', properties: expiring(1) });
  await bench.timePasses();
  const again = await bench.kept(clientId);
  const got = [await delivered(again), await delivered(again)];
  expect(got.map(({ payload }) => payload.toString())).toEqual(['long', 'for ever']);
  expect(got.map((message) => propertiesOf(message, P.messageExpiryInterval).length)).toEqual([1, 0]);
  // Nor is it retained any longer.
  await subscribed(again, [[topic, 1]]);
  expect(await before(again, publisher, topic, 1)).toEqual([]);
});

test('what expires while the window is full is not delivered [MQTT5-3.3.2-5]', async () => {
  const topic = bench.unique();
  const client = await bench.client({ properties: [[P.receiveMaximum, 1]] });
  await subscribed(client, [[topic, 1]]);
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'open', properties: expiring(1) });
  await published(publisher, { topic, qos: 1, payload: 'waits', properties: expiring(1) });
  await published(publisher, { topic, qos: 1, payload: 'last' });
  const open = await client.take('publish');
  await bench.timePasses();
  await settle(client, open);
  expect((await delivered(client)).payload.toString()).toBe('last');
});

test('a message under way is completed although it expires [MQTT5-3.3.2-5]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  await published(await bench.client(), { topic, qos: 1, payload: 'under way', properties: expiring(1) });
  const { packetIdentifier } = await first.take('publish');
  first.reset();
  await bench.timePasses();
  const again = await bench.kept(clientId);
  // It may be sent again or not, but its identifier is not taken by another.
  await published(await bench.client(), { topic, qos: 1, payload: 'next' });
  const got: Published[] = [];
  while (got.at(-1)?.payload.toString() !== 'next') got.push(await delivered(again));
  if (got.length > 1) expect(got[0]).toMatchObject({ packetIdentifier, dup: true });
});

test('Message Expiry Interval goes out less the time the message waited: live, queued and retained [MQTT5-3.3.2-6]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const away = await bench.kept(clientId);
  await subscribed(away, [[topic, 1]]);
  await left(away);
  const live = await bench.client();
  await subscribed(live, [[topic, 1]]);
  const publishedAtMs = performance.now();
  await published(await bench.client(), {
    topic,
    qos: 1,
    retain: true,
    payload: 'x',
    properties: expiring(60),
  });
  const left60 = (message: Published): number => Number(propertyOf(message, P.messageExpiryInterval));
  expect(left60(await delivered(live))).toBeGreaterThanOrEqual(59 - secondsSince(publishedAtMs));
  await bench.timePasses();
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  for (const client of [await bench.kept(clientId), later]) {
    const seconds = left60(await delivered(client));
    expect(seconds).toBeLessThanOrEqual(59);
    expect(seconds).toBeGreaterThanOrEqual(59 - secondsSince(publishedAtMs));
  }
});

function secondsSince(atMs: number): number {
  return Math.ceil((performance.now() - atMs) / 1000);
}

test('a message without Message Expiry Interval goes out without one [MQTT5-3.3.2-6]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  await published(await bench.client(), { topic });
  expect((await client.take('publish')).properties).toEqual([]);
});
