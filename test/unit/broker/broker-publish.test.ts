import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { QoS } from '../../../src/core/message.js';
import { type RunningBroker, startBroker } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

let running: RunningBroker;

beforeEach(async () => {
  running = await startBroker({ max_inflight: 10, max_retained: 3, max_packet_size: '64KiB' });
});
afterEach(() => running.stop());

const levels: readonly QoS[] = [0, 1, 2];
for (const version of [4, 5] as const) {
  for (const published of levels) {
    for (const granted of levels) {
      const lower = Math.min(published, granted);
      test(`version ${version}: published at ${published}, granted ${granted}: delivered at ${lower} [MQTT311-3.8.4-6] [MQTT5-3.8.4-8]`, async () => {
        const subscriber = await RawClient.connect(running.url, {
          clientId: 'sub',
          protocolVersion: version,
        });
        expect(await subscriber.subscribe('t', { qos: granted })).toEqual([granted]);
        const publisher = await RawClient.connect(running.url, { clientId: 'pub', protocolVersion: version });
        publisher.publish('t', 'x', { qos: published, packetIdentifier: 77 });
        if (published === 1) {
          expect(await publisher.next()).toMatchObject({ type: 'puback', packetIdentifier: 77 });
        }
        if (published === 2) {
          expect(await publisher.next()).toMatchObject({ type: 'pubrec', packetIdentifier: 77 });
          publisher.send({ type: 'pubrel', packetIdentifier: 77, reasonCode: 0 });
          expect(await publisher.next()).toMatchObject({ type: 'pubcomp', packetIdentifier: 77 });
        }
        const delivered = await subscriber.nextPublish();
        expect(delivered).toMatchObject({ topic: 't', qos: lower, dup: false, retain: false });
        const { packetIdentifier } = delivered;
        if (lower === 1)
          subscriber.send({ type: 'puback', packetIdentifier: packetIdentifier!, reasonCode: 0 });
        if (lower === 2) {
          subscriber.send({ type: 'pubrec', packetIdentifier: packetIdentifier!, reasonCode: 0 });
          expect(await subscriber.next()).toMatchObject({ type: 'pubrel', packetIdentifier });
          subscriber.send({ type: 'pubcomp', packetIdentifier: packetIdentifier!, reasonCode: 0 });
        }
        expect(await subscriber.settled()).toEqual([]);
      });
    }
  }
}

test('QoS 2 sent twice with one identifier is delivered once; after PUBCOMP it is a new message [MQTT5-4.3.3-10] [MQTT5-4.3.3-12]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
  await watcher.subscribe('t', { qos: 0 });
  client.publish('t', 'first', { qos: 2 });
  client.publish('t', 'first', { qos: 2, dup: true });
  client.send({ type: 'pubrel', packetIdentifier: 1, reasonCode: 0 });
  client.publish('t', 'second', { qos: 2 });
  expect((await client.settled()).map(({ type }) => type)).toEqual(['pubrec', 'pubrec', 'pubcomp', 'pubrec']);
  expect((await watcher.settled()).map(text)).toEqual(['first', 'second']);
});

test('PUBREL for an unknown identifier is answered with 0x92 [MQTT5-4.3.3-11]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.send({ type: 'pubrel', packetIdentifier: 5, reasonCode: 0 });
  expect(await client.next()).toMatchObject({ type: 'pubcomp', packetIdentifier: 5, reasonCode: 0x92 });
});

test('properties reach the subscriber unchanged and in order [MQTT5-3.3.2-4] [MQTT5-3.3.2-15] [MQTT5-3.3.2-16] [MQTT5-3.3.2-17] [MQTT5-3.3.2-18] [MQTT5-3.3.2-20]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('t', { qos: 0 });
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: 'answers/1',
    correlationData: Buffer.from([0, 255, 1]),
    userProperties: [
      ['b', '1'],
      ['a', '2'],
      ['b', '1'],
    ],
  } as const;
  client.publish('t', 'x', { properties });
  const { properties: delivered } = await client.nextPublish();
  expect({ ...delivered, correlationData: Buffer.from(delivered!.correlationData!) }).toEqual(properties);
});

test('a 3.1.1 subscriber gets the message without its properties', async () => {
  const subscriber = await RawClient.connect(running.url, { clientId: 'sub', protocolVersion: 4 });
  await subscriber.subscribe('t', { qos: 0 });
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('t', 'x', { properties: { contentType: 'text/plain' } });
  expect(text(await subscriber.nextPublish())).toBe('x');
});

test('Message Expiry counts down while a message waits, and at the end it is not sent [MQTT5-3.3.2-5] [MQTT5-3.3.2-6]', async () => {
  const properties = { sessionExpiryInterval: 1000 };
  const subscriber = await RawClient.connect(running.url, { clientId: 'sub', properties });
  await subscriber.subscribe('t');
  await subscriber.disconnect();
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('t', 'short', { qos: 1, properties: { messageExpiryInterval: 5 } });
  client.publish('t', 'long', { qos: 1, properties: { messageExpiryInterval: 60 } });
  await client.settled();
  running.clock.advance(20_000);
  const back = await RawClient.connect(running.url, { clientId: 'sub', cleanStart: false });
  const [delivered, ...rest] = await back.settled();
  expect(delivered).toMatchObject({ qos: 1, properties: { messageExpiryInterval: 40 } });
  expect(text(delivered!)).toBe('long');
  expect(rest).toEqual([]);
});

