import { pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { verifierFrom } from '../../../src/broker/scram.js';
import type { Transport } from '../../../src/broker/transport.js';
import type { AccessFiles } from '../../../src/config/access-files.js';
import { parseAclFile } from '../../../src/config/acl-file.js';
import type { PasswordHash } from '../../../src/config/password-file.js';
import type { Log } from '../../../src/core/log.js';
import { Decoder } from '../../../src/mqtt/decoder.js';
import { encode } from '../../../src/mqtt/encoder.js';
import type { AuthPacket, ConnackPacket, ConnectPacket, Packet } from '../../../src/mqtt/packet.js';
import { type RunningBroker, startBroker } from '../../support/broker-fixture.js';
import { RawClient, text } from '../../support/raw-client.js';
import { ScramClient } from '../../support/scram-client.js';

const METHOD = 'SCRAM-SHA-256';
const salt = Buffer.from('salt');

function hashed(password: string): PasswordHash {
  const hash = pbkdf2Sync(password, salt, 10, 64, 'sha512');
  return { kind: 'pbkdf2', iterations: 10, salt, hash };
}

function verifier(password: string) {
  return verifierFrom(pbkdf2Sync(password, salt, 4096, 32, 'sha256'), salt, 4096);
}

const acl = (lines: string): Pick<AccessFiles, 'acl'> => ({ acl: parseAclFile(lines) });
const PASSWORDS = new Map([
  ['alice', hashed('a')],
  ['bob', hashed('b')],
]);
const SCRAM = new Map([
  ['alice', verifier('a')],
  ['sam', verifier('s')],
]);

let running: RunningBroker | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function start(
  access: AccessFiles,
  options: Parameters<typeof startBroker>[1] = {},
  limits: Parameters<typeof startBroker>[0] = {},
): Promise<string> {
  running = await startBroker(limits, { allowAnonymous: false, access, ...options });
  return running.url;
}

/** Code of CONNACK. */
async function knock(url: string, options: Partial<ConnectPacket>): Promise<number> {
  const client = await RawClient.open(url, options.protocolVersion ?? 5);
  client.connect({ clientId: 'k', ...options });
  const connack = (await client.next()) as ConnackPacket;
  expect(connack.type).toBe('connack');
  await client.drop();
  return connack.reasonCode;
}

const user = (username: string, password?: string): Partial<ConnectPacket> => ({
  username,
  ...(password === undefined ? {} : { password: Buffer.from(password) }),
});

describe('CONNECT with a password file', () => {
  test.each([
    ['the right password', user('alice', 'a'), 0],
    ['a wrong one', user('alice', 'b'), 0x86],
    ['none', user('alice'), 0x86],
    ['an unknown user', user('carol', 'a'), 0x86],
    ['no user name', {}, 0x87],
    ['a password alone', { password: Buffer.from('a') }, 0x87],
  ] as const)('%s', async (_what, options, code) => {
    const url = await start({ passwords: PASSWORDS });
    expect(await knock(url, options)).toBe(code);
    if (!('password' in options) || 'username' in options) {
      expect(await knock(url, { ...options, protocolVersion: 4 })).toBe(code);
    }
    expect(running!.broker.snapshot().loginsFailed > 0).toBe(code !== 0);
  });

  test('whoever gives a name must prove it, even where nobody needs one', async () => {
    const url = await start({ passwords: PASSWORDS }, { allowAnonymous: true });
    expect(await knock(url, {})).toBe(0);
    expect(await knock(url, user('alice', 'wrong'))).toBe(0x86);
  });

  test('a name that only SCRAM could prove is refused without it', async () => {
    const url = await start({ scram: SCRAM }, { allowAnonymous: true });
    expect(await knock(url, user('sam', 's'))).toBe(0x86);
    expect(await knock(url, {})).toBe(0);
  });

  test('where there are no users, a name is not believed: to the ACL the client is nobody', async () => {
    const url = await start(acl('topic read free\nuser alice\ntopic read secret'), { allowAnonymous: true });
    const client = await RawClient.connect(url, { clientId: 'c', ...user('alice', 'a') });
    expect(await client.subscribe('secret')).toEqual([0x87]);
    expect(await client.subscribe('free')).toEqual([2]);
    await client.disconnect();
  });

  test('what follows CONNECT waits for the answer', async () => {
    const url = await start({ passwords: PASSWORDS });
    const client = await RawClient.open(url);
    client.connect({ clientId: 'c', ...user('alice', 'a') });
    client.send({ type: 'pingreq' });
    expect([(await client.next()).type, (await client.next()).type]).toEqual(['connack', 'pingresp']);
    await client.disconnect();
  });

  test('other files are taken over: old passwords no longer count, nobody is disconnected', async () => {
    const url = await start({ passwords: PASSWORDS });
    const client = await RawClient.connect(url, { clientId: 'c', ...user('alice', 'a') });
    running!.broker.reloadAccess({ passwords: new Map([['alice', hashed('new')]]) }, false);
    expect(await client.settled()).toEqual([]);
    expect(await knock(url, user('alice', 'a'))).toBe(0x86);
    expect(await knock(url, user('alice', 'new'))).toBe(0);
    await client.disconnect();
  });
});

describe('PUBLISH under an ACL', () => {
  const rules = acl('user alice\ntopic write a/#\nuser bob\ntopic read #');

  async function both(version: 4 | 5): Promise<{ alice: RawClient; bob: RawClient }> {
    const url = await start({ passwords: PASSWORDS, ...rules });
    const alice = await RawClient.connect(url, {
      clientId: 'a',
      protocolVersion: version,
      ...user('alice', 'a'),
    });
    const bob = await RawClient.connect(url, { clientId: 'b', ...user('bob', 'b') });
    await bob.subscribe('#');
    return { alice, bob };
  }

  test('5.0: what is not allowed is answered with 0x87 and reaches nobody', async () => {
    const { alice, bob } = await both(5);
    alice.publish('b/x', 'no');
    alice.publish('b/x', 'no', { qos: 1, packetIdentifier: 1 });
    expect(await alice.next()).toMatchObject({ type: 'puback', packetIdentifier: 1, reasonCode: 0x87 });
    alice.publish('b/x', 'no', { qos: 2, packetIdentifier: 2 });
    expect(await alice.next()).toMatchObject({ type: 'pubrec', packetIdentifier: 2, reasonCode: 0x87 });
    alice.publish('a/x', 'yes', { qos: 1, packetIdentifier: 3, retain: true });
    expect(await alice.next()).toMatchObject({ type: 'puback', packetIdentifier: 3, reasonCode: 0 });
    expect(text(await bob.next())).toBe('yes');
    expect(await bob.settled()).toEqual([]);
    expect(running!.broker.snapshot()).toMatchObject({ publishesDenied: 3, retained: 1 });
  });

  test('3.1.1: at QoS 1 and 2 the connection closes, since an acknowledgement would promise to keep it', async () => {
    for (const qos of [1, 2] as const) {
      const { alice, bob } = await both(4);
      alice.publish('b/x', 'no');
      expect(await alice.settled()).toEqual([]);
      alice.publish('b/x', 'no', { qos });
      expect(await alice.rest()).toEqual([]);
      expect(await bob.settled()).toEqual([]);
      await running!.stop();
    }
  });

  test('3.1.1: a QoS 2 message that was refused is taken when sent again after the ACL allows it', async () => {
    const { alice, bob } = await both(4);
    await alice.disconnect();
    const connect = { clientId: 'a', protocolVersion: 4, cleanStart: false, ...user('alice', 'a') } as const;
    const first = await RawClient.connect(running!.url, connect);
    first.publish('b/x', 'later', { qos: 2, packetIdentifier: 9 });
    await first.rest();
    running!.broker.reloadAccess(
      { passwords: PASSWORDS, ...acl('user alice\ntopic b/x\nuser bob\ntopic #') },
      false,
    );
    const again = await RawClient.connect(running!.url, connect);
    again.publish('b/x', 'later', { qos: 2, packetIdentifier: 9, dup: true });
    expect(await again.next()).toMatchObject({ type: 'pubrec', packetIdentifier: 9 });
    expect(text(await bob.next())).toBe('later');
  });

  test('a Will that its client may not publish is refused with CONNECT', async () => {
    const url = await start({ passwords: PASSWORDS, ...rules });
    const will = { topic: 'b/will', payload: Buffer.from('x'), qos: 0, retain: false } as const;
    expect(await knock(url, { ...user('alice', 'a'), will })).toBe(0x87);
    expect(await knock(url, { ...user('alice', 'a'), will: { ...will, topic: 'a/will' } })).toBe(0);
  });

  test('and one that it may no longer publish when its time comes is not published', async () => {
    const { alice, bob } = await both(5);
    const will = { topic: 'a/will', payload: Buffer.from('x'), qos: 0, retain: false } as const;
    const dying = await RawClient.connect(running!.url, { clientId: 'w', ...user('alice', 'a'), will });
    running!.broker.reloadAccess({ passwords: PASSWORDS, ...acl('user bob\ntopic read #') }, false);
    await dying.drop();
    await alice.settled();
    expect(await bob.settled()).toEqual([]);
    expect(running!.broker.snapshot().publishesDenied).toBe(1);
  });
});

describe('SUBSCRIBE and deliveries under an ACL', () => {
  const rules = acl('user alice\ntopic readwrite #\nuser bob\ntopic read a/#\ntopic deny a/secret');

  async function start2(): Promise<{ alice: RawClient; bob: RawClient }> {
    const url = await start({ passwords: PASSWORDS, ...rules });
    const alice = await RawClient.connect(url, { clientId: 'a', ...user('alice', 'a') });
    const bob = await RawClient.connect(url, {
      clientId: 'b',
      properties: { sessionExpiryInterval: 1000 },
      ...user('bob', 'b'),
    });
    return { alice, bob };
  }

  test('a filter that brings nothing is refused, in 3.1.1 with 0x80', async () => {
    const { bob } = await start2();
    expect(await bob.subscribe('b/#')).toEqual([0x87]);
    expect(await bob.subscribe('a/secret')).toEqual([0x87]);
    expect(await bob.subscribe('$share/g/b')).toEqual([0x87]);
    const old = await RawClient.connect(running!.url, {
      clientId: 'o',
      protocolVersion: 4,
      ...user('bob', 'b'),
    });
    expect(await old.subscribe('b/#')).toEqual([0x80]);
    expect(running!.broker.snapshot().subscriptions).toBe(0);
  });

  test.each([0, 1, 2] as const)(
    'one that overlaps is granted, and its deliveries are filtered, QoS %i',
    async (qos) => {
      const { alice, bob } = await start2();
      expect(await bob.subscribe('#')).toEqual([2]);
      for (const [at, topic] of ['b', 'a/secret', 'a/x', 'c/d', 'a'].entries()) {
        alice.publish(topic, topic, { qos, packetIdentifier: qos === 0 ? undefined : at + 1 });
      }
      expect([text(await bob.next()), text(await bob.next())]).toEqual(['a/x', 'a']);
      expect(await bob.settled()).toEqual([]);
    },
  );

  test('retained messages are filtered too', async () => {
    const { alice, bob } = await start2();
    for (const topic of ['b', 'a/secret', 'a/x']) alice.publish(topic, topic, { retain: true });
    await alice.settled();
    await bob.subscribe('#', { qos: 0 });
    expect((await bob.settled()).map(text)).toEqual(['a/x']);
  });

  test('a shared subscription gives a message only to members who may read it', async () => {
    const { alice, bob } = await start2();
    await bob.subscribe('$share/g/#', { qos: 0 });
    alice.publish('b', 'for nobody');
    await alice.subscribe('$share/g/#', { qos: 0 });
    for (let count = 0; count < 4; count += 1) alice.publish('a/secret', 'for alice');
    expect((await alice.settled()).map(text)).toEqual(Array(4).fill('for alice'));
    expect(await bob.settled()).toEqual([]);
    for (let count = 0; count < 4; count += 1) alice.publish('a/x', 'for both');
    expect((await alice.settled()).length).toBeLessThan(4);
    expect((await bob.settled()).length).toBeGreaterThan(0);
  });

  test('what the ACL takes away stops coming at once, and what it gives comes', async () => {
    const { alice, bob } = await start2();
    await bob.subscribe('#', { qos: 0 });
    alice.publish('a/x', '1');
    await alice.settled();
    running!.broker.reloadAccess(
      { passwords: PASSWORDS, ...acl('user alice\ntopic #\nuser bob\ntopic read b') },
      false,
    );
    alice.publish('a/x', '2');
    alice.publish('b', '3');
    await alice.settled();
    expect((await bob.settled()).map(text)).toEqual(['1', '3']);
  });

  test('what waited for a session is asked about again when it leaves', async () => {
    const { alice, bob } = await start2();
    await bob.subscribe('#', { qos: 1 });
    await bob.disconnect();
    for (const [at, topic] of ['a/x', 'a/y', 'b'].entries()) {
      alice.publish(topic, topic, { qos: 1, packetIdentifier: at + 1 });
      await alice.next();
    }
    running!.broker.reloadAccess(
      { passwords: PASSWORDS, ...acl('user bob\ntopic read #\ntopic deny a/x') },
      false,
    );
    const back = await RawClient.connect(running!.url, {
      clientId: 'b',
      cleanStart: false,
      ...user('bob', 'b'),
    });
    expect(back.connack.sessionPresent).toBe(true);
    expect((await back.settled()).map(text)).toEqual(['a/y']);
  });

  test("another user who comes with a session's Client Identifier gets nothing that he may not read", async () => {
    const { alice } = await start2();
    const kept = { clientId: 'k', cleanStart: false, properties: { sessionExpiryInterval: 1000 } };
    const first = await RawClient.connect(running!.url, { ...kept, ...user('alice', 'a') });
    await first.subscribe('#', { qos: 1 });
    alice.publish('b', 'in flight', { qos: 1, packetIdentifier: 1 });
    expect(text(await first.next())).toBe('in flight');
    await first.drop();
    alice.publish('b', 'queued', { qos: 1, packetIdentifier: 2 });
    alice.publish('a/x', 'his', { qos: 1, packetIdentifier: 3 });
    await alice.settled();
    const thief = await RawClient.connect(running!.url, { ...kept, ...user('bob', 'b') });
    alice.publish('b', 'live');
    await alice.settled();
    expect((await thief.settled()).map(text)).toEqual(['his']);
  });
});

describe('SCRAM-SHA-256', () => {
  const auth = (reasonCode: AuthPacket['reasonCode'], data?: Uint8Array, method = METHOD): AuthPacket => ({
    type: 'auth',
    reasonCode,
    properties: {
      authenticationMethod: method,
      ...(data === undefined ? {} : { authenticationData: data }),
    },
  });
  const login = (scram: ScramClient, more: Partial<ConnectPacket> = {}): Partial<ConnectPacket> => ({
    clientId: 's',
    ...more,
    properties: { authenticationMethod: METHOD, authenticationData: scram.first(), ...more.properties },
  });

  async function challenged(
    url: string,
    scram: ScramClient,
    more: Partial<ConnectPacket> = {},
  ): Promise<{ client: RawClient; final: Buffer }> {
    const client = await RawClient.open(url);
    client.connect(login(scram, more));
    const challenge = await client.next();
    // [MQTT5-4.12.0-2] [MQTT5-4.12.0-5]
    expect(challenge).toMatchObject({
      type: 'auth',
      reasonCode: 0x18,
      properties: { authenticationMethod: METHOD },
    });
    return { client, final: scram.final((challenge as AuthPacket).properties!.authenticationData!) };
  }

  async function loggedIn(url: string, name = 'sam', password = 's'): Promise<RawClient> {
    const scram = new ScramClient(name, password);
    const { client, final } = await challenged(url, scram);
    client.send(auth(0x18, final));
    const connack = (await client.next()) as ConnackPacket;
    expect(connack).toMatchObject({
      type: 'connack',
      reasonCode: 0,
      properties: { authenticationMethod: METHOD },
    });
    expect(scram.believes(connack.properties?.authenticationData)).toBe(true);
    return client;
  }

  test('both prove themselves, and the name counts for the ACL', async () => {
    const url = await start({ scram: SCRAM, ...acl('user sam\ntopic read a') });
    const client = await loggedIn(url);
    expect(await client.subscribe('a')).toEqual([2]);
    expect(await client.subscribe('b')).toEqual([0x87]);
    await client.disconnect();
  });

  test('a wrong password and an unknown user end alike, with 0x87 and without a DISCONNECT', async () => {
    const url = await start({ scram: SCRAM });
    const ends: Packet[][] = [];
    for (const name of ['sam', 'nobody']) {
      const { client, final } = await challenged(url, new ScramClient(name, 'wrong'));
      client.send(auth(0x18, final));
      ends.push(await client.rest());
    }
    expect(ends[0]).toMatchObject([{ type: 'connack', reasonCode: 0x87 }]);
    expect(ends[0]).toEqual(ends[1]);
    expect(running!.broker.snapshot()).toMatchObject({ loginsFailed: 2, connections: 0 });
  });

  test.each([
    ['SCRAM-SHA-1', { scram: SCRAM }],
    ['scram-sha-256', { scram: SCRAM }],
    [METHOD, { passwords: PASSWORDS }],
  ])('the method %s that is not offered is refused with 0x8C [MQTT5-4.12.0-1]', async (method, files) => {
    const url = await start(files);
    const options = { properties: { authenticationMethod: method }, ...user('alice', 'a') };
    expect(await knock(url, options)).toBe(0x8c);
  });

  test('a name in CONNECT must be the one that is proven', async () => {
    const url = await start({ scram: SCRAM });
    for (const [name, code] of [
      ['sam', 0],
      ['alice', 0x87],
    ] as const) {
      const { client, final } = await challenged(url, new ScramClient('sam', 's'), { username: name });
      client.send(auth(0x18, final));
      expect(await client.next()).toMatchObject({ type: 'connack', reasonCode: code });
      await client.drop();
    }
  });

  test.each<[string, (final: Buffer) => Packet, number]>([
    ['another packet', () => ({ type: 'pingreq' }), 0x82],
    ['another method', (final) => auth(0x18, final, 'OTHER'), 0x82],
    ['a beginning', (final) => auth(0x19, final), 0x82],
    ['no data', () => auth(0x18), 0x87],
  ])('%s before the end of the exchange is refused in CONNACK', async (_what, packet, code) => {
    const url = await start({ scram: SCRAM });
    const { client, final } = await challenged(url, new ScramClient('sam', 's'));
    client.send(packet(final));
    expect(await client.rest()).toMatchObject([{ type: 'connack', reasonCode: code }]);
  });

  test('a client may give up, and one that never goes on is closed in time', async () => {
    const url = await start({ scram: SCRAM }, {}, { connect_timeout: '10s' });
    const leaving = await challenged(url, new ScramClient('sam', 's'));
    leaving.client.send({ type: 'disconnect', reasonCode: 0 });
    expect(await leaving.client.rest()).toEqual([]);
    const waiting = await challenged(url, new ScramClient('sam', 's'));
    running!.clock.advance(10_000);
    expect(await waiting.client.rest()).toEqual([]);
  });

  test('the client proves itself again while other packets go on [MQTT5-4.12.1-1]', async () => {
    const url = await start({ scram: SCRAM });
    const client = await loggedIn(url);
    for (let round = 0; round < 2; round += 1) {
      const scram = new ScramClient('sam', 's');
      client.send(auth(0x19, scram.first()));
      const challenge = (await client.next()) as AuthPacket;
      expect(challenge).toMatchObject({ type: 'auth', reasonCode: 0x18 });
      expect(await client.subscribe('a')).toEqual([2]);
      client.send(auth(0x18, scram.final(challenge.properties!.authenticationData!)));
      const done = (await client.next()) as AuthPacket;
      expect(done).toMatchObject({
        type: 'auth',
        reasonCode: 0,
        properties: { authenticationMethod: METHOD },
      });
      expect(scram.believes(done.properties?.authenticationData)).toBe(true);
    }
    await client.disconnect();
  });

  test.each<[string, (client: RawClient) => Promise<void> | void, number]>([
    ['as another user', (client) => again(client, new ScramClient('alice', 'a')), 0x87],
    ['with a wrong password', (client) => again(client, new ScramClient('sam', 'x')), 0x87],
    ['by another method', (client) => client.send(auth(0x19, Buffer.from('x'), 'OTHER')), 0x82],
    ['without a beginning', (client) => client.send(auth(0x18, Buffer.from('x'))), 0x82],
    [
      'twice at once',
      (client) => client.send(auth(0x19, new ScramClient('sam', 's').first()), auth(0x19, Buffer.from('x'))),
      0x82,
    ],
    [
      'after its file has gone',
      (client) => {
        running!.broker.reloadAccess({}, false);
        client.send(auth(0x19, new ScramClient('sam', 's').first()));
      },
      0x87,
    ],
  ])('proving itself again %s ends the connection [MQTT5-4.12.1-2]', async (_how, act, code) => {
    const url = await start({ scram: SCRAM });
    const client = await loggedIn(url);
    await act(client);
    expect((await client.rest()).at(-1)).toMatchObject({ type: 'disconnect', reasonCode: code });
  });

  async function again(client: RawClient, scram: ScramClient): Promise<void> {
    client.send(auth(0x19, scram.first()));
    const challenge = (await client.next()) as AuthPacket;
    client.send(auth(0x18, scram.final(challenge.properties!.authenticationData!)));
  }

  test('AUTH from a client that came without a method is a Protocol Error [MQTT5-4.12.0-7]', async () => {
    const url = await start({ scram: SCRAM, passwords: PASSWORDS });
    const client = await RawClient.connect(url, { clientId: 'c', ...user('alice', 'a') });
    expect(client.connack.properties).not.toHaveProperty('authenticationMethod');
    client.send(auth(0x19, Buffer.from('x')));
    expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x82 }]);
  });

  test('whatever stands in CONNECT and AUTH, nobody gets in and the broker goes on [fuzz]', async () => {
    const url = await start({ scram: SCRAM, passwords: PASSWORDS });
    const data = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ maxLength: 60 }).map((part) => Buffer.from(`n,,n=sam,r=${part}`)),
      fc.constant(new ScramClient('sam', 's').first()),
    );
    const method = fc.oneof({ weight: 5, arbitrary: fc.constant(METHOD) }, fc.string({ maxLength: 20 }));
    const name = fc.option(fc.constantFrom('sam', 'alice', ''), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        method,
        fc.option(data, { nil: undefined }),
        data,
        name,
        async (how, first, second, who) => {
          const client = await RawClient.open(url);
          client.connect({
            clientId: 'f',
            ...(who === undefined ? {} : user(who, 'x')),
            properties: {
              authenticationMethod: how,
              ...(first === undefined ? {} : { authenticationData: first }),
            },
          });
          client.send(auth(0x18, second, how), { type: 'pingreq' });
          const said = await client.rest();
          expect(said.at(-1)).toMatchObject({ type: 'connack' });
          expect(said.filter((packet) => packet.type === 'connack' && packet.reasonCode === 0)).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
    await (await loggedIn(url)).disconnect();
  });
});

