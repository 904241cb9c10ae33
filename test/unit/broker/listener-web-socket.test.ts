/** ws and wss listeners over real sockets: the upgrade, what travels in frames, and what a broken peer costs. */
import { once } from 'node:events';
import { connect as tcpConnect } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { encode } from '../../../src/mqtt/encoder.js';
import { OPCODE, WebSocketStream } from '../../conformance/support/web-socket.js';
import { SaidLog } from '../../support/bridge-bench.js';
import { type RunningBroker, startBroker, until } from '../../support/broker-fixture.js';
import { Authority, type Signed } from '../../support/certificates.js';
import { RawClient, text } from '../../support/raw-client.js';

const running: RunningBroker[] = [];
const streams: WebSocketStream[] = [];
afterEach(async () => {
  // They do not answer a close frame, and the broker would wait for it.
  for (const stream of streams.splice(0)) stream.destroy();
  for (const broker of running.splice(0)) await broker.stop();
});

async function start(
  url = 'ws://127.0.0.1:0/mqtt',
  limits: Parameters<typeof startBroker>[0] = {},
  log = new SaidLog(),
): Promise<RunningBroker & { readonly port: number; readonly log: SaidLog }> {
  const broker = await startBroker(limits, { urls: [url], log });
  running.push(broker);
  return { ...broker, port: Number(new URL(broker.url).port), log };
}

async function open(...how: Parameters<typeof WebSocketStream.open>): Promise<WebSocketStream> {
  const stream = await WebSocketStream.open(...how);
  streams.push(stream);
  return stream;
}

/** All that the server answers to these bytes until it closes. */
async function answer(port: number, request: string): Promise<string> {
  const socket = tcpConnect(port, '127.0.0.1');
  let got = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
  });
  socket.write(request);
  await new Promise((resolve) => socket.on('close', resolve));
  return got;
}

function upgrade(lines: readonly string[], path = '/mqtt'): string {
  return `${[`GET ${path} HTTP/1.1`, 'Host: x', ...lines].join('\r\n')}\r\n\r\n`;
}
const KEY = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];
const VERSION = 'Sec-WebSocket-Version: 13';
const PROTOCOL = 'Sec-WebSocket-Protocol: mqtt';

