/** MQTT 3.1.1, section 3.2: CONNACK. */
import { expect, test } from 'vitest';
import { connect } from './support/build.js';
import { before, delivered, left, published, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { hex } from './support/wire.js';

const bench = usePeer();

test('CONNACK comes first, also before a full queue [MQTT311-3.2.0-1]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await left(first);
  const publisher = await bench.client();
  for (let count = 0; count < 50; count++) await published(publisher, { topic, qos: 1, payload: `${count}` });
  const again = await bench.client({ clientId, clean: false });
  for (let count = 0; count < 50; count++) {
    expect((await delivered(again)).payload.toString()).toBe(`${count}`);
  }
  expect(again.received.map(({ type }) => type)).toEqual(['connack', ...Array(50).fill('publish')]);
});

test('Clean Session 1 is answered with Session Present 0, whether there was a session or not [MQTT311-3.2.2-1]', async () => {
  const clientId = bench.unique();
  expect((await bench.connect({ clientId, clean: true })).connack.bytes).toEqual(hex('20 02 00 00'));
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(false);
  await left(client);
  expect((await bench.connect({ clientId, clean: false })).connack.sessionPresent).toBe(true);
  expect((await bench.connect({ clientId, clean: true })).connack.bytes).toEqual(hex('20 02 00 00'));
});

test('Clean Session 0 is answered with Session Present 1 where there is a session [MQTT311-3.2.2-2]', async () => {
  const clientId = bench.unique();
  await left(await bench.client({ clientId, clean: false }));
  expect((await bench.connect({ clientId, clean: false })).connack.bytes).toEqual(hex('20 02 01 00'));
});

test('Clean Session 0 is answered with Session Present 0 where there is none [MQTT311-3.2.2-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.bytes).toEqual(hex('20 02 00 00'));
  await subscribed(client, [topic]);
  expect(await before(client, await bench.client(), topic)).toEqual([]);
});

const refusals: ReadonlyArray<readonly [string, number, Uint8Array]> = [
  ['an unsupported Protocol Level', 1, connect({ protocolLevel: 9, clientId: 'c' })],
  ['an empty Client Identifier with Clean Session 0', 2, connect({ clientId: '', clean: false })],
];
for (const [what, code, bytes] of refusals) {
  test(`${what} is refused with Session Present 0 and closed [MQTT311-3.2.2-4] [MQTT311-3.2.2-5]`, async () => {
    const client = await bench.open();
    client.send(bytes);
    expect(await client.expect('connack')).toMatchObject({ code, sessionPresent: false });
    expect(await client.closed()).toEqual([]);
  });
}

test('a refusal shows Session Present 0 even where there is a session, and leaves it as it was [MQTT311-3.2.2-4]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({ clientId, clean: false });
  await subscribed(first, [[topic, 1]]);
  await left(first);
  const wrong = await bench.open();
  wrong.send(connect({ clientId, clean: false, protocolLevel: 9 }));
  expect(await wrong.expect('connack')).toMatchObject({ code: 1, sessionPresent: false });
  const { client, connack } = await bench.connect({ clientId, clean: false });
  expect(connack.sessionPresent).toBe(true);
  await published(await bench.client(), { topic, qos: 1 });
  await delivered(client);
});
