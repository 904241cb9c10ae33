/** Accepted sockets that read into a shared buffer, over real TCP. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { leanSocket } from '../../../src/broker/lean-socket.js';

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server = undefined;
});

interface Pair {
  readonly client: Socket;
  readonly accepted: Socket;
  readonly lean: Socket;
  readonly chunks: Buffer[];
}

async function pair(): Promise<Pair> {
  server = createServer({ pauseOnConnect: true, highWaterMark: 1, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const arrived = once(server, 'connection') as Promise<[Socket]>;
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.setNoDelay(true);
  const [accepted] = await arrived;
  const chunks: Buffer[] = [];
  const lean = leanSocket(accepted, (chunk) => chunks.push(chunk));
  lean.on('error', () => {});
  return { client, accepted, lean, chunks };
}

const connections = (of: Server): Promise<number> =>
  new Promise((resolve) => of.getConnections((_, count) => resolve(count)));

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

test('the handle moves to a socket that reads into the shared buffer, and chunks are kept apart', async () => {
  const { client, accepted, lean, chunks } = await pair();
  expect(lean).not.toBe(accepted);
  for (const text of ['one', 'two', 'three']) {
    client.write(text);
    await until(() => Buffer.concat(chunks).toString().endsWith(text));
  }
  // The first would read "threeo" if they shared memory.
  expect(Buffer.concat(chunks).toString()).toBe('onetwothree');
  lean.write('answer');
  expect(String((await once(client, 'data'))[0])).toBe('answer');
  client.destroy();
  await until(() => lean.destroyed);
});

test.each([
  ['ends', (client: Socket) => client.end()],
  ['resets', (client: Socket) => client.resetAndDestroy()],
])('a client that %s closes it, and the server counts it no more', async (_, leave) => {
  const { client, lean } = await pair();
  client.on('error', () => {});
  expect(await connections(server!)).toBe(1);
  const closed = new Promise((resolve) => lean.on('close', resolve));
  leave(client);
  await closed;
  await until(() => lean.destroyed);
  expect(await connections(server!)).toBe(0);
});

test('paused it reads nothing, resumed it reads on', async () => {
  const { client, lean, chunks } = await pair();
  client.write('a');
  await until(() => chunks.length === 1);
  lean.pause();
  client.write('b'.repeat(8 * 1024 * 1024));
  // The kernel's buffers are full and nobody empties them.
  await until(() => client.writableLength > 0);
  expect(Buffer.concat(chunks).length).toBeLessThan(1024 * 1024);
  lean.resume();
  await until(() => chunks.reduce((sum, chunk) => sum + chunk.length, 0) === 8 * 1024 * 1024 + 1);
  lean.destroy();
  client.destroy();
});

test('where there is no handle to move, the accepted socket serves as it came', async () => {
  const handleless = new Socket();
  const chunks: Buffer[] = [];
  expect(leanSocket(handleless, (chunk) => chunks.push(chunk))).toBe(handleless);
  handleless.push(Buffer.from('one'));
  await until(() => chunks.length === 1);
  expect(String(chunks[0])).toBe('one');
  handleless.destroy();
});
