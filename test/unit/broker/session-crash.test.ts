/**
 * The oracle: whatever happens, nothing that was acknowledged is missing, what is QoS 2 from end to end is there once,
 * and in order.
 */
import { expect, test } from 'vitest';
import { judge, type SimOptions, temporaryWorld } from '../../support/session-world.js';

/** Hundreds of lives of a database take some seconds, and longer where others compute too. */
const MANY_LIVES_MS = 180_000;

interface Flow {
  readonly what: string;
  readonly messages: readonly (1 | 2)[];
  readonly publisher?: Partial<SimOptions>;
  readonly subscriber?: Partial<SimOptions>;
  /** The subscriber is away while messages are published. */
  readonly away?: boolean;
  readonly large?: boolean;
}

const flows: readonly Flow[] = [
  { what: 'QoS 1 to one who is here', messages: [1, 1, 1] },
  { what: 'QoS 2 to one who is here', messages: [2, 2, 2] },
  { what: 'QoS 2 through a window of one', messages: [2, 2, 2], subscriber: { receiveMaximum: 1 } },
  { what: 'QoS 1 and 2 to one who is away', messages: [2, 1, 2, 1], away: true },
  { what: 'QoS 2 published, QoS 1 subscribed', messages: [2, 2], subscriber: { subscribeQoS: 1 } },
  { what: '3.1.1 on both sides', messages: [2, 1, 2], publisher: { version: 4 }, subscriber: { version: 4 } },
  { what: 'more than is kept at hand', messages: [2, 2, 1, 2], away: true, large: true },
];

/** Plays the flow, dies after `steps` of it, comes back and goes on to the end. Returns how many steps there were. */
async function play(flow: Flow, stepsMax: number, again = Number.POSITIVE_INFINITY): Promise<number> {
  const made = temporaryWorld();
  await made.boot();
  const subscriber = made.client('subscriber', { subscribe: 't', ...flow.subscriber });
  const publisher = made.client('publisher', { identifiers: 2, ...flow.publisher });
  // It comes back at the very end, and holds on to everything until then.
  const bystander = made.client('bystander', { subscribe: 't' });
  subscriber.connect();
  bystander.connect();
  await made.run();
  bystander.drop();
  if (flow.away === true) subscriber.drop();
  publisher.connect();
  const sent = flow.messages.map(
    (qos, index) => `${index} q${qos}${flow.large === true ? ' x'.repeat(30_000) : ''}`,
  );
  for (const [index, payload] of sent.entries()) publisher.publish(payload, flow.messages[index] as 1 | 2);
  let steps = 0;
  const live = async (max: number): Promise<boolean> => {
    steps += await made.run(max);
    if (steps >= max) return false;
    if (!subscriber.connected) subscriber.connect();
    steps += await made.run(max - steps);
    return steps < max;
  };
  for (const max of [stepsMax, again]) {
    steps = 0;
    if (await live(max)) break;
    made.crash();
    await made.boot();
    publisher.connect();
    if (flow.away !== true) subscriber.connect();
  }
  const total = steps;
  await live(Number.POSITIVE_INFINITY);
  expect(publisher.unfinished).toEqual([]);
  // Dies once more, with all of it delivered to one and nothing to the other.
  made.crash();
  await made.boot();
  await made.settle();
  judge(publisher, subscriber, sent);
  judge(publisher, bystander, sent);
  expect(publisher.acknowledged.size).toBe(sent.length);
  expect(made.storage.snapshot().losses).toEqual([]);
  // Nothing is left of what was delivered.
  expect(made.storage.sessions.bytes).toBeLessThan(4000);
  return total;
}

test.each(flows)(
  '$what: the process may die after any step',
  async (flow) => {
    const whole = await play(flow, Number.POSITIVE_INFINITY);
    expect(whole).toBeGreaterThan(10);
    for (let steps = 0; steps < whole; steps += 1) await play(flow, steps);
  },
  MANY_LIVES_MS,
);

test(
  'QoS 2 survives two deaths, wherever they fall',
  async () => {
    const flow: Flow = { what: '', messages: [2, 1, 2] };
    const whole = await play(flow, Number.POSITIVE_INFINITY);
    for (let first = 0; first < whole; first += 5) {
      for (let second = 0; second < whole; second += 7) await play(flow, first, second);
    }
  },
  MANY_LIVES_MS,
);

test('a session and a subscription that were acknowledged are there, wherever the process dies', async () => {
  for (let steps = 0; ; steps += 1) {
    const made = temporaryWorld();
    await made.boot();
    const subscriber = made.client('subscriber', { subscribe: 't' });
    subscriber.connect();
    const taken = await made.run(steps);
    const { subscribed } = subscriber;
    made.crash();
    await made.boot();
    const publisher = made.client('publisher');
    if (subscribed) {
      publisher.connect();
      publisher.publish('for one who is away', 1);
      await made.run();
      subscriber.connect();
      await made.run();
      expect(subscriber.received.map(({ payload }) => payload)).toEqual(['for one who is away']);
    } else {
      subscriber.connect();
      await made.run();
      expect(subscriber.subscribed).toBe(true);
    }
    expect(subscriber.violations).toEqual([]);
    if (taken < steps) break;
  }
});

test('PUBLISH at QoS 2 leaves once its identifier is saved, PUBREL once the release is [MQTT5-4.3.3-3] [MQTT5-4.3.3-6]', async () => {
  const made = temporaryWorld();
  await made.boot();
  const subscriber = made.client('subscriber', { subscribe: 't', receiveMaximum: 1 });
  subscriber.connect();
  await made.run();
  subscriber.drop();
  const publisher = made.client('publisher');
  publisher.connect();
  publisher.publish('one', 2);
  publisher.publish('two', 2);
  await made.run();
  subscriber.connect();
  const types = (): string[] => subscriber.log.splice(0).map(({ type }) => type);
  const step = async (): Promise<void> => {
    subscriber.arrive();
    await made.turn();
    while (subscriber.arrived > 0) subscriber.read();
  };
  const commit = async (): Promise<void> => {
    made.storage.commitNow();
    await made.turn();
    while (subscriber.arrived > 0) subscriber.read();
  };
  types();
  await step();
  expect(types()).toEqual([]);
  await commit();
  expect(types()).toEqual(['connack', 'publish']);
  await step();
  expect(types()).toEqual([]);
  await commit();
  expect(types()).toEqual(['pubrel']);
  await step();
  expect(types()).toEqual([]);
  await commit();
  expect(types()).toEqual(['publish']);
});
