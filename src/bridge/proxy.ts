/**
 * A way out through a proxy: HTTP CONNECT [RFC 9110 §9.3.6] or SOCKS5 [RFC 1928, RFC 1929]. The proxy resolves the
 * server's name, since a network that has one often has no other name service.
 *
 *   http     CONNECT ──▶ 2xx and an empty line ──▶ tunnel
 *   socks5   methods ──▶ (user, password ──▶) CONNECT ──▶ reply ──▶ tunnel
 *
 * Pure: bytes in, bytes out. The shell is transport.ts.
 */

export interface ProxyServer {
  readonly kind: 'http' | 'socks5';
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

/** Undefined: not one that can be used. */
export function parseProxy(text: string): ProxyServer | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const kind = url.protocol === 'http:' ? 'http' : url.protocol === 'socks5:' ? 'socks5' : undefined;
  const rest = url.pathname === '' || url.pathname === '/' ? url.search + url.hash : 'a path';
  if (kind === undefined || url.hostname === '' || rest !== '') return undefined;
  let credentials: readonly string[];
  try {
    credentials = [url.username, url.password].map(decodeURIComponent);
  } catch {
    // A stray % sign: the operator meant the character and must write %25.
    return undefined;
  }
  const [username = '', password = ''] = credentials;
  if (Buffer.byteLength(username) > 255 || Buffer.byteLength(password) > 255) return undefined;
  const port = url.port === '' ? (kind === 'http' ? 80 : 1080) : Number(url.port);
  return { kind, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, username, password };
}

export type ProxyStep =
  | { readonly do: 'wait' }
  | { readonly do: 'send'; readonly bytes: Uint8Array }
  /** The tunnel is open; `rest` came through it already. */
  | { readonly do: 'open'; readonly rest: Uint8Array }
  | { readonly do: 'fail'; readonly why: string };

/** A proxy that talks on and on is no proxy. */
const ANSWER_BYTES_MAX = 16 * 1024;

export interface ProxyHandshake {
  readonly greeting: Uint8Array;
  data(chunk: Uint8Array): ProxyStep;
}

export function proxyHandshake(proxy: ProxyServer, host: string, port: number): ProxyHandshake {
  return proxy.kind === 'http' ? new HttpConnect(proxy, host, port) : new Socks5(proxy, host, port);
}

class HttpConnect implements ProxyHandshake {
  readonly greeting: Uint8Array;
  #answer = Buffer.alloc(0);

  constructor({ username, password }: ProxyServer, host: string, port: number) {
    const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    const authorization = username === '' ? '' : `Proxy-Authorization: Basic ${basic}\r\n`;
    this.greeting = Buffer.from(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n${authorization}\r\n`);
  }

  data(chunk: Uint8Array): ProxyStep {
    this.#answer = Buffer.concat([this.#answer, chunk]);
    const end = this.#answer.indexOf('\r\n\r\n');
    if (end < 0) {
      return this.#answer.length > ANSWER_BYTES_MAX
        ? { do: 'fail', why: 'sent what is not HTTP' }
        : { do: 'wait' };
    }
    const [line = ''] = this.#answer.toString('latin1', 0, end).split('\r\n', 1);
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1];
    if (status === undefined) return { do: 'fail', why: 'sent what is not HTTP' };
    if (status === '407') return { do: 'fail', why: 'wants another user name and password (407)' };
    if (!status.startsWith('2')) return { do: 'fail', why: `refused: ${line.slice(0, 100)}` };
    return { do: 'open', rest: this.#answer.subarray(end + 4) };
  }
}

const SOCKS_REFUSALS: { readonly [code: number]: string } = {
  1: 'failed',
  2: 'does not allow this server',
  3: 'has no network to the server',
  4: 'cannot reach the server',
  5: 'was refused by the server',
  6: 'gave up on the server (TTL)',
  7: 'cannot connect to servers',
  8: 'does not know this kind of address',
};

class Socks5 implements ProxyHandshake {
  readonly greeting: Uint8Array;
  readonly #proxy: ProxyServer;
  readonly #host: string;
  readonly #port: number;
  #state: 'method' | 'login' | 'reply' = 'method';
  #answer = Buffer.alloc(0);

  constructor(proxy: ProxyServer, host: string, port: number) {
    this.#proxy = proxy;
    this.#host = host;
    this.#port = port;
    this.greeting = Buffer.from(proxy.username === '' ? [5, 1, 0] : [5, 2, 0, 2]);
  }

  data(chunk: Uint8Array): ProxyStep {
    this.#answer = Buffer.concat([this.#answer, chunk]);
    if (this.#answer.length < 2) return { do: 'wait' };
    if (this.#state === 'reply') return this.#reply();
    const [version, code] = this.#answer;
    this.#answer = this.#answer.subarray(2);
    if (this.#state === 'login') {
      return code === 0 ? this.#connect() : { do: 'fail', why: 'wants another user name and password' };
    }
    if (version !== 5) return { do: 'fail', why: 'sent what is not SOCKS5' };
    if (code === 0) return this.#connect();
    if (code !== 2 || this.#proxy.username === '')
      return { do: 'fail', why: 'wants a user name and password' };
    this.#state = 'login';
    const [name, password] = [Buffer.from(this.#proxy.username), Buffer.from(this.#proxy.password)];
    const bytes = Buffer.concat([
      Buffer.from([1, name.length]),
      name,
      Buffer.from([password.length]),
      password,
    ]);
    return { do: 'send', bytes };
  }

  #connect(): ProxyStep {
    this.#state = 'reply';
    const name = Buffer.from(this.#host);
    // As a name whatever it is: proxies take an address in its place.
    const bytes = Buffer.concat([
      Buffer.from([5, 1, 0, 3, name.length]),
      name,
      Buffer.from([this.#port >> 8, this.#port & 0xff]),
    ]);
    return { do: 'send', bytes };
  }

  #reply(): ProxyStep {
    const [version, code = 1, , kind, length = 0] = this.#answer;
    if (version !== 5) return { do: 'fail', why: 'sent what is not SOCKS5' };
    if (code !== 0) return { do: 'fail', why: SOCKS_REFUSALS[code] ?? `refused (${code})` };
    if (this.#answer.length < 5) return { do: 'wait' };
    const addressBytes = kind === 1 ? 4 : kind === 4 ? 16 : kind === 3 ? 1 + length : -1;
    if (addressBytes < 0) return { do: 'fail', why: 'sent what is not SOCKS5' };
    const end = 4 + addressBytes + 2;
    return this.#answer.length < end ? { do: 'wait' } : { do: 'open', rest: this.#answer.subarray(end) };
  }
}