describe('the upgrade', () => {
  test('is for the path of the listener, and the address says which', async () => {
    const { url, port } = await start();
    expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/mqtt$/);
    expect((await open(port, { path: '/mqtt?x=1' })).status).toBe(101);
    for (const path of ['/', '/mqtt/', '/other', '/mqtt%00']) {
      expect(await answer(port, upgrade([...KEY, VERSION, PROTOCOL], path))).toMatch(/^HTTP\/1\.1 404 /);
    }
  });

  test('takes any path where the listener has none', async () => {
    const { port, url } = await start('ws://127.0.0.1:0');
    expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
    for (const path of ['/', '/mqtt', '/a/b']) {
      expect((await open(port, { path })).status).toBe(101);
    }
  });

  test('is for pages of the origins that are named, and for programs, which have none', async () => {
    const broker = await startBroker(
      {},
      { urls: ['ws://127.0.0.1:0'], origins: ['https://Scada.example.com'] },
    );
    running.push(broker);
    const port = Number(new URL(broker.url).port);
    const from = (origin: string) => answer(port, upgrade([...KEY, VERSION, PROTOCOL, `Origin: ${origin}`]));
    for (const origin of ['https://evil.example.com', 'http://scada.example.com', 'null', '']) {
      expect(await from(origin), origin).toMatch(/^HTTP\/1\.1 403 /);
    }
    expect((await open(port, { origin: 'https://scada.example.com' })).status).toBe(101);
    expect((await open(port)).status).toBe(101);
  });

  test('agrees on mqtt and never on compression', async () => {
    const { port } = await start();
    const socket = tcpConnect(port, '127.0.0.1');
    socket.write(
      upgrade([
        ...KEY,
        VERSION,
        'Sec-WebSocket-Protocol: a, mqtt',
        'Sec-WebSocket-Extensions: permessage-deflate',
      ]),
    );
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\nSec-WebSocket-Protocol: mqtt\r\n/);
    expect(chunk.toString()).not.toContain('Extensions');
    socket.destroy();
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['without a subprotocol', upgrade([...KEY, VERSION]), /^HTTP\/1\.1 400 /],
    [
      'with another subprotocol',
      upgrade([...KEY, VERSION, 'Sec-WebSocket-Protocol: mqttv3.1, amqp']),
      /^HTTP\/1\.1 400 /,
    ],
    [
      'with a broken list of subprotocols',
      upgrade([...KEY, VERSION, 'Sec-WebSocket-Protocol: mqtt,,']),
      /^HTTP\/1\.1 400 /,
    ],
    [
      'without a key',
      upgrade(['Connection: Upgrade', 'Upgrade: websocket', VERSION, PROTOCOL]),
      /^HTTP\/1\.1 400 /,
    ],
    ['of another version', upgrade([...KEY, 'Sec-WebSocket-Version: 99', PROTOCOL]), /^HTTP\/1\.1 4\d\d /],
    ['to another protocol', upgrade(['Connection: Upgrade', 'Upgrade: h2c', PROTOCOL]), /^HTTP\/1\.1 4\d\d /],
    ['that is a request for a page', upgrade([]), /^HTTP\/1\.1 426 /],
    [
      'that is a POST with a body',
      'POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello',
      /^HTTP\/1\.1 426 /,
    ],
    ['that is MQTT itself', '\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd', /^HTTP\/1\.1 400 /],
    ['that is noise', '\x00\xff'.repeat(500), /^HTTP\/1\.1 400 /],
    [
      'with 20 KiB of headers',
      upgrade([...KEY, VERSION, PROTOCOL, `Cookie: ${'x'.repeat(20_000)}`]),
      /^HTTP\/1\.1 400 /,
    ],
  ];
  test.each(wrong)('%s is refused, counted, and the next client served', async (_what, request, status) => {
    const broker = await start();
    expect(await answer(broker.port, request)).toMatch(status);
    expect(broker.log.count('Client refused')).toBe(1);
    const next = RawClient.over(await open(broker.port));
    await next.welcome({ clientId: 'next' });
  });

  test('has the time of connect_timeout, whatever is sent meanwhile', async () => {
    const { port, clock, log } = await start('ws://127.0.0.1:0/mqtt', { connect_timeout: '10s' });
    const silent = tcpConnect(port, '127.0.0.1').resume();
    const slow = tcpConnect(port, '127.0.0.1').resume();
    for (const socket of [silent, slow]) await once(socket, 'connect');
    slow.write('GET /mqtt HTTP/1.1\r\nHo');
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    while (!silent.destroyed || !slow.destroyed) {
      clock.advance(1000);
      if (slow.writable) slow.write('s');
      await turn();
    }
    expect(log.count('Client refused')).toBe(2);
    expect(log.said.filter(({ level }) => level === 'warn')).toMatchObject([
      { fields: { why: 'its handshake took too long' } },
    ]);
    // The time for CONNECT begins after it.
    const late = await open(port);
    clock.advance(9_000);
    expect(late.destroyed).toBe(false);
    late.resume();
    clock.advance(1_000);
    await once(late, 'end');
  });

  test('that never came does not keep the broker from stopping', async () => {
    const broker = await start();
    const silent = tcpConnect(broker.port, '127.0.0.1').resume();
    await once(silent, 'connect');
    await broker.stop();
    await until(() => silent.destroyed);
  });
});

