import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Log, silentLog } from '../../../src/core/log.js';
import type { Snapshot } from '../../../src/core/snapshot.js';
import { jsonAnswer, type Route } from '../../../src/web/route.js';
import { WebServer } from '../../../src/web/server.js';
import { aSnapshot } from '../../support/a-snapshot.js';

let folder: string;
let socketPath: string;
const started: WebServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-web-'));
  socketPath = join(folder, 'godwit.sock');
});

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
  rmSync(folder, { recursive: true });
});

async function start(
  more: { listen?: string; snapshot?: () => Snapshot; routes?: readonly Route[]; log?: Log } = {},
): Promise<WebServer> {
  const server = new WebServer({ socketPath, snapshot: () => aSnapshot(), log: silentLog, ...more });
  started.push(server);
  await server.start();
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(
  path: string,
  more: {
    method?: string;
    body?: string | Buffer;
    agent?: Agent;
    port?: number;
    headers?: Record<string, string>;
  } = {},
): Promise<Answer> {
  const { body, port, ...rest } = more;
  const where = port === undefined ? { socketPath } : { host: '127.0.0.1', port };
  return new Promise((resolve, reject) => {
    const asked = request({ ...where, path, ...rest }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Sends bytes as they are; answers with all that came back until the server closed. */
function sendRaw(text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(socketPath, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      answer += part;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}

describe('a request', () => {
  test('for /api/status gives the snapshot, taken when asked, with the process', async () => {
    let taken = 0;
    await start({ snapshot: () => aSnapshot({ since: ++taken }) });
    await ask('/api/status');
    const { status, headers, body } = await ask('/api/status?pretty');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    expect(JSON.parse(body)).toEqual({ ...aSnapshot({ since: 2 }), pid: process.pid });
  });

  test('for /healthz gives 200 or 503 with status and reasons', async () => {
    let snapshot = aSnapshot();
    await start({ snapshot: () => snapshot });
    expect(await ask('/healthz')).toMatchObject({ status: 200, body: '{"status":"ok","reasons":[]}\n' });
    snapshot = aSnapshot({ journal: { ...snapshot.journal, state: 'failing' } });
    expect(await ask('/healthz')).toMatchObject({
      status: 503,
      body: '{"status":"failing","reasons":["journal is failing"]}\n',
    });
  });

  test('for /metrics gives Prometheus text', async () => {
    await start();
    const { headers, body } = await ask('/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(body).toContain('godwit_info{');
  });

  test('by HEAD gives the headers of GET alone', async () => {
    await start();
    const got = await ask('/healthz');
    const head = await ask('/healthz', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers['content-length']).toBe(got.headers['content-length']);
  });

  test.each(['/', '/api', '/api/status/', '//api/status', '/../etc/passwd', '/%2e%2e', '*'])(
    'for %s is a 404 in JSON',
    async (path) => {
      await start();
      const { status, body } = await ask(path);
      expect(status).toBe(404);
      expect(JSON.parse(body)).toEqual({ error: expect.stringContaining('there is nothing at') });
    },
  );

  test('with a method that is not taken is a 405 that names what is', async () => {
    await start();
    const { status, headers, body } = await ask('/healthz', { method: 'POST', body: '{}' });
    expect(status).toBe(405);
    expect(headers.allow).toBe('GET, HEAD');
    expect(JSON.parse(body)).toEqual({ error: '/healthz does not take POST, but GET, HEAD' });
  });

  test('keeps its connection for the next', async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await ask('/healthz', { agent })).headers.connection).toBe('keep-alive');
    expect((await ask('/healthz', { agent })).status).toBe(200);
    agent.destroy();
  });

  test('that the gateway cannot answer is a 500, logged once until it succeeds again', async () => {
    const said: string[] = [];
    let broken = true;
    await start({
      log: { ...silentLog, error: (_, sentence) => said.push(sentence) },
      snapshot: () => {
        if (broken) throw new Error('no snapshot');
        return aSnapshot();
      },
    });
    expect((await ask('/api/status')).status).toBe(500);
    expect((await ask('/api/status')).status).toBe(500);
    expect(said).toEqual(['HTTP request could not be answered']);
    broken = false;
    expect((await ask('/api/status')).status).toBe(200);
    broken = true;
    expect((await ask('/api/status')).body).not.toContain('no snapshot');
    expect(said).toHaveLength(2);
  });
});

describe('a route of the table', () => {
  const echo: Route = {
    method: 'POST',
    path: '/api/echo',
    onlySocket: true,
    answer: async ({ body, query }) =>
      jsonAnswer(200, { body: Buffer.from(body).toString(), a: query.get('a') }),
  };

  test('gets the body and the query of a POST', async () => {
    await start({ routes: [echo] });
    const { status, body } = await ask('/api/echo?a=b%20c', { method: 'POST', body: '{"value":21.5}' });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ body: '{"value":21.5}', a: 'b c' });
  });

  test('is not there by HTTP address where it is for the socket alone', async () => {
    const server = await start({ routes: [echo], listen: 'http://127.0.0.1:0' });
    const port = Number(new URL(server.url ?? '').port);
    expect((await ask('/api/echo', { method: 'POST', body: 'x', port })).status).toBe(404);
    expect((await ask('/healthz', { port })).status).toBe(200);
  });

  test('refuses a body beyond its limit', async () => {
    await start({ routes: [echo] });
    const large = await ask('/api/echo', { method: 'POST', body: Buffer.alloc(64 * 1024, 'x') });
    expect(large.status).toBe(200);
    const tooLarge = await ask('/api/echo', { method: 'POST', body: Buffer.alloc(64 * 1024 + 1, 'x') });
    expect(tooLarge.status).toBe(413);
  });

  test('survives a client that leaves in the middle of its body', async () => {
    const faults: string[] = [];
    await start({ routes: [echo], log: { ...silentLog, error: (_, sentence) => faults.push(sentence) } });
    await new Promise<void>((resolve) => {
      const socket = connect(socketPath, () => {
        socket.write('POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf', () => {
          socket.destroy();
          resolve();
        });
      });
    });
    expect((await ask('/healthz')).status).toBe(200);
    expect(faults).toEqual([]);
  });
});

describe('what is no decent HTTP', () => {
  test.each([
    ['garbage', 'hello\r\n\r\n', '400'],
    ['headers without end', `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, '431'],
    ['an endless address', `GET /${'y'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, '431'],
    ['no host', 'GET /healthz HTTP/1.1\r\n\r\n', '400'],
  ])('is refused and the connection closed: %s', async (_, bytes, status) => {
    await start();
    expect(await sendRaw(bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect((await ask('/healthz')).status).toBe(200);
  });
});

describe('the socket file', () => {
  test('may be used by owner and group', async () => {
    await start();
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
  });

  test('of a killed process is replaced', async () => {
    const script = `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await new Promise((resolve) => spawn(process.execPath, ['-e', script]).on('exit', resolve));
    expect(existsSync(socketPath)).toBe(true);
    await start();
    expect((await ask('/healthz')).status).toBe(200);
  });

  test('of a live gateway is left alone, and its process named', async () => {
    await start();
    const second = new WebServer({ socketPath, snapshot: () => aSnapshot(), log: silentLog });
    await expect(second.start()).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await second.stop();
    expect((await ask('/healthz')).status).toBe(200);
  });

  test('of another live program is left alone too', async () => {
    const other = createServer((socket) =>
      socket
        .on('error', () => undefined)
        .resume()
        .end('220 hello\r\n'),
    );
    await new Promise<void>((resolve) => other.listen(socketPath, resolve));
    await expect(start()).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await new Promise((resolve) => other.close(resolve));
  });

  test('is not made over a file of another kind', async () => {
    writeFileSync(socketPath, 'precious');
    await expect(start()).rejects.toMatchObject({ code: 'SOCKET_PATH_TAKEN' });
    expect(statSync(socketPath).size).toBe(8);
  });

  test('with too long a path is refused, not cut short', async () => {
    socketPath = join(folder, 'x'.repeat(120));
    await expect(start()).rejects.toMatchObject({ code: 'SOCKET_PATH_TOO_LONG' });
  });

  test('is gone after a clean stop, which may be asked for twice', async () => {
    const server = await start();
    await server.stop();
    await server.stop();
    expect(existsSync(socketPath)).toBe(false);
  });
});

describe('http.listen', () => {
  test('in use by another program is one clear sentence, and the socket is given up by stop', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const server = new WebServer({
      socketPath,
      listen: `http://127.0.0.1:${port}`,
      snapshot: () => aSnapshot(),
      log: silentLog,
    });
    await expect(server.start()).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      message: `http://127.0.0.1:${port} is in use by another program: stop that program or change http.listen`,
    });
    await server.stop();
    expect(existsSync(socketPath)).toBe(false);
    await new Promise((resolve) => other.close(resolve));
  });

  test('on an address that this machine does not have says so', async () => {
    await expect(start({ listen: 'http://192.0.2.1:80' })).rejects.toMatchObject({ code: 'ADDRESS_UNKNOWN' });
  });

  test('stops although clients keep their connections', async () => {
    const server = await start({ listen: 'http://127.0.0.1:0' });
    const port = Number(new URL(server.url ?? '').port);
    const idle = connect(port, '127.0.0.1');
    await new Promise<void>((resolve) => idle.once('connect', () => resolve()));
    const closed = new Promise<void>((resolve) => idle.once('close', () => resolve()));
    idle.on('error', () => undefined);
    await server.stop();
    await closed;
  });
});
