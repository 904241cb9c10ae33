/** `mqtt://host:port` and `mqtts://host:port`, as `servers` lists them. */
import { isIP } from 'node:net';
import { GodwitError } from '../core/error.js';

export interface ServerUrl {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
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
    const url = `${scheme}://${entry}`;
    if (!URL.canParse(url)) continue;
    const server = parseServerUrl(url);
    if (server.port > 0 && (server.host !== from.host || server.port !== from.port)) return server;
  }
  return undefined;
}

export function parseServerUrl(url: string): ServerUrl {
  const wrong = (why: string): GodwitError =>
    new GodwitError(
      'BRIDGE_SERVER_URL',
      `Server "${url}" ${why}: write mqtt://host:1883 or mqtts://host:8883`,
      { url },
    );
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new GodwitError(
      'BRIDGE_SERVER_URL',
      `Server "${url}" is not a URL: write mqtt://host:1883 or mqtts://host:8883`,
      { cause, url },
    );
  }
  if (parsed.protocol !== 'mqtt:' && parsed.protocol !== 'mqtts:') {
    throw wrong(`has the scheme ${parsed.protocol.slice(0, -1)}, which this version does not speak`);
  }
  if (parsed.hostname === '') throw wrong('names no host');
  if (parsed.username !== '' || parsed.password !== '') {
    throw wrong('carries a user name; use the keys username and password');
  }
  const secure = parsed.protocol === 'mqtts:';
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    url,
    host,
    port: parsed.port === '' ? (secure ? 8883 : 1883) : Number(parsed.port),
    secure,
    serverName: isIP(host) === 0 ? host : undefined,
  };
}
