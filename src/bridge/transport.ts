/**
 * A byte stream to a server, over TCP or TLS. Tests put a scripted server in its place. Nothing is decided here.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type ProxyServer, proxyHandshake } from './proxy.js';
import type { ServerUrl } from './server-url.js';

export interface Transport {
  /** False: wait for `drained` before writing more. The bytes belong to the transport from now on. */
  write(bytes: Uint8Array): boolean;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** `closed` is the last call, and comes once; none comes before `dial` has returned. */
export interface TransportEvents {
  readonly opened: () => void;
  readonly data: (chunk: Uint8Array) => void;
  readonly drained: () => void;
  readonly closed: (fault: Error | undefined) => void;
}

export interface TlsSecrets {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Nothing of it need be set. */
export interface Way {
  readonly tls?: TlsSecrets;
  /** Server Name to ask for and to find in the certificate, instead of the host's own. */
  readonly serverName?: string;
  /** Protocols to offer by ALPN, as clouds want on port 443. */
  readonly alpn?: readonly string[];
  readonly proxy?: ProxyServer;
}

export type Dial = (server: ServerUrl, way: Way, events: TransportEvents) => Transport;

export const dial: Dial = (server, way, events) => {
  const { proxy } = way;
  const first = connectTcp(proxy ?? { host: server.host, port: server.port });
  first.setNoDelay(true);
  let socket: Socket = first;
  let fault: Error | undefined;
  let isTunnel = proxy === undefined;
  const failed = (error: Error): void => {
    fault ??= isTunnel || proxy === undefined ? error : throughProxy(proxy, error.message);
  };
  const opened = (): void => {
    isTunnel = true;
    if (server.secure) {
      const secure = connectTls({ socket: first, ...tlsOptions(server, way) });
      secure.once('secureConnect', events.opened);
      secure.on('error', failed);
      socket = secure;
    } else {
      events.opened();
    }
    socket.on('data', events.data);
    socket.on('drain', events.drained);
    // The server's FIN: nothing more comes, and half a connection is no use.
    socket.on('end', () => first.destroy());
  };
  first.on('error', failed);
  first.once('close', () => {
    if (!isTunnel && proxy !== undefined) fault ??= throughProxy(proxy, 'it closed the connection');
    events.closed(fault);
  });
  first.once('connect', () => {
    if (proxy === undefined) opened();
    else tunnel(first, proxy, server, opened, (error) => first.destroy(error));
  });
  return {
    write: (bytes) => socket.write(bytes),
    end: () => socket.end(),
    destroy: () => first.destroy(),
  };
};

function tlsOptions(server: ServerUrl, { alpn, serverName, tls }: Way): ConnectionOptions {
  const name = serverName ?? server.serverName;
  return {
    // Also what the certificate is checked against where there is no Server Name.
    host: server.host,
    ...(name === undefined ? {} : { servername: name }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
  };
}

function tunnel(
  socket: Socket,
  proxy: ProxyServer,
  server: ServerUrl,
  opened: () => void,
  failed: (error: Error) => void,
): void {
  const handshake = proxyHandshake(proxy, server.host, server.port);
  const take = (chunk: Buffer): void => {
    const step = handshake.data(chunk);
    if (step.do === 'send') socket.write(step.bytes);
    if (step.do === 'fail') failed(new Error(step.why));
    if (step.do !== 'open') return;
    socket.off('data', take);
    socket.off('end', ended);
    socket.pause();
    if (step.rest.length > 0) socket.unshift(step.rest);
    opened();
    if (!server.secure) socket.resume();
  };
  const ended = (): void => {
    socket.destroy();
  };
  socket.on('data', take);
  socket.on('end', ended);
  socket.write(handshake.greeting);
}

function throughProxy(proxy: ProxyServer, why: string): Error {
  return Object.assign(new Error(`the proxy ${proxy.host}:${proxy.port}: ${why}`), { code: 'ERR_PROXY' });
}
