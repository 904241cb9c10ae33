/** The ways to a real mosquitto: WebSocket, TLS, proxies, names; and what is said where a way is barred. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { connect } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lookup } from '../../src/bridge/addresses.js';
import type { BridgeOptions } from '../../src/bridge/bridge-options.js';
import { InlineStorage } from '../../src/storage/inline-storage.js';
import { BridgeBench } from '../support/bridge-bench.js';
import { Authority } from '../support/certificates.js';
import { FakeClock } from '../support/fake-clock.js';
import { freePort, runningMosquitto, scratch } from '../support/process.js';
import { TestProxy } from '../support/proxies.js';

let folder: string;
let ends: (() => Promise<unknown> | unknown)[];

beforeEach(() => {
  const { folder: made, remove } = scratch();
  folder = made;
  ends = [remove];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

async function bench(
  config: object,
  options: Partial<BridgeOptions> = {},
  file = 'journal.db',
): Promise<BridgeBench> {
  const journal = new InlineStorage({ path: join(folder, file) });
  await journal.start();
  const made = new BridgeBench(journal, { backoff: { min: '20ms', max: '50ms' }, ...config }, options);
  ends.push(async () => {
    await made.bridge.stop();
    await journal.stop();
  });
  await made.bridge.start();
  return made;
}

async function until(isSo: () => boolean, what: string, limitMs = 15_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function reasonOf(made: BridgeBench): Promise<string> {
  await until(() => made.bridge.snapshot().reason !== undefined, 'a reason is given');
  return made.bridge.snapshot().reason ?? '';
}

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function proxy(kind: 'http' | 'socks5'): Promise<TestProxy> {
  const made = await (kind === 'http' ? TestProxy.http() : TestProxy.socks5());
  ends.push(() => made.close());
  return made;
}

interface Upstream {
  readonly mqtt: number;
  readonly mqtts: number;
  readonly ws: number;
  readonly wss: number;
  readonly ca: Buffer;
}

/** One mosquitto with a listener of each kind. */
async function upstream(): Promise<Upstream> {
  const [mqtt, mqtts, ws, wss] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const authority = await Authority.make();
  const { cert, key } = await authority.sign('localhost');
  writeFileSync(join(folder, 'server.crt'), cert);
  writeFileSync(join(folder, 'server.key'), key);
  const pair = [`certfile ${folder}/server.crt`, `keyfile ${folder}/server.key`];
  const server = await runningMosquitto(folder, mqtt, [
    ...[`listener ${mqtts} 127.0.0.1`, ...pair],
    ...[`listener ${ws} 127.0.0.1`, 'protocol websockets'],
    ...[`listener ${wss} 127.0.0.1`, 'protocol websockets', ...pair],
  ]);
  ends.push(() => server.kill());
  return { mqtt, mqtts, ws, wss, ca: authority.cert };
}

/** All that arrives at mosquitto on its plain listener. */
async function watching(port: number, filter = 'site/#'): Promise<string[]> {
  const seen: string[] = [];
  const client = connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on('message', (_topic, payload) => seen.push(payload.toString()));
  await new Promise<void>((resolve) => client.once('connect', () => resolve()));
  await client.subscribeAsync(filter, { qos: 2 });
  ends.push(() => client.endAsync(true));
  return seen;
}

const COUNT = 300;

async function delivers(made: BridgeBench, seen: readonly string[]): Promise<void> {
  const payloads = Array.from({ length: COUNT }, (_, n) => `${n}`.padEnd(200, '.'));
  for (const payload of payloads) made.accept({ topic: 'site/pump', payload: Buffer.from(payload) });
  await until(() => made.bridge.snapshot().delivered === COUNT, 'all is delivered');
  await until(() => seen.length >= COUNT, 'all has arrived');
  expect(seen).toEqual(payloads);
}

