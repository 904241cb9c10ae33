/** MQTT 3.1.1, section 1.5: text fields. */
import { expect, test } from 'vitest';
import { connect, publish, subscribe, unsubscribe } from './support/build.js';
import { before, delivered, published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { hex, INVALID_UTF8 } from './support/wire.js';

const bench = usePeer();

for (const [what, octets] of INVALID_UTF8) {
  test(`a Topic Name with ${what} closes the connection unforwarded [MQTT311-1.5.3-1] [MQTT311-3.3.2-1]`, async () => {
    const watcher = await bench.client();
    await subscribed(watcher, ['#']);
    const client = await bench.client();
    client.send(publish(4, { topic: octets, payload: 'x', qos: 1, packetIdentifier: 1 }));
    await refused(client);
    expect(await before(watcher, await bench.client(), bench.unique())).toEqual([]);
  });

  test(`a Topic Filter with ${what} closes the connection [MQTT311-1.5.3-1] [MQTT311-3.8.3-1]`, async () => {
    const client = await bench.client();
    client.send(subscribe(4, 1, [[octets, 0]]));
    await refused(client);
  });

  test(`a Client Identifier with ${what} closes the connection [MQTT311-1.5.3-1] [MQTT311-3.1.3-4]`, async () => {
    const client = await bench.open();
    client.send(connect({ clientId: octets }));
    await refused(client);
  });
}

test('a filter to unsubscribe that is no UTF-8 closes the connection [MQTT311-1.5.3-1] [MQTT311-3.10.3-1]', async () => {
  const client = await bench.client();
  client.send(unsubscribe(4, 1, [hex('61 ED A0 80')]));
  await refused(client);
});

test('U+0000 in a Topic Name closes the connection unforwarded [MQTT311-1.5.3-2] [MQTT311-4.7.3-2]', async () => {
  const watcher = await bench.client();
  await subscribed(watcher, ['#']);
  const client = await bench.client();
  client.send(publish(4, { topic: 'a\0b', payload: 'x' }));
  await refused(client);
  expect(await before(watcher, await bench.client(), bench.unique())).toEqual([]);
});

test('U+0000 in a Topic Filter closes the connection [MQTT311-1.5.3-2] [MQTT311-4.7.3-2]', async () => {
  const client = await bench.client();
  client.send(subscribe(4, 1, [['a\0b', 0]]));
  await refused(client);
});

test('U+0000 in a Client Identifier closes the connection [MQTT311-1.5.3-2]', async () => {
  const client = await bench.open();
  client.send(connect({ clientId: 'a\0b' }));
  await refused(client);
});

test('U+FEFF at the start of a topic is kept, and is part of it [MQTT311-1.5.3-3]', async () => {
  const watcher = await bench.client();
  const bare = bench.unique();
  await subscribed(watcher, [bare, `\uFEFF${bare}`]);
  const publisher = await bench.client();
  await published(publisher, { topic: `\uFEFF${bare}`, payload: 'x' });
  const message = await delivered(watcher);
  expect(message.topic).toBe(`\uFEFF${bare}`);
  expect(message.bytes.subarray(4, 7)).toEqual(hex('EF BB BF'));
  expect(await before(watcher, publisher, bare)).toEqual([]);
});
