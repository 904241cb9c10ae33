/** MQTT 5.0, section 3.3.1: DUP, QoS and RETAIN of PUBLISH; retained messages. */
import { expect, test } from 'vitest';
import { acknowledge } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, settle, subscribed } from './support/flow.js';
import { packet, text, u8, u16 } from './support/wire.js';

const bench = usePeer5();

const RETAIN_AS_PUBLISHED = 0x08;
const retainHandling = (value: number): number => value << 4;

for (const qos of [1, 2] as const) {
  test(`a QoS ${qos} message sent again after a reconnect has DUP 1 and its old identifier [MQTT5-3.3.1-1]`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const first = await bench.kept(clientId);
    await subscribed(first, [[topic, 2]]);
    await published(await bench.client(), { topic, qos, payload: 'x' });
    const { dup, packetIdentifier } = await first.take('publish');
    expect(dup).toBe(false);
    first.reset();
    const again = await bench.kept(clientId);
    expect(await delivered(again)).toMatchObject({ dup: true, qos, packetIdentifier });
  });
}

test('a QoS 2 message that was received is not sent again, its PUBREL is [MQTT5-3.3.1-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2, payload: 'x' });
  const { packetIdentifier } = await first.take('publish');
  first.send(acknowledge('pubrec', packetIdentifier));
  await first.take('pubrel');
  first.reset();
  const again = await bench.kept(clientId);
  expect(await again.expect('pubrel')).toMatchObject({ packetIdentifier, code: 0 });
  again.send(acknowledge('pubcomp', packetIdentifier));
  expect(await again.fence()).toEqual([]);
});

test('QoS 0 messages have DUP 0, whatever the publisher did [MQTT5-3.3.1-2]', async () => {
  const topic = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 0]]);
  await published(await bench.client(), { topic, qos: 1, dup: true, payload: 'x' });
  expect(await subscriber.take('publish')).toMatchObject({ qos: 0, dup: false });
});

test('QoS 0 with DUP 1 goes to nobody with DUP 1 [MQTT5-3.3.1-2]', async () => {
  const topic = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 0]]);
  const client = await bench.client();
  // Refused or taken for QoS 0, as the server likes.
  client.send(packet(0x38, text(topic), u8(0), Buffer.from('x')), 'C0 00');
  await client.take('pingresp').catch(() => refused(client, [0x81, 0x82]));
  const got = await before(subscriber, await bench.client(), topic);
  expect(got.filter(({ dup }) => dup)).toEqual([]);
});

for (const qos of [1, 2]) {
  test(`DUP of a QoS ${qos} publisher does not reach the subscriber [MQTT5-3.3.1-3]`, async () => {
    const topic = bench.unique();
    const subscriber = await bench.client();
    await subscribed(subscriber, [[topic, 2]]);
    await published(await bench.client(), { topic, qos, dup: true, payload: 'x' });
    expect(await delivered(subscriber)).toMatchObject({ qos, dup: false });
  });
}

for (const firstOctet of [0x36, 0x37, 0x3e, 0x3f]) {
  test(`PUBLISH ${firstOctet.toString(16)} with QoS 3 is malformed and goes to nobody [MQTT5-3.3.1-4]`, async () => {
    const topic = bench.unique();
    const subscriber = await bench.client();
    await subscribed(subscriber, [topic]);
    const client = await bench.client();
    client.send(packet(firstOctet, text(topic), u16(1), u8(0)));
    await refused(client, [0x81]);
    expect(await before(subscriber, await bench.client(), topic)).toEqual([]);
  });
}

