import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningBroker, startBroker } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

let running: RunningBroker;

beforeEach(async () => {
  running = await startBroker({ max_subscriptions: 5 });
});
afterEach(() => running.stop());

test('overlapping subscriptions give one copy, at the highest QoS, with every identifier [MQTT5-3.3.4-2] [MQTT5-3.3.4-4]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('a/#', { qos: 0, subscriptionIdentifier: 1 });
  await client.subscribe('a/+', { qos: 2, subscriptionIdentifier: 2 });
  await client.subscribe('a/b', { qos: 1 });
  const publisher = await RawClient.connect(running.url, { clientId: 'pub' });
  publisher.publish('a/b', 'x', { qos: 2 });
  const delivered = await client.nextPublish();
  expect(delivered.qos).toBe(2);
  expect([...delivered.properties!.subscriptionIdentifiers!].sort()).toEqual([1, 2]);
  expect(await client.settled()).toEqual([]);
});

test('the same filter again replaces options, QoS and identifier [MQTT5-3.8.4-3]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('t', { qos: 2, subscriptionIdentifier: 1 });
  await client.subscribe('t', { qos: 0, subscriptionIdentifier: 2 });
  client.publish('t', 'x', { qos: 1 });
  const [, delivered] = [await client.next(), await client.next()].sort((a, b) =>
    a.type.localeCompare(b.type),
  );
  expect(delivered).toMatchObject({ qos: 0, properties: { subscriptionIdentifiers: [2] } });
  expect(running.broker.snapshot().subscriptions).toBe(1);
});

test('each filter has its code, in order; a bad one does not harm the others [MQTT5-3.8.4-6] [MQTT5-3.9.3-1]', async () => {
  const options = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const filters = ['a', 'a#', '$share/x', 'b/+/c', `${'/'.repeat(200)}`];
  const expected = { 5: [1, 0x8f, 0x8f, 1, 0x8f], 4: [1, 0x80, 1, 1, 0x80] };
  for (const version of [4, 5] as const) {
    const client = await RawClient.connect(running.url, { clientId: 'one', protocolVersion: version });
    const subscriptions = filters.map((topicFilter) => ({ topicFilter, ...options }));
    client.send({ type: 'subscribe', packetIdentifier: 3, subscriptions });
    expect(await client.next()).toMatchObject({
      type: 'suback',
      packetIdentifier: 3,
      reasonCodes: expected[version],
    });
  }
});

test('beyond max_subscriptions: 0x97; replacing one still works', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  for (const filter of ['a', 'b', 'c', 'd', 'e']) await client.subscribe(filter);
  expect(await client.subscribe('f')).toEqual([0x97]);
  expect(await client.subscribe('e', { qos: 1 })).toEqual([1]);
});

test('UNSUBSCRIBE takes the filter literally, and says what did not exist [MQTT5-3.10.4-1] [MQTT5-3.10.4-5] [MQTT5-3.11.3-1]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('a/#', { qos: 0 });
  await client.subscribe('a/b', { qos: 0 });
  client.send({ type: 'unsubscribe', packetIdentifier: 4, topicFilters: ['a/b', 'a/c'] });
  expect(await client.next()).toMatchObject({
    type: 'unsuback',
    packetIdentifier: 4,
    reasonCodes: [0, 0x11],
  });
  client.publish('a/b', 'x');
  expect(await client.settled()).toHaveLength(1);
});

test('No Local: own publications do not come back through that filter, others do [MQTT5-3.8.3-3]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('a/#', { qos: 1, noLocal: true, subscriptionIdentifier: 1 });
  await client.subscribe('a/b', { qos: 0, subscriptionIdentifier: 2 });
  client.publish('a/b', 'mine');
  client.publish('a/c', 'mine');
  expect(await client.settled()).toMatchObject([
    { topic: 'a/b', properties: { subscriptionIdentifiers: [2] } },
  ]);
  const other = await RawClient.connect(running.url, { clientId: 'two' });
  other.publish('a/c', 'yours');
  expect(text(await client.nextPublish())).toBe('yours');
});