describe('each way carries everything, in order and once', () => {
  const forward = [{ filter: 'site/#', qos: 2 }];
  test.each([
    ['ws', 5, undefined],
    ['ws', '3.1.1', undefined],
    ['wss', 5, undefined],
    ['ws', 5, 'http'],
    ['wss', 5, 'http'],
    ['wss', '3.1.1', 'socks5'],
    ['mqtts', 5, 'socks5'],
  ] as const)('%s, version %s, proxy %s', async (scheme, version, kind) => {
    const server = await upstream();
    const seen = await watching(server.mqtt);
    const through = kind === undefined ? undefined : await proxy(kind);
    const made = await bench(
      {
        version,
        forward,
        servers: [`${scheme}://localhost:${server[scheme]}${scheme.startsWith('ws') ? '/mqtt' : ''}`],
        ...(through && { proxy: `${kind}://127.0.0.1:${through.port}` }),
      },
      scheme === 'ws' ? {} : { secrets: { tls: { ca: server.ca } } },
    );
    await delivers(made, seen);
    if (through !== undefined)
      expect(new Set(through.asked)).toEqual(new Set([`localhost:${server[scheme]}`]));
  });

  test.each(['mqtts', 'wss'] as const)('a clean stop over %s leaves no Will', async (scheme) => {
    const server = await upstream();
    const seen = await watching(server.mqtt, 'godwit/#');
    const made = await bench(
      { servers: [`${scheme}://localhost:${server[scheme]}`] },
      { secrets: { tls: { ca: server.ca } } },
    );
    await until(() => seen.length === 1, 'the status has arrived');
    await made.bridge.stop();
    await until(() => seen.length >= 2, 'the last word has arrived');
    const end = await bench({ servers: [`mqtt://127.0.0.1:${server.mqtt}`], client_id: 'end' }, {}, 'end.db');
    await until(() => end.bridge.snapshot().state === 'connected' && seen.length >= 3, 'the end has arrived');
    expect(seen.map((one) => (JSON.parse(one) as { reason?: string }).reason)).toEqual([
      undefined,
      'shutdown',
      undefined,
    ]);
  });

  test('a gateway that wants an Authorization header gets it, and one that gets another says 401', async () => {
    const server = await upstream();
    const seen = await watching(server.mqtt);
    const guard = createHttpServer();
    guard.on('upgrade', (request, near: Socket) => {
      if (request.headers.authorization !== 'Bearer sesame' || request.url !== '/tenant/7') {
        near.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
        return;
      }
      const far = connectTcp(server.ws, '127.0.0.1');
      far.on('error', () => near.destroy());
      near.on('error', () => far.destroy());
      const lines = [`GET /mqtt HTTP/1.1`];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
      }
      far.write(`${lines.join('\r\n')}\r\n\r\n`);
      near.pipe(far).pipe(near);
    });
    const port = await listening(guard);
    const servers = [`ws://127.0.0.1:${port}/tenant/7`];
    const made = await bench({ servers, forward, headers: { Authorization: 'Bearer sesame' } });
    await delivers(made, seen);
    await made.bridge.stop();
    await made.storage.stop();
    const wrong = await bench({ servers, headers: { Authorization: 'Bearer mumble' } });
    expect(await reasonOf(wrong)).toBe(
      `127.0.0.1:${port} refused the WebSocket: 401 Unauthorized; check headers, such as Authorization`,
    );
  });
});

describe('names', () => {
  const unknown = Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' });

  test('DNS that fails at boot is a state, and once it works the bridge connects', async () => {
    const { mqtt } = await upstream();
    let works = false;
    const lookup: Lookup = (_host, done) =>
      setImmediate(() => (works ? done(undefined, ['127.0.0.1']) : done(unknown, [])));
    const made = await bench({ servers: [`mqtt://cloud.example:${mqtt}`] }, { lookup });
    expect(await reasonOf(made)).toContain('cloud.example could not be resolved (EAI_AGAIN)');
    works = true;
    await until(() => made.bridge.snapshot().state === 'connected', 'it is connected');
    expect(made.bridge.snapshot().reason).toBeUndefined();
  });

  test('when DNS fails later, also for the next process, the address that worked is used, and that is said', async () => {
    const { mqtt } = await upstream();
    const servers = [`mqtt://cloud.example:${mqtt}`];
    const works: Lookup = (_host, done) => setImmediate(() => done(undefined, ['127.0.0.1']));
    const fails: Lookup = (_host, done) => setImmediate(() => done(unknown, []));
    const first = await bench({ servers }, { lookup: works });
    await until(() => first.bridge.snapshot().state === 'connected', 'it is connected');
    await first.bridge.stop();
    await first.storage.stop();
    const second = await bench({ servers }, { lookup: fails });
    await until(() => second.bridge.snapshot().state === 'connected', 'it is connected');
    expect(second.bridge.snapshot().reason).toBe(
      'DNS did not resolve cloud.example (EAI_AGAIN), and the addresses that it had last were used',
    );
    expect(second.log.count('DNS does not resolve the name; its last good addresses are used')).toBe(1);
  });

  test('of several addresses one that refuses is passed over at once', async () => {
    const { mqtt } = await upstream();
    // Nothing listens on the others.
    const lookup: Lookup = (_host, done) =>
      setImmediate(() => done(undefined, ['::1', '127.0.0.2', '127.0.0.3', '127.0.0.1']));
    const made = await bench({ servers: [`mqtt://cloud.example:${mqtt}`] }, { lookup });
    await until(() => made.bridge.snapshot().state === 'connected', 'it is connected');
    expect(made.log.count('Bridge is not connected; what is accepted waits in the journal')).toBe(0);
  });
});