describe('one address', () => {
  /** A client that comes from elsewhere: what it is told, packet by packet. */
  async function from(remoteAddress: string, packet: Partial<ConnectPacket>): Promise<Packet[]> {
    const decoder = new Decoder({
      maximumPacketSize: 1000,
      receiver: 'client',
      protocolVersion: packet.protocolVersion ?? 5,
    });
    const nothing = (): void => {};
    const transport: Transport = {
      remoteAddress,
      pendingBytes: 0,
      write: (bytes) => {
        decoder.push(new Uint8Array(bytes));
        return true;
      },
      end: nothing,
      destroy: nothing,
      pause: nothing,
      resume: nothing,
    };
    const client = running!.broker.accept(transport)!;
    const whole = {
      type: 'connect',
      protocolVersion: 5,
      clientId: 'x',
      cleanStart: true,
      keepAlive: 0,
    } as const;
    client.received(encode({ ...whole, ...packet }, packet.protocolVersion ?? 5));
    // A welcome leaves at the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    const said: Packet[] = [];
    for (let next = decoder.next(); next.kind === 'packet'; next = decoder.next()) said.push(next.packet);
    client.closed();
    return said;
  }

  function logOf(lines: [object, string][]): Log {
    const add = (fields: object, sentence: string): void => void lines.push([fields, sentence]);
    return { error: add, warn: add, info: add, debug: () => {} };
  }

  test('that fails too many logins is refused with 0x9F, in 3.1.1 with 3, told once, and welcome again later', async () => {
    const lines: [object, string][] = [];
    await start({ passwords: PASSWORDS }, { log: logOf(lines) }, { max_auth_failures: 2 });
    const refused = { type: 'connack', reasonCode: 0x87 };
    for (let count = 0; count < 3; count += 1) expect(await from('10.0.0.1', {})).toMatchObject([refused]);
    expect(await from('10.0.0.1', {})).toMatchObject([{ type: 'connack', reasonCode: 0x9f }]);
    expect(await from('10.0.0.1', { protocolVersion: 4 })).toMatchObject([
      { type: 'connack', reasonCode: 0x88 },
    ]);
    expect(await from('10.0.0.2', {})).toMatchObject([refused]);
    running!.clock.advance(10_000);
    expect(await from('10.0.0.1', {})).toMatchObject([refused]);
    expect(lines).toEqual([
      [
        { reason: expect.stringContaining('(0x8'), address: '10.0.0.1', client: 'x', why: 'not authorized' },
        'A client was refused; more for the same reason are only counted',
      ],
      [{ address: '10.0.0.1' }, 'Too many logins failed from an address; it is refused for a time'],
      [{ address: '10.0.0.1', why: 'blocked', ms: 10_000, refused: 2 }, 'An address is welcome again'],
    ]);
    expect(running!.broker.snapshot()).toMatchObject({ loginsFailed: 5, connectionsThrottled: 2 });
  });

  test('that connects too often is refused with 0x9F until it slows down', async () => {
    const lines: [object, string][] = [];
    await start({}, { log: logOf(lines), allowAnonymous: true }, { max_connect_rate: 1 });
    const codes: number[] = [];
    for (let count = 0; count < 12; count += 1) {
      const [connack] = (await from('10.0.0.1', {})) as ConnackPacket[];
      codes.push(connack!.reasonCode);
    }
    expect(codes).toEqual([...Array(10).fill(0), 0x9f, 0x9f]);
    running!.clock.advance(1000);
    expect(await from('10.0.0.1', {})).toMatchObject([{ reasonCode: 0 }]);
    expect(lines.map(([, sentence]) => sentence)).toEqual([
      'An address connects too often; it is refused until it slows down',
      'An address is welcome again',
    ]);
  });

  test('failed SCRAM logins count too', async () => {
    await start({ scram: SCRAM }, {}, { max_auth_failures: 1 });
    const bad = { properties: { authenticationMethod: METHOD, authenticationData: Buffer.from('x') } };
    expect(await from('10.0.0.1', bad)).toMatchObject([{ reasonCode: 0x87 }]);
    expect(await from('10.0.0.1', bad)).toMatchObject([{ reasonCode: 0x87 }]);
    expect(await from('10.0.0.1', bad)).toMatchObject([{ reasonCode: 0x9f }]);
  });

  test('this machine itself is not refused', async () => {
    await start({ passwords: PASSWORDS }, {}, { max_auth_failures: 1, max_connect_rate: 1 });
    for (let count = 0; count < 20; count += 1) {
      expect(await from('127.0.0.1', {})).toMatchObject([{ reasonCode: 0x87 }]);
    }
  });
});