describe('retained messages', () => {
  test('a late subscriber gets the newest with RETAIN 1 at the lower QoS; an empty payload removes it [MQTT5-3.3.1-5] [MQTT5-3.3.1-6]', async () => {
    const publisher = await RawClient.connect(running.url, { clientId: 'pub' });
    publisher.publish('t', 'old', { qos: 1, retain: true });
    publisher.publish('t', 'new', { qos: 2, retain: true, properties: { contentType: 'x' } });
    publisher.publish('t', 'passing', { qos: 1 });
    await publisher.settled();
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    await client.subscribe('#', { qos: 1, subscriptionIdentifier: 9 });
    const delivered = await client.nextPublish();
    expect(delivered).toMatchObject({
      retain: true,
      qos: 1,
      dup: false,
      properties: { contentType: 'x', subscriptionIdentifiers: [9] },
    });
    expect(text(delivered)).toBe('new');
    publisher.publish('t', '', { qos: 1, retain: true });
    await publisher.settled();
    // Live subscribers see the deletion as an ordinary message.
    expect(await client.nextPublish()).toMatchObject({ retain: false, topic: 't' });
    const late = await RawClient.connect(running.url, { clientId: 'late' });
    await late.subscribe('#');
    expect(await late.settled()).toEqual([]);
  });

  test.each([
    [0, 1, 1],
    [1, 1, 0],
    [2, 0, 0],
  ] as const)(
    'Retain Handling %i: %i at first, %i when subscribed again [MQTT5-3.3.1-9] [MQTT5-3.3.1-10] [MQTT5-3.3.1-11]',
    async (retainHandling, first, again) => {
      const client = await RawClient.connect(running.url, { clientId: 'one' });
      client.publish('t', 'x', { retain: true });
      await client.subscribe('t', { retainHandling });
      expect(await client.settled()).toHaveLength(first);
      await client.subscribe('t', { retainHandling });
      expect(await client.settled()).toHaveLength(again);
    },
  );

  test('Retain As Published decides over RETAIN of live messages [MQTT5-3.3.1-12] [MQTT5-3.3.1-13]', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    await client.subscribe('t', { qos: 0, retainAsPublished: true });
    const plain = await RawClient.connect(running.url, { clientId: 'two' });
    await plain.subscribe('t', { qos: 0 });
    client.publish('t', 'kept', { retain: true });
    client.publish('t', 'passing');
    expect((await client.settled()).map((packet) => packet.type === 'publish' && packet.retain)).toEqual([
      true,
      false,
    ]);
    expect((await plain.settled()).map((packet) => packet.type === 'publish' && packet.retain)).toEqual([
      false,
      false,
    ]);
  });

  test('the Message Expiry of a retained message counts down [MQTT5-3.3.2-6]', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    client.publish('t', 'x', { retain: true, properties: { messageExpiryInterval: 60 } });
    await client.settled();
    running.clock.advance(20_500);
    await client.subscribe('t', { qos: 0 });
    expect(await client.nextPublish()).toMatchObject({ properties: { messageExpiryInterval: 40 } });
    running.clock.advance(40_000);
    await client.subscribe('t', { qos: 0 });
    expect(await client.settled()).toEqual([]);
  });
});

describe('shared subscriptions', () => {
  test('each message goes to one member, in turn, and to ordinary subscribers besides', async () => {
    const members = [];
    for (const clientId of ['a', 'b', 'c']) {
      const member = await RawClient.connect(running.url, { clientId });
      await member.subscribe('$share/group/t/+', { qos: 0 });
      members.push(member);
    }
    const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
    await watcher.subscribe('t/+', { qos: 0 });
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    for (let count = 0; count < 9; count += 1) client.publish('t/x', String(count));
    await client.settled();
    const got = [];
    for (const member of members) got.push((await member.settled()).map(text));
    expect(got.map((each) => each.length)).toEqual([3, 3, 3]);
    expect(got.flat().sort()).toEqual([...Array(9).keys()].map(String));
    expect(await watcher.settled()).toHaveLength(9);
  });

  test('a member receives at no more than its own QoS [MQTT5-4.8.2-3], and no retained messages at subscribing', async () => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    client.publish('t', 'kept', { qos: 1, retain: true });
    const member = await RawClient.connect(running.url, { clientId: 'member' });
    await member.subscribe('$share/group/t', { qos: 0 });
    expect(await member.settled()).toEqual([]);
    client.publish('t', 'x', { qos: 2, packetIdentifier: 2 });
    expect(await member.nextPublish()).toMatchObject({ qos: 0, retain: false });
  });

  test('when the session of a member ends, its QoS 1 messages go to another; QoS 2 that was begun to nobody [MQTT5-4.8.2-5]', async () => {
    const dying = await RawClient.connect(running.url, { clientId: 'dying' });
    await dying.subscribe('$share/group/t', { qos: 2 });
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    client.publish('t', 'at least once', { qos: 1, packetIdentifier: 1 });
    client.publish('t', 'exactly once', { qos: 2, packetIdentifier: 2 });
    expect(await dying.settled()).toHaveLength(2);
    const heir = await RawClient.connect(running.url, { clientId: 'heir' });
    await heir.subscribe('$share/group/t', { qos: 2 });
    await dying.drop();
    expect(text(await heir.nextPublish())).toBe('at least once');
    expect(await heir.settled()).toEqual([]);
  });

  test('a member that is away is passed over while another is here', async () => {
    const properties = { sessionExpiryInterval: 100 };
    const away = await RawClient.connect(running.url, { clientId: 'away', properties });
    await away.subscribe('$share/group/t', { qos: 1 });
    await away.disconnect();
    const here = await RawClient.connect(running.url, { clientId: 'here' });
    await here.subscribe('$share/group/t', { qos: 1 });
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    for (let packetIdentifier = 1; packetIdentifier <= 4; packetIdentifier += 1) {
      client.publish('t', 'x', { qos: 1, packetIdentifier });
    }
    await client.settled();
    expect(await here.settled()).toHaveLength(4);
  });
});

test('a subscriber inside the process sees what is published, RETAIN as it was, until it ends', async () => {
  const seen: string[] = [];
  const end = running.broker.subscribe('cmd/+', ({ topic, payload, retain }) =>
    seen.push(`${topic} ${Buffer.from(payload)} ${retain}`),
  );
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('cmd/a', '1', { retain: true });
  client.publish('other', '2');
  await client.settled();
  end();
  client.publish('cmd/a', '3');
  await client.settled();
  expect(seen).toEqual(['cmd/a 1 true']);
});
