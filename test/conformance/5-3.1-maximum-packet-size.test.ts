/** MQTT 5.0, section 3.1.2.11.4: nothing larger than its Maximum Packet Size goes to a client, and nothing else is lost. */
import { expect, test } from 'vitest';
import { connect, subscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, left, published, refused, subscribed } from './support/flow.js';
import { P } from './support/property.js';
import type { RawClient } from './support/raw-client.js';

const bench = usePeer5();
const guarded = usePeer5({ guarded: true });

/** First octet, length, topic, [identifier,] Property Length, payload: as many octets as asked for. */
function payloadFor(size: number, topic: string, qos: number): Buffer {
  const lengthOctets = size > 129 ? 2 : 1;
  return Buffer.alloc(size - 1 - lengthOctets - 2 - topic.length - (qos === 0 ? 0 : 2) - 1, 'x');
}

for (const qos of [0, 1, 2] as const) {
  test(`a QoS ${qos} message of Maximum Packet Size arrives; one octet more, and it counts as delivered [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]`, async () => {
    const topic = bench.unique();
    const publisher = await bench.client();
    const limited = await bench.client({
      properties: [
        [P.maximumPacketSize, 100],
        [P.receiveMaximum, 1],
      ],
    });
    const unlimited = await bench.client();
    for (const client of [limited, unlimited]) await subscribed(client, [[topic, qos]]);
    for (const size of [101, 100, 300, 101, 99]) {
      await published(publisher, { topic, qos, payload: payloadFor(size, topic, qos) });
    }
    // With a window of one, a message that was left out and not counted as delivered would block the rest.
    const sizes = async (client: RawClient, count: number): Promise<number[]> => {
      const got: number[] = [];
      while (got.length < count) got.push((await delivered(client)).bytes.length);
      return got;
    };
    expect(await sizes(limited, 2)).toEqual([100, 99]);
    expect(await sizes(unlimited, 5)).toEqual([101, 100, 300, 101, 99]);
    expect(await limited.fence()).toEqual([]);
    expect(Math.max(...limited.received.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(100);
  });
}

test('what was queued or retained and is too large is left out, and the rest comes [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId);
  await subscribed(first, [[`${topic}/queued`, 1]]);
  await left(first);
  const [large, small] = [Buffer.alloc(200, 'x'), Buffer.from('small')];
  for (const payload of [large, small, large, small]) {
    await published(publisher, { topic: `${topic}/queued`, qos: 1, payload });
  }
  await published(publisher, { topic: `${topic}/large`, qos: 1, retain: true, payload: large });
  await published(publisher, { topic: `${topic}/small`, qos: 1, retain: true, payload: small });
  const again = await bench.kept(clientId, { properties: [[P.maximumPacketSize, 100]] });
  for (let count = 0; count < 2; count++) {
    expect((await delivered(again)).payload.toString()).toBe('small');
  }
  await subscribed(again, [
    [`${topic}/large`, 1],
    [`${topic}/small`, 1],
  ]);
  expect(await delivered(again)).toMatchObject({ topic: `${topic}/small`, retain: true });
  expect(await again.fence()).toEqual([]);
});

for (const qos of [1, 2] as const) {
  test(`what was in flight at QoS ${qos} and is too large for the next connection is left out, and the rest comes [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const publisher = await bench.client();
    const first = await bench.kept(clientId);
    await subscribed(first, [[topic, 2]]);
    await published(publisher, { topic, qos, payload: Buffer.alloc(200, 'x') });
    await first.take('publish');
    first.reset();
    const again = await bench.kept(clientId, {
      properties: [
        [P.maximumPacketSize, 100],
        [P.receiveMaximum, 1],
      ],
    });
    await published(publisher, { topic, qos, payload: 'small' });
    expect((await delivered(again)).payload.toString()).toBe('small');
    expect(again.received.every(({ bytes }) => bytes.length <= 100)).toBe(true);
  });
}

test('properties that the server adds count for Maximum Packet Size [MQTT5-3.1.2-24]', async () => {
  const topic = bench.unique();
  const publisher = await bench.client();
  const limited = await bench.client({
    properties: [
      [P.maximumPacketSize, 100],
      [P.topicAliasMaximum, 10],
    ],
  });
  await subscribed(limited, [[topic, 0]], [[P.subscriptionIdentifier, 200_000]]);
  for (let size = 90; size <= 104; size++) {
    await published(publisher, { topic, payload: payloadFor(size, topic, 0) });
  }
  const got = await before(limited, publisher, topic);
  expect(got.length).toBeGreaterThan(0);
  expect(limited.received.every(({ bytes }) => bytes.length <= 100)).toBe(true);
});

for (const qos of [0, 1] as const) {
  test(`a QoS ${qos} message that fits without an alias is not lost for the sake of one [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]`, async () => {
    const prefix = bench.unique('a/topic/for/an/alias');
    const publisher = await bench.client();
    const limited = await bench.client({
      properties: [
        [P.maximumPacketSize, 100],
        [P.topicAliasMaximum, 65_535],
      ],
    });
    await subscribed(limited, [[`${prefix}/#`, qos]]);
    for (let size = 90; size <= 110; size++) {
      // A new topic each, so that each would need its name beside the alias.
      const topic = `${prefix}/${String(size).padStart(3, '0')}`;
      await published(publisher, { topic, qos, payload: payloadFor(size, topic, qos) });
    }
    const got = await before(limited, publisher, `${prefix}/end`, qos);
    expect(got.map(({ topic }) => Number(topic.slice(-3)))).toEqual(
      Array.from({ length: 11 }, (_, at) => 90 + at),
    );
    expect(got.every(({ bytes }) => bytes.length <= 100)).toBe(true);
  });
}

