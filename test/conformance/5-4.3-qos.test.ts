/** MQTT 5.0, section 4.3: the flows of QoS 0, 1 and 2. */
import { expect, test } from 'vitest';
import { acknowledge, publish } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, settle, subscribed } from './support/flow.js';
import { numbers, payloads, take } from './support/messages.js';
import { P } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import type { Published } from './support/read.js';

const bench = usePeer5({ guarded: true });

/** A client that is subscribed and keeps its session, and what it was sent at this QoS and has not answered. */
async function inFlight(
  clientId: string,
  topic: string,
  qos: 1 | 2,
): Promise<{ readonly client: RawClient; readonly message: Published }> {
  const client = await bench.kept(clientId);
  await subscribed(client, [[topic, qos]]);
  await published(await bench.client(), { topic, qos, payload: 'x' });
  return { client, message: await client.take('publish') };
}

test('a QoS 0 message is sent once, at QoS 0, with DUP 0 [MQTT5-4.3.1-1]', async () => {
  const topic = bench.unique();
  const [client, publisher] = [await bench.client(), await bench.client()];
  await subscribed(client, [[topic, 2]]);
  await published(publisher, { topic, payload: 'x' });
  const got = await before(client, publisher, topic, 0);
  expect(got.map(({ bytes }) => bytes[0])).toEqual([0x30]);
});

for (const qos of [1, 2] as const) {
  test(`each QoS ${qos} message has an identifier that no other in flight has, and DUP 0 at first [MQTT5-4.3.2-1] [MQTT5-4.3.2-2] [MQTT5-4.3.3-1] [MQTT5-4.3.3-2]`, async () => {
    const topic = bench.unique();
    const [client, publisher] = [await bench.client(), await bench.client()];
    await subscribed(client, [[topic, qos]]);
    const open = new Map<number, Published>();
    for (const payload of numbers(30)) {
      // As a copy sent again by its own publisher would come: that says nothing about this one.
      const packetIdentifier = publisher.newIdentifier();
      publisher.send(publish(5, { topic, qos, dup: true, packetIdentifier, payload }));
      await publisher.take(qos === 1 ? 'puback' : 'pubrec');
      if (qos === 2) publisher.send(acknowledge('pubrel', packetIdentifier));
      if (qos === 2) await publisher.take('pubcomp');
      const message = await client.take('publish');
      expect(message).toMatchObject({ qos, dup: false, payload: Buffer.from(payload) });
      expect(open.has(message.packetIdentifier)).toBe(false);
      open.set(message.packetIdentifier, message);
      // Every third stays open, so that the identifiers have gaps.
      if (Number(payload) % 3 === 0) continue;
      await settle(client, message);
      open.delete(message.packetIdentifier);
    }
    expect(open.size).toBe(10);
  });
}

test('a QoS 1 message is pending until its PUBACK, and not after it [MQTT5-4.3.2-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[topic, 1]]);
  await published(publisher, { topic, qos: 1, payload: 'acknowledged' });
  await published(publisher, { topic, qos: 1, payload: 'pending' });
  const [one, two] = (await take(first, 2)) as [Published, Published];
  await settle(first, one);
  await first.fence();
  first.reset();
  const again = await bench.kept(clientId);
  const resent = await again.take('publish');
  expect(resent).toMatchObject({ dup: true, qos: 1, topic, packetIdentifier: two.packetIdentifier });
  expect(resent.payload.toString()).toBe('pending');
  await settle(again, resent);
  expect(await before(again, publisher, topic, 1)).toEqual([]);
});

test('PUBACK has the identifier of its PUBLISH and comes when the server owns the message [MQTT5-4.3.2-4]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 1]]);
  for (const packetIdentifier of [1, 0x1234, 0xffff]) {
    const client = await bench.client();
    client.send(publish(5, { topic, qos: 1, packetIdentifier, payload: `${packetIdentifier}` }));
    expect(await client.expect('puback')).toMatchObject({ packetIdentifier, code: 0 });
    client.reset();
    expect((await delivered(watcher)).payload.toString()).toBe(`${packetIdentifier}`);
  }
});

test('after PUBACK the same identifier is a new message, whatever its DUP [MQTT5-4.3.2-5]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 1]]);
  const client = await bench.client();
  for (const [payload, dup] of [
    ['first', false],
    ['second', true],
    ['third', false],
  ] as const) {
    client.send(publish(5, { topic, qos: 1, packetIdentifier: 3, payload, dup }));
    expect(await client.expect('puback')).toMatchObject({ packetIdentifier: 3, code: 0 });
  }
  expect(payloads(await take(watcher, 3))).toEqual(['first', 'second', 'third']);
});

