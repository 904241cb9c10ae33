/** MQTT 5.0, section 3.15: AUTH. What needs a method that the server knows is in 5-4.12-authentication. */
import { expect, test } from 'vitest';
import { auth, connect } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { refused, subscribed } from './support/flow.js';
import { P } from './support/property.js';
import { packet, u8 } from './support/wire.js';

const bench = usePeer5();

for (const firstOctet of [0xf1, 0xf2, 0xf8]) {
  test(`AUTH ${firstOctet.toString(16)} closes the connection [MQTT5-3.15.1-1]`, async () => {
    const client = await bench.client();
    client.send(packet(firstOctet, u8(0x18), u8(0)));
    await refused(client, [0x81, 0x82]);
  });
}

test('AUTH with wrong flags in place of CONNECT closes the connection without a word [MQTT5-3.15.1-1]', async () => {
  const client = await bench.open();
  client.send(packet(0xf1, u8(0x18), u8(0)));
  expect(await client.closed()).toEqual([]);
  await (await bench.client()).fence();
});

for (const code of [0x00, 0x01, 0x17, 0x80, 0x8c, 0xff]) {
  test(`AUTH 0x${code.toString(16)}, which no client may send, closes the connection and publishes the Will [MQTT5-3.15.2-1]`, async () => {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const client = await bench.client({ will: { topic, payload: 'will' } });
    client.send(auth(code, [[P.authenticationMethod, 'SCRAM-SHA-256']]));
    await refused(client, [0x81, 0x82]);
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
  });
}

test('AUTH of no length at all is AUTH 0x00, and closes the connection [MQTT5-3.15.2-1]', async () => {
  const client = await bench.client();
  client.send('F0 00');
  await refused(client, [0x81, 0x82]);
});

test('AUTH behind a CONNECT that is still being judged is refused with it, or closes the connection after it [MQTT5-3.15.2-1]', async () => {
  const client = await bench.open();
  client.send(
    connect({ version: 5, clientId: bench.unique() }),
    auth(0x18, [[P.authenticationMethod, 'SCRAM-SHA-256']]),
  );
  const said = (await client.closed()).map(({ type }) => type);
  expect([['connack', 'disconnect'], ['connack'], []]).toContainEqual(said);
  await (await bench.client()).fence();
});
