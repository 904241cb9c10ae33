/** The client for programs against the broker, over real sockets. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GodwitError } from '../../../src/core/error.js';
import type { Message } from '../../../src/core/message.js';
import { Client } from '../../../src/library/client.js';
import type { ClientOptions } from '../../../src/library/client-options.js';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { Authority, type Signed } from '../../support/certificates.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { RawClient } from '../../support/raw-client.js';

let running: RunningBroker;
let proxy: CuttingProxy;
const clients: Client[] = [];

beforeEach(async () => {
  running = await startBroker();
  proxy = await CuttingProxy.to(Number(new URL(running.url).port));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await proxy.close();
  await running.stop();
});

function client(options: Partial<ClientOptions> = {}): Client {
  const made = new Client({ url: running.url, reconnect: { minMs: 1, maxMs: 5 }, ...options });
  clients.push(made);
  return made;
}

async function connected(options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = client(options);
  await made.connect();
  return made;
}

/** The code of the GodwitError that it rejects with. */
async function code(promise: Promise<unknown>): Promise<string> {
  const fault = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return fault instanceof GodwitError ? fault.code : `not a GodwitError: ${String(fault)}`;
}

function texts(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => Buffer.from(payload).toString());
}

describe.each([5, '3.1.1'] as const)('version %s', (version) => {
  test.each([0, 1, 2] as const)('messages at QoS %i are published, and come in order', async (qos) => {
    const [from, to] = [await connected({ version }), await connected({ version })];
    const got: Message[] = [];
    expect(await to.subscribe('a/+', (message) => void got.push(message), { qos })).toBe(qos);
    const sent = Array.from({ length: 500 }, (_, number) => `${number}`);
    await Promise.all(sent.map((payload) => from.publish('a/b', payload, { qos })));
    await until(() => got.length >= sent.length);
    expect(texts(got)).toEqual(sent);
    expect(got[0]).toMatchObject({ topic: 'a/b', qos, retain: false });
  });

  test('retained messages, several callbacks, and none after unsubscribe', async () => {
    const one = await connected({ version });
    await one.publish('state', 'on', { qos: 1, retain: true });
    const [exact, wide]: Message[][] = [[], []];
    await one.subscribe('state', (message) => void exact?.push(message));
    await one.subscribe('#', (message) => void wide?.push(message));
    await until(() => (exact?.length ?? 0) >= 1 && (wide?.length ?? 0) >= 1);
    expect(exact?.[0]).toMatchObject({ topic: 'state', retain: true });
    await one.unsubscribe('#');
    const before = wide?.length;
    await one.publish('state', 'off', { qos: 1 });
    await until(() => texts(exact ?? []).includes('off'));
    expect(wide).toHaveLength(before ?? 0);
  });

  test('the Will is published when the connection is lost, and not after close', async () => {
    const watcher = await connected({ version });
    const got: Message[] = [];
    await watcher.subscribe('will/#', (message) => void got.push(message), { qos: 1 });
    const will = { topic: 'will/one', payload: 'gone', qos: 1 } as const;
    const dying = await connected({ version, will, url: `mqtt://127.0.0.1:${proxy.port}`, reconnect: false });
    proxy.cut();
    await until(() => got.length === 1);
    expect(texts(got)).toEqual(['gone']);
    expect(dying.connected).toBe(false);
    const leaving = await connected({ version, will: { ...will, topic: 'will/two' } });
    await leaving.close();
    await watcher.publish('will/end', '', { qos: 1 });
    await until(() => got.some(({ topic }) => topic === 'will/end'));
    expect(got.map(({ topic }) => topic)).not.toContain('will/two');
  });

  test('what was promised while the link was cut again and again is kept', async () => {
    const kept = version === 5 ? { sessionExpirySeconds: 60 } : { cleanStart: false };
    const from = await connected({ version, ...kept, url: `mqtt://127.0.0.1:${proxy.port}` });
    const to = await connected({ version });
    const got: string[] = [];
    await to.subscribe('t', (message) => void got.push(...texts([message])), { qos: 2 });
    const sent = Array.from({ length: 300 }, (_, number) => `${number}`);
    for (const [index, payload] of sent.entries()) {
      const published = from.publish('t', payload, { qos: 2 });
      if (index % 7 === 3) proxy.cut();
      await published;
    }
    await until(() => got.length >= sent.length);
    expect(got).toEqual(sent);
  });

  test('subscriptions stand again after the session is lost', async () => {
    let connections = 0;
    const to = await connected({
      version,
      url: `mqtt://127.0.0.1:${proxy.port}`,
      onConnect: () => {
        connections += 1;
      },
    });
    const got: Message[] = [];
    await to.subscribe('a', (message) => void got.push(message), { qos: 1 });
    await to.subscribe('b', (message) => void got.push(message), { qos: 1 });
    await to.unsubscribe('b');
    proxy.cut();
    await until(() => connections === 2 && running.broker.snapshot().subscriptions === 1);
    const from = await connected({ version });
    await from.publish('b', 'not wanted', { qos: 1 });
    await from.publish('a', 'wanted', { qos: 1 });
    await until(() => got.length > 0);
    expect(texts(got)).toEqual(['wanted']);
  });
});

