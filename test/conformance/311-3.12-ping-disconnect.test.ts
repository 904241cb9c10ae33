/** MQTT 3.1.1, sections 3.12 to 3.14: PINGREQ and DISCONNECT. */
import { expect, test } from 'vitest';
import { disconnect, publish } from './support/build.js';
import { before, left, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { hex, packet } from './support/wire.js';

const bench = usePeer();

test('each PINGREQ is answered by one PINGRESP, also between other packets [MQTT311-3.12.4-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [topic]);
  client.send('C0 00 C0 00', publish(4, { topic, payload: 'x' }), 'C0 00');
  for (let count = 0; count < 3; count++) {
    expect((await client.take('pingresp')).bytes).toEqual(hex('D0 00'));
  }
  await client.take('publish');
  expect(await client.fence()).toEqual([]);
});

test('PINGREQ with a payload is malformed [MQTT311-4.8.0-1]', async () => {
  const client = await bench.client();
  client.send('C0 01 00');
  await refused(client);
});

for (const firstOctet of [0xe1, 0xe2, 0xe8, 0xef]) {
  test(`DISCONNECT ${firstOctet.toString(16)} closes the connection and is none: the Will is published [MQTT311-3.14.1-1]`, async () => {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const client = await bench.client({ will: { topic, payload: 'will' } });
    client.send(packet(firstOctet));
    expect(await client.closed()).toEqual([]);
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
  });
}

test('what follows DISCONNECT is not processed [MQTT311-3.14.4-2]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client();
  client.send(disconnect(), publish(4, { topic, payload: 'too late', qos: 1, packetIdentifier: 1 }));
  client.end();
  expect(await client.closed()).toEqual([]);
  expect(await before(watcher, await bench.client(), topic)).toEqual([]);
});

test('DISCONNECT erases the Will, at whatever QoS and retained or not [MQTT311-3.14.4-3]', async () => {
  const topic = bench.unique();
  const [watcher, publisher] = [await bench.client(), await bench.client()];
  await subscribed(watcher, [[topic, 2]]);
  for (const qos of [0, 1, 2]) {
    await left(await bench.client({ will: { topic, payload: 'will', qos, retain: true } }));
  }
  expect(await before(watcher, publisher, topic, 2)).toEqual([]);
  await published(publisher, { topic, payload: 'x' });
  const later = await bench.client();
  await subscribed(later, [[topic, 2]]);
  expect(await before(later, publisher, topic, 2)).toEqual([]);
});

test('the server closes after DISCONNECT if the client does not [MQTT311-3.14.4-1]', async () => {
  const client = await bench.client();
  client.send(disconnect());
  expect(await client.closed()).toEqual([]);
});
