import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import fc from 'fast-check';
import { generate } from 'selfsigned';
import { afterEach, describe, expect, test } from 'vitest';
import { dial } from '../../../src/bridge/dial.js';
import { type ProxyStep, parseProxy, proxyHandshake } from '../../../src/bridge/proxy.js';
import { parseServerUrl } from '../../../src/bridge/server-url.js';
import type { Way } from '../../../src/bridge/transport.js';

function proxyOf(url: string) {
  const proxy = parseProxy(url);
  if (proxy === undefined) throw new Error(`${url} is a proxy`);
  return proxy;
}

test('URLs of proxies, with their usual ports and escaped credentials', () => {
  expect(parseProxy('http://us%40er:p%3Aw@proxy:3128')).toEqual({
    kind: 'http',
    host: 'proxy',
    port: 3128,
    username: 'us@er',
    password: 'p:w',
  });
  expect(parseProxy('socks5://[::1]')).toMatchObject({
    kind: 'socks5',
    host: '::1',
    port: 1080,
    username: '',
  });
  for (const wrong of ['ftp://proxy', 'proxy:80', 'http://proxy/path', 'http://a:%FF@proxy', 'http://']) {
    expect(parseProxy(wrong)).toBeUndefined();
  }
});

/** Plays the whole exchange with the proxy's answers cut anywhere. */
function exchange(url: string, answers: readonly Uint8Array[], cuts: readonly number[]): ProxyStep[] {
  const handshake = proxyHandshake(proxyOf(url), 'cloud.example', 8883);
  const steps: ProxyStep[] = [];
  for (const answer of answers) {
    let at = 0;
    for (const cut of [...cuts, answer.length]) {
      const to = Math.min(answer.length, at + cut);
      const step = to > at ? handshake.data(answer.subarray(at, to)) : { do: 'wait' as const };
      at = to;
      if (step.do !== 'wait') steps.push(step);
    }
  }
  return steps;
}

const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 10 });

test('HTTP CONNECT opens on 2xx, however it is cut', () => {
  fc.assert(
    fc.property(cuts, (where) => {
      const answer = Buffer.from('HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n');
      expect(exchange('http://u:p@proxy', [answer], where)).toEqual([{ do: 'open', rest: Buffer.alloc(0) }]);
    }),
  );
  const { greeting } = proxyHandshake(proxyOf('http://u:p@proxy'), 'cloud.example', 8883);
  expect(Buffer.from(greeting).toString()).toBe(
    'CONNECT cloud.example:8883 HTTP/1.1\r\nHost: cloud.example:8883\r\nProxy-Authorization: Basic dTpw\r\n\r\n',
  );
});

test('SOCKS5 with a password, however it is cut', () => {
  fc.assert(
    fc.property(cuts, (where) => {
      const answers = [
        [5, 2],
        [1, 0],
        [5, 0, 0, 1, 1, 2, 3, 4, 0, 80],
      ].map((bytes) => Buffer.from(bytes));
      expect(exchange('socks5://u:pw@proxy', answers, where)).toEqual([
        { do: 'send', bytes: Buffer.from([1, 1, 117, 2, 112, 119]) },
        {
          do: 'send',
          bytes: Buffer.concat([
            Buffer.from([5, 1, 0, 3, 13]),
            Buffer.from('cloud.example'),
            Buffer.from([0x22, 0xb3]),
          ]),
        },
        { do: 'open', rest: Buffer.alloc(0) },
      ]);
    }),
  );
});

test.each([
  [
    'http://proxy',
    'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n',
    'wants another user name and password (407)',
  ],
  ['http://proxy', 'HTTP/1.1 403 Forbidden\r\n\r\n', 'refused: HTTP/1.1 403 Forbidden'],
  ['http://proxy', 'SSH-2.0-OpenSSH\r\n\r\n', 'sent what is not HTTP'],
  ['http://proxy', 'x'.repeat(20_000), 'sent what is not HTTP'],
  ['socks5://proxy', '\x05\xff', 'wants a user name and password'],
  ['socks5://proxy', 'HTTP', 'sent what is not SOCKS5'],
])('%s that answers %j fails in words', (url, answer, why) => {
  const step = proxyHandshake(proxyOf(url), 'cloud', 1883).data(Buffer.from(answer, 'latin1'));
  expect(step).toEqual({ do: 'fail', why });
});

