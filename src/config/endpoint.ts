/**
 * Addresses in the configuration: `mqtt://127.0.0.1:1883`, `mqtts://broker.example.com`, `http://[::1]:8088`. Each
 * `describe…` says what is allowed instead, or undefined where the text is right.
 */

export interface Endpoint {
  readonly scheme: string;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
}

const PORTS: Readonly<Record<string, number>> = { mqtt: 1883, mqtts: 8883, http: 80 };

/** What is wrong with a text that is no endpoint; it says what is allowed. */
export type EndpointProblem = { readonly problem: string };

export function parseEndpoint(text: string, schemes: readonly string[]): Endpoint | EndpointProblem {
  const allowed = schemes.map((scheme) => `${scheme}://HOST:PORT`).join(' or ');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !schemes.includes(scheme)) return { problem: allowed };
  const rest = text.slice(scheme.length + 3);
  if (rest.includes('@')) {
    return { problem: `${allowed}, without a user name: that goes into username and password` };
  }
  const parts = /^(\[([0-9a-fA-F:.]+)\]|[^\s/?#:[\]%\\]+)(?::(\d{1,5}))?\/?$/.exec(rest);
  if (parts === null) return { problem: `${allowed}, and nothing after the port` };
  const host = parts[2] ?? (parts[1] as string);
  if (parts[2] !== undefined && !URL.canParse(`http://[${host}]`)) return { problem: allowed };
  // URL judges 1.2.3.400 and the like as numbers gone wrong, which no resolver would take either.
  if (parts[2] === undefined && !URL.canParse(`http://${host}`)) return { problem: allowed };
  const port = parts[3] === undefined ? (PORTS[scheme] as number) : Number(parts[3]);
  if (port > 65_535) return { problem: `${allowed} with a port from 1 to 65535` };
  return { scheme, host, port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

export function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host);
}

export function describeServerUrl(text: string): string | undefined {
  const endpoint = parseEndpoint(text, ['mqtt', 'mqtts']);
  if ('problem' in endpoint) {
    return /^wss?:/i.test(text)
      ? `${endpoint.problem}; WebSockets are not available in this version of godwit`
      : endpoint.problem;
  }
  return endpoint.port === 0 ? 'a port from 1 to 65535' : undefined;
}

export function describeListenerUrl(text: string): string | undefined {
  const endpoint = parseEndpoint(text, ['mqtt']);
  if (!('problem' in endpoint)) return undefined;
  return /^(mqtts|wss?):/i.test(text)
    ? 'mqtt://ADDRESS:PORT; mqtts, ws and wss listeners are not available in this version of godwit'
    : endpoint.problem.replace('HOST', 'ADDRESS');
}

export function describeListenUrl(text: string): string | undefined {
  const endpoint = parseEndpoint(text, ['http']);
  return 'problem' in endpoint ? endpoint.problem.replace('HOST', 'ADDRESS') : undefined;
}
