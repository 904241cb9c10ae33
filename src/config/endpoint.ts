/**
 * Addresses in the configuration: `mqtt://127.0.0.1:1883`, `mqtts://broker.example.com`, `ws://[::1]:9001/mqtt`,
 * `http://[::1]:8088`. Each `describe…` says what is allowed instead, or undefined where the text is right.
 */

export interface Endpoint {
  readonly scheme: string;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** WebSocket only, with its slash; undefined: any. */
  readonly path: string | undefined;
}

const PORTS: Readonly<Record<string, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443, http: 80 };

/** What a listener of the broker may speak. */
export const LISTENER_SCHEMES = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
export const LISTENER_URL =
  'mqtt://ADDRESS:PORT, mqtts://ADDRESS:PORT, ws://ADDRESS:PORT/PATH or wss://ADDRESS:PORT/PATH';

/** What a server of a bridge may speak. */
export const SERVER_SCHEMES = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
export const SERVER_URL = 'mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH';

/** What is wrong with a text that is no endpoint; it says what is allowed. */
export type EndpointProblem = { readonly problem: string };

export function parseEndpoint(text: string, schemes: readonly string[]): Endpoint | EndpointProblem {
  const allowed = allowedFor(schemes);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !schemes.includes(scheme)) return { problem: allowed };
  const rest = text.slice(scheme.length + 3);
  if (rest.includes('@')) {
    return { problem: `${allowed}, without a user name: that goes into username and password` };
  }
  const isWebSocket = isWebSocketScheme(scheme);
  const slash = isWebSocket ? rest.indexOf('/') : -1;
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  if (!/^[\x21-\x7e]*$/.test(path) || /[?#\\]/.test(path)) {
    return { problem: `${allowed}, the path without spaces, ? and #` };
  }
  const parts = /^(\[([0-9a-fA-F:.]+)\]|[^\s/?#:[\]%\\]+)(?::(\d{1,5}))?\/?$/.exec(authority);
  if (parts === null) return { problem: isWebSocket ? allowed : `${allowed}, and nothing after the port` };
  const host = parts[2] ?? (parts[1] as string);
  if (parts[2] !== undefined && !URL.canParse(`http://[${host}]`)) return { problem: allowed };
  // URL judges 1.2.3.400 and the like as numbers gone wrong, which no resolver would take either.
  if (parts[2] === undefined && !URL.canParse(`http://${host}`)) return { problem: allowed };
  const port = parts[3] === undefined ? (PORTS[scheme] as number) : Number(parts[3]);
  if (port > 65_535) return { problem: `${allowed} with a port from 1 to 65535` };
  return { scheme, host, port, path: path === '' || path === '/' ? undefined : path };
}

function allowedFor(schemes: readonly string[]): string {
  if (schemes === LISTENER_SCHEMES) return LISTENER_URL;
  if (schemes === SERVER_SCHEMES) return SERVER_URL;
  return schemes.map((name) => `${name}://HOST:PORT`).join(' or ');
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Whether clients need no name where the configuration does not say: only while nobody else can reach a listener. */
export function anonymousByDefault(urls: readonly string[]): boolean {
  return urls.every((url) => {
    const endpoint = parseEndpoint(url, LISTENER_SCHEMES);
    return !('problem' in endpoint) && isLoopback(endpoint.host);
  });
}

export function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host);
}

export function describeServerUrl(text: string): string | undefined {
  const endpoint = parseEndpoint(text, SERVER_SCHEMES);
  if ('problem' in endpoint) {
    return /^wss?:[^?]*\?/i.test(text) ? `${endpoint.problem}; a token goes into headers` : endpoint.problem;
  }
  return endpoint.port === 0 ? 'a port from 1 to 65535' : undefined;
}

export function describeListenerUrl(text: string): string | undefined {
  const endpoint = parseEndpoint(text, LISTENER_SCHEMES);
  return 'problem' in endpoint ? endpoint.problem : undefined;
}

export function isWebSocketScheme(scheme: string): boolean {
  return scheme === 'ws' || scheme === 'wss';
}

/** Whether a server of this scheme shows a certificate. */
export function isTlsScheme(scheme: string): boolean {
  return scheme === 'mqtts' || scheme === 'wss';
}

export function describeListenUrl(text: string): string | undefined {
  const endpoint = parseEndpoint(text, ['http']);
  return 'problem' in endpoint ? endpoint.problem.replace('HOST', 'ADDRESS') : undefined;
}
