import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

let running: RunningBroker;

beforeEach(async () => {
  running = await startBroker({ max_queued: 5 });
});
afterEach(() => running.stop());

const kept = { sessionExpiryInterval: 100 };

test('Clean Start 1 drops what was kept, Clean Start 0 finds it [MQTT5-3.1.2-4] [MQTT5-3.1.2-5] [MQTT5-3.2.2-2] [MQTT5-3.2.2-3]', async () => {
  const first = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  await first.subscribe('t');
  await first.disconnect();
  const second = await RawClient.connect(running.url, {
    clientId: 'one',
    cleanStart: false,
    properties: kept,
  });
  expect(second.connack.sessionPresent).toBe(true);
  second.publish('t', 'x', { qos: 0 });
  expect(await second.settled()).toHaveLength(1);
  await second.disconnect();
  const third = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  expect(third.connack.sessionPresent).toBe(false);
  third.publish('t', 'x');
  expect(await third.settled()).toEqual([]);
});

test('a session ends when its expiry has passed [MQTT5-3.1.2-23] [MQTT5-4.1.0-2]', async () => {
  const first = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  await first.disconnect();
  await until(() => running.broker.snapshot().connections === 0);
  running.clock.advance(99_999);
  expect(running.broker.snapshot().sessions).toBe(1);
  running.clock.advance(1);
  expect(running.broker.snapshot().sessions).toBe(0);
});

test('DISCONNECT may change the expiry, but not revive a session without one', async () => {
  const first = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  await first.disconnect(0);
  expect(running.broker.snapshot().sessions).toBe(0);
  const second = await RawClient.connect(running.url, { clientId: 'two' });
  second.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 10 } });
  expect(await second.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x82 }]);
});

test('messages for an absent client wait in order, up to the limit; the newest are dropped and counted', async () => {
  const client = await RawClient.connect(running.url, {
    clientId: 'one',
    protocolVersion: 4,
    cleanStart: false,
  });
  await client.subscribe('t', { qos: 1 });
  await client.disconnect();
  const publisher = await RawClient.connect(running.url, { clientId: 'pub' });
  for (let count = 1; count <= 7; count += 1) {
    publisher.publish('t', String(count), { qos: 1, packetIdentifier: count });
  }
  // Nobody's publisher is refused for it.
  expect(
    (await publisher.settled()).every((packet) => packet.type === 'puback' && packet.reasonCode === 0),
  ).toBe(true);
  const back = await RawClient.connect(running.url, {
    clientId: 'one',
    protocolVersion: 4,
    cleanStart: false,
  });
  expect(back.connack.sessionPresent).toBe(true);
  expect((await back.settled()).map(text)).toEqual(['1', '2', '3', '4', '5']);
  expect(running.broker.snapshot().messagesDropped).toBe(2);
});

test('what was in flight is sent again with DUP and its identifier, PUBREL where that far, before what waited [MQTT5-4.4.0-1] [MQTT5-3.3.1-1]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  await client.subscribe('t');
  const publisher = await RawClient.connect(running.url, { clientId: 'pub' });
  publisher.publish('t', 'acknowledged', { qos: 1, packetIdentifier: 1 });
  publisher.publish('t', 'unacknowledged', { qos: 1, packetIdentifier: 2 });
  publisher.publish('t', 'released', { qos: 2, packetIdentifier: 3 });
  const first = [await client.nextPublish(), await client.nextPublish(), await client.nextPublish()];
  client.send({ type: 'puback', packetIdentifier: first[0]!.packetIdentifier!, reasonCode: 0 });
  client.send({ type: 'pubrec', packetIdentifier: first[2]!.packetIdentifier!, reasonCode: 0 });
  expect(await client.next()).toMatchObject({ type: 'pubrel' });
  await client.drop();
  await until(() => running.broker.snapshot().connections === 1);
  publisher.publish('t', 'waited', { qos: 1, packetIdentifier: 4 });
  await publisher.settled();
  const back = await RawClient.connect(running.url, { clientId: 'one', cleanStart: false, properties: kept });
  const again = await back.settled();
  expect(again).toMatchObject([
    { type: 'pubrel', packetIdentifier: first[2]!.packetIdentifier },
    { type: 'publish', packetIdentifier: first[1]!.packetIdentifier, dup: true },
    { type: 'publish', dup: false },
  ]);
  expect(text(again[1]!)).toBe('unacknowledged');
  expect(text(again[2]!)).toBe('waited');
});

