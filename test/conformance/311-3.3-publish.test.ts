/** MQTT 3.1.1, section 3.3: PUBLISH, its flags, retained messages, its answer. */
import { expect, test } from 'vitest';
import { publish } from './support/build.js';
import { before, delivered, left, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { packet, text, u16 } from './support/wire.js';

const bench = usePeer();

for (const qos of [1, 2] as const) {
  test(`a QoS ${qos} message sent again after a reconnect has DUP 1 and its old identifier [MQTT311-3.3.1-1]`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const first = await bench.client({ clientId, clean: false });
    await subscribed(first, [[topic, 2]]);
    await published(await bench.client(), { topic, qos, payload: 'x' });
    const before = await first.take('publish');
    expect(before.dup).toBe(false);
    first.reset();
    const again = await bench.client({ clientId, clean: false });
    const { packetIdentifier } = before;
    expect(await delivered(again)).toMatchObject({ dup: true, qos, packetIdentifier });
  });
}

test('QoS 0 messages have DUP 0, whatever the publisher did [MQTT311-3.3.1-2]', async () => {
  const topic = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 0]]);
  await published(await bench.client(), { topic, qos: 1, dup: true, payload: 'x' });
  expect(await subscriber.take('publish')).toMatchObject({ qos: 0, dup: false });
});

for (const qos of [1, 2]) {
  test(`DUP of a QoS ${qos} publisher does not reach the subscriber [MQTT311-3.3.1-3]`, async () => {
    const topic = bench.unique();
    const subscriber = await bench.client();
    await subscribed(subscriber, [[topic, 2]]);
    await published(await bench.client(), { topic, qos, dup: true, payload: 'x' });
    expect(await delivered(subscriber)).toMatchObject({ qos, dup: false });
  });
}

for (const firstOctet of [0x36, 0x37, 0x3e, 0x3f]) {
  test(`PUBLISH ${firstOctet.toString(16)} with QoS 3 closes the connection unforwarded [MQTT311-3.3.1-4]`, async () => {
    const topic = bench.unique();
    const subscriber = await bench.client();
    await subscribed(subscriber, [topic]);
    const client = await bench.client();
    client.send(packet(firstOctet, text(topic), u16(1)));
    await refused(client);
    expect(await before(subscriber, await bench.client(), topic)).toEqual([]);
  });
}

for (const qos of [1, 2] as const) {
  for (const granted of [0, 1, 2] as const) {
    test(`a message retained at QoS ${qos} reaches a later QoS ${granted} subscriber at the lower of both [MQTT311-3.3.1-5] [MQTT311-3.3.1-6] [MQTT311-3.3.1-8]`, async () => {
      const topic = bench.unique();
      await published(await bench.client(), { topic, qos, retain: true, payload: 'kept' });
      const subscriber = await bench.client();
      await subscribed(subscriber, [[topic, granted]]);
      expect(await delivered(subscriber)).toMatchObject({
        topic,
        qos: Math.min(qos, granted),
        retain: true,
        dup: false,
        payload: Buffer.from('kept'),
      });
    });
  }
}

test('a new subscription with wildcards gets the newest retained message of every topic it matches [MQTT311-3.3.1-6]', async () => {
  const prefix = bench.unique();
  const publisher = await bench.client();
  for (const topic of ['a', 'b', 'b/c', 'd/e/f']) {
    await published(publisher, { topic: `${prefix}/${topic}`, qos: 1, retain: true, payload: 'old' });
    await published(publisher, { topic: `${prefix}/${topic}`, qos: 1, retain: true, payload: 'new' });
  }
  const subscriber = await bench.client();
  const got = async (filter: string): Promise<string[]> => {
    await subscribed(subscriber, [[filter, 1]]);
    const messages = await before(subscriber, publisher, `${prefix}/b/c`, 1);
    expect(messages.every(({ retain, payload }) => retain && payload.toString() === 'new')).toBe(true);
    return messages.map(({ topic }) => topic.slice(prefix.length + 1)).sort();
  };
  expect(await got(`${prefix}/#`)).toEqual(['a', 'b', 'b/c', 'd/e/f']);
  expect(await got(`${prefix}/+/c`)).toEqual(['b/c']);
  expect(await got(`+/b/c`)).toEqual(['b/c']);
});

test('a retained QoS 0 message replaces the one before; the old one never shows up again [MQTT311-3.3.1-7]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, retain: true, payload: 'old' });
  await published(publisher, { topic, qos: 0, retain: true, payload: 'new' });
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 1]]);
  const got = await before(subscriber, publisher, topic, 1);
  // It may be dropped, but not turned back.
  expect(got.map(({ payload }) => payload.toString()).filter((payload) => payload !== 'new')).toEqual([]);
});

test('messages sent because of a subscription have RETAIN 1, live ones RETAIN 0 [MQTT311-3.3.1-8] [MQTT311-3.3.1-9]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 1]]);
  expect(await delivered(subscriber)).toMatchObject({ retain: true });
  await published(publisher, { topic, qos: 1, retain: true, payload: 'live' });
  expect(await delivered(subscriber)).toMatchObject({ retain: false, payload: Buffer.from('live') });
});

