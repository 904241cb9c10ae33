import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProtocolVersion } from '../../../src/mqtt/packet.js';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

let running: RunningBroker;

beforeEach(async () => {
  running = await startBroker({ connect_timeout: '10s', max_connections: 3, max_keepalive: '10m' });
});
afterEach(() => running.stop());

test('CONNACK tells the capabilities, and nothing that is the default [MQTT5-3.1.4-5] [MQTT5-3.2.0-1]', async () => {
  const { connack } = await RawClient.connect(running.url, { clientId: 'one', keepAlive: 60 });
  expect(connack).toMatchObject({ sessionPresent: false, reasonCode: 0 });
  expect(connack.properties).toMatchObject({
    receiveMaximum: 100,
    maximumPacketSize: 1024 * 1024,
    topicAliasMaximum: 100,
  });
  for (const absent of ['responseInformation', 'authenticationMethod', 'maximumQoS', 'retainAvailable']) {
    expect(connack.properties?.[absent as 'maximumQoS']).toBeUndefined();
  }
});

test('an assigned Client Identifier is told, is new each time, and resumes its session [MQTT5-3.1.3-7]', async () => {
  const properties = { sessionExpiryInterval: 100 };
  const one = await RawClient.connect(running.url, { clientId: '', properties });
  const two = await RawClient.connect(running.url, { clientId: '', properties });
  const clientId = one.connack.properties?.assignedClientIdentifier;
  expect(clientId).toMatch(/^auto-/);
  expect(two.connack.properties?.assignedClientIdentifier).not.toBe(clientId);
  await one.disconnect();
  const back = await RawClient.connect(running.url, { clientId: clientId!, cleanStart: false, properties });
  expect(back.connack.sessionPresent).toBe(true);
});

test('an unsupported Protocol Level is answered 20 02 00 01 and closed [MQTT311-3.1.2-2] [MQTT5-3.1.2-2]', async () => {
  const client = await RawClient.open(running.url, 4);
  client.write('10 0d 0004 4d515454 06 02 003c 0001 61');
  expect(await client.rest()).toMatchObject([{ type: 'connack', sessionPresent: false, reasonCode: 0x84 }]);
});

test('a wrong protocol name is closed and never served [MQTT311-3.1.2-1] [MQTT5-3.1.2-1]', async () => {
  const client = await RawClient.open(running.url, 4);
  client.write('10 0d 0004 4d515458 04 02 003c 0001 61');
  expect(await client.rest()).toEqual([]);
});

test('a first packet that is not CONNECT closes the connection without a word [MQTT311-3.1.0-1]', async () => {
  const client = await RawClient.open(running.url, 4);
  client.write('c0 00');
  expect(await client.rest()).toEqual([]);
});

test.each([4, 5] as const)(
  'version %i: a second CONNECT ends the connection and publishes the Will [MQTT311-3.1.0-2] [MQTT5-3.1.0-2]',
  async (version) => {
    const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
    await watcher.subscribe('will');
    const will = { topic: 'will', payload: Buffer.from('gone'), qos: 0, retain: false } as const;
    const client = await RawClient.connect(running.url, {
      clientId: 'twice',
      protocolVersion: version,
      will,
    });
    client.connect({ clientId: 'twice', protocolVersion: version });
    const rest = await client.rest();
    expect(rest).toMatchObject(version === 5 ? [{ type: 'disconnect', reasonCode: 0x82 }] : []);
    expect(text(await watcher.nextPublish())).toBe('gone');
  },
);

test('a malformed CONNECT of 5.0 is told 0x81, one of 3.1.1 nothing [MQTT311-3.1.4-1] [MQTT5-3.1.2-3]', async () => {
  const five = await RawClient.open(running.url, 5);
  five.write('10 0e 0004 4d515454 05 03 003c 00 0001 61');
  expect(await five.rest()).toMatchObject([{ type: 'connack', reasonCode: 0x81 }]);
  const four = await RawClient.open(running.url, 4);
  four.write('10 0d 0004 4d515454 04 03 003c 0001 61');
  expect(await four.rest()).toEqual([]);
});

test('a client that never sends CONNECT is closed after the connect timeout', async () => {
  const client = await RawClient.open(running.url);
  const other = await RawClient.connect(running.url, { clientId: 'one' });
  running.clock.advance(9999);
  expect(await other.settled()).toEqual([]);
  running.clock.advance(1);
  expect(await client.rest()).toEqual([]);
});

describe('Keep Alive', () => {
  test('after one and a half times Keep Alive without a packet: 0x8D, and the Will [MQTT311-3.1.2-24] [MQTT5-3.1.2-22]', async () => {
    const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
    await watcher.subscribe('will');
    const will = { topic: 'will', payload: Buffer.from('silent'), qos: 0, retain: false } as const;
    const client = await RawClient.connect(running.url, { clientId: 'one', keepAlive: 10, will });
    running.clock.advance(10_000);
    expect(await client.settled()).toEqual([]);
    running.clock.advance(14_999);
    expect(await watcher.settled()).toEqual([]);
    running.clock.advance(1);
    expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x8d }]);
    expect(text(await watcher.nextPublish())).toBe('silent');
  });

  test('half a packet does not keep a connection alive', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one', keepAlive: 10 });
    running.clock.advance(14_000);
    const { bytesReceived } = running.broker.snapshot();
    client.write('30');
    await until(() => running.broker.snapshot().bytesReceived === bytesReceived + 1);
    running.clock.advance(1000);
    expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x8d }]);
  });

  test('3.1.1 with Keep Alive 0 is never closed for silence', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one', protocolVersion: 4 });
    running.clock.advance(30 * 24 * 3600 * 1000);
    expect(await client.settled()).toEqual([]);
  });
});