test('the QoS 2 identifiers of a client outlive its connection [MQTT5-4.3.3-10]', async () => {
  const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
  await watcher.subscribe('t', { qos: 0 });
  const client = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  client.publish('t', 'once', { qos: 2 });
  expect(await client.next()).toMatchObject({ type: 'pubrec' });
  await client.drop();
  const back = await RawClient.connect(running.url, { clientId: 'one', cleanStart: false, properties: kept });
  back.publish('t', 'once', { qos: 2, dup: true });
  expect(await back.next()).toMatchObject({ type: 'pubrec' });
  back.send({ type: 'pubrel', packetIdentifier: 1, reasonCode: 0 });
  expect(await back.next()).toMatchObject({ type: 'pubcomp', reasonCode: 0 });
  expect(await watcher.settled()).toHaveLength(1);
});

test("no more than the client's Receive Maximum is open, and other packets still come [MQTT5-3.3.4-9] [MQTT5-3.3.4-10]", async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one', properties: { receiveMaximum: 2 } });
  await client.subscribe('t');
  const publisher = await RawClient.connect(running.url, { clientId: 'pub' });
  for (let packetIdentifier = 1; packetIdentifier <= 4; packetIdentifier += 1) {
    publisher.publish('t', String(packetIdentifier), { qos: 1, packetIdentifier });
  }
  await publisher.settled();
  const window = await client.settled();
  expect(window.map(text)).toEqual(['1', '2']);
  client.send({
    type: 'puback',
    packetIdentifier: (window[0] as { packetIdentifier: number }).packetIdentifier,
    reasonCode: 0,
  });
  expect((await client.settled()).map(text)).toEqual(['3']);
});

test('a refusal by the subscriber settles the message [MQTT5-4.4.0-2]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one', properties: kept });
  await client.subscribe('t');
  client.publish('t', 'x', { qos: 2 });
  const delivered = (await client.settled()).find((packet) => packet.type === 'publish');
  const { packetIdentifier } = delivered as { packetIdentifier: number };
  client.send({ type: 'pubrec', packetIdentifier, reasonCode: 0x87 });
  expect(await client.settled()).toEqual([]);
  await client.drop();
  const back = await RawClient.connect(running.url, { clientId: 'one', cleanStart: false, properties: kept });
  expect(await back.settled()).toEqual([]);
});

test('a Will is retained where it says so, with its properties, after its delay [MQTT5-3.1.2-15] [MQTT5-3.1.3-10]', async () => {
  const will = {
    topic: 'state',
    payload: Buffer.from('gone'),
    qos: 1,
    retain: true,
    properties: { willDelayInterval: 5, contentType: 'text/plain', userProperties: [['a', '1']] },
  } as const;
  const client = await RawClient.connect(running.url, { clientId: 'one', properties: kept, will });
  const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
  await watcher.subscribe('state');
  await client.drop();
  await until(() => running.broker.snapshot().connections === 1);
  running.clock.advance(4999);
  expect(await watcher.settled()).toEqual([]);
  running.clock.advance(1);
  expect(await watcher.nextPublish()).toMatchObject({
    qos: 1,
    retain: false,
    properties: { contentType: 'text/plain', userProperties: [['a', '1']] },
  });
  expect(running.broker.snapshot().retained).toBe(1);
});

test.each([
  [0x00, 0],
  [0x04, 1],
] as const)('DISCONNECT 0x%i publishes the Will %i times [MQTT5-3.14.4-3]', async (reasonCode, times) => {
  const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
  await watcher.subscribe('will');
  const will = { topic: 'will', payload: Buffer.from('x'), qos: 0, retain: false } as const;
  const client = await RawClient.connect(running.url, { clientId: 'one', will });
  client.send({ type: 'disconnect', reasonCode });
  await client.rest();
  expect(await watcher.settled()).toHaveLength(times);
});
