/**
 * A byte stream to a server, over TCP or TLS. Tests put a scripted server in its place. Nothing is decided here.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
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

export type Dial = (server: ServerUrl, tls: TlsSecrets | undefined, events: TransportEvents) => Transport;

export const dial: Dial = (server, tls, events) => {
  const { host, port } = server;
  let socket: Socket;
  if (server.secure) {
    socket = connectTls({
      host,
      port,
      ...(server.serverName === undefined ? {} : { servername: server.serverName }),
      ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls?.key === undefined ? {} : { key: tls.key }),
    });
    socket.once('secureConnect', events.opened);
  } else {
    socket = connectTcp({ host, port });
    socket.once('connect', events.opened);
  }
  socket.setNoDelay(true);
  let fault: Error | undefined;
  socket.on('error', (error) => {
    fault = error;
  });
  socket.on('data', events.data);
  socket.on('drain', events.drained);
  // The server's FIN: nothing more comes, and half a connection is no use.
  socket.on('end', () => socket.destroy());
  socket.once('close', () => events.closed(fault));
  return {
    write: (bytes) => socket.write(bytes),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
  };
};
