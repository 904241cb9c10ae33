/**
 * WebSocket listeners: what asks for anything but MQTT is refused with the status that says so.
 *
 *   GET, Upgrade ──path, subprotocol mqtt──▶ 101 ──▶ binary frames, a stream of bytes to MQTT [MQTT5-6.0.0-2]
 *             └──anything else──▶ 4xx, closed
 *
 * A socket that has not become a WebSocket in time is closed, whatever it sends.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { SUBPROTOCOL, WebSocketAcceptor } from '../mqtt/web-socket.js';
import { tlsOptions } from './certificates.js';
import type { Handshakes } from './handshakes.js';
import { type ListenerOptions, refuseTls } from './listener.js';
import type { ListenerUrl } from './listener-url.js';

/** Of a request; browsers with many cookies stay below it. */
const HEADER_BYTES_MAX = 8 * 1024;
/** Of a stranger's words, in the log. */
const ORIGIN_SHOWN_MAX = 100;

export function createWebSocketServer(
  options: ListenerOptions,
  url: ListenerUrl,
  handshakes: Handshakes,
): Server {
  const { secrets, clock } = options;
  const acceptor = new WebSocketAcceptor(options.maximumPacketSize);
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
    acceptor.accept(request, socket, head, { remoteAddress: addressOf(socket), clock }, (stream) => {
      handshakes.end(request.socket);
      const user = options.accept(stream);
      if (user === undefined) stream.destroy();
      else stream.serve(user);
    });
  });
  acceptor.onFault((fault, socket) => {
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