test('connecting to nobody, or with a wrong URL, is told at once and may be tried again', async () => {
  const { port } = proxy;
  await proxy.close();
  const lost = client({ url: `mqtt://127.0.0.1:${port}` });
  expect(await code(lost.connect())).toBe('CONNECT_FAILED');
  expect(await code(lost.connect())).toBe('CONNECT_FAILED');
  expect(await code(client({ url: 'http://127.0.0.1' }).connect())).toBe('CONNECT_FAILED');
  const twice = await connected();
  expect(await code(twice.connect())).toBe('CLIENT_STATE');
});

test('the Reason Code of a refusal is told', async () => {
  const closed = await startBroker({}, { allowAnonymous: false });
  const fault = await client({ url: closed.url })
    .connect()
    .catch((thrown: unknown) => thrown);
  expect(fault).toMatchObject({ code: 'CONNECT_FAILED', fields: { reasonCode: 0x87 } });
  await closed.stop();
});

test('properties of 5.0 travel', async () => {
  const one = await connected();
  const got: Message[] = [];
  await one.subscribe('t', (message) => void got.push(message));
  const properties = {
    contentType: 'text/plain',
    responseTopic: 'answer',
    correlationData: Buffer.from('id'),
    userProperties: [['a', 'b']],
  } as const;
  await one.publish('t', 'x', { properties });
  await until(() => got.length === 1);
  expect(got[0]?.properties).toMatchObject({ contentType: 'text/plain', responseTopic: 'answer' });
  expect(got[0]?.properties?.userProperties).toEqual([['a', 'b']]);
});

test('a message is acknowledged once its callback is done with it', async () => {
  const to = await connected({ url: `mqtt://127.0.0.1:${proxy.port}`, sessionExpirySeconds: 60 });
  const from = await connected();
  let calls = 0;
  let done: () => void = () => {};
  await to.subscribe(
    't',
    () => {
      calls += 1;
      return new Promise<void>((resolve) => {
        done = resolve;
      });
    },
    { qos: 1 },
  );
  await from.publish('t', 'x', { qos: 1 });
  await until(() => calls === 1);
  proxy.cut();
  await until(() => calls === 2);
  done();
  await from.publish('t', 'y', { qos: 1 });
  await until(() => calls === 3);
  proxy.cut();
  await until(() => calls === 4);
  done();
});

