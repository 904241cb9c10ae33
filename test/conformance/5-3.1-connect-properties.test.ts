/** MQTT 5.0, section 3.1.2.11: what the properties of CONNECT ask of the server, and what they may not say. */
import { expect, test } from 'vitest';
import { connect, publish, subscribe, unsubscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, dropped, left, published, refused, settle, subscribed } from './support/flow.js';
import { type Given, P, propertiesOf, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import { hex, packet, text } from './support/wire.js';

const bench = usePeer5();
const guarded = usePeer5({ guarded: true });

// Session Expiry Interval

test('a session lives on for its Session Expiry Interval and no longer [MQTT5-3.1.2-23]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const first = await bench.client({ clientId, properties: [[P.sessionExpiryInterval, 1]] });
  await subscribed(first, [[topic, 1]]);
  await dropped(first);
  const back = await bench.connect({ clientId, clean: false, properties: [[P.sessionExpiryInterval, 1]] });
  expect(back.connack.sessionPresent).toBe(true);
  await dropped(back.client);
  await bench.timePasses();
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
});

test('the largest Session Expiry Interval keeps the session; CONNACK says if it is less [MQTT5-3.1.2-23]', async () => {
  const clientId = bench.unique();
  const forever = [P.sessionExpiryInterval, 0xffff_ffff] as const;
  const { client, connack } = await bench.connectKept(clientId, { properties: [forever] });
  expect(propertyOf(connack, P.sessionExpiryInterval) ?? 1).toBeGreaterThan(0);
  await dropped(client);
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(true);
});

test('each CONNECT sets the Session Expiry Interval anew, and DISCONNECT may change it [MQTT5-3.1.2-23]', async () => {
  const clientId = bench.unique();
  await left(await bench.kept(clientId));
  const second = await bench.connect({ clientId, clean: false });
  expect(second.connack.sessionPresent).toBe(true);
  await left(second.client);
  const third = await bench.connectKept(clientId);
  expect(third.connack.sessionPresent).toBe(false);
  await left(third.client, 0, [[P.sessionExpiryInterval, 0]]);
  expect((await bench.connectKept(clientId)).connack.sessionPresent).toBe(false);
});

// Maximum Packet Size

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

// Topic Alias Maximum

test('aliases of the server stay within Topic Alias Maximum, and each stands for the topic it came with [MQTT5-3.1.2-26] [MQTT5-3.3.2-11]', async () => {
  for (const maximum of [1, 2, 5]) {
    const prefix = bench.unique('a/topic/long/enough/for/an/alias');
    const client = await bench.client({ properties: [[P.topicAliasMaximum, maximum]] });
    await subscribed(client, [[`${prefix}/#`, 1]]);
    const publisher = await bench.client();
    const topics = new Map<number, string>();
    for (let count = 0; count < 40; count++) {
      const topic = `${prefix}/${(count * count) % 7}`;
      await published(publisher, { topic, qos: count % 2 });
      const message = await delivered(client);
      const alias = propertyOf(message, P.topicAlias);
      if (alias !== undefined) {
        expect(alias).toBeGreaterThan(0);
        expect(alias).toBeLessThanOrEqual(maximum);
        if (message.topic !== '') topics.set(Number(alias), message.topic);
      }
      expect(message.topic === '' ? topics.get(Number(alias)) : message.topic).toBe(topic);
    }
  }
});

test('without Topic Alias Maximum, or with 0, the server uses no alias, whatever the publisher does [MQTT5-3.1.2-27]', async () => {
  const topic = bench.unique('a/topic/long/enough/for/an/alias');
  const { client: publisher, connack } = await bench.connect();
  const mayUse = Number(propertyOf(connack, P.topicAliasMaximum) ?? 0) > 0;
  const given: readonly Given[] = mayUse ? [[P.topicAlias, 1]] : [];
  for (const list of [[], [[P.topicAliasMaximum, 0] as const]]) {
    const client = await bench.client({ properties: list });
    await subscribed(client, [[topic, 1]]);
    for (let count = 0; count < 10; count++) {
      await published(publisher, { topic, qos: count % 2, properties: given });
      const message = await delivered(client);
      expect(message.topic).toBe(topic);
      expect(message.properties).toEqual([]);
    }
  }
});

