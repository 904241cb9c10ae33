/** MQTT 5.0, section 3.1.2.11: what the properties of CONNECT ask of the server, and what they may not say. */
import { expect, test } from 'vitest';
import { connect, publish, subscribe, unsubscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { delivered, dropped, left, published, refused, settle, subscribed } from './support/flow.js';
import { type Given, P, propertiesOf, propertyOf } from './support/property.js';
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
