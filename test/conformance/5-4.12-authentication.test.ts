/** MQTT 5.0, section 4.12: enhanced authentication, with SCRAM-SHA-256 as its method. */
import { expect, test } from 'vitest';
import { auth, type Connect, connect, disconnect, publish } from './support/build.js';
import { CRAMPED_BYTES } from './support/cramped.js';
import { usePeer5 } from './support/five.js';
import { before, delivered, published, refused, subscribed } from './support/flow.js';
import { peerName } from './support/peer.js';
import { type Given, P, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import type { Auth } from './support/read.js';
import { METHOD, ScramClient } from './support/scram.js';

const bench = usePeer5({ scram: true });
/** mosquitto has no method of its own. */
const withMethod = test.skipIf(peerName === 'mosquitto');

const CONTINUE = 0x18;
const RE_AUTHENTICATE = 0x19;

const saying = (data: Uint8Array, method = METHOD): Given[] => [
  [P.authenticationMethod, method],
  [P.authenticationData, data],
];
const dataOf = (packet: Parameters<typeof propertyOf>[0]): Buffer =>
  propertyOf(packet, P.authenticationData) as Buffer;

/** A connection whose CONNECT has brought the first message. */
async function begun(scram: ScramClient, options: Connect = {}): Promise<RawClient> {
  const client = await bench.open();
  const properties = [...(options.properties ?? []), ...saying(scram.first)];
  client.send(connect({ version: 5, clientId: bench.unique(), ...options, properties }));
  return client;
}

async function challenged(client: RawClient): Promise<Auth> {
  const challenge = await client.expect('auth');
  expect(challenge.code).toBe(CONTINUE);
  expect(propertyOf(challenge, P.authenticationMethod)).toBe(METHOD);
  return challenge;
}

/** A client that has proven to be this user. */
async function proven(user: string, options: Connect = {}): Promise<RawClient> {
  const scram = new ScramClient(user);
  const client = await begun(scram, options);
  client.send(auth(CONTINUE, saying(scram.final(dataOf(await challenged(client))))));
  const connack = await client.expect('connack');
  expect(connack.code).toBe(0x00);
  expect(propertyOf(connack, P.authenticationMethod)).toBe(METHOD);
  expect(dataOf(connack).toString()).toBe(scram.serverFinal);
  return client;
}

/** AUTH 0x19 up to the challenge. */
async function reauthenticating(client: RawClient, scram: ScramClient): Promise<Auth> {
  client.send(auth(RE_AUTHENTICATE, saying(scram.first)));
  const challenge = await client.take('auth');
  expect(challenge.code).toBe(CONTINUE);
  return challenge;
}

for (const method of ['', 'X', 'SCRAM-SHA-1', 'scram-sha-256', 'SCRAM-SHA-256-PLUS', 'GS2-KRB5']) {
  test(`the method '${method}' is refused [MQTT5-4.12.0-1]`, async () => {
    const client = await bench.open();
    client.send(
      connect({
        version: 5,
        clientId: bench.unique(),
        properties: saying(Buffer.from('n,,n=alice,r=x'), method),
      }),
    );
    await refused(client, [0x8c, 0x87]);
  });
}

withMethod(
  'AUTH of the server asks with 0x18, CONNACK ends it, and both name the method [MQTT5-4.12.0-2] [MQTT5-4.12.0-3] [MQTT5-4.12.0-5]',
  async () => {
    const client = await proven('alice');
    expect(client.received.map(({ type }) => type)).toEqual(['auth', 'connack']);
    expect(await client.fence()).toEqual([]);
  },
);

withMethod('a client that sends no data with CONNECT is asked for it [MQTT5-4.12.0-2]', async () => {
  const scram = new ScramClient('alice');
  const client = await bench.open();
  client.send(
    connect({ version: 5, clientId: bench.unique(), properties: [[P.authenticationMethod, METHOD]] }),
  );
  await challenged(client);
  client.send(auth(CONTINUE, saying(scram.first)));
  client.send(auth(CONTINUE, saying(scram.final(dataOf(await challenged(client))))));
  expect((await client.expect('connack')).code).toBe(0x00);
});

withMethod(
  'a proven client works like any other, with its session and its Will [MQTT5-4.12.0-5]',
  async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const properties: Given[] = [[P.sessionExpiryInterval, 60]];
    const first = await proven('alice', { clientId, properties, will: { topic, payload: 'will' } });
    await subscribed(first, [[topic, 1]]);
    first.reset();
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
    await published(watcher, { topic, qos: 1, payload: 'queued' });
    const again = await proven('alice', { clientId, clean: false, properties });
    expect(again.received.find(({ type }) => type === 'connack')).toMatchObject({ sessionPresent: true });
    await again.take('publish');
  },
);

