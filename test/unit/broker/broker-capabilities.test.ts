/** What `broker.limits` lets the broker offer less than everything: announced, and held to. */
import { expect, test } from 'vitest';
import { startBroker } from '../../support/broker-fixture.js';
import { RawClient } from '../../support/raw-client.js';

test('Maximum QoS is announced, granted and held to [MQTT5-3.2.2-10] [MQTT5-3.2.2-11]', async () => {
  const running = await startBroker({ maximum_qos: 1 });
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  expect(client.connack.properties?.maximumQoS).toBe(1);
  expect(await client.subscribe('t', { qos: 2 })).toEqual([1]);
  expect(await client.subscribe('u', { qos: 0 })).toEqual([0]);
  client.publish('t', 'x', { qos: 1 });
  expect((await client.settled()).map(({ type }) => type).sort()).toEqual(['puback', 'publish']);
  client.publish('t', 'x', { qos: 2, packetIdentifier: 2 });
  expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x9b }]);

  const old = await RawClient.connect(running.url, { clientId: 'b', protocolVersion: 4 });
  expect(await old.subscribe('t', { qos: 2 })).toEqual([1]);
  old.publish('t', 'x', { qos: 2 });
  expect(await old.rest()).toEqual([]);
  await running.stop();
});

test('Retain Available 0 is announced and held to [MQTT5-3.2.2-14]', async () => {
  const running = await startBroker({ retain_available: false });
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  expect(client.connack.properties?.retainAvailable).toBe(0);
  client.publish('t', 'x', { retain: true });
  expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x9a }]);
  expect(running.broker.snapshot().retained).toBe(0);
  await running.stop();
});

test('without Topic Aliases any alias is one too many [MQTT5-3.2.2-18]', async () => {
  const running = await startBroker({ topic_alias_max: 0 });
  const client = await RawClient.connect(running.url, { clientId: 'a' });
  expect(client.connack.properties?.topicAliasMaximum).toBe(0);
  client.publish('t', 'x', { properties: { topicAlias: 1 } });
  expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x94 }]);
  await running.stop();
});

test('a session is kept no longer than the broker allows, and the client is told [MQTT5-3.2.2-7]', async () => {
  const running = await startBroker({ max_session_expiry: '1m' });
  const properties = { sessionExpiryInterval: 3600 };
  const first = await RawClient.connect(running.url, { clientId: 'a', properties });
  expect(first.connack.properties?.sessionExpiryInterval).toBe(60);
  await first.disconnect();
  running.clock.advance(59_000);
  const second = await RawClient.connect(running.url, { clientId: 'a', cleanStart: false, properties });
  expect(second.connack.sessionPresent).toBe(true);
  await second.disconnect();
  running.clock.advance(61_000);
  const third = await RawClient.connect(running.url, { clientId: 'a', cleanStart: false, properties });
  expect(third.connack.sessionPresent).toBe(false);
  await running.stop();
});
