import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Message } from '../../../src/core/message.js';
import type { Content } from '../../../src/core/record.js';
import type { SampleSet } from '../../../src/core/sample.js';
import type { Loss, RetainedMessage, Storage } from '../../../src/storage/storage.js';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

/** A storage whose disk is as slow as the test says. */
class SlowStorage implements Pick<Storage, 'append' | 'afterCommit' | 'putRetained' | 'retained' | 'lose'> {
  readonly appended: {
    readonly content: Content;
    readonly routes: readonly number[];
    readonly urgent: boolean;
  }[] = [];
  readonly kept = new Map<string, Message>();
  readonly losses: Loss[] = [];
  full = false;
  #waiting: (() => void)[] = [];

  append(content: Content, routes: readonly number[], _acceptedAtMs: number, urgent: boolean): boolean {
    if (this.full) return false;
    this.appended.push({ content, routes, urgent });
    return true;
  }

  afterCommit(then: (head: number) => void): void {
    this.#waiting.push(() => then(0));
  }

  putRetained(message: Message): void {
    if (message.payload.length === 0) this.kept.delete(message.topic);
    else this.kept.set(message.topic, message);
  }

  *retained(): Iterable<RetainedMessage> {
    for (const message of this.kept.values()) yield { kind: 'message', message, storedAtMs: 0 };
  }

  lose(loss: Loss): void {
    this.losses.push(loss);
  }

  get commitsWanted(): number {
    return this.#waiting.length;
  }

  commit(): void {
    for (const then of this.#waiting.splice(0)) then();
  }
}

let storage: SlowStorage;
let running: RunningBroker;

const options = {
  routing: (topic: string) => ({
    routes: topic.startsWith('up/') ? [7] : [],
    record: topic.startsWith('rec/'),
  }),
  encode: (set: SampleSet) => Buffer.from(`encoded ${set.topic}`),
};

beforeEach(async () => {
  storage = new SlowStorage();
  running = await startBroker(
    { max_inflight: 4 },
    { ...options, storage: storage as Partial<Storage> as Storage },
  );
});
afterEach(async () => {
  storage.commit();
  await running.stop();
});

test.each([
  [1, 'puback'],
  [2, 'pubrec'],
] as const)(
  'QoS %i is acknowledged by %s only after its commit [MQTT5-4.3.2-4] [MQTT5-4.3.3-8]',
  async (qos, type) => {
    const client = await RawClient.connect(running.url, { clientId: 'one' });
    client.publish('up/a', 'x', { qos, packetIdentifier: 9 });
    expect(await client.settled()).toEqual([]);
    await until(() => storage.commitsWanted > 0);
    expect(storage.appended).toMatchObject([{ routes: [7], urgent: true, content: { kind: 'message' } }]);
    storage.commit();
    expect(await client.next()).toMatchObject({ type, packetIdentifier: 9, reasonCode: 0 });
  },
);

test('what nobody durable takes is acknowledged at once', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('local', 'x', { qos: 1 });
  expect(await client.next()).toMatchObject({ type: 'puback' });
  expect(storage.appended).toEqual([]);
});

test('acknowledgements keep the order of their PUBLISHes, though some need no commit [MQTT5-4.6.0-2] [MQTT5-4.6.0-3]', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('up/a', '1', { qos: 1, packetIdentifier: 1 });
  client.publish('local', '2', { qos: 1, packetIdentifier: 2 });
  expect(await client.settled()).toEqual([]);
  client.publish('local', '3', { qos: 1, packetIdentifier: 3 });
  expect(await client.settled()).toEqual([]);
  await until(() => storage.commitsWanted === 2);
  storage.commit();
  expect(await client.settled()).toMatchObject([
    { packetIdentifier: 1 },
    { packetIdentifier: 2 },
    { packetIdentifier: 3 },
  ]);
});

test('subscribers do not wait for the disk', async () => {
  const subscriber = await RawClient.connect(running.url, { clientId: 'sub' });
  await subscriber.subscribe('#', { qos: 1 });
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('up/a', 'x', { qos: 1 });
  expect(text(await subscriber.nextPublish())).toBe('x');
  expect(await client.settled()).toEqual([]);
});

test('a retained change is saved before it is acknowledged, and is there after a restart', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('a', 'kept', { qos: 1, retain: true });
  client.publish('b', 'gone', { qos: 1, retain: true, packetIdentifier: 2 });
  client.publish('b', '', { qos: 1, retain: true, packetIdentifier: 3 });
  expect(await client.settled()).toEqual([]);
  storage.commit();
  expect([...storage.kept.keys()]).toEqual(['a']);
  await running.stop();
  running = await startBroker({}, { ...options, storage: storage as Partial<Storage> as Storage });
  const late = await RawClient.connect(running.url, { clientId: 'late' });
  await late.subscribe('#');
  expect((await late.settled()).map(text)).toEqual(['kept']);
});

test('a journal that is full refuses: 0x97 in 5.0, a closed connection without PUBACK in 3.1.1, and nobody gets it', async () => {
  const subscriber = await RawClient.connect(running.url, { clientId: 'sub' });
  await subscriber.subscribe('#', { qos: 1 });
  storage.full = true;
  const five = await RawClient.connect(running.url, { clientId: 'five' });
  five.publish('up/a', 'x', { qos: 1, packetIdentifier: 1 });
  five.publish('up/a', 'x', { qos: 2, packetIdentifier: 2 });
  expect(await five.settled()).toMatchObject([
    { type: 'puback', reasonCode: 0x97 },
    { type: 'pubrec', reasonCode: 0x97 },
  ]);
  const four = await RawClient.connect(running.url, { clientId: 'four', protocolVersion: 4 });
  four.publish('up/a', 'x', { qos: 1 });
  expect(await four.rest()).toEqual([]);
  expect(await subscriber.settled()).toEqual([]);
  // The identifier of a refused QoS 2 message is free: the same one is a new message [MQTT5-4.3.3-9].
  storage.full = false;
  five.publish('up/a', 'again', { qos: 2, packetIdentifier: 2 });
  expect(text(await subscriber.nextPublish())).toBe('again');
});