test('before PUBREC a QoS 2 message is sent again as PUBLISH [MQTT5-4.3.3-3]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const { client, message } = await inFlight(clientId, topic, 2);
  client.reset();
  const again = await bench.kept(clientId);
  const resent = await delivered(again);
  expect(resent).toMatchObject({ packetIdentifier: message.packetIdentifier, dup: true, qos: 2 });
  expect(await bench.arrived(again)).toEqual([]);
});

for (const code of [0x00, 0x10]) {
  test(`PUBREC 0x${code.toString(16)} is answered by PUBREL with its identifier [MQTT5-4.3.3-4]`, async () => {
    const { client, message } = await inFlight(bench.unique(), bench.unique(), 2);
    client.send(acknowledge('pubrec', message.packetIdentifier, code));
    const { packetIdentifier } = message;
    expect(await client.expect('pubrel')).toMatchObject({ packetIdentifier, code: 0 });
  });
}

for (const code of [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]) {
  test(`PUBREC 0x${code.toString(16)} ends the exchange: no PUBREL, nothing sent again [MQTT5-4.3.3-4]`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const { client, message } = await inFlight(clientId, topic, 2);
    client.send(acknowledge('pubrec', message.packetIdentifier, code));
    expect(await client.fence()).toEqual([]);
    client.reset();
    const again = await bench.kept(clientId);
    expect(await bench.arrived(again)).toEqual([]);
    expect(await before(again, await bench.client(), topic, 2)).toEqual([]);
  });
}

test('until PUBCOMP only PUBREL is sent again, never PUBLISH [MQTT5-4.3.3-5] [MQTT5-4.3.3-6]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const { client, message } = await inFlight(clientId, topic, 2);
  const { packetIdentifier } = message;
  client.send(acknowledge('pubrec', packetIdentifier));
  expect(await client.expect('pubrel')).toMatchObject({ packetIdentifier });
  let last = client;
  for (let round = 0; round < 3; round++) {
    last.reset();
    last = await bench.kept(clientId);
    expect(await last.expect('pubrel')).toMatchObject({ packetIdentifier, code: 0 });
    expect(await bench.arrived(last)).toEqual([]);
  }
  last.send(acknowledge('pubcomp', packetIdentifier));
  await last.fence();
  last.reset();
  const finished = await bench.kept(clientId);
  expect(await before(finished, await bench.client(), topic, 2)).toEqual([]);
});

test('PUBREC again before PUBCOMP gets PUBREL again, and no PUBLISH [MQTT5-4.3.3-6]', async () => {
  const { client, message } = await inFlight(bench.unique(), bench.unique(), 2);
  const { packetIdentifier } = message;
  for (let round = 0; round < 3; round++) {
    client.send(acknowledge('pubrec', packetIdentifier));
    expect(await client.expect('pubrel')).toMatchObject({ packetIdentifier, code: 0 });
  }
  client.send(acknowledge('pubcomp', packetIdentifier));
  expect(await client.fence()).toEqual([]);
});

test('a message that expires after it was sent is still sent again and completed; one that was not yet is dropped [MQTT5-4.3.3-7]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const properties = [[P.messageExpiryInterval, 1]] as const;
  const first = await bench.kept(clientId, { properties: [[P.receiveMaximum, 2]] });
  await subscribed(first, [[topic, 2]]);
  for (const payload of ['released', 'sent', 'waiting']) {
    await published(publisher, { topic, qos: 2, payload, properties });
  }
  const [released, sent] = (await take(first, 2)) as [Published, Published];
  first.send(acknowledge('pubrec', released.packetIdentifier));
  await first.take('pubrel');
  first.reset();
  await bench.timePasses();
  await bench.timePasses();
  const again = await bench.kept(clientId);
  const resent = await again.take('publish');
  expect(resent).toMatchObject({ dup: true, packetIdentifier: sent.packetIdentifier });
  await settle(again, resent);
  expect(await again.take('pubrel')).toMatchObject({ packetIdentifier: released.packetIdentifier });
  again.send(acknowledge('pubcomp', released.packetIdentifier));
  expect(payloads(await before(again, publisher, topic, 2))).toEqual([]);
});

