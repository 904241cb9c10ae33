import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encode } from '../../../src/mqtt/encoder.js';
import type { Packet } from '../../../src/mqtt/packet.js';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';

let running: RunningBroker;

beforeEach(async () => {
  running = await startBroker({ max_packet_size: '64KiB' });
});
afterEach(() => running.stop());

const options = { qos: 2, noLocal: false, retainAsPublished: true, retainHandling: 0 } as const;
const payload = Buffer.from('payload');
const conversation: readonly Packet[] = [
  {
    type: 'connect',
    protocolVersion: 5,
    clientId: 'fuzz',
    cleanStart: false,
    keepAlive: 10,
    will: { topic: 'fuzz/will', payload, qos: 1, retain: true, properties: { willDelayInterval: 1 } },
    properties: { sessionExpiryInterval: 10, topicAliasMaximum: 5, receiveMaximum: 3 },
  },
  { type: 'subscribe', packetIdentifier: 1, subscriptions: [{ topicFilter: 'fuzz/#', ...options }] },
  { type: 'subscribe', packetIdentifier: 2, subscriptions: [{ topicFilter: '$share/g/fuzz/+', ...options }] },
  {
    ...{ type: 'publish', topic: 'fuzz/a', payload, qos: 2, retain: true, dup: false, packetIdentifier: 3 },
    properties: { topicAlias: 1, messageExpiryInterval: 5, userProperties: [['a', 'b']] },
  },
  { type: 'publish', topic: 'fuzz/b', payload, qos: 1, retain: false, dup: false, packetIdentifier: 4 },
  { type: 'pubrel', packetIdentifier: 3, reasonCode: 0 },
  { type: 'pubrec', packetIdentifier: 1, reasonCode: 0 },
  { type: 'pubcomp', packetIdentifier: 1, reasonCode: 0 },
  { type: 'puback', packetIdentifier: 2, reasonCode: 0 },
  { type: 'unsubscribe', packetIdentifier: 5, topicFilters: ['fuzz/#'] },
  { type: 'pingreq' },
  { type: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5 } },
];
const bytes = Buffer.concat(conversation.map((packet) => encode(packet, 5)));

test('whatever a client sends, the broker serves the others', async () => {
  const watcher = await RawClient.connect(running.url, { clientId: 'watcher' });
  await watcher.subscribe('steady', { qos: 0 });
  const mutation = fc.record({
    flips: fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 0, maxLength: 3 }),
    end: fc.integer({ min: 1, max: bytes.length }),
    cut: fc.nat(bytes.length - 1),
  });
  await fc.assert(
    fc.asyncProperty(mutation, async ({ flips, end, cut }) => {
      const mutated = Buffer.from(bytes.subarray(0, end));
      for (const [at, value] of flips) if (at < mutated.length) mutated[at] = value;
      const client = await RawClient.open(running.url);
      client.write(mutated.subarray(0, cut));
      client.write(mutated.subarray(cut));
      watcher.publish('steady', 'on', { qos: 1 });
      expect(
        (await watcher.settled()).some((packet) => packet.type === 'publish' && text(packet) === 'on'),
      ).toBe(true);
      await client.drop();
    }),
    { numRuns: 300 },
  );
  await until(() => running.broker.snapshot().connections === 1);
});
