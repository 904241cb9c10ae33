/** MQTT 5.0, sections 3.1.2.5 to 3.1.2.7 and 3.1.3.2: the Will, its delay and its properties. */
import { expect, test } from 'vitest';
import { connect, publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, dropped, left, published, refused, subscribed } from './support/flow.js';
import { type Given, P, propertiesOf, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import { hex } from './support/wire.js';

const bench = usePeer5();
const DELAYED: readonly Given[] = [[P.willDelayInterval, 1]];
const ENDS_WITH_CONNECTION: readonly Given[] = [[P.sessionExpiryInterval, 0]];

const endings: ReadonlyArray<readonly [string, (client: RawClient) => void]> = [
  ['a reset', (client) => client.reset()],
  ['an end of stream without DISCONNECT', (client) => client.end()],
  ['a malformed packet', (client) => client.send('C1 00')],
  ['a Protocol Error', (client) => client.send(publish(5, { topic: '' }))],
  ['DISCONNECT 0x04', (client) => client.send('E0 01 04')],
  ['DISCONNECT 0x80', (client) => client.send('E0 01 80')],
  [
    'an incomplete packet',
    (client) => {
      client.send('30 10 00 01');
      client.end();
    },
  ],
];
for (const [what, end] of endings) {
  test(`after ${what} the Will is published [MQTT5-3.1.2-7] [MQTT5-3.1.2-8]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [topic]);
    const client = await bench.client({ will: { topic, payload: 'gone' } });
    end(client);
    expect((await watcher.take('publish')).payload.toString()).toBe('gone');
  });
}

for (const qos of [0, 1, 2]) {
  test(`a Will goes out with its QoS ${qos}, topic and bytes [MQTT5-3.1.2-7] [MQTT5-3.1.2-9]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [[topic, 2]]);
    const payload = hex('00 FF FE 80');
    await dropped(await bench.client({ will: { topic, payload, qos } }));
    expect(await delivered(watcher)).toMatchObject({ topic, qos, retain: false, dup: false, payload });
  });
}

test('a Will of no bytes is published too [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  await dropped(await bench.client({ will: { topic } }));
  expect((await watcher.take('publish')).payload.length).toBe(0);
});

test('a Will is published once, and a later connection without one publishes nothing [MQTT5-3.1.2-10]', async () => {
  const watcher = await bench.client();
  const [clientId, topic] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  await dropped(await bench.kept(clientId, { will: { topic, payload: 'will' } }));
  expect((await watcher.take('publish')).payload.toString()).toBe('will');
  await dropped(await bench.kept(clientId));
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('DISCONNECT 0x00 erases the Will unpublished, and it does not come back with the session [MQTT5-3.1.2-8] [MQTT5-3.1.2-10]', async () => {
  const watcher = await bench.client();
  const [clientId, topic] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  await left(await bench.kept(clientId, { will: { topic, payload: 'will' } }));
  const publisher = await bench.client();
  expect(await before(watcher, publisher, topic)).toEqual([]);
  await dropped(await bench.kept(clientId));
  expect(await before(watcher, publisher, topic)).toEqual([]);
});

test('a resumed connection brings its own Will in place of the old one [MQTT5-3.1.2-7] [MQTT5-3.1.3-9]', async () => {
  const watcher = await bench.client();
  const [clientId, topic] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const old = { topic, payload: 'old', properties: [[P.willDelayInterval, 3600] as const] };
  await dropped(await bench.kept(clientId, { will: old }));
  await dropped(await bench.kept(clientId, { will: { topic, payload: 'new' } }));
  expect((await watcher.take('publish')).payload.toString()).toBe('new');
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('with Will Retain 0 the Will is not retained [MQTT5-3.1.2-14]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  await dropped(await bench.client({ will: { topic, payload: 'will' } }));
  expect((await watcher.take('publish')).retain).toBe(false);
  const later = await bench.client();
  await subscribed(later, [topic]);
  expect(await before(later, await bench.client(), topic)).toEqual([]);
});

test("with Will Retain 1 the Will becomes the topic's retained message [MQTT5-3.1.2-15]", async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [[topic, 1]]);
  const will = {
    topic,
    payload: 'will',
    qos: 1,
    retain: true,
    properties: [[P.contentType, 'text/plain'] as const],
  };
  await dropped(await bench.client({ will }));
  expect(await delivered(watcher)).toMatchObject({ retain: false, qos: 1 });
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  const kept = await delivered(later);
  expect(kept).toMatchObject({ retain: true, qos: 1, payload: Buffer.from('will') });
  expect(kept.properties).toEqual([[P.contentType, 'text/plain']]);
});

test('a retained Will of no bytes erases the retained message [MQTT5-3.1.2-15] [MQTT5-3.3.1-6]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, payload: 'kept', retain: true });
  await subscribed(watcher, [topic]);
  expect((await watcher.take('publish')).retain).toBe(true);
  await dropped(await bench.client({ will: { topic, retain: true } }));
  expect((await watcher.take('publish')).payload.length).toBe(0);
  const later = await bench.client();
  await subscribed(later, [topic]);
  expect(await before(later, publisher, topic)).toEqual([]);
});