describe('take-over', () => {
  test('the old connection is told 0x8E, the new one works [MQTT5-3.1.4-3]', async () => {
    const old = await RawClient.connect(running.url, { clientId: 'one' });
    const young = await RawClient.connect(running.url, { clientId: 'one' });
    expect(await old.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x8e }]);
    expect(await young.settled()).toEqual([]);
    expect(running.broker.snapshot()).toMatchObject({ connections: 1, sessions: 1 });
  });

  test('3.1.1: the old connection is closed without a word [MQTT311-3.1.4-2]', async () => {
    const old = await RawClient.connect(running.url, { clientId: 'one', protocolVersion: 4 });
    await RawClient.connect(running.url, { clientId: 'one', protocolVersion: 4 });
    expect(await old.rest()).toEqual([]);
  });

  test('a session is carried from version to version', async () => {
    const old = await RawClient.connect(running.url, {
      clientId: 'one',
      protocolVersion: 4,
      cleanStart: false,
    });
    await old.subscribe('t');
    const young = await RawClient.connect(running.url, { clientId: 'one', cleanStart: false });
    expect(young.connack.sessionPresent).toBe(true);
    young.publish('t', 'x', { qos: 1 });
    expect((await young.settled()).map(({ type }) => type).sort()).toEqual(['puback', 'publish']);
  });
});

test('beyond max_connections a client is refused with its code, and served once another has gone', async () => {
  const clients = [];
  for (const clientId of ['a', 'b', 'c']) clients.push(await RawClient.connect(running.url, { clientId }));
  for (const [version, code] of [
    [5, 0x89],
    [4, 0x88],
  ] as const) {
    const surplus = await RawClient.open(running.url, version);
    surplus.connect({ clientId: 'surplus' });
    expect(await surplus.rest()).toMatchObject([{ type: 'connack', reasonCode: code }]);
  }
  await clients[0]!.disconnect();
  await RawClient.connect(running.url, { clientId: 'surplus' });
});

test('where anonymous clients are not allowed they are told so [MQTT5-3.1.4-2]', async () => {
  const closed = await startBroker({}, { allowAnonymous: false });
  try {
    for (const version of [4, 5] as ProtocolVersion[]) {
      const client = await RawClient.open(closed.url, version);
      client.connect({ clientId: 'one' });
      // Pipelined data is ignored [MQTT5-3.1.4-6].
      client.publish('t', 'x', { qos: 1 });
      expect(await client.rest()).toMatchObject([{ type: 'connack', reasonCode: 0x87 }]);
    }
    expect(closed.broker.snapshot().messagesReceived).toBe(0);
  } finally {
    await closed.stop();
  }
});

test('an answer of the authorizer that takes its time holds back what follows CONNECT', async () => {
  let answer: (reasonCode: 0) => void = () => {};
  const slow = await startBroker(
    {},
    {
      authorizer: {
        connect: (_credentials, answered) => {
          answer = answered;
        },
        mayPublish: (_identity, topicName) => topicName !== 'forbidden',
        maySubscribe: (_identity, topicFilter) => topicFilter !== 'secret',
      },
    },
  );
  try {
    const client = await RawClient.open(slow.url);
    client.connect({ clientId: 'one' });
    client.publish('t', 'x', { qos: 1, packetIdentifier: 7 });
    await until(() => slow.broker.snapshot().bytesReceived > 0);
    expect(slow.broker.snapshot().connections).toBe(0);
    answer(0);
    expect(await client.next()).toMatchObject({ type: 'connack', reasonCode: 0 });
    expect(await client.next()).toMatchObject({ type: 'puback', packetIdentifier: 7 });
    expect(await client.subscribe('secret')).toEqual([0x87]);
    client.publish('forbidden', 'x', { qos: 1 });
    expect(await client.next()).toMatchObject({ type: 'puback', reasonCode: 0x87 });
  } finally {
    await slow.stop();
  }
});

test('a port in use is told with what to do', async () => {
  const { hostname, port } = new URL(running.url);
  const second = startBrokerAt(`mqtt://${hostname}:${port}`);
  await expect(second).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  await expect(second).rejects.toThrow(/in use by another process; stop it/);
});

async function startBrokerAt(url: string): Promise<void> {
  const { Broker } = await import('../../../src/broker/broker.js');
  const { brokerSchema } = await import('../../../src/config/schema.js');
  const { silentLog } = await import('../../../src/core/log.js');
  const config = brokerSchema.parse({ listeners: [{ url }] });
  const broker = new Broker({ config, clock: running.clock, log: silentLog });
  try {
    await broker.start();
  } finally {
    await broker.stop();
  }
}

test('a clean stop tells 5.0 clients 0x8B, closes all, and leaves no timer behind', async () => {
  const five = await RawClient.connect(running.url, { clientId: 'five', keepAlive: 10 });
  const four = await RawClient.connect(running.url, { clientId: 'four', protocolVersion: 4 });
  await running.stop();
  expect(await five.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x8b }]);
  expect(await four.rest()).toEqual([]);
  expect(running.clock.waiting).toBe(0);
  await running.stop();
});
