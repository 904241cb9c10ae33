/** MQTT 5.0, sections 3.4 to 3.7: PUBACK, PUBREC, PUBREL, PUBCOMP. */
import { expect, test } from 'vitest';
import { type Acknowledgement, acknowledge, publish } from './support/build.js';
import { cramped, expectCramped } from './support/cramped.js';
import { usePeer5 } from './support/five.js';
import { delivered, published, refused, subscribed } from './support/flow.js';
import { take } from './support/messages.js';
import type { RawClient } from './support/raw-client.js';
import type { Acknowledged, Published } from './support/read.js';
import { packet, u8, u16 } from './support/wire.js';

const bench = usePeer5({ guarded: true });

/** The code that answers a publication with, without and against permission. */
async function answers(qos: 1 | 2): Promise<(number | undefined)[]> {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  const client = await bench.client();
  const codes = [];
  for (const name of [topic, `${topic}/nobody`, 'forbidden/x']) {
    codes.push((await published(client, { topic: name, qos, payload: 'x' }))?.code);
  }
  await take(watcher, 1);
  return codes;
}

test('PUBACK says 0x00 for what was taken, perhaps 0x10 where nobody listens, 0x87 for what is forbidden [MQTT5-3.4.2-1]', async () => {
  const [taken, unheard, forbidden] = await answers(1);
  expect(taken).toBe(0x00);
  expect([0x00, 0x10]).toContain(unheard);
  expect(forbidden).toBe(0x87);
});

test('PUBREC says 0x00 for what was taken, perhaps 0x10 where nobody listens, 0x87 for what is forbidden [MQTT5-3.5.2-1]', async () => {
  const [taken, unheard, forbidden] = await answers(2);
  expect(taken).toBe(0x00);
  expect([0x00, 0x10]).toContain(unheard);
  expect(forbidden).toBe(0x87);
});

test("a client's PUBACK with a code that is none of its own closes the connection [MQTT5-3.4.2-1]", async () => {
  for (const code of [0x01, 0x11, 0x82, 0x92, 0xff]) {
    const client = await bench.client();
    const { packetIdentifier } = await inFlight(client, 1);
    client.send(acknowledge('puback', packetIdentifier, code));
    await refused(client, [0x81, 0x82]);
  }
});

test("a client's PUBREC with a code that is none of its own closes the connection [MQTT5-3.5.2-1]", async () => {
  for (const code of [0x01, 0x11, 0x82, 0x92, 0xff]) {
    const client = await bench.client();
    const { packetIdentifier } = await inFlight(client, 2);
    client.send(acknowledge('pubrec', packetIdentifier, code));
    await refused(client, [0x81, 0x82]);
  }
});

/** A message that the client has received and not answered. */
async function inFlight(client: RawClient, qos: 1 | 2): Promise<Published> {
  const topic = bench.unique();
  await subscribed(client, [[topic, qos]]);
  await published(await bench.client(), { topic, qos, payload: 'x' });
  return client.take('publish');
}

test("a client's PUBREL with a code that is none of its own closes the connection [MQTT5-3.6.2-1]", async () => {
  for (const code of [0x10, 0x80, 0x91, 0xff]) {
    const client = await bench.client();
    client.send(publish(5, { topic: bench.unique(), qos: 2, packetIdentifier: 4, payload: 'x' }));
    await client.expect('pubrec');
    client.send(acknowledge('pubrel', 4, code));
    await refused(client, [0x81, 0x82]);
  }
});

test("a client's PUBCOMP with a code that is none of its own closes the connection [MQTT5-3.7.2-1]", async () => {
  for (const code of [0x10, 0x80, 0x91, 0xff]) {
    const client = await bench.client();
    const { packetIdentifier } = await inFlight(client, 2);
    client.send(acknowledge('pubrec', packetIdentifier));
    await client.take('pubrel');
    client.send(acknowledge('pubcomp', packetIdentifier, code));
    await refused(client, [0x81, 0x82]);
  }
});

for (const firstOctet of [0x60, 0x61, 0x63, 0x66, 0x6a]) {
  test(`PUBREL ${firstOctet.toString(16)} closes the connection [MQTT5-3.6.1-1]`, async () => {
    const client = await bench.client();
    client.send(publish(5, { topic: bench.unique(), qos: 2, packetIdentifier: 4, payload: 'x' }));
    await client.expect('pubrec');
    client.send(packet(firstOctet, u16(4)));
    await refused(client, [0x81]);
  });
}

