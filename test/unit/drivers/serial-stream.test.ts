/** A serial port that cannot be opened says in one sentence what is wrong and what to do. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { StreamListener } from '../../../src/drivers/byte-stream.js';
import { serialStream } from '../../../src/drivers/serial-stream.js';
import { tcpStream } from '../../../src/drivers/tcp-stream.js';
import { SerialPair } from '../../support/serial-pair.js';

const stops: (() => Promise<void> | void)[] = [];
const listener: StreamListener = { onBytes: () => undefined, onClosed: () => undefined };

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function open(path: string, onClosed: (why: string) => void = () => undefined) {
  const settings = { path, baudRate: 9600, parity: 'none', dataBits: 8, stopBits: 1 } as const;
  return serialStream(settings)({ ...listener, onClosed }, new AbortController().signal);
}

test('a port that is missing', async () => {
  await expect(open('/dev/serial/by-id/usb-none')).rejects.toThrow(
    '/dev/serial/by-id/usb-none is missing; plug the adapter in or correct the path',
  );
});

test('a path that is no serial port', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-'));
  stops.push(() => rm(folder, { recursive: true }));
  const path = join(folder, 'file');
  await writeFile(path, '');
  await expect(open(path)).rejects.toThrow('is not a serial port; correct the path');
});

test('a port that another program holds', async () => {
  const pair = await SerialPair.start();
  stops.push(() => pair.stop());
  const first = await open(pair.ours);
  stops.push(() => first.close());
  await expect(open(pair.ours)).rejects.toThrow('is locked: another program uses it; stop that program');
});

test('a port that is unplugged tells so, at the latest when something is sent', async () => {
  const pair = await SerialPair.start();
  stops.push(() => pair.stop());
  const reasons: string[] = [];
  let told = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    told = resolve;
  });
  const port = await open(pair.ours, (why) => {
    reasons.push(why);
    told();
  });
  await pair.unplug();
  port.write(Uint8Array.of(1));
  await closed;
  port.close();
  expect(reasons).toEqual([expect.stringMatching(/was unplugged/)]);
});

test('a TCP port where nobody listens, and a name that nobody knows', async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  const { signal } = new AbortController();
  await expect(tcpStream('127.0.0.1', port)(listener, signal)).rejects.toThrow(
    `127.0.0.1 refuses connections on port ${port}`,
  );
  await expect(tcpStream('plant.invalid', 502)(listener, signal)).rejects.toThrow(/plant\.invalid/);
});

test('an attempt to connect ends when it is told to', async () => {
  const abort = new AbortController();
  abort.abort();
  await expect(tcpStream('127.0.0.1', 1)(listener, abort.signal)).rejects.toThrow('stopped');
});
