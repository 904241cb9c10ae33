/** `mqtt://host:port`, `mqtts://host:port`, `ws://host:port/path` and `wss://host:port/path`, as `servers` lists them. */
import { isIP } from 'node:net';
import { GodwitError } from '../core/error.js';

export interface ServerUrl {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** Of the WebSocket, with its slash; undefined: MQTT by itself. */
  readonly path: string | undefined;
  /** The name that the certificate must carry; undefined for an address, which is no Server Name [RFC 6066 §3]. */
  readonly serverName: string | undefined;
}

/**
 * Where a Server Reference leads: the first of its entries that can be read, `host` or `host:port`, spoken to as the
 * server that gave it [MQTT5-4.11]. Undefined: nowhere else.
 */
export function referredServer(from: ServerUrl, reference: string): ServerUrl | undefined {
  const scheme = from.url.slice(0, from.url.indexOf(':'));
  for (const entry of reference.slice(0, 1000).split(/\s+/)) {
    if (!/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(entry)) continue;
    const url = `${scheme}://${entry}${from.path ?? ''}`;
    if (!URL.canParse(url)) continue;
    const server = parseServerUrl(url);
    if (server.port > 0 && (server.host !== from.host || server.port !== from.port)) return server;
  }
  return undefined;
}

const PORTS: { readonly [protocol: string]: number } = {
  'mqtt:': 1883,
  'mqtts:': 8883,
  'ws:': 80,
  'wss:': 443,
};
/** What most brokers and clouds listen on. */
const PATH = '/mqtt';
const ALLOWED = 'mqtt://host:1883, mqtts://host:8883, ws://host:80/mqtt or wss://host:443/mqtt';

export function parseServerUrl(url: string): ServerUrl {
  const wrong = (why: string, cause?: unknown): GodwitError =>
    new GodwitError('BRIDGE_SERVER_URL', `Server "${url}" ${why}: write ${ALLOWED}`, { cause, url });
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw wrong('is not a URL', cause);
  }
  const { protocol } = parsed;
  const port = PORTS[protocol];
  if (port === undefined) {
    throw wrong(`has the scheme ${protocol.slice(0, -1)}, which this version does not speak`);
  }
  if (parsed.hostname === '') throw wrong('names no host');
  if (parsed.username !== '' || parsed.password !== '') {
    throw wrong('carries a user name; use the keys username and password');
  }
  const isWebSocket = protocol === 'ws:' || protocol === 'wss:';
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    url,
    host,
    port: parsed.port === '' ? port : Number(parsed.port),
    secure: protocol === 'mqtts:' || protocol === 'wss:',
    path: isWebSocket ? (parsed.pathname === '/' ? PATH : parsed.pathname) : undefined,
    serverName: isIP(host) === 0 ? host : undefined,
  };
}