describe('a barred way is told with what to do', () => {
  async function tlsServer(
    times: { readonly notBefore?: Date; readonly notAfter?: Date },
    clientCa?: Buffer,
  ): Promise<{ readonly port: number; readonly ca: Buffer }> {
    const authority = await Authority.make();
    const { cert, key } = await authority.sign('localhost', times);
    const options = clientCa && { requestCert: true, rejectUnauthorized: true, ca: clientCa };
    const port = await listening(createTlsServer({ cert, key, ...options }));
    return { port, ca: authority.cert };
  }
  const tls = (ca: Buffer): Partial<BridgeOptions> => ({ secrets: { tls: { ca } } });

  test('a certificate that is not valid yet: both times are shown', async () => {
    const { ca, port } = await tlsServer({ notBefore: new Date('2048-01-01T00:00:00Z') });
    const made = await bench({ servers: [`mqtts://localhost:${port}`] }, tls(ca));
    expect(await reasonOf(made)).toMatch(
      /^the certificate of localhost is valid from 2048-01-01T00:00:00Z, but this clock says 20\d\d-\d\d-\d\dT[\d:]{8}Z: the clock of this machine is wrong/,
    );
  });

  test('one that has expired', async () => {
    const { ca, port } = await tlsServer({ notAfter: new Date('2021-01-01T00:00:00Z') });
    const made = await bench({ servers: [`wss://localhost:${port}`] }, tls(ca));
    expect(await reasonOf(made)).toMatch(/expired at 2021-01-01T00:00:00Z, and this clock says 20/);
  });

  test('one of an unknown authority, and one for another name', async () => {
    const { ca, port } = await tlsServer({});
    const stranger = await Authority.make('Stranger');
    const unknown = await bench({ servers: [`mqtts://localhost:${port}`] }, tls(stranger.cert));
    expect(await reasonOf(unknown)).toContain('set tls.ca');
    await unknown.bridge.stop();
    await unknown.storage.stop();
    // The same name, and another key.
    const namesake = await Authority.make();
    const forged = await bench({ servers: [`mqtts://localhost:${port}`] }, tls(namesake.cert));
    expect(await reasonOf(forged)).toContain('signed by another authority');
    await forged.bridge.stop();
    await forged.storage.stop();
    const other = await bench(
      { servers: [`mqtts://localhost:${port}`], tls: { servername: 'cloud.example' } },
      tls(ca),
    );
    expect(await reasonOf(other)).toContain(
      'for another name (DNS:localhost, IP Address:127.0.0.1); use a name',
    );
  });

  test('a server that wants a client certificate', async () => {
    const { ca, port } = await tlsServer({}, (await Authority.make()).cert);
    const made = await bench({ servers: [`mqtts://localhost:${port}`] }, tls(ca));
    expect(await reasonOf(made)).toContain('wants a client certificate; set tls.cert and tls.key');
  });

  test('MQTT to a port where HTTP is spoken', async () => {
    const port = await listening(createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const made = await bench({ servers: [`mqtt://localhost:${port}`] });
    expect(await reasonOf(made)).toContain(
      `localhost:${port} answers in HTTP; is it the port of a web server`,
    );
  });

  test('TLS to a port without it', async () => {
    const port = await listening(createServer((socket) => socket.end('+OK ready\r\n')));
    const made = await bench({ servers: [`mqtts://localhost:${port}`] });
    expect(await reasonOf(made)).toContain('does not speak TLS');
  });

  test('a WebSocket where there is only a web page, and one where there is only MQTT', async () => {
    const port = await listening(createHttpServer((_request, response) => response.end('welcome')));
    const page = await bench({ servers: [`ws://localhost:${port}`] });
    expect(await reasonOf(page)).toContain('refused the WebSocket: 200 OK; check that port and path');
    await page.bridge.stop();
    await page.storage.stop();
    const plain = await listening(createServer((socket) => socket.end(Buffer.from([0x20, 2, 0, 1]))));
    const mqtt = await bench({ servers: [`ws://localhost:${plain}`] });
    expect(await reasonOf(mqtt)).toContain('does not speak MQTT over WebSocket at /mqtt');
  });
});

describe('a silence is told by where it begins', () => {
  /** Real sockets, and a clock that is set forward once the attempt has come as far as it can. */
  async function silence(
    config: object,
    reached: () => boolean,
    options: Partial<BridgeOptions> = {},
  ): Promise<string> {
    const clock = new FakeClock();
    const made = await bench({ backoff: { min: '1h', max: '1h' }, ...config }, { clock, ...options });
    await until(reached, 'the attempt is under way');
    // What was received has been handled.
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(30_000);
    const reason = await reasonOf(made);
    // A stop waits for nobody.
    const stopped = made.bridge.stop();
    await clock.advanceAsync(6000);
    await stopped;
    return reason;
  }

  async function mute(): Promise<{ readonly port: number; readonly bytes: () => number }> {
    let bytes = 0;
    const port = await listening(
      createServer((socket) => {
        socket.on('data', (chunk) => {
          bytes += chunk.length;
        });
      }),
    );
    return { port, bytes: () => bytes };
  }

  test.each([
    ['mqtt', 'accepts connections but did not answer CONNECT within 30 s'],
    ['mqtts', 'accepts connections but did not answer the TLS handshake within 30 s'],
    ['ws', 'accepts connections but did not answer the request for a WebSocket within 30 s'],
  ])('a server that accepts and says nothing: %s', async (scheme, words) => {
    const { bytes, port } = await mute();
    const reason = await silence({ servers: [`${scheme}://127.0.0.1:${port}`] }, () => bytes() > 0);
    expect(reason).toContain(`127.0.0.1:${port} ${words}`);
  });

  test('a proxy that accepts and says nothing', async () => {
    const { bytes, port } = await mute();
    const config = { servers: ['mqtt://cloud.example:1883'], proxy: `http://127.0.0.1:${port}` };
    expect(await silence(config, () => bytes() > 0)).toContain(
      `the proxy 127.0.0.1:${port} accepts connections but did not answer within 30 s`,
    );
  });

  test('a proxy that opens the tunnel and swallows what goes in', async () => {
    const through = await proxy('http');
    through.swallows = true;
    const config = { servers: ['mqtts://cloud.example:8883'], proxy: `http://127.0.0.1:${through.port}` };
    const reason = await silence(config, () => through.asked.length > 0);
    expect(reason).toContain(`accepts connections through the proxy 127.0.0.1:${through.port}`);
    expect(reason).toContain('did not answer the TLS handshake');
  });

  test('name servers that never answer; a server given by its address is tried meanwhile', async () => {
    const { mqtt } = await upstream();
    const clock = new FakeClock();
    const made = await bench(
      { servers: ['mqtt://cloud.example:1883', `mqtt://127.0.0.1:${mqtt}`] },
      { clock, lookup: () => undefined },
    );
    clock.advance(10_000);
    await until(() => made.bridge.snapshot().reason !== undefined, 'a reason is given');
    expect(made.bridge.snapshot().reason).toContain('cloud.example could not be resolved: no answer came');
    clock.advance(100);
    await until(() => made.bridge.snapshot().state === 'connected', 'the second is connected');
    const stopped = made.bridge.stop();
    await clock.advanceAsync(6000);
    await stopped;
  });
});
