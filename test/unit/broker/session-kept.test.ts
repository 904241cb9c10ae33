import { expect, test } from 'vitest';
import type { PublishPacket } from '../../../src/mqtt/packet.js';
import { type SimClient, temporaryWorld, type World } from '../../support/session-world.js';
import { listLog } from '../storage/fixtures.js';

/** A subscriber that was here, subscribed, and is away again. */
async function away(world: World, clientId = 'subscriber', options = {}): Promise<SimClient> {
  const client = world.client(clientId, { subscribe: 't', ...options });
  client.connect();
  await world.run();
  client.drop();
  await world.run();
  return client;
}

async function publisherOf(world: World, clientId = 'publisher'): Promise<SimClient> {
  const publisher = world.client(clientId);
  publisher.connect();
  await world.run();
  return publisher;
}

async function restart(world: World, afterMs = 0): Promise<void> {
  world.crash();
  world.clock.advance(afterMs);
  await world.boot();
  // What is due already runs by its timer.
  world.clock.advance(0);
}

const payloads = (client: SimClient): string[] => client.received.map(({ payload }) => payload);

test('Session Expiry counts on over a restart, and from the restart for whoever was connected [MQTT5-3.1.2-23]', async () => {
  const world = temporaryWorld();
  await world.boot();
  await away(world, 'away', { expirySeconds: 100 });
  world.client('here', { subscribe: 't', expirySeconds: 100 }).connect();
  await world.run();
  await restart(world, 60_000);
  expect(world.broker.snapshot().sessions).toBe(2);
  world.clock.advance(39_000);
  expect(world.broker.snapshot().sessions).toBe(2);
  world.clock.advance(1000);
  expect(world.broker.snapshot().sessions).toBe(1);
  world.clock.advance(60_000);
  expect(world.broker.snapshot().sessions).toBe(0);
  await world.run();
  expect(world.storage.sessions.bytes).toBe(0);
  await restart(world);
  expect(world.broker.snapshot().sessions).toBe(0);
});

test('a clock that is not to be trusted ends no session and expires no message', async () => {
  let trusted = true;
  const world = temporaryWorld({ broker: { clockTrusted: () => trusted } });
  await world.boot();
  const subscriber = await away(world);
  const publisher = await publisherOf(world);
  publisher.publish('with expiry', 1, 't', { messageExpiryInterval: 60 });
  await world.run();
  world.crash();
  world.clock.setWallMs(world.clock.wallMs() + 10 * 365 * 86_400_000);
  trusted = false;
  await world.boot();
  world.clock.advance(0);
  subscriber.connect();
  await world.run();
  expect(subscriber.sessionPresent).toBe(true);
  expect(payloads(subscriber)).toEqual(['with expiry']);
});

test('Message Expiry counts on over a restart, for what waits and for what is retained [MQTT5-3.3.2-5] [MQTT5-3.3.2-6]', async () => {
  const world = temporaryWorld();
  await world.boot();
  const subscriber = await away(world);
  const publisher = await publisherOf(world);
  publisher.publish('short', 1, 't', { messageExpiryInterval: 30 });
  publisher.publish('long', 1, 't', { messageExpiryInterval: 100 });
  publisher.publish('kept short', 1, 'r/1', { messageExpiryInterval: 30 }, true);
  publisher.publish('kept long', 1, 'r/2', { messageExpiryInterval: 100 }, true);
  await world.run();
  await restart(world, 40_000);
  subscriber.connect();
  const late = world.client('late', { subscribe: 'r/#' });
  late.connect();
  await world.run();
  const left = (client: SimClient): unknown[] =>
    client.log
      .filter((packet): packet is PublishPacket => packet.type === 'publish')
      .map(({ payload, properties }) => [`${Buffer.from(payload)}`, properties?.messageExpiryInterval]);
  expect(left(subscriber)).toEqual([['long', 60]]);
  expect(left(late)).toEqual([['kept long', 60]]);
});

