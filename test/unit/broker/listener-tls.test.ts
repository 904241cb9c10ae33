/** mqtts listeners over real sockets: who is let in, what certificates do, and what a slow or broken peer costs. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as tcpConnect } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { SaidLog } from '../../support/bridge-bench.js';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { Authority, type Signed } from '../../support/certificates.js';
import { RawClient, text } from '../../support/raw-client.js';

let authority: Authority;
let server: Signed;
let client: Signed;
const running: RunningBroker[] = [];

beforeAll(async () => {
  authority = await Authority.make();
  server = await authority.sign('server');
  client = await authority.sign('client');
});
afterEach(async () => {
  for (const broker of running.splice(0)) await broker.stop();
});

async function start(
  secrets: Signed & { readonly clientCa?: Buffer },
  limits: Parameters<typeof startBroker>[0] = {},
  log = new SaidLog(),
): Promise<RunningBroker> {
  const broker = await startBroker(limits, { urls: ['mqtts://127.0.0.1:0'], secrets: [secrets], log });
  running.push(broker);
  return broker;
}

function dial({ url }: RunningBroker, options: ConnectionOptions = {}): TLSSocket {
  return connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca: authority.cert, ...options });
}

async function secured(broker: RunningBroker, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = dial(broker, options);
  await once(socket, 'secureConnect');
  return socket;
}

/** How a handshake ends; TLS 1.3 tells the client of its certificate's refusal only after it. */
async function refusal(broker: RunningBroker, options: ConnectionOptions): Promise<string> {
  const socket = dial(broker, options);
  socket.on('secureConnect', () => socket.write(Buffer.from([0xc0, 0])));
  let how = 'closed';
  socket.on('error', (fault: NodeJS.ErrnoException) => {
    how = fault.code ?? fault.message;
  });
  socket.resume();
  return new Promise((resolve) => socket.on('close', () => resolve(how)));
}

test('a client is served over TLS, and the address says so', async () => {
  const broker = await start(server);
  expect(broker.url).toMatch(/^mqtts:\/\/127\.0\.0\.1:\d+$/);
  const one = RawClient.over(await secured(broker));
  await one.welcome({ clientId: 'one' });
  await one.subscribe('t', { qos: 1 });
  one.publish('t', 'hello', { qos: 1 });
  const came = (await one.settled()).filter(({ type }) => type === 'publish');
  expect(came.map(text)).toEqual(['hello']);
  await one.disconnect();
});

test('TLS 1.2 is the oldest that is spoken', async () => {
  const broker = await start(server);
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  expect(await refusal(broker, old)).toMatch(/PROTOCOL|HANDSHAKE|ECONNRESET/);
  const socket = await secured(broker, { maxVersion: 'TLSv1.2' });
  expect(socket.getProtocol()).toBe('TLSv1.2');
  socket.destroy();
});

test('with client_ca a client needs a certificate of its', async () => {
  const log = new SaidLog();
  const broker = await start({ ...server, clientCa: authority.cert }, {}, log);
  expect(await refusal(broker, {})).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET|closed/);
  const stranger = await (await Authority.make('Stranger')).sign('stranger');
  expect(await refusal(broker, stranger)).toMatch(/UNKNOWN_CA|CERT|ECONNRESET|closed/);
  const welcome = RawClient.over(await secured(broker, client));
  await welcome.welcome({ clientId: 'welcome' });
  expect(broker.broker.snapshot().connections).toBe(1);
  expect(log.count('Client refused')).toBe(2);
});