test('a message queued for an established subscription has RETAIN 0 [MQTT311-3.3.1-9]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await left(first);
  await published(await bench.client(), { topic, qos: 1, retain: true, payload: 'queued' });
  const again = await bench.client({ clientId, clean: false });
  expect(await delivered(again)).toMatchObject({ retain: false, payload: Buffer.from('queued') });
});

for (const qos of [0, 1, 2] as const) {
  test(`RETAIN 1 with no payload at QoS ${qos} is delivered and erases the retained message [MQTT311-3.3.1-10] [MQTT311-3.3.1-11]`, async () => {
    const topic = bench.unique();
    const publisher = await bench.client();
    await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
    const live = await bench.client();
    await subscribed(live, [[topic, 2]]);
    expect(await delivered(live)).toMatchObject({ retain: true });
    await published(publisher, { topic, qos, retain: true });
    expect(await delivered(live)).toMatchObject({ qos, retain: false, payload: Buffer.alloc(0) });
    const later = await bench.client();
    await subscribed(later, [[topic, 1]]);
    expect(await before(later, publisher, topic, 1)).toEqual([]);
  });
}

test('RETAIN 1 with no payload on a topic without retained message is delivered and not stored [MQTT311-3.3.1-11]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  const live = await bench.client();
  await subscribed(live, [[topic, 1]]);
  await published(publisher, { topic, qos: 1, retain: true });
  expect((await delivered(live)).payload.length).toBe(0);
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  expect(await before(later, publisher, topic, 1)).toEqual([]);
});

for (const payload of ['other', '']) {
  test(`RETAIN 0 with ${payload === '' ? 'no' : 'a'} payload leaves the retained message as it is [MQTT311-3.3.1-12]`, async () => {
    const topic = bench.unique();
    const publisher = await bench.client();
    await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
    await published(publisher, { topic, qos: 1, payload });
    const later = await bench.client();
    await subscribed(later, [[topic, 1]]);
    const got = await before(later, publisher, topic, 1);
    expect(got.map((message) => message.payload.toString())).toEqual(['kept']);
  });
}

test('RETAIN 0 on a topic without retained message stores nothing [MQTT311-3.3.1-12]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'passing' });
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  expect(await before(later, publisher, topic, 1)).toEqual([]);
});

test('Topic Name and payload arrive octet by octet as they were sent [MQTT311-3.3.2-1]', async () => {
  const topic = `${bench.unique()}/ é/日本/\u{1F600}//`;
  const payload = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
  const subscriber = await bench.client();
  await subscribed(subscriber, [topic]);
  await published(await bench.client(), { topic, payload });
  const message = await subscriber.take('publish');
  expect(message.bytes.includes(Buffer.concat([text(topic), payload]))).toBe(true);
});

for (const topic of ['a/#', 'a/+', '#', '+', '+/a', 'a+', 'a#b', '$SYS/#']) {
  test(`PUBLISH on '${topic}' closes the connection unforwarded [MQTT311-3.3.2-2] [MQTT311-4.7.1-1]`, async () => {
    const watcher = await bench.client();
    await subscribed(watcher, [topic === '#' ? '#' : 'a/#', '+']);
    const marker = bench.unique();
    await subscribed(watcher, [marker]);
    await before(watcher, await bench.client(), marker);
    const client = await bench.client();
    client.send(publish(4, { topic, payload: 'x', qos: 1, packetIdentifier: 1 }));
    await refused(client);
    const got = await before(watcher, await bench.client(), marker);
    expect(got.filter(({ payload }) => payload.toString() === 'x')).toEqual([]);
  });
}

test('a subscriber gets topics that match its filters and no others [MQTT311-3.3.2-3]', async () => {
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

test('the answer follows QoS: none, PUBACK, PUBREC [MQTT311-3.3.4-1]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  client.send(publish(4, { topic, payload: '0' }));
  expect(await client.fence()).toEqual([]);
  client.send(publish(4, { topic, payload: '1', qos: 1, packetIdentifier: 7 }));
  expect(await client.expect('puback')).toMatchObject({ packetIdentifier: 7 });
  client.send(publish(4, { topic, payload: '2', qos: 2, packetIdentifier: 8 }));
  expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 8 });
  expect(await client.fence()).toEqual([]);
  client.send('62 02 00 08');
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 8 });
  const got = [await delivered(watcher), await delivered(watcher), await delivered(watcher)];
  expect(got.map(({ qos, payload }) => `${payload} at ${qos}`).sort()).toEqual([
    '0 at 0',
    '1 at 1',
    '2 at 2',
  ]);
});

test('a message that matches several filters comes at the highest of their QoS [MQTT311-3.3.5-1]', async () => {
  const prefix = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [
    [`${prefix}/#`, 0],
    [`${prefix}/+`, 2],
    [`${prefix}/a`, 1],
  ]);
  const publisher = await bench.client();
  await published(publisher, { topic: `${prefix}/a`, qos: 2, payload: 'x' });
  const got = await before(subscriber, publisher, `${prefix}/b`, 2);
  expect(Math.max(...got.map(({ qos }) => qos))).toBe(2);
});

test('$share is no keyword in 3.1.1: such a filter matches its own text alone [MQTT311-3.3.2-3]', async () => {
  const topic = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [`$share/g/${topic}`, `${topic}/end`]);
  const publisher = await bench.client();
  await published(publisher, { topic, payload: 'x' });
  expect(await before(subscriber, publisher, `${topic}/end`)).toEqual([]);
});
