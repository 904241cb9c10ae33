/** The broker for programs. With a journal it needs the compiled worker: see test/e2e/library.test.ts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Message } from '../../../src/core/message.js';
import { Broker, type BrokerOptions } from '../../../src/library/broker.js';
import { Authority } from '../../support/certificates.js';
import { RawClient } from '../../support/raw-client.js';

const LISTENERS = [{ url: 'mqtt://127.0.0.1:0' }];
let folder: string;
let broker: Broker | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-library-'));
});
afterEach(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: BrokerOptions = {}): Promise<Broker> {
  broker = await new Broker({ listeners: LISTENERS, folder, ...options }).start();
  return broker;
}

test('a program publishes and subscribes beside its clients', async () => {
  const own = await start();
  const got: Message[] = [];
  const end = own.subscribe('a/#', (message) => got.push(message));
  const client = await RawClient.connect(own.urls[0]!, { clientId: 'a' });
  await client.subscribe('b');
  client.publish('a/b', 'from a client', { qos: 1 });
  await client.settled();
  await own.publish('b', 'from the program', { retain: true, properties: { contentType: 'text/plain' } });
  expect(await client.nextPublish()).toMatchObject({ topic: 'b', properties: { contentType: 'text/plain' } });
  expect(got).toMatchObject([{ topic: 'a/b', qos: 1 }]);
  end();
  await own.publish('a/b', 'not heard');
  expect(got).toHaveLength(1);
  expect(own.snapshot()).toMatchObject({ connections: 1, retained: 1 });
  await expect(own.publish('no/#/topic', '')).rejects.toMatchObject({ code: 'PUBLISH_REFUSED' });
});

test('all that is wrong with the options is told at once, by key', async () => {
  await expect(
    new Broker({
      listeners: [{ url: 'mqtts://127.0.0.1:0', cert: 'nowhere.crt' }],
      limits: { max_connections: 0, max_keepalive: `$\{SOON}` },
      folder,
    }).start(),
  ).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(
      /broker\.listeners\[0\]\.key: found nothing.*broker\.limits\.max_connections: found 0.*broker\.limits\.max_keepalive: found.*SOON/s,
    ),
  });
  await expect(
    new Broker({ listeners: [{ url: 'mqtt://0.0.0.0:0' }], folder }).start(),
  ).rejects.toMatchObject({ code: 'CONFIG' });
});

test('an authorizer of the program decides, also where others can reach the listener', async () => {
  const own = await start({
    listeners: [{ url: 'mqtt://0.0.0.0:0' }],
    authorizer: {
      connect: ({ username }, answer) => answer(username === 'ann' ? 0x00 : 0x86),
      mayPublish: () => true,
      maySubscribe: (_identity, topicFilter) => topicFilter === 'mine',
    },
  });
  const url = own.urls[0]!.replace('0.0.0.0', '127.0.0.1');
  const ann = await RawClient.connect(url, { clientId: 'a', username: 'ann' });
  expect(await ann.subscribe('mine')).toEqual([2]);
  expect(await ann.subscribe('yours')).toEqual([0x87]);
  const stranger = await RawClient.open(url);
  stranger.connect({ clientId: 'b', username: 'bob' });
  expect(await stranger.next()).toMatchObject({ type: 'connack', reasonCode: 0x86 });
});

test('reload reads the files again; one that is wrong changes nothing', async () => {
  const authority = await Authority.make();
  const write = async (name: string): Promise<void> => {
    const { cert, key } = await authority.sign(name);
    writeFileSync(join(folder, 'c.crt'), cert);
    writeFileSync(join(folder, 'c.key'), key);
  };
  await write('first');
  const own = await start({ listeners: [{ url: 'mqtts://127.0.0.1:0', cert: 'c.crt', key: 'c.key' }] });
  const shown = async (): Promise<string | undefined> => {
    const socket = connect({ port: Number(new URL(own.urls[0]!).port), ca: authority.cert });
    const subject = await new Promise<string | undefined>((resolve) =>
      socket.on('secureConnect', () => resolve(socket.getPeerX509Certificate()?.subject)),
    );
    socket.destroy();
    return subject;
  };
  expect(await shown()).toBe('CN=first');
  await write('second');
  own.reload();
  expect(await shown()).toBe('CN=second');
  writeFileSync(join(folder, 'c.key'), 'nonsense');
  expect(() => own.reload()).toThrow(/listeners\[0\]\.key/);
  expect(await shown()).toBe('CN=second');
});

test('it says so when it is not running, and closes once', async () => {
  const own = new Broker({ listeners: LISTENERS });
  expect(() => own.urls).toThrow(/not running/);
  await own.close();
  await own.start();
  await expect(own.start()).rejects.toMatchObject({ code: 'BROKER_STARTED' });
  const client = await RawClient.connect(own.urls[0]!, { clientId: 'a' });
  await Promise.all([own.close(), own.close()]);
  expect(await client.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0x8b }]);
  expect(() => own.snapshot()).toThrow(/not running/);
});

test('an address in use is told, and leaves nothing behind', async () => {
  const own = await start();
  const second = new Broker({ listeners: [{ url: own.urls[0]! }] });
  await expect(second.start()).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  await own.close();
  await second.start();
  await second.close();
});