test('bytes that are not TLS are refused, and the next client is served', async () => {
  const log = new SaidLog();
  const broker = await start(server, {}, log);
  const socket = tcpConnect(Number(new URL(broker.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.end(Buffer.from('101000044d5154540502003c00000378797a', 'hex'));
  await once(socket, 'close');
  await until(() => log.count('Client refused') === 1);
  await RawClient.over(await secured(broker)).welcome({ clientId: 'next' });
});

test('a handshake that does not end is cut, and does not keep the broker from stopping', async () => {
  const log = new SaidLog();
  const broker = await start(server, { connect_timeout: '100ms' }, log);
  const slow = tcpConnect(Number(new URL(broker.url).port), '127.0.0.1');
  slow.on('error', () => {});
  slow.resume();
  await once(slow, 'connect');
  // A byte now and then does not help.
  slow.write(Buffer.of(0x16));
  const accepted = (): Promise<boolean> =>
    new Promise((resolve) => setImmediate(() => resolve(slow.destroyed)));
  while (!(await accepted())) broker.clock.advance(100);
  expect(log.count('Client refused')).toBe(1);
  const patient = await start(server, { connect_timeout: '1h' });
  const silent = tcpConnect(Number(new URL(patient.url).port), '127.0.0.1');
  silent.on('error', () => {});
  silent.resume();
  await once(silent, 'connect');
  await patient.stop();
  await until(() => silent.destroyed);
});

test('sockets in a handshake are bounded too', async () => {
  const log = new SaidLog();
  const broker = await start(server, { max_connections: 1 }, log);
  const port = Number(new URL(broker.url).port);
  // One client and the 64 that would be told why not.
  const sockets = Array.from({ length: 70 }, () =>
    tcpConnect(port, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  );
  await until(() => sockets.filter(({ destroyed }) => destroyed).length >= 5);
  expect(log.count('Client refused')).toBe(5);
  expect(log.count('A client was refused; more for the same reason are only counted')).toBe(1);
  for (const socket of sockets) socket.destroy();
});

test('new certificates are for new handshakes; who is connected stays', async () => {
  const log = new SaidLog();
  const broker = await start(server, {}, log);
  const configured = [{ url: 'mqtts://127.0.0.1:0' }];
  const stays = RawClient.over(await secured(broker));
  await stays.welcome({ clientId: 'stays' });
  const renewed = await authority.sign('renewed');
  broker.broker.reloadCertificates(configured, [renewed]);
  const later = await secured(broker);
  expect(later.getPeerX509Certificate()?.subject).toBe('CN=renewed');
  expect(await stays.settled()).toEqual([]);

  broker.broker.reloadCertificates(configured, [{ cert: renewed.cert, key: server.key }]);
  broker.broker.reloadCertificates(configured, [{ cert: Buffer.from('nonsense'), key: server.key }]);
  expect(log.count('The new certificate of a listener cannot be used; the old one stays')).toBe(2);
  const last = await secured(broker);
  expect(last.getPeerX509Certificate()?.fingerprint).toBe(new X509Certificate(renewed.cert).fingerprint);
  expect(await stays.settled()).toEqual([]);
  later.destroy();
  last.destroy();
});

test('a new authority decides about new clients', async () => {
  const broker = await start({ ...server, clientCa: authority.cert });
  const configured = [{ url: 'mqtts://127.0.0.1:0', client_ca: 'ca.crt' }];
  const other = await Authority.make('Other');
  // The listener was built without client_ca in its configuration: requiring certificates is another listener.
  broker.broker.reloadCertificates(configured, [{ ...server, clientCa: other.cert }]);
  (await secured(broker, client)).destroy();
  broker.broker.reloadCertificates([{ url: 'mqtts://127.0.0.1:0' }], [{ ...server, clientCa: other.cert }]);
  expect(await refusal(broker, client)).toMatch(/UNKNOWN_CA|CERT|ECONNRESET|closed/);
  (await secured(broker, await other.sign('other'))).destroy();
});

test('a subscriber over TLS that stops reading gets everything of QoS 1 once it reads again, in order', async () => {
  const broker = await start(server, { max_queued_bytes: '64MiB', max_inflight: 65_535 });
  const slow = RawClient.over(await secured(broker));
  await slow.welcome({ clientId: 'slow' });
  await slow.subscribe('t', { qos: 1 });
  slow.pause();
  const fast = RawClient.over(await secured(broker));
  await fast.welcome({ clientId: 'fast' });
  const payload = 'x'.repeat(8000);
  for (let number = 1; number <= 2000; number += 1) {
    fast.publish('t', `${number} ${payload}`, { qos: 1, packetIdentifier: number });
  }
  expect((await fast.settled()).filter(({ type }) => type === 'puback')).toHaveLength(2000);
  slow.resume();
  for (let number = 1; number <= 2000; number += 1) {
    const packet = await slow.nextPublish();
    expect(text(packet).startsWith(`${number} `)).toBe(true);
    slow.send({ type: 'puback', packetIdentifier: packet.packetIdentifier!, reasonCode: 0 });
  }
});