describe('topic aliases', () => {
  test('a client may use them up to the announced maximum, and they mean what was said last [MQTT5-3.3.2-12]', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    await client.subscribe('#', { qos: 0 });
    client.publish('a', '1', { properties: { topicAlias: 100 } });
    client.publish('', '2', { properties: { topicAlias: 100 } });
    client.publish('b', '3', { properties: { topicAlias: 100 } });
    client.publish('', '4', { properties: { topicAlias: 100 } });
    const delivered = await client.settled();
    expect(delivered.map((packet) => packet.type === 'publish' && packet.topic)).toEqual([
      'a',
      'a',
      'b',
      'b',
    ]);
    expect(delivered.some((packet) => packet.type === 'publish' && packet.properties?.topicAlias)).toBe(
      false,
    );
  });

  test.each([
    ['0', 'a', 0, 0x94],
    ['above the maximum', 'a', 101, 0x94],
    ['unknown with an empty topic', '', 3, 0x82],
  ])('alias %s closes the connection [MQTT5-3.3.2-8]', async (_what, topic, topicAlias, reasonCode) => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    client.publish(topic, 'x', { properties: { topicAlias } });
    expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode }]);
  });

  test('the broker uses those that the client offers, the name with the first, and none above [MQTT5-3.1.2-26] [MQTT5-3.3.2-11]', async () => {
    const properties = { topicAliasMaximum: 1 };
    const subscriber = await RawClient.connect(running.url, { clientId: 'sub', properties });
    await subscriber.subscribe('#', { qos: 1 });
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    for (const topic of ['topic/a', 'topic/a', 'topic/b', 'topic/a']) client.publish(topic, 'x', { qos: 1 });
    await client.settled();
    const used = (await subscriber.settled()).map((packet) =>
      packet.type === 'publish' ? [packet.topic, packet.properties?.topicAlias] : packet.type,
    );
    expect(used[0]).toEqual(['topic/a', 1]);
    expect(used[1]).toEqual(['', 1]);
    expect(used.every((use) => use[1] === undefined || use[1] === 1)).toBe(true);
  });
});

describe('limits', () => {
  test('more open PUBLISHes than Receive Maximum: 0x93 [MQTT5-4.9.0-2]', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    for (let packetIdentifier = 1; packetIdentifier <= 11; packetIdentifier += 1) {
      client.publish('t', 'x', { qos: 2, packetIdentifier });
    }
    const rest = await client.rest();
    expect(rest.at(-1)).toMatchObject({ type: 'disconnect', reasonCode: 0x93 });
    expect(rest).toHaveLength(11);
  });

  test('a packet above the Maximum Packet Size: 0x95, from its header alone', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    client.write('30 ff ff ff 7f');
    expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x95 }]);
  });

  test("no packet exceeds the client's Maximum Packet Size; the next ones still come [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]", async () => {
    const properties = { maximumPacketSize: 40 };
    const subscriber = await RawClient.connect(running.url, { clientId: 'sub', properties });
    await subscriber.subscribe('t', { qos: 1 });
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    for (const qos of [0, 1] as const) {
      client.publish('t', 'x'.repeat(100), { qos });
      client.publish('t', 'small', { qos });
    }
    await client.settled();
    expect((await subscriber.settled()).map(text)).toEqual(['small', 'small']);
  });

  test('a topic of more than 200 levels, or with a wildcard, closes the connection [MQTT5-3.3.2-2] [MQTT5-4.7.0-1]', async () => {
    const deep = await RawClient.connect(running.url, { clientId: 'one' });
    deep.publish('/'.repeat(200), 'x');
    expect(await deep.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x90 }]);
    const wild = await RawClient.connect(running.url, { clientId: 'one' });
    wild.publish('a/+', 'x');
    expect(await wild.rest()).toMatchObject([{ type: 'disconnect' }]);
  });

  test('a retained message beyond max_retained is refused with 0x97, at QoS 0 delivered but not kept', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    for (const topic of ['a', 'b', 'c']) client.publish(topic, 'x', { qos: 1, retain: true });
    client.publish('d', 'x', { qos: 1, retain: true });
    client.publish('e', 'x', { qos: 0, retain: true });
    expect((await client.settled()).map((packet) => packet.type === 'puback' && packet.reasonCode)).toEqual([
      0, 0, 0, 0x97,
    ]);
    expect(running.broker.snapshot()).toMatchObject({ retained: 3, messagesDropped: 2 });
  });
});

test("a large message passes whole through a client's slow reading", async () => {
  const subscriber = await RawClient.connect(running.url, { clientId: 'sub' });
  await subscriber.subscribe('t', { qos: 1 });
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  subscriber.pause();
  const payloads = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(50_000));
  for (const payload of payloads) client.publish('t', payload, { qos: 1 });
  await client.settled();
  subscriber.resume();
  expect((await subscriber.settled()).map(text)).toEqual(payloads);
});

test('a subscriber that does not read costs bounded memory, and slows nobody', async () => {
  const slow = await RawClient.connect(running.url, { clientId: 'slow' });
  await slow.subscribe('t', { qos: 0 });
  const quick = await RawClient.connect(running.url, { clientId: 'quick' });
  await quick.subscribe('t', { qos: 0 });
  slow.pause();
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  const payload = 'x'.repeat(60_000);
  for (let count = 0; count < 300; count += 1) {
    client.publish('t', payload);
    if (count % 10 === 9) await client.settled();
    expect(text(await quick.nextPublish())).toHaveLength(60_000);
  }
  // 18 MB were published: what the sockets and 256 KiB did not take was dropped and counted.
  expect(running.broker.snapshot().messagesDropped).toBeGreaterThan(50);
  slow.resume();
  expect((await slow.settled()).length).toBeGreaterThan(0);
});