describe('frames', () => {
  test('that are too large close the connection before their payload is kept', async () => {
    const { port, clock, broker } = await start('ws://127.0.0.1:0/mqtt', { max_packet_size: '1KiB' });
    const webSocket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt']);
    await once(webSocket, 'open');
    webSocket.on('error', () => {});
    webSocket.send(Buffer.alloc(80 * 1024));
    const [code] = (await once(webSocket, 'close')) as [number];
    expect(code).toBe(1009);
    clock.advance(1000);
    await until(() => broker.snapshot().connections === 0);
  });

  test('that are text close the connection with 1003, even if the client does not answer', async () => {
    const { port, clock } = await start();
    const stream = await open(port);
    const client = RawClient.over(stream);
    await client.welcome({ clientId: 'a' });
    const ended = once(stream, 'end');
    stream.frame(OPCODE.text, Buffer.from([0xc0, 0x00]));
    stream.frame(OPCODE.binary, Buffer.from([0xc0, 0x00]));
    await until(() => stream.opcodes.includes(OPCODE.close));
    clock.advance(1000);
    await ended;
    // The PINGREQs were not heard.
    expect(client.unread).toEqual([]);
  });

  test('that ping are answered, but pongs that nobody reads do not pile up', async () => {
    const { port } = await start();
    const stream = await open(port);
    stream.resume();
    stream.frame(OPCODE.ping, Buffer.from('hello'));
    await until(() => stream.opcodes.includes(OPCODE.pong));
    const deaf = tcpConnect(port, '127.0.0.1');
    deaf.write(upgrade([...KEY, VERSION, PROTOCOL]));
    await once(deaf, 'data');
    deaf.pause();
    const ping = Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125)]);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => ping));
    const rounds = 250;
    for (let round = 0; round < rounds; round += 1) {
      if (!deaf.write(many)) await once(deaf, 'drain');
    }
    deaf.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    let pongBytes = 0;
    deaf.on('data', (chunk: Buffer) => {
      pongBytes += chunk.length;
    });
    deaf.resume();
    await once(deaf, 'end');
    // What the kernel's buffers held may have been answered, not all of it.
    expect(pongBytes).toBeLessThan((rounds * many.length) / 2);
    deaf.destroy();
  });

  test('of any size carry a stream that is cut anywhere', async () => {
    const { port } = await start('ws://127.0.0.1:0/mqtt', { max_inflight: 1000 });
    const stream = await open(port);
    const client = RawClient.over(stream);
    await client.welcome({ clientId: 'a' });
    await client.subscribe('t', { qos: 1 });
    const packets = Buffer.concat(
      Array.from({ length: 200 }, (_, number) =>
        encode(
          {
            type: 'publish',
            topic: 't',
            payload: Buffer.from(`${number}`),
            qos: 1,
            retain: false,
            dup: false,
            packetIdentifier: number + 1,
          },
          5,
        ),
      ),
    );
    for (let at = 0, length = 1; at < packets.length; at += length, length = (length * 7) % 97 || 1) {
      stream.frame(OPCODE.binary, packets.subarray(at, at + length));
    }
    const got: string[] = [];
    while (got.length < 200) {
      const packet = await client.next();
      if (packet.type !== 'publish') continue;
      got.push(text(packet));
      client.send({ type: 'puback', packetIdentifier: packet.packetIdentifier!, reasonCode: 0 });
    }
    expect(got).toEqual(Array.from({ length: 200 }, (_, number) => `${number}`));
  });
});

test('a subscriber that stops reading costs bounded memory and gets what is queued once it reads again', async () => {
  const { port } = await start('ws://127.0.0.1:0/mqtt', { max_inflight: 65_535, max_queued_bytes: '64MiB' });
  const stream = await open(port);
  const slow = RawClient.over(stream);
  await slow.welcome({ clientId: 'slow' });
  await slow.subscribe('t', { qos: 1 });
  slow.pause();
  const fast = RawClient.over(await open(port));
  await fast.welcome({ clientId: 'fast' });
  for (let number = 1; number <= 1000; number += 1) {
    fast.publish('t', `${number} ${'x'.repeat(8000)}`, { qos: 1, packetIdentifier: number });
  }
  expect((await fast.settled()).filter(({ type }) => type === 'puback')).toHaveLength(1000);
  slow.resume();
  for (let number = 1; number <= 1000; number += 1) {
    const packet = await slow.nextPublish();
    expect(text(packet).startsWith(`${number} `)).toBe(true);
    slow.send({ type: 'puback', packetIdentifier: packet.packetIdentifier!, reasonCode: 0 });
  }
});

describe('over TLS', () => {
  let authority: Authority;
  let server: Signed;
  let client: Signed;
  beforeAll(async () => {
    authority = await Authority.make();
    server = await authority.sign('server');
    client = await authority.sign('client');
  });

  test('a wss client needs its certificate where client_ca is set, and new certificates are used', async () => {
    const log = new SaidLog();
    const broker = await startBroker(
      {},
      { urls: ['wss://127.0.0.1:0/mqtt'], secrets: [{ ...server, clientCa: authority.cert }], log },
    );
    running.push(broker);
    const dial = (options: object): WebSocket =>
      new WebSocket(broker.url, ['mqtt'], { ca: authority.cert, ...options });
    const welcome = dial(client);
    await once(welcome, 'open');
    const nameless = dial({});
    await new Promise((resolve) => nameless.on('error', resolve));
    expect(log.count('Client refused')).toBe(1);
    const renewed = await authority.sign('renewed');
    broker.broker.reloadCertificates(
      [{ url: 'wss://127.0.0.1:0/mqtt' }],
      [{ ...renewed, clientCa: authority.cert }],
    );
    const later = dial(client);
    const [upgraded] = (await once(later, 'upgrade')) as [
      { socket: { getPeerX509Certificate(): { subject: string } } },
    ];
    expect(upgraded.socket.getPeerX509Certificate().subject).toBe('CN=renewed');
    expect(welcome.readyState).toBe(WebSocket.OPEN);
    for (const webSocket of [welcome, later]) webSocket.terminate();
  });
});