// Request Response Information, Request Problem Information

test('Response Information comes to none who did not ask for it [MQTT5-3.1.2-28]', async () => {
  for (const list of [[], [[P.requestResponseInformation, 0] as const]]) {
    const { client, connack } = await bench.connect({ properties: list });
    expect(propertyOf(connack, P.responseInformation)).toBeUndefined();
    expect(await client.fence()).toEqual([]);
  }
  const { client, connack } = await bench.connect({ properties: [[P.requestResponseInformation, 1]] });
  // Whether it comes to who did is up to the server.
  expect(propertiesOf(connack, P.responseInformation).length).toBeLessThanOrEqual(1);
  expect(await client.fence()).toEqual([]);
});

test('with Request Problem Information 0 answers carry no Reason String and no User Property [MQTT5-3.1.2-29]', async () => {
  const client = await guarded.client({ properties: [[P.requestProblemInformation, 0]] });
  const users: readonly Given[] = [[P.userProperty, ['name', 'value']]];
  const forbidden = { topic: 'forbidden/x', properties: users };
  client.send(
    publish(5, { ...forbidden, qos: 1, packetIdentifier: 1 }),
    publish(5, { ...forbidden, qos: 2, packetIdentifier: 2 }),
    subscribe(
      5,
      3,
      [
        ['forbidden/x', 0],
        ['fine', 0],
      ],
      users,
    ),
    unsubscribe(5, 4, ['never/subscribed'], users),
    '62 02 00 09',
    '50 02 00 0A',
  );
  const answers = await client.fence();
  expect(new Set(answers.map(({ type }) => type))).toContain('pubcomp');
  for (const { type, properties: said } of answers) {
    expect(type === 'publish' || type === 'disconnect' ? [] : said).toEqual([]);
  }
});

test('with Request Problem Information 0 the User Properties of messages come all the same [MQTT5-3.1.2-29]', async () => {
  const topic = bench.unique();
  const client = await bench.client({ properties: [[P.requestProblemInformation, 0]] });
  await subscribed(client, [topic]);
  const users: readonly Given[] = [[P.userProperty, ['name', 'value']]];
  await published(await bench.client(), { topic, properties: users });
  expect((await client.take('publish')).properties).toEqual(users);
});

// Receive Maximum

test('Receive Maximum holds for its connection: the next one may state another [MQTT5-3.3.4-9]', async () => {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const publisher = await bench.client();
  const first = await bench.kept(clientId, { properties: [[P.receiveMaximum, 1]] });
  await subscribed(first, [[topic, 1]]);
  for (let count = 0; count < 6; count++) await published(publisher, { topic, qos: 1, payload: `${count}` });
  expect(await first.fence()).toHaveLength(1);
  first.reset();
  const again = await bench.kept(clientId, { properties: [[P.receiveMaximum, 4]] });
  const got = (await again.fence()).filter((one) => one.type === 'publish');
  expect(got.map(({ payload }) => payload.toString())).toEqual(['0', '1', '2', '3']);
  expect(got.map(({ dup }) => dup)).toEqual([true, false, false, false]);
  for (const message of got) await settle(again, message);
  for (const payload of ['4', '5']) expect((await delivered(again)).payload.toString()).toBe(payload);
});

// What CONNECT may not say