for (const qos of [0, 1, 2] as const) {
  test(`RETAIN 1 at QoS ${qos} replaces what was retained: later subscribers get the newest alone [MQTT5-3.3.1-5] [MQTT5-3.3.1-9]`, async () => {
    const topic = bench.unique();
    const publisher = await bench.client();
    for (const payload of ['old', 'older still', 'newest']) {
      await published(publisher, { topic, qos, retain: true, payload });
    }
    for (const granted of [0, 1, 2] as const) {
      const subscriber = await bench.client();
      await subscribed(subscriber, [[topic, granted]]);
      expect(await delivered(subscriber)).toMatchObject({
        topic,
        qos: Math.min(qos, granted),
        retain: true,
        dup: false,
        payload: Buffer.from('newest'),
      });
      expect(await subscriber.fence()).toEqual([]);
    }
  });

  test(`RETAIN 1 with no payload at QoS ${qos} is delivered and deletes the retained message [MQTT5-3.3.1-6] [MQTT5-3.3.1-7]`, async () => {
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

test('RETAIN 1 with no payload on a topic without retained message is delivered and not stored [MQTT5-3.3.1-7]', async () => {
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
  test(`RETAIN 0 with ${payload === '' ? 'no' : 'a'} payload leaves the retained message as it is [MQTT5-3.3.1-8]`, async () => {
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

test('RETAIN 0 on a topic without retained message stores nothing [MQTT5-3.3.1-8]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, payload: 'passing' });
  const later = await bench.client();
  await subscribed(later, [[topic, 1]]);
  expect(await before(later, publisher, topic, 1)).toEqual([]);
});

test('a new subscription with wildcards gets the retained message of every topic it matches [MQTT5-3.3.1-9]', async () => {
  const prefix = bench.unique();
  const publisher = await bench.client();
  for (const topic of ['a', 'b', 'b/c', 'd/e/f']) {
    await published(publisher, { topic: `${prefix}/${topic}`, qos: 1, retain: true, payload: 'kept' });
  }
  const got = async (filter: string): Promise<string[]> => {
    const subscriber = await bench.client();
    await subscribed(subscriber, [
      [filter, 1],
      [`${prefix}-end`, 1],
    ]);
    const messages = await before(subscriber, publisher, `${prefix}-end`, 1);
    expect(messages.every(({ retain, payload }) => retain && payload.toString() === 'kept')).toBe(true);
    return messages.map(({ topic }) => topic.slice(prefix.length + 1)).sort();
  };
  expect(await got(`${prefix}/#`)).toEqual(['a', 'b', 'b/c', 'd/e/f']);
  expect(await got(`${prefix}/+/c`)).toEqual(['b/c']);
  expect(await got('+/b/c')).toEqual(['b/c']);
});

/** Whether a retained message comes for a new subscription, and for the same once more. */
const handlings = [
  [0, true, true, '[MQTT5-3.3.1-9]'],
  [1, true, false, '[MQTT5-3.3.1-10]'],
  [2, false, false, '[MQTT5-3.3.1-11]'],
] as const;
for (const [handling, first, again, id] of handlings) {
  const says = (comes: boolean): string => (comes ? 'the retained message' : 'none');
  test(`with Retain Handling ${handling} a new subscription gets ${says(first)}, a repeated one ${says(again)} ${id}`, async () => {
    const topic = bench.unique();
    const publisher = await bench.client();
    await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
    const subscriber = await bench.client();
    for (const comes of [first, again, again]) {
      await subscribed(subscriber, [[topic, 1 | retainHandling(handling)]]);
      const got = await before(subscriber, publisher, topic, 1);
      for (const message of got) await settle(subscriber, message);
      expect(got.map(({ retain, payload }) => `${retain} ${payload}`)).toEqual(comes ? ['true kept'] : []);
    }
  });
}

test('with Retain Handling 1 a subscription that the resumed session already has gets none [MQTT5-3.3.1-10]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1 | retainHandling(1)]]);
  expect(await delivered(first)).toMatchObject({ retain: true });
  await left(first);
  const again = await bench.kept(clientId);
  await subscribed(again, [[topic, 1 | retainHandling(1)]]);
  expect(await before(again, publisher, topic, 1)).toEqual([]);
});

test('with Retain Handling 1 a filter that was unsubscribed is new again [MQTT5-3.3.1-10]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  await published(publisher, { topic, qos: 1, retain: true, payload: 'kept' });
  const client = await bench.client();
  for (let round = 0; round < 2; round++) {
    await subscribed(client, [[topic, 1 | retainHandling(1)]]);
    expect(await delivered(client)).toMatchObject({ retain: true });
    client.send(packet(0xa2, u16(1000 + round), u8(0), text(topic)));
    await client.take('unsuback');
  }
});

for (const qos of [0, 1, 2] as const) {
  test(`with Retain As Published 0 a QoS ${qos} message for an existing subscription has RETAIN 0 [MQTT5-3.3.1-12]`, async () => {
    const topic = bench.unique();
    const subscriber = await bench.client();
    await subscribed(subscriber, [[topic, 2]]);
    const publisher = await bench.client();
    for (const retain of [true, false]) {
      await published(publisher, { topic, qos, retain, payload: 'x' });
      expect((await delivered(subscriber)).retain).toBe(false);
    }
  });

  test(`with Retain As Published 1 a QoS ${qos} message has RETAIN as its publisher set it [MQTT5-3.3.1-13]`, async () => {
    const topic = bench.unique();
    const subscriber = await bench.client();
    await subscribed(subscriber, [[topic, 2 | RETAIN_AS_PUBLISHED]]);
    const publisher = await bench.client();
    for (const retain of [true, false]) {
      await published(publisher, { topic, qos, retain, payload: 'x' });
      expect((await delivered(subscriber)).retain).toBe(retain);
    }
  });
}

test('Retain As Published holds for messages from the queue too [MQTT5-3.3.1-12] [MQTT5-3.3.1-13]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.kept(clientId);
  await subscribed(first, [
    [`${topic}/0`, 1],
    [`${topic}/1`, 1 | RETAIN_AS_PUBLISHED],
  ]);
  await left(first);
  const publisher = await bench.client();
  for (const level of ['0', '1']) {
    for (const retain of [true, false]) {
      await published(publisher, { topic: `${topic}/${level}`, qos: 1, retain, payload: `${retain}` });
    }
  }
  const again = await bench.kept(clientId);
  const got: string[] = [];
  while (got.length < 4) {
    const message = await delivered(again);
    got.push(`${message.topic.slice(-1)}: ${message.payload} came as ${message.retain}`);
  }
  expect(got.sort()).toEqual([
    '0: false came as false',
    '0: true came as false',
    '1: false came as false',
    '1: true came as true',
  ]);
});

test('what is sent because of a subscription has RETAIN 1, whatever Retain As Published says [MQTT5-3.3.1-9]', async () => {
  const topic = bench.unique();
  await published(await bench.client(), { topic, qos: 1, retain: true, payload: 'kept' });
  for (const options of [1, 1 | RETAIN_AS_PUBLISHED]) {
    const subscriber = await bench.client();
    await subscribed(subscriber, [[topic, options]]);
    expect((await delivered(subscriber)).retain).toBe(true);
  }
});
