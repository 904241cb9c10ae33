/**
 * A listening address, and what comes in by it as Transports: TCP and TLS here, WebSocket over either in `web-socket.ts`,
 * which is loaded only where the configuration has such a listener.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type TLSSocket,
  Server as TlsServer,
} from 'node:tls';
import type { ListenerSecrets } from '../config/secrets.js';
import type { Clock } from '../core/clock.js';
import { GodwitError } from '../core/error.js';
import { tlsOptions } from './certificates.js';
import { Handshakes } from './handshakes.js';
import { type ListenerUrl, listenerText, listenFault, parseListenerUrl } from './listener-url.js';
import { TcpTransport, TlsTransport } from './socket-transport.js';
import type { Transport, TransportUser } from './transport.js';

export interface ListenerOptions {
  readonly url: string;
  /** For mqtts and wss. */
  readonly secrets: ListenerSecrets | undefined;
  /** Of the web pages whose scripts may open a WebSocket; absent: any. */
  readonly origins: readonly string[] | undefined;
  readonly clock: Clock;
  /** Open at once, those in a handshake too. */
  readonly socketsMax: number;
  /** For the handshakes of TLS and WebSocket; CONNECT has its own time after them. */
  readonly handshakeTimeoutMs: number;
  readonly maximumPacketSize: number;
  /** Asked for each new stream; undefined: there are too many, it is closed. */
  readonly accept: (transport: Transport) => TransportUser | undefined;
  /** A socket was turned away before there was a stream. */
  readonly refused: (remoteAddress: string, why: string) => void;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #configured: ListenerUrl;
  readonly #handshakes: Handshakes;
  #server: Server | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#configured = parseListenerUrl(options.url);
    this.#handshakes = new Handshakes(options.clock, options.handshakeTimeoutMs, (remoteAddress) =>
      options.refused(remoteAddress, 'its handshake took too long'),
    );
    if (this.#configured.secure && options.secrets === undefined) {
      throw new GodwitError('LISTENER_INVALID', `${options.url} needs a certificate: cert and key`, {
        url: options.url,
      });
    }
  }

  /** With the real port; the configured one until it listens. */
  get url(): string {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    return listenerText(this.#configured, address?.port ?? this.#configured.port);
  }

  async start(): Promise<void> {
    const { host, port, webSocket } = this.#configured;
    const server = webSocket
      ? (await import('./web-socket.js')).createWebSocketServer(
          this.#options,
          this.#configured,
          this.#handshakes,
        )
      : this.#socketServer();
    this.#server = server;
    server.maxConnections = this.#options.socketsMax;
    server.on('drop', (socket) =>
      this.#options.refused(socket?.remoteAddress ?? '', 'the listener has too many sockets'),
    );
    if (webSocket || this.#configured.secure) {
      server.on('connection', (socket: Socket) => this.#handshakes.begin(socket));
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', (fault: NodeJS.ErrnoException) => reject(listenFault(fault, this.#configured)));
      server.listen({ host, port }, () => {
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

  /** For handshakes from now on; connections that stand are left alone. Throws where OpenSSL does not take them. */
  useSecrets(secrets: ListenerSecrets): void {
    const options = tlsOptions(secrets);
    createSecureContext(options);
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(options);
  }

  /** Takes no new sockets; the streams it has are their owners' to close. Resolves when all are gone. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Closes the sockets that were still in a handshake. */
  cut(): void {
    this.#handshakes.cut();
  }

  #socketServer(): Server {
    const { secrets } = this.#options;
    if (!this.#configured.secure || secrets === undefined) {
      return createServer({ noDelay: true, highWaterMark: 1, pauseOnConnect: true }, (socket) =>
        this.#take(new TcpTransport(socket)),
      );
    }
    const server = createTlsServer({ ...tlsOptions(secrets), noDelay: true }, (socket) => {
      this.#handshakes.end(socket);
      this.#take(new TlsTransport(socket));
    });
    server.on('tlsClientError', (fault, socket) => refuseTls(fault, socket, this.#options));
    return server;
  }

  #take(transport: TcpTransport | TlsTransport): void {
    const user = this.#options.accept(transport);
    if (user === undefined) transport.destroy();
    else transport.serve(user);
  }
}

/** Of Node's own accord a socket whose handshake failed is not always closed. */
export function refuseTls(
  fault: Error,
  socket: TLSSocket,
  { refused }: Pick<ListenerOptions, 'refused'>,
): void {
  socket.destroy();
  const unknown = socket.authorizationError ?? undefined;
  // It went away, or took too long and was told of as that.
  if ('code' in fault && fault.code === 'ECONNRESET' && unknown === undefined) return;
  refused(socket.remoteAddress ?? '', `TLS: ${unknown ?? fault.message}`);
}