test('PUBREL is 0x00 for a message in flight, and 0x92 where the PUBREC is for nothing known [MQTT5-3.6.2-1]', async () => {
  const client = await bench.client();
  const { packetIdentifier } = await inFlight(client, 2);
  client.send(acknowledge('pubrec', packetIdentifier));
  expect(await client.expect('pubrel')).toMatchObject({ packetIdentifier, code: 0x00 });
  client.send(acknowledge('pubrec', 0x7777));
  expect(await client.expect('pubrel')).toMatchObject({ packetIdentifier: 0x7777, code: 0x92 });
});

test('PUBCOMP is 0x00 for a message in flight, and 0x92 where the PUBREL is for nothing known [MQTT5-3.7.2-1]', async () => {
  const client = await bench.client();
  client.send(publish(5, { topic: bench.unique(), qos: 2, packetIdentifier: 4, payload: 'x' }));
  await client.expect('pubrec');
  client.send(acknowledge('pubrel', 4), acknowledge('pubrel', 4), acknowledge('pubrel', 0x7777));
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 4, code: 0x00 });
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 4, code: 0x92 });
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 0x7777, code: 0x92 });
});

const forms: ReadonlyArray<readonly [string, (type: Acknowledgement, id: number) => Buffer]> = [
  ['without Reason Code', (type, id) => acknowledge(type, id)],
  ['with a Reason Code and no Property Length', (type, id) => acknowledge(type, id, 0x00)],
  ['with a Property Length of 0', (type, id) => acknowledge(type, id, 0x00, [])],
  [
    'with Reason String and User Properties',
    (type, id) =>
      acknowledge(type, id, 0x00, [
        [0x26, ['a', '1']],
        [0x1f, 'because'],
        [0x26, ['a', '1']],
      ]),
  ],
];
for (const [what, form] of forms) {
  test(`acknowledgements ${what} are understood [MQTT5-3.4.2-1] [MQTT5-3.5.2-1] [MQTT5-3.6.2-1] [MQTT5-3.7.2-1]`, async () => {
    const topic = bench.unique();
    const client = await bench.client({ properties: [[0x21, 1]] });
    await subscribed(client, [[topic, 2]]);
    for (const qos of [1, 2, 1, 2]) {
      client.send(publish(5, { topic, qos, packetIdentifier: 4, payload: 'x' }));
      await client.take(qos === 1 ? 'puback' : 'pubrec');
      if (qos === 2) {
        client.send(form('pubrel', 4));
        expect((await client.take('pubcomp')).code).toBe(0x00);
      }
      // With a Receive Maximum of 1 the next one comes only if this one was settled.
      const { packetIdentifier } = await client.take('publish', (message) => message.qos === qos);
      client.send(form(qos === 1 ? 'puback' : 'pubrec', packetIdentifier));
      if (qos === 2) {
        await client.take('pubrel');
        client.send(form('pubcomp', packetIdentifier));
      }
    }
    expect(await client.fence()).toEqual([]);
  });
}

/** What provokes each answer with something to explain. */
const explained: ReadonlyArray<readonly [Acknowledged['type'], number, Uint8Array, ids: string]> = [
  ['puback', 0x87, forbidden(1), '[MQTT5-3.4.2-2] [MQTT5-3.4.2-3]'],
  ['pubrec', 0x87, forbidden(2), '[MQTT5-3.5.2-2] [MQTT5-3.5.2-3]'],
  ['pubrel', 0x92, acknowledge('pubrec', 7), '[MQTT5-3.6.2-2] [MQTT5-3.6.2-3]'],
  ['pubcomp', 0x92, acknowledge('pubrel', 7), '[MQTT5-3.7.2-2] [MQTT5-3.7.2-3]'],
];
for (const [type, code, provoke, ids] of explained) {
  test(`${type.toUpperCase()} has no explanation that the client's Maximum Packet Size leaves no room for ${ids}`, async () => {
    const client = await cramped(bench);
    client.send(provoke);
    expect(await client.expect(type)).toMatchObject({ packetIdentifier: 7, code });
    expectCramped(client);
  });
}

function forbidden(qos: number): Buffer {
  return publish(5, { topic: 'forbidden/x', qos, packetIdentifier: 7, payload: 'x' });
}

test('acknowledgements of unknown identifiers disturb nothing [MQTT5-3.4.2-1] [MQTT5-3.7.2-1]', async () => {
  const topic = bench.unique();
  const client = await bench.client();
  await subscribed(client, [[topic, 1]]);
  client.send(
    acknowledge('puback', 0x7777),
    packet(0x40, u16(0x7778), u8(0x10)),
    acknowledge('pubcomp', 0x7779),
    acknowledge('pubcomp', 0x777a, 0x92),
    acknowledge('pubrec', 0x777b, 0x91),
  );
  expect(await client.fence()).toEqual([]);
  await published(await bench.client(), { topic, qos: 1, payload: 'goes on' });
  expect((await delivered(client)).payload.toString()).toBe('goes on');
});
