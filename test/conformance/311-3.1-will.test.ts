/** MQTT 3.1.1, section 3.1.2.5 to 3.1.2.7: the Will. */
import { expect, test } from 'vitest';
import { connect } from './support/build.js';
import { before, delivered, dropped, left, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import type { RawClient } from './support/raw-client.js';
import { hex } from './support/wire.js';

const bench = usePeer();

const endings: ReadonlyArray<readonly [string, (client: RawClient) => void]> = [
  ['a reset', (client) => client.reset()],
  ['an end of stream without DISCONNECT', (client) => client.end()],
  ['a malformed packet', (client) => client.send('C1 00')],
  ['QoS 3', (client) => client.send('36 05 00 01 61 00 01')],
  [
    'an incomplete packet',
    (client) => {
      client.send('30 10 00 01');
      client.end();
    },
  ],
];
for (const [what, end] of endings) {
  test(`after ${what} the Will is published [MQTT311-3.1.2-8]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [topic]);
    const client = await bench.client({ will: { topic, payload: 'gone' } });
    end(client);
    expect((await watcher.take('publish')).payload.toString()).toBe('gone');
  });
}

for (const qos of [0, 1, 2]) {
  test(`a Will goes out with its QoS ${qos}, topic and bytes [MQTT311-3.1.2-8] [MQTT311-3.1.2-9]`, async () => {
    const watcher = await bench.client();
    const topic = bench.unique();
    await subscribed(watcher, [[topic, 2]]);
    const client = await bench.client({ will: { topic, payload: hex('00 FF FE 80'), qos } });
    await dropped(client);
    expect(await delivered(watcher)).toMatchObject({
      topic,
      qos,
      retain: false,
      dup: false,
      payload: hex('00 FF FE 80'),
    });
  });
}

test('a Will of no bytes is published too [MQTT311-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  await dropped(await bench.client({ will: { topic } }));
  expect((await watcher.take('publish')).payload.length).toBe(0);
});

test('a Will is published once, and a later connection without one publishes nothing [MQTT311-3.1.2-10] [MQTT311-3.1.2-12]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  const clientId = bench.unique();
  await subscribed(watcher, [topic]);
  await dropped(await bench.client({ clientId, clean: false, will: { topic, payload: 'will' } }));
  expect((await watcher.take('publish')).payload.toString()).toBe('will');
  await dropped(await bench.client({ clientId, clean: false }));
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('DISCONNECT erases the Will unpublished [MQTT311-3.1.2-8] [MQTT311-3.1.2-10] [MQTT311-3.14.4-3]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  const clientId = bench.unique();
  await subscribed(watcher, [topic]);
  await left(await bench.client({ clientId, clean: false, will: { topic, payload: 'will' } }));
  const publisher = await bench.client();
  expect(await before(watcher, publisher, topic)).toEqual([]);
  // It does not come back with the session either.
  await dropped(await bench.client({ clientId, clean: false }));
  expect(await before(watcher, publisher, topic)).toEqual([]);
});

test('without Will Flag a lost connection publishes nothing [MQTT311-3.1.2-12]', async () => {
  const watcher = await bench.client();
  const prefix = bench.unique();
  await subscribed(watcher, [`${prefix}/#`]);
  const client = await bench.client();
  await published(client, { topic: `${prefix}/alive`, payload: 'x' });
  await dropped(client);
  const got = await before(watcher, await bench.client(), `${prefix}/marker`);
  expect(got.map(({ topic }) => topic)).toEqual([`${prefix}/alive`]);
});

test('with Will Retain 0 the Will is not retained [MQTT311-3.1.2-16]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  await dropped(await bench.client({ will: { topic, payload: 'will' } }));
  expect((await watcher.take('publish')).retain).toBe(false);
  const later = await bench.client();
  await subscribed(later, [topic]);
  expect(await before(later, await bench.client(), topic)).toEqual([]);
});

test("with Will Retain 1 the Will becomes the topic's retained message [MQTT311-3.1.2-17]", async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [[topic, 1]]);
  await dropped(await bench.client({ will: { topic, payload: 'will', qos: 1, retain: true } }));
  expect(await delivered(watcher)).toMatchObject({ retain: false, qos: 1 });
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  expect(await delivered(later)).toMatchObject({ retain: true, qos: 1, payload: Buffer.from('will') });
});

test('a retained Will of no bytes erases the retained message [MQTT311-3.1.2-17] [MQTT311-3.3.1-10]', async () => {
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

for (const topic of ['a/#', 'a/+', '#', '']) {
  test(`Will Topic '${topic}' is refused [MQTT311-4.7.1-1] [MQTT311-4.7.3-1]`, async () => {
    const client = await bench.open();
    client.send(connect({ clientId: bench.unique(), will: { topic, payload: 'x' } }));
    const answers = await client.closed();
    expect(answers.filter((answer) => answer.type === 'connack' && answer.code === 0)).toEqual([]);
  });
}

test('a Will Topic that is no UTF-8 closes the connection [MQTT311-3.1.3-10]', async () => {
  const client = await bench.open();
  client.send(connect({ clientId: bench.unique(), will: { topic: hex('61 ED A0 80') } }));
  await refused(client);
});