test('PUBREC has the identifier of its PUBLISH and comes when the server owns the message [MQTT5-4.3.3-8]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  for (const packetIdentifier of [1, 0x1234, 0xffff]) {
    const client = await bench.client();
    client.send(publish(5, { topic, qos: 2, packetIdentifier, payload: `${packetIdentifier}` }));
    expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier, code: 0 });
    client.send(acknowledge('pubrel', packetIdentifier));
    expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier, code: 0 });
    expect((await delivered(watcher)).payload.toString()).toBe(`${packetIdentifier}`);
  }
});

test('after PUBREC 0x87 the same identifier is a new message [MQTT5-4.3.3-9]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  for (const [name, code] of [
    ['forbidden/x', 0x87],
    ['forbidden/y', 0x87],
    [topic, 0x00],
  ] as const) {
    client.send(publish(5, { topic: name, qos: 2, packetIdentifier: 9, payload: name }));
    expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 9, code });
  }
  client.send(acknowledge('pubrel', 9));
  expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 9, code: 0 });
  expect((await delivered(watcher)).payload.toString()).toBe(topic);
});

test('until PUBREL the same identifier gets PUBREC again and no second delivery [MQTT5-4.3.3-10]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  for (const dup of [false, true, true, false]) {
    client.send(publish(5, { topic, qos: 2, packetIdentifier: 9, payload: 'once', dup }));
    expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 9, code: 0 });
  }
  client.send(acknowledge('pubrel', 9));
  await client.expect('pubcomp');
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['once']);
});

test('repeats in one piece, before any PUBREC came back, are one message too [MQTT5-4.3.3-10]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  const message = publish(5, { topic, qos: 2, packetIdentifier: 9, payload: 'once' });
  client.send(message, message, message);
  // At least one answers; each names this identifier.
  await client.expect('pubrec');
  client.send(acknowledge('pubrel', 9));
  await client.take('pubcomp');
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['once']);
});

test('PUBREL is answered by PUBCOMP again and again, and no repeat delivers anything [MQTT5-4.3.3-11]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  client.send(publish(5, { topic, qos: 2, packetIdentifier: 9, payload: 'x' }));
  await client.expect('pubrec');
  for (let round = 0; round < 3; round++) {
    client.send(acknowledge('pubrel', 9));
    const { packetIdentifier, code } = await client.expect('pubcomp');
    expect(packetIdentifier).toBe(9);
    expect(round === 0 ? [0x00] : [0x00, 0x92]).toContain(code);
  }
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual(['x']);
});

test('after PUBCOMP the same identifier is a new message, whatever its DUP [MQTT5-4.3.3-12]', async () => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [[topic, 2]]);
  const client = await bench.client();
  for (const [payload, dup] of [
    ['first', false],
    ['second', false],
    ['third', true],
  ] as const) {
    client.send(publish(5, { topic, qos: 2, packetIdentifier: 9, payload, dup }));
    expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 9, code: 0 });
    client.send(acknowledge('pubrel', 9));
    expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 9, code: 0 });
  }
  expect(payloads(await before(watcher, await bench.client(), topic, 2))).toEqual([
    'first',
    'second',
    'third',
  ]);
});

for (const seconds of [0, 1]) {
  test(`a Message Expiry Interval of ${seconds} that passes in between stops no handshake of QoS 2 [MQTT5-4.3.3-13]`, async () => {
    const topic = bench.unique();
    const client = await bench.client();
    const properties = [[P.messageExpiryInterval, seconds]] as const;
    client.send(publish(5, { topic, qos: 2, packetIdentifier: 9, payload: 'x', properties }));
    expect(await client.expect('pubrec')).toMatchObject({ packetIdentifier: 9 });
    if (seconds > 0) await bench.timePasses();
    client.send(acknowledge('pubrel', 9));
    expect(await client.expect('pubcomp')).toMatchObject({ packetIdentifier: 9, code: 0 });
  });
}

test('a message may change its QoS on the way and each handshake is its own [MQTT5-4.3.2-4] [MQTT5-4.3.3-8]', async () => {
  const topic = bench.unique();
  const [one, two, publisher] = [await bench.client(), await bench.client(), await bench.client()];
  await subscribed(one, [[topic, 1]]);
  await subscribed(two, [[topic, 2]]);
  publisher.send(publish(5, { topic, qos: 2, packetIdentifier: 40, payload: 'x' }));
  await publisher.expect('pubrec');
  publisher.send(acknowledge('pubrel', 40));
  await publisher.expect('pubcomp');
  expect(await delivered(one)).toMatchObject({ qos: 1 });
  expect(await delivered(two)).toMatchObject({ qos: 2 });
  await left(publisher);
});
