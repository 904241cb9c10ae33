/** Where a listener listens and what it speaks, and what to tell an operator whose address cannot be had. */
import {
  type Endpoint,
  isTlsScheme,
  LISTENER_SCHEMES,
  LISTENER_URL,
  parseEndpoint,
} from '../config/endpoint.js';
import { GodwitError } from '../core/error.js';

export interface ListenerUrl extends Endpoint {
  readonly secure: boolean;
  readonly webSocket: boolean;
}

/** What can be served is checked with the configuration too; this is the last line. */
export function parseListenerUrl(text: string): ListenerUrl {
  const endpoint = parseEndpoint(text, LISTENER_SCHEMES);
  if ('problem' in endpoint) {
    throw new GodwitError(
      'LISTENER_INVALID',
      `broker.listeners: '${text}' cannot be served; write ${LISTENER_URL}`,
      { url: text },
    );
  }
  const { scheme } = endpoint;
  return { ...endpoint, secure: isTlsScheme(scheme), webSocket: scheme === 'ws' || scheme === 'wss' };
}

/** `port`: the real one, where the configured one was 0. */
export function listenerText({ scheme, host, path }: ListenerUrl, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path ?? ''}`;
}

export function listenFault(fault: NodeJS.ErrnoException, url: ListenerUrl): GodwitError {
  const at = listenerText({ ...url, path: undefined }, url.port);
  if (fault.code === 'EADDRINUSE') {
    return new GodwitError(
      'ADDRESS_IN_USE',
      `${at} is in use by another process; stop it (often mosquitto) or choose another port in broker.listeners`,
      { cause: fault, url: at },
    );
  }
  if (fault.code === 'EACCES') {
    return new GodwitError(
      'ADDRESS_REFUSED',
      `${at} may not be listened on by this user; choose a port above 1023 in broker.listeners`,
      { cause: fault, url: at },
    );
  }
  return new GodwitError(
    'ADDRESS_REFUSED',
    `${at} cannot be listened on (${fault.code ?? fault.message}); choose an address of this machine in broker.listeners`,
    { cause: fault, url: at },
  );
}
