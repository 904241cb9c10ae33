/** MQTT 3.1.1, section 3.1.2.10: Keep Alive. Real time: the shortest Keep Alive is one second. */
import { expect, test } from 'vitest';
import { publish } from './support/build.js';
import { subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';

const bench = usePeer();

test('silence of 1.5 times Keep Alive closes the connection and publishes the Will; Keep Alive 0 never does [MQTT311-3.1.2-24] [MQTT311-3.1.2-8]', async () => {
  const watcher = await bench.client();
  const topic = bench.unique();
  await subscribed(watcher, [topic]);
  const without = await bench.client({ keepAlive: 0 });
  const connectedAtMs = performance.now();
  const client = await bench.client({ keepAlive: 1, will: { topic, payload: 'timed out' } });
  expect(await client.closed()).toEqual([]);
  // A loaded machine can only make this longer; a timer may be a moment early.
  expect(performance.now() - connectedAtMs).toBeGreaterThan(1490);
  expect((await watcher.take('publish')).payload.toString()).toBe('timed out');
  expect(await without.fence()).toEqual([]);
});

test('any packet from the client begins Keep Alive anew, and packets to it do not [MQTT311-3.1.2-24]', async () => {
  const topic = bench.unique();
  const active = await bench.client({ keepAlive: 3 });
  const idle = await bench.client({ keepAlive: 3 });
  await subscribed(idle, [topic]);
  await subscribed(active, [topic]);
  // Clients with Keep Alive 1 that end after 1.5 s each are the clock: the limit of Keep Alive 3 is 4.5 s.
  for (const round of ['1.5 s', '3 s', '4.5 s', '6 s']) {
    await (await bench.client({ keepAlive: 1 })).closed();
    active.send(publish(4, { topic, payload: round }));
    expect((await active.take('publish')).payload.toString()).toBe(round);
  }
  const got = await idle.closed();
  expect(got.length).toBeGreaterThan(0);
  expect(active.isClosed).toBe(false);
});