test.each([
  { what: 'who was connected: after the delay from the restart', drop: false, publishedAfter: 30 },
  { what: 'who was away already: after what was left of the delay', drop: true, publishedAfter: 20 },
])('a Will survives the process, $what [MQTT5-3.1.2-8]', async ({ drop, publishedAfter }) => {
  const world = temporaryWorld();
  await world.boot();
  const willing = world.client('willing', {
    will: { topic: 't', payload: 'gone', delaySeconds: 30 },
  });
  const watcher = world.client('watcher', { subscribe: 't' });
  willing.connect();
  watcher.connect();
  await world.run();
  if (drop) {
    willing.drop();
    await world.run();
  }
  await restart(world, 10_000);
  watcher.connect();
  await world.run();
  world.clock.advance(publishedAfter * 1000 - 1);
  await world.run();
  expect(payloads(watcher)).toEqual([]);
  world.clock.advance(1);
  await world.run();
  expect(payloads(watcher)).toEqual(['gone']);
  await restart(world, 100_000);
  watcher.connect();
  await world.run();
  expect(payloads(watcher)).toEqual(['gone']);
});

test('a Will that was discarded, or whose client is back, does not come with a restart', async () => {
  const world = temporaryWorld();
  await world.boot();
  const watcher = world.client('watcher', { subscribe: 't' });
  watcher.connect();
  const will = { topic: 't', payload: 'gone', delaySeconds: 30 };
  const polite = world.client('polite', { will });
  const back = world.client('back', { will });
  polite.connect();
  back.connect();
  await world.run();
  polite.send({ type: 'disconnect', reasonCode: 0 });
  back.drop();
  await world.run();
  back.withoutWill();
  back.connect();
  await world.run();
  await restart(world, 100_000);
  watcher.connect();
  await world.run();
  world.clock.advance(100_000);
  await world.run();
  expect(payloads(watcher)).toEqual([]);
});

test('Clean Start 1 ends the kept session for ever: CONNACK waits until that is durable [MQTT5-3.1.2-4]', async () => {
  const world = temporaryWorld();
  await world.boot();
  const first = await away(world, 'one');
  const publisher = await publisherOf(world);
  publisher.publish('for the old session', 1);
  await world.run();
  const second = world.client('one', { cleanStart: true, expirySeconds: 0 });
  second.connect();
  second.arrive();
  await world.turn();
  expect(second.arrived).toBe(0);
  world.storage.commitNow();
  await world.turn();
  second.read();
  expect(second.sessionPresent).toBe(false);
  second.drop();
  await restart(world);
  expect(world.broker.snapshot().sessions).toBe(1);
  expect(first.received).toEqual([]);
});

test.each([1, 2] as const)(
  'what a subscriber has acknowledged at QoS %i is done with after a restart',
  async (qos) => {
    const world = temporaryWorld();
    await world.boot();
    const subscriber = world.client('subscriber', { subscribe: 't' });
    subscriber.connect();
    const publisher = await publisherOf(world);
    publisher.publish('once', qos);
    await world.run();
    // What nobody waits for is committed with the next batch.
    world.storage.sessions.hasten();
    await world.run();
    await restart(world);
    const packets = subscriber.log.length;
    subscriber.connect();
    await world.run();
    expect(subscriber.log.slice(packets).map(({ type }) => type)).toEqual(['connack']);
    expect(world.storage.snapshot().losses).toEqual([]);
  },
);

test('a connection that ends before its session is saved was never welcome', async () => {
  const world = temporaryWorld();
  await world.boot();
  const first = world.client('one');
  const second = world.client('one');
  first.connect();
  first.arrive();
  second.connect();
  second.arrive();
  await world.turn();
  expect([first.arrived, second.arrived]).toEqual([0, 0]);
  await world.run();
  expect(first.log).toEqual([]);
  // The session of the first one, not seen by it, is there for the second.
  expect(second.sessionPresent).toBe(true);
});

