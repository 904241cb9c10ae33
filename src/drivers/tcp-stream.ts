/** A TCP connection as a ByteStream, with its faults in one sentence each. */

import { createConnection } from 'node:net';
import { GodwitError, reasonOf } from '../core/error.js';
import type { ByteStream, OpenStream, StreamListener } from './byte-stream.js';

/** A host that swallows packets would keep the kernel trying for two minutes. */
const CONNECT_MS_MAX = 5000;

export function tcpStream(host: string, port: number): OpenStream {
  return (listener, signal) => connect(host, port, listener, signal);
}

function connect(
  host: string,
  port: number,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port, noDelay: true, keepAlive: true });
    let open = false;
    let ended = false;
    let why = 'the other side closed the connection';

    const end = (reason: string): void => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', abort);
      clearTimeout(timer);
      socket.destroy();
      if (open) listener.onClosed(reason);
      else reject(new GodwitError('BUS_DOWN', reason, { host, port }));
    };
    const abort = (): void => end('stopped');
    const timer = setTimeout(
      () => end(`${host}:${port} does not answer; check address, cabling and firewall`),
      CONNECT_MS_MAX,
    );
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();

    socket.on('connect', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      if (ended) return;
      open = true;
      resolve({
        write: (bytes) => void socket.write(bytes),
        close: () => {
          ended = true;
          socket.destroy();
        },
      });
    });
    socket.on('data', (bytes: Uint8Array) => {
      if (!ended) listener.onBytes(bytes);
    });
    socket.on('error', (error) => {
      why = sentenceOf(error, host, port);
    });
    socket.on('end', () => end(why));
    socket.on('close', () => end(why));
  });
}

function sentenceOf(error: Error & { readonly code?: string }, host: string, port: number): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return `${host} refuses connections on port ${port}; check that its Modbus TCP server runs and the port`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${host} cannot be reached; check its address and the network`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} cannot be resolved; check the name and the DNS server`;
    case 'ETIMEDOUT':
      return `${host}:${port} does not answer; check address, cabling and firewall`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${host}:${port} reset the connection`;
    default:
      return `${host}:${port} failed: ${reasonOf(error)}`;
  }
}