for (const size of [1, 4, 5, 8, 12]) {
  test(`with Maximum Packet Size ${size} no packet is larger, CONNACK no exception [MQTT5-3.1.2-24]`, async () => {
    const client = await bench.open();
    const clientId = bench.unique();
    client.send(connect({ version: 5, clientId, properties: [[P.maximumPacketSize, size]] }));
    // Either a CONNACK that fits, or the end of the connection: never silence.
    await Promise.race([client.take('connack').catch(() => client.closed()), client.closed()]);
    expect(client.received.every(({ bytes }) => bytes.length <= size)).toBe(true);
    await bench.connect();
  });
}

test('a SUBACK above Maximum Packet Size is not sent [MQTT5-3.1.2-24]', async () => {
  const topic = bench.unique();
  const client = await bench.client({ properties: [[P.maximumPacketSize, 40]] });
  const wanted = Array.from({ length: 60 }, (_, at) => [`${topic}/${at}`, 0] as const);
  client.send(subscribe(5, 1, wanted), 'C0 00');
  await client.take('pingresp').catch(() => client.closed());
  expect(client.received.every(({ bytes }) => bytes.length <= 40)).toBe(true);
  // One that fits is sent.
  expect((await subscribed(await bench.client(), wanted)).codes).toHaveLength(60);
});

test('a refusal is within Maximum Packet Size too, without Reason String and User Properties if need be [MQTT5-3.1.2-24] [MQTT5-3.2.2-19] [MQTT5-3.2.2-20]', async () => {
  const refusals = [
    [bench, { properties: [[P.authenticationMethod, 'X-UNKNOWN']] }],
    [guarded, { userName: 'anna', password: 'wrong', properties: [] }],
  ] as const;
  for (const [peer, { properties: list, ...options }] of refusals) {
    const client = await peer.open();
    client.send(
      connect({
        version: 5,
        clientId: peer.unique(),
        ...options,
        properties: [[P.maximumPacketSize, 8], ...list],
      }),
    );
    await refused(client);
    for (const { bytes, properties: said } of client.received) {
      expect(bytes.length).toBeLessThanOrEqual(8);
      expect(said).toEqual([]);
    }
  }
});