test('subscriptions come back with all their options', async () => {
  const world = temporaryWorld();
  await world.boot();
  const client = world.client('one');
  client.connect();
  await world.run();
  client.send({
    type: 'subscribe',
    packetIdentifier: 1,
    properties: { subscriptionIdentifiers: [77] },
    subscriptions: [
      { topicFilter: 'own', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 0 },
      { topicFilter: 'gone', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      { topicFilter: '$share/g/s', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
    ],
  });
  await world.run();
  client.send({ type: 'unsubscribe', packetIdentifier: 2, topicFilters: ['gone'] });
  await world.run();
  await restart(world);
  expect(world.broker.snapshot().subscriptions).toBe(2);
  client.connect();
  const publisher = await publisherOf(world);
  for (const topic of ['own', 'gone', 's']) publisher.publish(topic, 2, topic, undefined, true);
  client.publish('of its own', 1, 'own');
  await world.run();
  expect(
    client.log
      .filter((packet): packet is PublishPacket => packet.type === 'publish')
      .map(({ topic, qos, retain, properties }) => [topic, qos, retain, properties?.subscriptionIdentifiers]),
  ).toEqual([
    ['own', 2, true, [77]],
    ['s', 1, false, [77]],
  ]);
});

test('a full queue refuses no publisher: what does not fit is counted, told once, and its end is told', async () => {
  const log = listLog();
  const world = temporaryWorld({ limits: { max_queued: 3 }, broker: { log } });
  await world.boot();
  const subscriber = await away(world);
  const publisher = await publisherOf(world);
  for (let index = 0; index < 8; index += 1) publisher.publish(`${index}`, 1);
  await world.run();
  expect(publisher.acknowledged.size).toBe(8);
  expect(world.broker.snapshot()).toMatchObject({
    sessionsFull: 1,
    messagesNotQueued: 5,
    messagesDropped: 5,
  });
  await restart(world);
  subscriber.connect();
  await world.run();
  expect(payloads(subscriber)).toEqual(['0', '1', '2']);
  const again = await publisherOf(world, 'again');
  subscriber.drop();
  for (let index = 10; index < 15; index += 1) again.publish(`${index}`, 1);
  await world.run();
  subscriber.connect();
  await world.run();
  expect(payloads(subscriber)).toEqual(['0', '1', '2', '10', '11', '12']);
  expect(world.broker.snapshot()).toMatchObject({ sessionsFull: 0, messagesNotQueued: 2 });
  const told = log.lines.filter(({ level }) => level !== 'debug');
  expect(told.map(({ level, fields, sentence }) => [level, sentence, fields])).toEqual([
    [
      'warn',
      'A session has as many messages waiting as it may; new ones are not queued for it',
      { client: 'subscriber', queued: 3 },
    ],
    [
      'warn',
      'A session has as many messages waiting as it may; new ones are not queued for it',
      { client: 'subscriber', queued: 3 },
    ],
    [
      'info',
      'A session has taken what waited for it; new messages are queued for it again',
      { client: 'subscriber', notQueued: 2, seconds: 0 },
    ],
  ]);
});

test('bytes of a queue are limited too, and of all sessions: those that are away never starve those that are here', async () => {
  const world = temporaryWorld({
    limits: { max_queued_bytes: '200KiB', max_sessions_bytes: '512KiB' },
    sessionsBytesMax: 512 * 1024,
  });
  await world.boot();
  for (let index = 0; index < 6; index += 1)
    await away(world, `away-${index}`, { subscribe: `away/${index}` });
  const here = world.client('here', { subscribe: 'here' });
  here.connect();
  const publisher = await publisherOf(world);
  const large = 'x'.repeat(10_000);
  for (let round = 0; round < 30; round += 1) {
    for (let index = 0; index < 6; index += 1) publisher.publish(`${round} ${large}`, 1, `away/${index}`);
    await world.run();
  }
  expect(publisher.acknowledged.size).toBe(30);
  const { sessionsBytes, messagesNotQueued } = world.broker.snapshot();
  expect(sessionsBytes).toBeGreaterThan(400 * 1024);
  expect(sessionsBytes).toBeLessThan(512 * 1024);
  expect(messagesNotQueued).toBeGreaterThan(100);
  for (let index = 0; index < 20; index += 1) {
    publisher.publish(`live ${index} ${large}`, 2, 'here');
    await world.run();
  }
  expect(here.received).toHaveLength(20);
});

test('neither sessions nor subscriptions grow beyond max_sessions_bytes', async () => {
  const world = temporaryWorld({ limits: { max_sessions_bytes: '64KiB' }, sessionsBytesMax: 64 * 1024 });
  await world.boot();
  const client = world.client('one');
  client.connect();
  await world.run();
  for (let packetIdentifier = 1; packetIdentifier <= 10; packetIdentifier += 1) {
    client.send({
      type: 'subscribe',
      packetIdentifier,
      subscriptions: Array.from({ length: 50 }, (_, index) => ({
        topicFilter: `f/${packetIdentifier}/${index}`,
        qos: 1 as const,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0 as const,
      })),
    });
  }
  await world.run();
  const codes = client.log.flatMap((packet) => (packet.type === 'suback' ? packet.reasonCodes : []));
  expect(codes.filter((code) => code === 1).length).toBeLessThan(300);
  expect(codes.at(-1)).toBe(0x97);
  const other = world.client('other');
  other.connect();
  await expect(world.run()).rejects.toThrow('CONNECT was refused: 151');
});

test('a shared subscription gets what its member left, though it must be read again, and though the process dies meanwhile [MQTT5-4.8.2-5]', async () => {
  const world = temporaryWorld();
  await world.boot();
  const shared = { subscribe: '$share/g/t', subscribeQoS: 1 as const };
  const first = await away(world, 'first', { ...shared, expirySeconds: 50 });
  const publisher = await publisherOf(world);
  const sent = Array.from({ length: 9 }, (_, index) => `${index}${' x'.repeat(10_000)}`);
  for (const payload of sent) publisher.publish(payload, 1);
  await world.run();
  const second = await away(world, 'second', shared);
  await restart(world, 1000);
  world.clock.advance(50_000);
  // The first slice is on its way.
  await world.turn();
  world.storage.commitNow();
  await restart(world);
  await world.run();
  second.connect();
  await world.run();
  expect(payloads(second)).toEqual(sent);
  expect(first.received).toEqual([]);
  // The publisher's is the other one.
  expect(world.broker.snapshot().sessions).toBe(2);
});

test('while the disk fails QoS 1 is delivered, nothing is acknowledged, and QoS 2 waits', async () => {
  let broken = false;
  const world = temporaryWorld({
    fault: () => (broken ? { code: 'SQLITE_IOERR', reason: 'disk I/O error' } : undefined),
  });
  await world.boot();
  const subscriber = world.client('subscriber', { subscribe: 't' });
  subscriber.connect();
  const publisher = await publisherOf(world);
  const live: string[] = [];
  world.broker.subscribe('t', ({ payload }) => live.push(`${Buffer.from(payload)}`));
  broken = true;
  publisher.publish('before it is known', 1);
  await world.run();
  publisher.publish('one', 1);
  publisher.publish('two', 2);
  publisher.publish('three', 1);
  await world.run();
  expect(payloads(subscriber)).toEqual(['before it is known', 'one', 'three']);
  expect(live).toHaveLength(4);
  expect(publisher.acknowledged.size).toBe(0);
  broken = false;
  world.clock.advance(10_000);
  await world.run();
  expect(payloads(subscriber)).toEqual(['before it is known', 'one', 'three', 'two']);
  expect(publisher.unfinished).toEqual([]);
  await restart(world);
  subscriber.connect();
  await world.run();
  expect(subscriber.received).toHaveLength(4);
});

test('when nothing more can wait for the disk, a client is refused, and a reading still reaches those who are here', async () => {
  let broken = false;
  const world = temporaryWorld({
    fault: () => (broken ? { code: 'SQLITE_FULL', reason: 'database or disk is full' } : undefined),
    limits: { max_packet_size: '8MiB' },
  });
  await world.boot();
  const subscriber = world.client('subscriber', { subscribe: 't' });
  subscriber.connect();
  const publisher = await publisherOf(world);
  const large = 'x'.repeat(6 * 2 ** 20);
  broken = true;
  for (let index = 0; index < 6; index += 1) {
    publisher.publish(`${index}${large}`, 1);
    await world.run();
  }
  expect(world.storage.sessions.accepting).toBe(false);
  // One that has nothing before it is told at once.
  const other = world.client('other', { expirySeconds: 0, cleanStart: true });
  other.connect();
  other.publish('refused', 1);
  await world.run();
  expect(other.log.at(-1)).toMatchObject({ type: 'puback', reasonCode: 0x97 });
  expect(publisher.acknowledged.size).toBe(0);
  const message = { topic: 't', payload: Buffer.from('reading'), qos: 1, retain: false } as const;
  world.broker.publish({ kind: 'message', message }, { urgent: false });
  await world.run();
  expect(payloads(subscriber).at(-1)).toBe('reading');
  expect(payloads(subscriber)).not.toContain('refused');
});

test('retained copies for a kept session survive the process once they are on their way, QoS 2 once', async () => {
  const world = temporaryWorld();
  await world.boot();
  const publisher = await publisherOf(world);
  for (const topic of ['t/1', 't/2', 't/3']) publisher.publish(topic, 2, topic, undefined, true);
  await world.run();
  const subscriber = world.client('subscriber', { subscribe: 't/#', receiveMaximum: 3 });
  subscriber.connect();
  while (subscriber.received.length < 2) {
    subscriber.arrive();
    await world.turn();
    world.storage.commitNow();
    await world.turn();
    subscriber.read();
  }
  await restart(world);
  subscriber.connect();
  await world.run();
  expect(payloads(subscriber).sort()).toEqual(['t/1', 't/2', 't/3']);
});

test('a message that is damaged on disk is counted as lost, and what is behind it arrives', async () => {
  const { default: Sqlite } = await import('better-sqlite3');
  const world = temporaryWorld();
  await world.boot();
  const subscriber = await away(world);
  const publisher = await publisherOf(world);
  for (let index = 0; index < 12; index += 1) {
    publisher.publish(`${index}`, index % 2 === 0 ? 1 : 2);
    await world.run();
  }
  world.crash();
  const database = new Sqlite(world.path);
  database.exec('UPDATE spool SET bytes = zeroblob(length(bytes)) WHERE first IN (1, 3)');
  database.close();
  await world.boot();
  subscriber.connect();
  await world.run();
  expect(payloads(subscriber)).toEqual(['1', '3', '4', '5', '6', '7', '8', '9', '10', '11']);
  expect(world.storage.snapshot().losses).toMatchObject([{ lost: 2, reason: 'damaged', bridge: null }]);
  expect(world.storage.sessions.bytes).toBeLessThan(3000);
});

test('QoS 0 does not wait for the absent, and a session that ends with its connection waits for no disk', async () => {
  const world = temporaryWorld();
  await world.boot();
  const subscriber = await away(world);
  const transient = world.client('transient', { subscribe: 't', expirySeconds: 0, cleanStart: true });
  transient.connect();
  const publisher = await publisherOf(world, 'also transient');
  const commits = world.storage.snapshot().commits;
  publisher.send({
    type: 'publish',
    topic: 't',
    payload: Buffer.from('x'),
    qos: 0,
    retain: false,
    dup: false,
  });
  publisher.arrive();
  await world.turn();
  transient.read();
  expect(payloads(transient)).toEqual(['x']);
  expect(world.storage.snapshot().commits).toBe(commits);
  subscriber.connect();
  await world.run();
  expect(payloads(subscriber)).toEqual([]);
});