describe('over real sockets', () => {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  async function listening(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => server.close());
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Says what it was asked, then passes on to `target`. */
  function httpProxy(target: number, asked: string[]): Server {
    return createServer((near) => {
      ends.push(() => near.destroy());
      near.on('error', () => near.destroy());
      near.once('data', (chunk) => {
        asked.push(chunk.toString().split('\r\n')[0] ?? '');
        const far = connect(target, '127.0.0.1', () => {
          near.write('HTTP/1.1 200 OK\r\n\r\n');
          near.pipe(far).pipe(near);
        });
        far.on('error', () => near.destroy());
        ends.push(() => far.destroy());
      });
    });
  }

  /** What is sent comes back; what the dial tells, in order. */
  async function echoed(url: string, way: Way): Promise<{ told: string[]; text: string }> {
    const told: string[] = [];
    let text = '';
    await new Promise<void>((resolve) => {
      const transport = dial(parseServerUrl(url), way, {
        opened: () => {
          told.push('opened');
          transport.write(Buffer.from('hello'));
        },
        data: (chunk) => {
          text += Buffer.from(chunk).toString();
          if (text.length >= 5) transport.end();
        },
        drained: () => undefined,
        closed: (fault) => {
          told.push(fault === undefined ? 'closed' : fault.message);
          resolve();
        },
      });
      ends.push(() => transport.destroy());
    });
    return { told, text };
  }

  const echo = (socket: Socket): void => {
    ends.push(() => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  };

  test('HTTP CONNECT, and the name is left to the proxy', async () => {
    const target = await listening(createServer(echo));
    const asked: string[] = [];
    const port = await listening(httpProxy(target, asked));
    const way = { proxy: proxyOf(`http://127.0.0.1:${port}`) };
    expect(await echoed('mqtt://nowhere.invalid:1883', way)).toEqual({
      told: ['opened', 'closed'],
      text: 'hello',
    });
    expect(asked).toEqual(['CONNECT nowhere.invalid:1883 HTTP/1.1']);
  });

  test('TLS through a proxy, with ALPN and another Server Name', async () => {
    const pems = await generate([{ name: 'commonName', value: 'cloud.example' }], {
      keySize: 2048,
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'cloud.example' }] }],
    });
    const seen: (string | false | undefined)[] = [];
    const server = createTlsServer(
      { cert: pems.cert, key: pems.private, ALPNProtocols: ['mqtt'] },
      (socket) => {
        seen.push(socket.alpnProtocol ?? undefined, socket.servername ?? undefined);
        echo(socket);
      },
    );
    const target = await listening(server);
    const port = await listening(httpProxy(target, []));
    const way: Way = {
      proxy: proxyOf(`http://127.0.0.1:${port}`),
      tls: { ca: Buffer.from(pems.cert) },
      alpn: ['mqtt'],
      serverName: 'cloud.example',
    };
    expect(await echoed('mqtts://10.0.0.1:8883', way)).toEqual({ told: ['opened', 'closed'], text: 'hello' });
    expect(seen).toEqual(['mqtt', 'cloud.example']);
    const { told } = await echoed('mqtts://other.example:8883', { ...way, serverName: 'other.example' });
    expect(told[0]).toContain('other.example');
  });

  test('a proxy that refuses or is not there is named', async () => {
    const port = await listening(createServer((near) => near.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')));
    const refusing = await echoed('mqtt://cloud:1883', { proxy: proxyOf(`http://127.0.0.1:${port}`) });
    expect(refusing.told).toEqual([`the proxy 127.0.0.1:${port}: refused: HTTP/1.1 502 Bad Gateway`]);
    const absent = await echoed('mqtt://cloud:1883', { proxy: proxyOf('socks5://127.0.0.1:1') });
    expect(absent.told[0]).toMatch(/^the proxy 127\.0\.0\.1:1: .*ECONNREFUSED/);
  });
});
