/** MQTT 5.0, section 3.1.2.10: Keep Alive. Real time: the shortest Keep Alive is one second. */
import { expect, test } from 'vitest';
import { publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { refused, subscribed } from './support/flow.js';
import { P, propertyOf } from './support/property.js';

const bench = usePeer5();
const strict = usePeer5({ maxKeepAliveSeconds: 10 });

test('silence of 1.5 times Keep Alive closes the connection, with 0x8D if anything, and publishes the Will; without Server Keep Alive the client is taken at its word [MQTT5-3.1.2-22] [MQTT5-3.2.2-22] [MQTT5-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const connectedAtMs = performance.now();
  const { client, connack } = await bench.connect({ keepAlive: 1, will: { topic, payload: 'timed out' } });
  expect(propertyOf(connack, P.serverKeepAlive)).toBeUndefined();
  await refused(client, [0x8d]);
  // A loaded machine can only make this longer.
  expect(performance.now() - connectedAtMs).toBeGreaterThanOrEqual(1500);
  expect((await watcher.take('publish')).payload.toString()).toBe('timed out');
});

test('any packet from the client begins Keep Alive anew, and packets to it do not [MQTT5-3.1.2-22]', async () => {
  const topic = bench.unique();
  const active = await bench.client({ keepAlive: 2 });
  const idle = await bench.client({ keepAlive: 2 });
  await subscribed(idle, [topic]);
  await subscribed(active, [topic]);
  for (const round of ['2 s', '4 s']) {
    await bench.timePasses();
    active.send(publish(5, { topic, payload: round }));
    expect((await active.take('publish')).payload.toString()).toBe(round);
  }
  await idle.closed();
  expect(active.isClosed).toBe(false);
});

test('a server that allows less says so in CONNACK, and only then [MQTT5-3.1.2-22] [MQTT5-3.2.2-22]', async () => {
  const { connack } = await strict.connect({ keepAlive: 600 });
  expect(propertyOf(connack, P.serverKeepAlive)).toBe(10);
  const within = await strict.connect({ keepAlive: 9 });
  expect(propertyOf(within.connack, P.serverKeepAlive) ?? 9).toBe(9);
  expect(await within.client.fence()).toEqual([]);
});