test('the properties of the Will go out with it, User Properties in their order, Will Delay not [MQTT5-3.1.3-10] [MQTT5-3.1.2-9]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const names = ['b', 'a', 'b', '', 'c', 'a', 'b'];
  const users = names.map((name, at) => [P.userProperty, [name, `${at}`]] as const);
  const will = {
    topic,
    payload: '{}',
    properties: [
      ...users.slice(0, 3),
      [P.willDelayInterval, 0],
      [P.payloadFormatIndicator, 1],
      [P.messageExpiryInterval, 1000],
      [P.contentType, 'application/json'],
      [P.responseTopic, 'answers/here'],
      [P.correlationData, hex('00 FF 80')],
      ...users.slice(3),
    ] as Given[],
  };
  await dropped(await bench.client({ will }));
  const message = await watcher.take('publish');
  expect(propertiesOf(message, P.userProperty)).toEqual(names.map((name, at) => [name, `${at}`]));
  const others = message.properties.filter(([identifier]) => identifier !== P.userProperty);
  expect(new Map(others)).toEqual(
    new Map<number, unknown>([
      [P.payloadFormatIndicator, 1],
      // It counts from publication on.
      [P.messageExpiryInterval, 1000],
      [P.contentType, 'application/json'],
      [P.responseTopic, 'answers/here'],
      [P.correlationData, hex('00 FF 80')],
    ]),
  );
});

test('with a Will Delay Interval the Will goes out that long after the end of the connection [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const client = await bench.kept(bench.unique(), { will: { topic, payload: 'late', properties: DELAYED } });
  const droppedAtMs = performance.now();
  await dropped(client);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
  expect((await watcher.take('publish')).payload.toString()).toBe('late');
  // A loaded machine can only make this longer.
  expect(performance.now() - droppedAtMs).toBeGreaterThanOrEqual(1000);
});

test('a session that ends before its Will Delay is over publishes the Will at its end [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const [clientId, topic] = [bench.unique(), bench.unique()];
  await subscribed(watcher, [topic]);
  const will = { topic, payload: 'at the end', properties: [[P.willDelayInterval, 3600] as const] };
  const properties = [[P.sessionExpiryInterval, 1] as const];
  const client = await bench.client({ clientId, will, properties });
  await dropped(client);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
  expect((await watcher.take('publish')).payload.toString()).toBe('at the end');
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
});

test('without Session Expiry Interval a delayed Will goes out at once: the session is over [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const will = { topic, payload: 'at once', properties: [[P.willDelayInterval, 3600] as const] };
  await dropped(await bench.client({ will }));
  expect((await watcher.take('publish')).payload.toString()).toBe('at once');
});

test('DISCONNECT 0x04 with Session Expiry Interval 0 ends the session, so a delayed Will goes out at once [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const will = { topic, payload: 'at once', properties: [[P.willDelayInterval, 3600] as const] };
  await left(await bench.kept(bench.unique(), { will }), 0x04, ENDS_WITH_CONNECTION);
  expect((await watcher.take('publish')).payload.toString()).toBe('at once');
});