test('what the server does not take is refused before it is sent', async () => {
  const little = await startBroker({ maximum_qos: 0, retain_available: false, max_packet_size: '1KiB' });
  const one = await connected({ url: little.url });
  expect(await code(one.publish('t', 'x', { qos: 1 }))).toBe('QOS_NOT_SUPPORTED');
  expect(await code(one.publish('t', 'x', { retain: true }))).toBe('RETAIN_NOT_SUPPORTED');
  expect(await code(one.publish('t', 'x'.repeat(2000)))).toBe('PACKET_TOO_LARGE');
  expect(await code(one.publish('t/#', 'x'))).toBe('TOPIC_NAME_INVALID');
  expect(await code(one.subscribe('t/#/x', () => {}))).toBe('TOPIC_FILTER_INVALID');
  await one.publish('t', 'x');
  expect(one.connected).toBe(true);
  await one.close();
  await little.stop();
});

test('what is denied is told with its Reason Code', async () => {
  const guarded = await startBroker(
    {},
    {
      authorizer: {
        connect: (_credentials, answer) => answer(0),
        mayPublish: (_identity, topic) => topic !== 'secret',
        maySubscribe: (_identity, filter) => filter !== 'secret',
      },
    },
  );
  const one = await connected({ url: guarded.url });
  expect(await code(one.publish('secret', 'x', { qos: 1 }))).toBe('PUBLISH_REFUSED');
  expect(await code(one.publish('secret', 'x', { qos: 2 }))).toBe('PUBLISH_REFUSED');
  await expect(one.subscribe('secret', () => {})).rejects.toMatchObject({ fields: { reasonCode: 0x87 } });
  await one.close();
  await guarded.stop();
});

test('messages that wait for a connection are bounded, and QoS 0 does not wait', async () => {
  const waiting = client({ queueMax: 3 });
  expect(await code(waiting.publish('t', 'x'))).toBe('NOT_CONNECTED');
  const early = [1, 2, 3].map(() => waiting.publish('t', 'x', { qos: 1 }));
  expect(await code(waiting.publish('t', 'x', { qos: 1 }))).toBe('QUEUE_FULL');
  await waiting.connect();
  await Promise.all(early);
});

test('without reconnecting, a lost connection ends what waits', async () => {
  let reason = '';
  const one = await connected({
    url: `mqtt://127.0.0.1:${proxy.port}`,
    reconnect: false,
    onLost: (why) => {
      reason = why;
    },
  });
  const server = await RawClient.connect(running.url, { clientId: one.clientId });
  await until(() => reason !== '');
  expect(reason).toContain('another client with the same client identifier');
  expect(await code(one.publish('t', 'x', { qos: 1 }))).toBe('CLIENT_CLOSED');
  await server.disconnect();
});

test('closing rejects what waits, may be done twice, and at any time', async () => {
  const never = client();
  const waiting = never.publish('t', 'x', { qos: 1 });
  const subscribing = never.subscribe('t', () => {});
  await Promise.all([never.close(), code(waiting), code(subscribing)]);
  expect(await code(waiting)).toBe('CLIENT_CLOSED');
  expect(await code(subscribing)).toBe('CLIENT_CLOSED');
  await never.close();
  const early = client();
  const connecting = early.connect();
  await Promise.all([early.close(), code(connecting)]);
  expect(await code(connecting)).toBe('CONNECT_FAILED');
  expect(await code(early.connect())).toBe('CLIENT_STATE');
  expect(running.broker.snapshot().connections).toBe(0);
});

describe('over TLS', () => {
  let authority: Authority;
  let server: Signed;
  let certified: Signed;
  beforeAll(async () => {
    authority = await Authority.make();
    server = await authority.sign('server');
    certified = await authority.sign('client');
  });

  test('with the authority and a certificate of its own', async () => {
    const secure = await startBroker(
      {},
      { urls: ['mqtts://127.0.0.1:0'], secrets: [{ ...server, clientCa: authority.cert }] },
    );
    const tls = { ca: authority.cert, ...certified };
    const one = await connected({ url: secure.url, tls });
    await one.publish('t', 'x'.repeat(100_000), { qos: 2 });
    expect(await code(client({ url: secure.url, tls: { ca: authority.cert } }).connect())).toBe(
      'CONNECT_FAILED',
    );
    expect(await code(client({ url: secure.url }).connect())).toBe('CONNECT_FAILED');
    await one.close();
    await secure.stop();
  });
});