const wrong: ReadonlyArray<readonly [string, readonly Given[]]> = [
  ['Session Expiry Interval twice', both([P.sessionExpiryInterval, 10])],
  ['Receive Maximum twice', both([P.receiveMaximum, 10])],
  ['Receive Maximum 0', [[P.receiveMaximum, 0]]],
  ['Maximum Packet Size twice', both([P.maximumPacketSize, 1000])],
  ['Maximum Packet Size 0', [[P.maximumPacketSize, 0]]],
  ['Topic Alias Maximum twice', both([P.topicAliasMaximum, 10])],
  ['Request Response Information twice', both([P.requestResponseInformation, 0])],
  ['Request Response Information 2', [[P.requestResponseInformation, 2]]],
  ['Request Problem Information twice', both([P.requestProblemInformation, 1])],
  ['Request Problem Information 2', [[P.requestProblemInformation, 2]]],
  ['Authentication Method twice', both([P.authenticationMethod, 'X'])],
  ['Authentication Data without method', [[P.authenticationData, hex('00')]]],
  ['a Server Keep Alive', [[P.serverKeepAlive, 10]]],
  ['a Reason String', [[P.reasonString, 'because']]],
  ['a Subscription Identifier', [[P.subscriptionIdentifier, 1]]],
  ['an Assigned Client Identifier', [[P.assignedClientIdentifier, 'c']]],
  ['a property of the Will', [[P.willDelayInterval, 10]]],
  ['an unknown property', [[0x7e, 0]]],
];
function both(one: Given): Given[] {
  return [one, one];
}
for (const [what, list] of wrong) {
  test(`CONNECT with ${what} is closed unserved [MQTT5-3.1.4-1]`, async () => {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: bench.unique(), properties: list }));
    await refused(client, [0x81, 0x82, 0x8c]);
  });
}

const wrongWill: ReadonlyArray<readonly [string, readonly Given[]]> = [
  ['Will Delay Interval twice', both([P.willDelayInterval, 10])],
  ['Payload Format Indicator twice', both([P.payloadFormatIndicator, 1])],
  ['Payload Format Indicator 2', [[P.payloadFormatIndicator, 2]]],
  ['Message Expiry Interval twice', both([P.messageExpiryInterval, 10])],
  ['Content Type twice', both([P.contentType, 'text'])],
  ['Response Topic twice', both([P.responseTopic, 'answers'])],
  ['a wildcard in its Response Topic [MQTT5-3.3.2-14]', [[P.responseTopic, 'answers/#']]],
  ['Correlation Data twice', both([P.correlationData, hex('01')])],
  ['a Topic Alias', [[P.topicAlias, 1]]],
  ['a Session Expiry Interval', [[P.sessionExpiryInterval, 10]]],
  ['an unknown property', [[0x7e, 0]]],
];
for (const [what, list] of wrongWill) {
  test(`a Will with ${what} is refused with its CONNECT [MQTT5-3.1.4-1]`, async () => {
    const client = await bench.open();
    const will = { topic: 'a', payload: 'x', properties: list };
    client.send(connect({ version: 5, clientId: bench.unique(), will }));
    await refused(client, [0x81, 0x82, 0x99]);
  });
}

const header = [text('MQTT'), hex('05 02 00 00')];
const cut: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['runs past the end of the packet', hex('7F 11 00 00 00 0A')],
  ['cuts a property', Buffer.concat([hex('03 11 00 00'), text('c')])],
  ['has five octets', Buffer.concat([hex('80 80 80 80 01'), text('c')])],
  ['ends within a String Pair', Buffer.concat([hex('04 26 00 01 61'), text('c')])],
];
for (const [what, rest] of cut) {
  test(`CONNECT whose Property Length ${what} is closed unserved [MQTT5-3.1.4-1]`, async () => {
    const client = await bench.open();
    client.send(packet(0x10, ...header, rest));
    await refused(client, [0x81, 0x82]);
  });
}

test('all properties of CONNECT may stand in any order, User Properties more than once [MQTT5-3.1.4-5]', async () => {
  const list: Given[] = [
    [P.userProperty, ['a', '1']],
    [P.maximumPacketSize, 1000],
    [P.requestProblemInformation, 1],
    [P.topicAliasMaximum, 0],
    [P.userProperty, ['a', '2']],
    [P.receiveMaximum, 65_535],
    [P.requestResponseInformation, 1],
    [P.sessionExpiryInterval, 10],
  ];
  for (const order of [list, [...list].reverse()]) {
    const clientId = bench.unique();
    const { client } = await bench.connect({ clientId, properties: order });
    await left(client);
    const { connack } = await bench.connect({ clientId, clean: false, properties: order });
    expect(connack.sessionPresent).toBe(true);
  }
});