test('DISCONNECT that would keep a session that ends with its connection is none: the Will goes out [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const client = await bench.client({ will: { topic, payload: 'not taken back' } });
  client.send('E0 07 00 05 11 00 00 00 0A');
  await refused(client, [0x82]);
  expect((await watcher.take('publish')).payload.toString()).toBe('not taken back');
});

test('a client that is back on its session within the Will Delay has not died: no Will [MQTT5-3.1.3-9] [MQTT5-3.1.2-10]', async () => {
  const watcher = await bench.client();
  const [clientId, topic, later] = [bench.unique(), bench.unique(), bench.unique()];
  await subscribed(watcher, [topic, later]);
  await dropped(await bench.kept(clientId, { will: { topic, payload: 'never', properties: DELAYED } }));
  const { client, connack } = await bench.connectKept(clientId);
  expect(connack.sessionPresent).toBe(true);
  // A Will with the same delay, begun later, is the clock.
  const clock = { topic: later, payload: 'clock', properties: DELAYED };
  await dropped(await bench.kept(bench.unique(), { will: clock }));
  expect((await watcher.take('publish')).payload.toString()).toBe('clock');
  await dropped(client);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('a take-over that goes on with the session spares a delayed Will [MQTT5-3.1.3-9]', async () => {
  const watcher = await bench.client();
  const [clientId, topic, later] = [bench.unique(), bench.unique(), bench.unique()];
  await subscribed(watcher, [topic, later]);
  const older = await bench.kept(clientId, { will: { topic, payload: 'never', properties: DELAYED } });
  await bench.kept(clientId);
  await older.closed();
  const clock = { topic: later, payload: 'clock', properties: DELAYED };
  await dropped(await bench.kept(bench.unique(), { will: clock }));
  expect((await watcher.take('publish')).payload.toString()).toBe('clock');
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

const takeOvers = [
  ['without Will Delay the Will goes out', true, 3600, 0],
  ['of a session that ends with its connection sends the Will, whatever its delay', true, 0, 3600],
  ['with Clean Start 0 and no Will Delay sends the Will', false, 3600, 0],
] as const;
for (const [what, clean, expiry, delay] of takeOvers) {
  test(`a take-over ${what} [MQTT5-3.1.2-8] [MQTT5-3.1.4-3]`, async () => {
    const watcher = await bench.client();
    const [clientId, topic] = [bench.unique(), bench.unique()];
    await subscribed(watcher, [topic]);
    const older = await bench.client({
      clientId,
      properties: [[P.sessionExpiryInterval, expiry]],
      will: { topic, payload: 'taken over', properties: [[P.willDelayInterval, delay]] },
    });
    await bench.client({ clientId, clean, properties: [[P.sessionExpiryInterval, 3600]] });
    await older.closed();
    expect((await watcher.take('publish')).payload.toString()).toBe('taken over');
  });
}

test('the Will of a lost client reaches who was away, with its properties [MQTT5-3.1.2-8] [MQTT5-3.1.3-10]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const away = await bench.kept(clientId);
  await subscribed(away, [[topic, 1]]);
  await left(away);
  const user = [P.userProperty, ['name', 'value']] as const;
  await dropped(await bench.client({ will: { topic, payload: 'will', qos: 1, properties: [user] } }));
  const message = await delivered(await bench.kept(clientId));
  expect(message.payload.toString()).toBe('will');
  expect(propertyOf(message, P.userProperty)).toEqual(['name', 'value']);
});

for (const topic of ['a/#', 'a/+', '#', '']) {
  test(`Will Topic '${topic}' is refused [MQTT5-3.1.4-1]`, async () => {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: bench.unique(), will: { topic, payload: 'x' } }));
    await refused(client, [0x81, 0x82, 0x90]);
  });
}

test('a Will Topic that is no UTF-8 is malformed [MQTT5-3.1.3-11]', async () => {
  for (const topic of [hex('61 ED A0 80'), hex('61 00'), hex('C0 80')]) {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: bench.unique(), will: { topic } }));
    await refused(client, [0x81]);
  }
});
