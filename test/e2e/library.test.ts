/** `import { Broker, Client } from 'godwit'`, as a program that has installed the package. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT, scratch } from '../support/process.js';

const run = promisify(execFile);
let place: ReturnType<typeof scratch>;

beforeEach(() => {
  place = scratch();
  mkdirSync(join(place.folder, 'node_modules'));
  symlinkSync(ROOT, join(place.folder, 'node_modules', 'godwit'));
  writeFileSync(join(place.folder, 'package.json'), '{ "type": "module" }');
});
afterEach(() => place.remove());

/** Ends by itself or not at all: nothing here calls process.exit. */
async function program(text: string): Promise<string> {
  const file = join(place.folder, 'program.mjs');
  writeFileSync(file, text);
  const { stdout } = await run(process.execPath, [file], { cwd: place.folder, timeout: 20_000 });
  return stdout;
}

test('broker and client do their work, and leave nothing that keeps the process alive', async () => {
  const stdout = await program(`
    import { Broker, Client, ReasonCode } from 'godwit';
    const broker = await new Broker({
      listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'ws://127.0.0.1:0/mqtt' }],
    }).start();
    const client = new Client({ url: broker.urls[0], keepAliveSeconds: 5 });
    await client.connect();
    const answer = new Promise((resolve) => client.subscribe('a/+', resolve, { qos: 2 }));
    await client.publish('a/b', 'hello', { qos: 2 });
    const { topic, payload, qos } = await answer;
    console.log(topic, Buffer.from(payload).toString(), qos, ReasonCode.notAuthorized);
    const stays = new Client({ url: broker.urls[0] });
    await stays.connect();
    await client.close();
    await broker.close();
    await stays.close();
  `);
  expect(stdout).toBe('a/b hello 2 135\n');
});

test('a client that waits to connect again does not outlive its close', async () => {
  const stdout = await program(`
    import { once } from 'node:events';
    import { Broker, Client } from 'godwit';
    const broker = await new Broker({ listeners: [{ url: 'mqtt://127.0.0.1:0' }] }).start();
    let lost;
    const isLost = new Promise((resolve) => { lost = resolve; });
    const client = new Client({ url: broker.urls[0], reconnect: { minMs: 60000, maxMs: 60000 }, onLost: lost });
    await client.connect();
    await broker.close();
    console.log(await isLost);
    await client.close();
  `);
  expect(stdout).toMatch(/^127\.0\.0\.1:\d+ closed the connection: server shutting down \(0x8b\)/);
});

test('with a journal, retained messages are there after a restart', async () => {
  const text = `
    import { Broker } from 'godwit';
    const broker = await new Broker({ listeners: [{ url: 'mqtt://127.0.0.1:0' }], journal: 'data/broker.db' }).start();
    console.log(broker.snapshot().retained);
    await broker.publish('state', 'on', { qos: 1, retain: true });
    await broker.close();
  `;
  expect(await program(text)).toBe('0\n');
  expect(await program(text)).toBe('1\n');
});

test('it is typed', async () => {
  writeFileSync(
    join(place.folder, 'consumer.mts'),
    `
    import { Broker, type BrokerOptions, Client, type ClientOptions, GodwitError, type Message, type QoS } from 'godwit';
    const options: BrokerOptions = { listeners: [{ url: 'mqtt://127.0.0.1:0' }], limits: { max_packet_size: '1MiB' } };
    const broker: Broker = await new Broker(options).start();
    const urls: readonly string[] = broker.urls;
    const how: ClientOptions = { url: urls[0] ?? '', version: '3.1.1', will: { topic: 'a', payload: 'b' } };
    const client = new Client(how);
    const granted: QoS = await client.subscribe('a', (message: Message) => console.log(message.topic));
    await client.publish('a', new Uint8Array(1), { qos: granted }).catch((fault: GodwitError) => fault.code);
    // @ts-expect-error there is no such version
    new Client({ url: '', version: 4 });
    // @ts-expect-error there is no such key
    new Broker({ listener: [] });
    `,
  );
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck'];
  await run(
    tsc,
    [...flags, '--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types'), 'consumer.mts'],
    {
      cwd: place.folder,
    },
  ).catch((fault: { stdout: string }) => expect(fault.stdout).toBe(''));
});
