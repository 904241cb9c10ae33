import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { requestControl } from '../../../src/cli/control-client.js';

let folder: string;
let socketPath: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-control-'));
  socketPath = join(folder, 'godwit.sock');
});

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
  rmSync(folder, { recursive: true });
});

async function serve(listener: RequestListener): Promise<void> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(socketPath, resolve));
}

test('an answer has its status and text, also one that is split and not ASCII', async () => {
  await serve((request, response) => {
    response.statusCode = 503;
    const bytes = Buffer.from(`${request.method} ${request.url} °`);
    response.write(bytes.subarray(0, -1));
    setImmediate(() => response.end(bytes.subarray(-1)));
  });
  expect(await requestControl(socketPath, '/healthz')).toEqual({ status: 503, body: 'GET /healthz °' });
});

test('a body is sent with POST', async () => {
  await serve((request, response) => request.pipe(response));
  const answer = await requestControl(socketPath, '/api/x', { method: 'POST', body: '{"value":1}' });
  expect(answer).toEqual({ status: 200, body: '{"value":1}' });
});

test('no socket means that no gateway runs', async () => {
  await expect(requestControl(socketPath, '/healthz')).rejects.toMatchObject({
    code: 'NOT_RUNNING',
    message: expect.stringContaining('Start it with godwit run'),
  });
});

test('a socket of another user is not allowed', async () => {
  await serve((_, response) => response.end());
  chmodSync(socketPath, 0);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.('nobody');
  try {
    await expect(requestControl(socketPath, '/healthz')).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test('a gateway that hangs up without an answer, or says nothing, is told as such', async () => {
  await serve((request) => {
    if (request.url === '/cut') request.socket.destroy();
  });
  await expect(requestControl(socketPath, '/cut')).rejects.toMatchObject({ code: 'NO_ANSWER' });
  await expect(requestControl(socketPath, '/silent', { silenceMsMax: 20 })).rejects.toMatchObject({
    code: 'NO_ANSWER',
    message: expect.stringContaining('it was silent for 20 ms'),
  });
});

test('an answer that ends in the middle is no answer', async () => {
  await serve((_, response) => {
    response.setHeader('content-length', 100);
    response.write('half', () => response.destroy());
  });
  await expect(requestControl(socketPath, '/api/status')).rejects.toMatchObject({ code: 'NO_ANSWER' });
});