test('3.1.1: a refused QoS 2 message is taken when it is sent again on a new connection', async () => {
  const kept = { clientId: 'four', protocolVersion: 4, cleanStart: false } as const;
  storage.full = true;
  const client = await RawClient.connect(running.url, kept);
  client.publish('up/a', 'x', { qos: 2 });
  expect(await client.rest()).toEqual([]);
  storage.full = false;
  const back = await RawClient.connect(running.url, kept);
  expect(back.connack.sessionPresent).toBe(true);
  back.publish('up/a', 'x', { qos: 2, dup: true });
  await until(() => storage.commitsWanted > 0);
  storage.commit();
  expect(await back.next()).toMatchObject({ type: 'pubrec', packetIdentifier: 1 });
  expect(storage.appended).toHaveLength(1);
});

test('a QoS 0 message that the journal refuses still reaches local subscribers, and its loss is told', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('#', { qos: 0 });
  storage.full = true;
  client.publish('up/a', 'x');
  expect(text(await client.nextPublish())).toBe('x');
  expect(storage.losses).toMatchObject([{ lost: 1, reason: 'full', topics: ['up/a'] }]);
});

test('a 3.1.1 client with max_inflight commits outstanding is not read until some are done', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'four', protocolVersion: 4 });
  for (let packetIdentifier = 1; packetIdentifier <= 4; packetIdentifier += 1) {
    client.publish('up/a', 'x', { qos: 1, packetIdentifier });
  }
  await until(() => storage.appended.length === 4 && storage.commitsWanted > 0);
  client.publish('up/a', 'late', { qos: 1, packetIdentifier: 5 });
  const other = await RawClient.connect(running.url, { clientId: 'other' });
  expect(await other.settled()).toEqual([]);
  expect(storage.appended).toHaveLength(4);
  storage.commit();
  await until(() => storage.appended.length === 5);
});

test('a session taken over while its QoS 2 commit is under way is answered on its new connection, and delivered once', async () => {
  const properties = { sessionExpiryInterval: 100 };
  const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
  await watcher.subscribe('#', { qos: 0 });
  const client = await RawClient.connect(running.url, { clientId: 'one', properties });
  client.publish('up/a', 'x', { qos: 2, packetIdentifier: 5 });
  expect(await client.settled()).toEqual([]);
  await until(() => storage.commitsWanted > 0);
  await client.drop();
  const back = await RawClient.connect(running.url, { clientId: 'one', cleanStart: false, properties });
  back.publish('up/a', 'x', { qos: 2, packetIdentifier: 5, dup: true });
  expect(await back.settled()).toEqual([]);
  storage.commit();
  expect(await back.next()).toMatchObject({ type: 'pubrec', packetIdentifier: 5 });
  back.send({ type: 'pubrel', packetIdentifier: 5, reasonCode: 0 });
  expect(await back.next()).toMatchObject({ type: 'pubcomp', reasonCode: 0 });
  expect(await watcher.settled()).toHaveLength(1);
  expect(storage.appended).toHaveLength(1);
});

test('an old QoS 1 commit does not acknowledge what a new connection sent under the same identifier', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  client.publish('up/a', 'old', { qos: 1, packetIdentifier: 5 });
  await client.settled();
  await until(() => storage.commitsWanted === 1);
  await client.drop();
  const back = await RawClient.connect(running.url, { clientId: 'one' });
  storage.commit();
  expect(await back.settled()).toEqual([]);
});

test('the publish door: readings are journalled unencoded, and subscribers get their bytes', async () => {
  const client = await RawClient.connect(running.url, { clientId: 'one' });
  await client.subscribe('#', { qos: 1 });
  const set: SampleSet = {
    topic: 'rec/level',
    qos: 1,
    retain: true,
    format: { kind: 'json' },
    grouped: false,
    samples: [],
  };
  const told: boolean[] = [];
  running.broker.publish({ kind: 'samples', set }, { urgent: false, accepted: (ok) => told.push(ok) });
  expect(text(await client.nextPublish())).toBe('encoded rec/level');
  expect(storage.appended).toMatchObject([{ content: { kind: 'samples', set }, urgent: false }]);
  expect(storage.commitsWanted).toBe(0);
  expect([...storage.kept.keys()]).toEqual(['rec/level']);
  storage.full = true;
  running.broker.publish({ kind: 'samples', set }, { urgent: false, accepted: (ok) => told.push(ok) });
  expect(told).toEqual([false]);
  // Local service goes on without a journal.
  expect(text(await client.nextPublish())).toBe('encoded rec/level');
});

test('the publish door tells when an urgent message is durable, at once where nobody durable takes it', () => {
  const told: string[] = [];
  const publish = (topic: string): void =>
    running.broker.publish(
      { kind: 'message', message: { topic, payload: Buffer.from('x'), qos: 1, retain: false } },
      { accepted: (ok) => told.push(`${topic} ${ok}`) },
    );
  publish('up/a');
  publish('local');
  expect(told).toEqual(['local true']);
  storage.commit();
  expect(told).toEqual(['local true', 'up/a true']);
});