const wrong: ReadonlyArray<readonly [string, (scram: ScramClient, challenge: Buffer) => Uint8Array]> = [
  ['a proof from another password', (_, challenge) => forged(challenge)],
  ['nothing', () => Buffer.alloc(0)],
  ['the first message again', (scram) => scram.first],
  ['no SCRAM at all', () => Buffer.from([0xff, 0, 0xfe])],
  [
    'another nonce',
    (scram, challenge) => Buffer.from(scram.final(challenge).toString().replace(/,r=./, ',r=~')),
  ],
  [
    'another channel binding',
    (scram, challenge) => Buffer.from(scram.final(challenge).toString().replace('c=biws', 'c=eSws')),
  ],
  ['no proof', (scram, challenge) => Buffer.from(scram.final(challenge).toString().replace(/,p=.*/, ''))],
];
/** The right form with the wrong signature: a proof that another exchange would need. */
function forged(challenge: Buffer): Buffer {
  const nonce = /r=([^,]*)/.exec(challenge.toString())?.[1] ?? '';
  return Buffer.from(`c=biws,r=${nonce},p=${Buffer.alloc(32, 7).toString('base64')}`);
}
for (const [what, answer] of wrong) {
  withMethod(`${what} in place of the answer is refused [MQTT5-4.12.0-4]`, async () => {
    const scram = new ScramClient('alice');
    const client = await begun(scram);
    client.send(auth(CONTINUE, saying(answer(scram, dataOf(await challenged(client))))));
    await refused(client, [0x80, 0x81, 0x82, 0x83, 0x86, 0x87]);
  });
}

withMethod('a wrong password and an unknown user fail alike, at the end [MQTT5-4.12.0-4]', async () => {
  const codes = [];
  for (const scram of [new ScramClient('alice', 'looking-glass'), new ScramClient('mallory', 'x')]) {
    const client = await begun(scram);
    client.send(auth(CONTINUE, saying(scram.final(dataOf(await challenged(client))))));
    codes.push(await refused(client, [0x86, 0x87]));
  }
  expect(codes[0]).toBe(codes[1]);
});

withMethod('a first message of no known form is refused at once [MQTT5-4.12.0-4]', async () => {
  for (const first of ['', 'x', 'n,,', 'p=tls-unique,,n=alice,r=x', 'n,,m=ext,n=alice,r=x']) {
    const client = await bench.open();
    client.send(connect({ version: 5, clientId: bench.unique(), properties: saying(Buffer.from(first)) }));
    await refused(client);
  }
});

withMethod(
  'who is refused has changed nothing: the old connection of that Client Identifier stays [MQTT5-4.12.0-4]',
  async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const old = await bench.client({ clientId });
    await subscribed(old, [topic]);
    const scram = new ScramClient('alice', 'looking-glass');
    const client = await begun(scram, { clientId });
    client.send(auth(CONTINUE, saying(scram.final(dataOf(await challenged(client))))));
    await refused(client, [0x86, 0x87]);
    await published(await bench.client(), { topic, payload: 'still here' });
    expect((await old.take('publish')).payload.toString()).toBe('still here');
  },
);

const intruders: ReadonlyArray<readonly [string, Uint8Array]> = [
  ['PUBLISH', publish(5, { topic: 'intruder', payload: 'x' })],
  ['PINGREQ', Buffer.of(0xc0, 0)],
  ['a second CONNECT', connect({ version: 5, clientId: 'intruder' })],
  ['AUTH of another method', auth(CONTINUE, saying(Buffer.from('x'), 'X'))],
  ['AUTH without method', auth(CONTINUE, [])],
  ['AUTH 0x19', auth(RE_AUTHENTICATE, saying(Buffer.from('n,,n=alice,r=x')))],
];
for (const [what, bytes] of intruders) {
  withMethod(
    `${what} in the middle of authentication is refused and not processed [MQTT5-4.12.0-4] [MQTT5-3.14.0-1]`,
    async () => {
      const watcher = await bench.client();
      await subscribed(watcher, ['intruder']);
      const client = await begun(new ScramClient('alice'));
      await challenged(client);
      client.send(bytes);
      await refused(client);
      expect(client.received.map(({ type }) => type)).not.toContain('disconnect');
      expect(await before(watcher, await bench.client(), 'intruder')).toEqual([]);
    },
  );
}

withMethod('DISCONNECT in the middle of authentication ends it without a word [MQTT5-4.12.0-4]', async () => {
  const client = await begun(new ScramClient('alice'));
  await challenged(client);
  client.send(disconnect());
  expect(await client.closed()).toEqual([]);
});

test('where CONNECT names no method no AUTH comes, and no method in CONNACK [MQTT5-4.12.0-6]', async () => {
  const { client, connack } = await bench.connect();
  expect(propertyOf(connack, P.authenticationMethod)).toBeUndefined();
  expect(propertyOf(connack, P.authenticationData)).toBeUndefined();
  await published(client, { topic: bench.unique(), qos: 2, payload: 'x' });
  expect(client.received.map(({ type }) => type)).not.toContain('auth');
});

