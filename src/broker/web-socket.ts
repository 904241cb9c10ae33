/**
 * MQTT over WebSocket: `ws` behind the face of a Transport.
 *
 *   GET, Upgrade ──path, subprotocol mqtt──▶ 101 ──▶ binary frames, a stream of bytes to MQTT [MQTT5-6.0.0-2]
 *             └──anything else──▶ 4xx, closed
 *
 * A socket that has not become a WebSocket in time is closed, whatever it sends. Compression is never agreed on: it
 * would cost each connection hundreds of kilobytes.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock, Timer } from '../core/clock.js';
import { tlsOptions } from './certificates.js';
import type { Handshakes } from './handshakes.js';
import { type ListenerOptions, refuseTls } from './listener.js';
import type { ListenerUrl } from './listener-url.js';
import type { Transport, TransportUser } from './transport.js';

const SUBPROTOCOL = 'mqtt';
/** Of a request; browsers with many cookies stay below it. */
const HEADER_BYTES_MAX = 8 * 1024;
/** A frame may hold one packet of the largest size, and small ones before and after it. */
const FRAME_SLACK_BYTES = 64 * 1024;
/** A client that does not answer our close frame. */
const CLOSE_MS_MAX = 1000;
/** A client that sends pings and does not read gets no pongs beyond this. */
const PONG_PENDING_BYTES_MAX = 64 * 1024;

/** Of a stranger's words, in the log. */
const ORIGIN_SHOWN_MAX = 100;

const UNSUPPORTED_DATA = 1003;

export function createWebSocketServer(
  options: ListenerOptions,
  url: ListenerUrl,
  handshakes: Handshakes,
): Server {
  const { secrets, clock } = options;
  const acceptor = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    autoPong: false,
    maxPayload: options.maximumPacketSize + FRAME_SLACK_BYTES,
    handleProtocols: () => SUBPROTOCOL,
  });
  // Node looks at its limits in time only every so often; that of `handshakes` stands for the whole request.
  const limits = { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: 0, requestTimeout: 0, noDelay: true };
  const server: Server =
    secrets === undefined
      ? createServer({ ...limits, highWaterMark: 1 })
      : createHttpsServer({ ...tlsOptions(secrets), ...limits });
  server.on('tlsClientError', (fault: Error, socket: TLSSocket) => refuseTls(fault, socket, options));
  server.on('clientError', (fault: NodeJS.ErrnoException, socket: Duplex) => {
    // HTTPS tells a failed TLS handshake here as well.
    if (fault.code?.startsWith('HPE_') !== true) {
      socket.destroy();
      return;
    }
    options.refused(addressOf(socket), `what it sent is not HTTP: ${fault.message}`);
    refuse(socket, '400 Bad Request');
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    options.refused(addressOf(request.socket), 'it asked for a page, not for a WebSocket');
    response.writeHead(426, { connection: 'close', upgrade: 'websocket', 'content-type': 'text/plain' });
    response.end('This is an MQTT broker: connect by WebSocket with the subprotocol mqtt.\n');
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // HTTP has let go of it.
    socket.on('error', () => {});
    const problem = upgradeProblem(request, url.path, options.origins);
    if (problem !== undefined) {
      options.refused(addressOf(socket), problem.why);
      refuse(socket, problem.status);
      return;
    }
    acceptor.handleUpgrade(request, socket, head, (webSocket) => {
      handshakes.end(request.socket);
      const transport = new WebSocketTransport(webSocket, addressOf(socket), clock);
      const user = options.accept(transport);
      if (user === undefined) transport.destroy();
      else transport.serve(user);
    });
  });
  acceptor.on('wsClientError', (fault, socket) => {
    options.refused(addressOf(socket), fault.message);
    refuse(socket, '400 Bad Request');
  });
  server.once('close', () => acceptor.close());
  return server;
}

function upgradeProblem(
  request: IncomingMessage,
  path: string | undefined,
  origins: readonly string[] | undefined,
): { readonly status: string; readonly why: string } | undefined {
  if (path !== undefined && request.url?.split('?', 1)[0] !== path) {
    return { status: '404 Not Found', why: 'the path of its URL is another' };
  }
  // Only browsers send it, and no script can change it.
  const { origin } = request.headers;
  if (origin !== undefined && origins?.includes(origin.toLowerCase()) === false) {
    return { status: '403 Forbidden', why: `pages of ${origin.slice(0, ORIGIN_SHOWN_MAX)} may not connect` };
  }
  // [MQTT5-6.0.0-3] [MQTT311-6.0.0-3]
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (!offered.includes(SUBPROTOCOL)) {
    return { status: '400 Bad Request', why: 'it did not offer the subprotocol mqtt' };
  }
  return undefined;
}

/** The deadline of its handshake closes it if it does not close by itself. */
function refuse(socket: Duplex, status: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  // What else it sends is thrown away.
  socket.resume();
}

function addressOf(socket: Duplex): string {
  return 'remoteAddress' in socket && typeof socket.remoteAddress === 'string' ? socket.remoteAddress : '';
}

const BINARY = { binary: true, compress: false } as const;

class WebSocketTransport implements Transport {
  readonly remoteAddress: string;
  readonly #webSocket: WebSocket;
  readonly #clock: Clock;
  #user: TransportUser | undefined;
  #blocked = false;
  /** Set once the client broke the protocol of WebSocket: nothing more is taken from it. */
  #closing: Timer | undefined;
  readonly #sent = (): void => {
    if (!this.#blocked || this.#webSocket.bufferedAmount > 0) return;
    this.#blocked = false;
    this.#user?.drained();
  };

  constructor(webSocket: WebSocket, remoteAddress: string, clock: Clock) {
    this.#webSocket = webSocket;
    this.remoteAddress = remoteAddress;
    this.#clock = clock;
  }

  serve(user: TransportUser): void {
    const webSocket = this.#webSocket;
    this.#user = user;
    webSocket.on('message', (data: Buffer, isBinary) => {
      if (this.#closing !== undefined) return;
      if (isBinary) {
        user.received(data);
        return;
      }
      // [MQTT5-6.0.0-1] [MQTT311-6.0.0-1]
      webSocket.close(UNSUPPORTED_DATA, 'MQTT needs binary frames');
      this.#closeSoon();
    });
    webSocket.on('ping', (data: Buffer) => {
      if (webSocket.bufferedAmount <= PONG_PENDING_BYTES_MAX) webSocket.pong(data);
    });
    // A frame that is broken or too large: `ws` has told the client so.
    webSocket.on('error', () => this.#closeSoon());
    webSocket.on('close', () => {
      this.#closing?.cancel();
      user.closed();
    });
  }

  write(bytes: Uint8Array): boolean {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== webSocket.OPEN) return true;
    webSocket.send(bytes, BINARY, this.#sent);
    if (webSocket.bufferedAmount === 0) return true;
    this.#blocked = true;
    return false;
  }

  get pendingBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  end(): void {
    this.#webSocket.close(1000);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  #closeSoon(): void {
    const clock = this.#clock;
    this.#closing ??= clock.at(clock.monotonicMs() + CLOSE_MS_MAX, () => this.#webSocket.terminate());
  }
}
