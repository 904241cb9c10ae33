/** A listening address, and the TCP sockets that come in by it as Transports. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { GodwitError } from '../core/error.js';
import type { Transport, TransportUser } from './transport.js';

/** Asked for each new socket; undefined: there are too many, it is closed. */
export type Accept = (transport: Transport) => TransportUser | undefined;

const MQTT_PORT = 1883;

export class TcpListener {
  readonly #configured: URL;
  readonly #accept: Accept;
  #server: Server | undefined;

  constructor(url: string, accept: Accept) {
    this.#configured = parseListenerUrl(url);
    this.#accept = accept;
  }

  /** With the real port; the configured one until it listens. */
  get url(): string {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    const port = address?.port ?? portOf(this.#configured);
    return `mqtt://${this.#configured.hostname}:${port}`;
  }

  async start(): Promise<void> {
    const host = this.#configured.hostname.replace(/^\[|\]$/g, '');
    // A write mark of 1 byte makes the socket tell of every drain, not only of those after 16 KiB.
    const server = createServer({ noDelay: true, highWaterMark: 1 }, (socket) => this.#take(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (fault: NodeJS.ErrnoException) => reject(listenFault(fault, this.#configured)));
      server.listen({ host, port: portOf(this.#configured) }, () => {
        server.removeAllListeners('error');
        // Out of file descriptors: the server goes on with the sockets it has.
        server.on('error', () => {});
        resolve();
      });
    }).catch((fault: unknown) => {
      this.#server = undefined;
      throw fault;
    });
  }

  /** Takes no new sockets; those it has are their owners' to close. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #take(socket: Socket): void {
    const transport = new TcpTransport(socket);
    const user = this.#accept(transport);
    if (user === undefined) socket.destroy();
    else transport.serve(user);
  }
}

class TcpTransport implements Transport {
  readonly remoteAddress: string;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? '';
  }

  serve(user: TransportUser): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => user.received(chunk));
    socket.on('drain', () => user.drained());
    // A reset is an ordinary end of a connection; 'close' follows.
    socket.on('error', () => {});
    socket.on('close', () => user.closed());
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (!socket.writable) return true;
    socket.write(bytes);
    // Node hands a write to the kernel before it returns, if the kernel takes it whole.
    return socket.writableLength === 0;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

function portOf(url: URL): number {
  return url.port === '' ? MQTT_PORT : Number(url.port);
}

/** Which listeners can be served is checked with the configuration too; this is the last line. */
export function parseListenerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== 'mqtt:' || url.hostname === '') {
    throw new GodwitError(
      'LISTENER_INVALID',
      `broker.listeners: '${text}' cannot be served; write mqtt://HOST:PORT`,
      { url: text },
    );
  }
  return url;
}

function listenFault(fault: NodeJS.ErrnoException, url: URL): GodwitError {
  const at = `mqtt://${url.hostname}:${portOf(url)}`;
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