for (const code of [CONTINUE, RE_AUTHENTICATE]) {
  test(`AUTH 0x${code.toString(16)} of a client whose CONNECT named no method closes the connection [MQTT5-4.12.0-7] [MQTT5-4.12.0-6]`, async () => {
    const client = await bench.client();
    client.send(auth(code, saying(new ScramClient('alice').first)));
    await refused(client, [0x82]);
    expect(client.received.map(({ type }) => type)).not.toContain('auth');
  });
}

test('authentication data without a method is an error in CONNECT [MQTT5-4.12.0-6]', async () => {
  const client = await bench.open();
  const properties: Given[] = [[P.authenticationData, Buffer.from('x')]];
  client.send(connect({ version: 5, clientId: bench.unique(), properties }));
  await refused(client, [0x81, 0x82]);
});

withMethod(
  'a client may prove itself again, and again [MQTT5-4.12.1-1] [MQTT5-4.12.0-2] [MQTT5-4.12.0-5]',
  async () => {
    const client = await proven('alice');
    for (let round = 0; round < 3; round++) {
      const scram = new ScramClient('alice');
      const challenge = await reauthenticating(client, scram);
      expect(propertyOf(challenge, P.authenticationMethod)).toBe(METHOD);
      client.send(auth(CONTINUE, saying(scram.final(dataOf(challenge)))));
      const done = await client.expect('auth');
      expect(done.code).toBe(0x00);
      expect(propertyOf(done, P.authenticationMethod)).toBe(METHOD);
      expect(dataOf(done).toString()).toBe(scram.serverFinal);
    }
    expect(await client.fence()).toEqual([]);
    expect(client.received.filter(({ type }) => type === 'connack')).toHaveLength(1);
  },
);

withMethod('other packets go on while a client proves itself again [MQTT5-4.12.1-1]', async () => {
  const topic = bench.unique();
  const client = await proven('alice');
  const scram = new ScramClient('alice');
  const challenge = await reauthenticating(client, scram);
  await subscribed(client, [[topic, 2]]);
  await published(client, { topic, qos: 2, payload: 'meanwhile' });
  expect((await delivered(client)).payload.toString()).toBe('meanwhile');
  client.send(auth(CONTINUE, saying(scram.final(dataOf(challenge)))));
  expect((await client.take('auth')).code).toBe(0x00);
});

withMethod(
  're-authentication with another method, or with none, closes the connection [MQTT5-4.12.1-1]',
  async () => {
    for (const list of [saying(new ScramClient('alice').first, 'SCRAM-SHA-1'), []]) {
      const client = await proven('alice');
      client.send(auth(RE_AUTHENTICATE, list));
      await refused(client);
    }
  },
);

withMethod(
  're-authentication that fails closes the connection, and the Will is published [MQTT5-4.12.1-2]',
  async () => {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    for (const scram of [new ScramClient('alice', 'looking-glass'), new ScramClient('mallory', 'x')]) {
      const client = await proven('alice', { will: { topic, payload: 'will' } });
      const challenge = await reauthenticating(client, scram);
      client.send(auth(CONTINUE, saying(scram.final(dataOf(challenge)))));
      await refused(client, [0x87]);
      expect((await watcher.take('publish')).payload.toString()).toBe('will');
    }
  },
);

withMethod('re-authentication as another user closes the connection [MQTT5-4.12.1-2]', async () => {
  const client = await proven('alice');
  const scram = new ScramClient('bob');
  const challenge = await reauthenticating(client, scram);
  client.send(auth(CONTINUE, saying(scram.final(dataOf(challenge)))));
  await refused(client);
});

withMethod('AUTH 0x18 that nobody asked for closes the connection [MQTT5-4.12.1-2]', async () => {
  const client = await proven('alice');
  client.send(auth(CONTINUE, saying(Buffer.from('x'))));
  await refused(client);
});

withMethod(
  'AUTH with wrong flags or codes is malformed in the middle of authentication too [MQTT5-3.15.1-1] [MQTT5-3.15.2-1]',
  async () => {
    for (const bytes of [
      'F1 00',
      auth(0x00, saying(Buffer.from('x'))),
      auth(0x87, saying(Buffer.from('x'))),
    ]) {
      const client = await begun(new ScramClient('alice'));
      await challenged(client);
      client.send(bytes);
      await refused(client);
    }
  },
);

withMethod(
  'AUTH has no explanation that the Maximum Packet Size leaves no room for, and is not sent where it does not fit [MQTT5-3.15.2-2] [MQTT5-3.15.2-3]',
  async () => {
    const tight = await begun(new ScramClient('alice'), {
      properties: [[P.maximumPacketSize, CRAMPED_BYTES]],
    });
    await refused(tight);
    for (const { bytes } of tight.received) expect(bytes.length).toBeLessThanOrEqual(CRAMPED_BYTES);
    const challenge = await challenged(await begun(new ScramClient('alice')));
    const exact = challenge.bytes.length;
    const fitting = await begun(new ScramClient('alice'), { properties: [[P.maximumPacketSize, exact]] });
    expect((await challenged(fitting)).bytes.length).toBeLessThanOrEqual(exact);
  },
);
