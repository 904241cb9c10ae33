/**
 * MQTT over WebSocket, for both ends: `ws` behind the face of a byte stream [MQTT5-6.0.0-2].
 *
 *   server: request, socket ──accept──┐
 *                                     ├──▶ WebSocketStream: binary frames are bytes; anything else ends it
 *   client: socket ──connectWebSocket─┘
 *
 * Compression is never agreed on: it would cost each connection hundreds of kilobytes.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { Clock, Timer } from '../core/clock.js';

export const SUBPROTOCOL = 'mqtt';
/** A frame may hold one packet of the largest size, and small ones before and after it. */
const FRAME_SLACK_BYTES = 64 * 1024;
/** A peer that broke the protocol and does not answer our close frame. */
const CLOSE_MS_MAX = 1000;
/** A server that says it closes, and does not. */
const CLOSE_ANSWER_MS_MAX = 5000;
/** A peer that sends pings and does not read gets no pongs beyond this. */
const PONG_PENDING_BYTES_MAX = 64 * 1024;
/** Of what a server says, for a person. */
const ANSWER_SHOWN_MAX = 100;

const UNSUPPORTED_DATA = 1003;
/** Close codes that say nothing: normal, none given, and a socket that ended without. */
const PLAIN_CLOSES: ReadonlySet<number> = new Set([1000, 1005, 1006]);
const BINARY = { binary: true, compress: false } as const;

/** Who is told what happens on a stream. */
export interface WebSocketUser {
  received(chunk: Uint8Array): void;
  drained(): void;
  /** Called once, whoever ended it; with what the peer said of it. */
  closed(why?: string): void;
}

/** Takes WebSockets from the upgrade requests of an HTTP server. */
export class WebSocketAcceptor {
  readonly #server: WebSocketServer;

  constructor(maximumPacketSize: number) {
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      skipUTF8Validation: true,
      autoPong: false,
      maxPayload: maximumPacketSize + FRAME_SLACK_BYTES,
      handleProtocols: () => SUBPROTOCOL,
    });
  }

  /** @param failed what the client sent is no request for a WebSocket; the socket is the caller's to close */
  onFault(failed: (fault: Error, socket: Duplex) => void): void {
    this.#server.on('wsClientError', failed);
  }

  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    options: { readonly remoteAddress: string; readonly clock: Clock },
    accepted: (stream: WebSocketStream) => void,
  ): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) =>
      accepted(new WebSocketStream(webSocket, options.remoteAddress, options.clock)),
    );
  }

  close(): void {
    this.#server.close();
  }
}

export interface ClientUpgrade {
  /** ws://HOST:PORT/PATH or wss://…, for the request line and Host; nothing is dialled. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Connected already, TLS included. */
  readonly socket: Socket;
  readonly maximumPacketSize: number;
}

/** The server answered with another status than 101. */
export class UpgradeRefused extends Error {
  readonly status: number;

  constructor(status: number, phrase: string) {
    super(`${status} ${phrase.replace(/[^\x20-\x7e]+/g, ' ').slice(0, ANSWER_SHOWN_MAX)}`.trimEnd());
    this.name = 'UpgradeRefused';
    this.status = status;
  }
}

/** Asks the other end of `socket` for a WebSocket. `failed` may be called after `opened`, for what breaks later. */
export function connectWebSocket(
  { headers, maximumPacketSize, socket, url }: ClientUpgrade,
  clock: Clock,
  opened: (stream: WebSocketStream) => void,
  failed: (fault: Error) => void,
): void {
  const options: WebSocket.ClientOptions & { readonly closeTimeout: number } = {
    createConnection: () => socket,
    headers: { ...headers },
    perMessageDeflate: false,
    skipUTF8Validation: true,
    autoPong: false,
    maxPayload: maximumPacketSize + FRAME_SLACK_BYTES,
    closeTimeout: CLOSE_ANSWER_MS_MAX,
  };
  const webSocket = new WebSocket(url, SUBPROTOCOL, options);
  webSocket.on('error', failed);
  webSocket.once('unexpected-response', (_request, response) => {
    failed(new UpgradeRefused(response.statusCode ?? 0, response.statusMessage ?? ''));
    socket.destroy();
  });
  webSocket.once('open', () => opened(new WebSocketStream(webSocket, new URL(url).hostname, clock)));
}

export class WebSocketStream {
  readonly remoteAddress: string;
  readonly #webSocket: WebSocket;
  readonly #clock: Clock;
  #user: WebSocketUser | undefined;
  #blocked = false;
  /** Set once the peer broke the protocol of WebSocket: nothing more is taken from it. */
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

  serve(user: WebSocketUser): void {
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
    // A frame that is broken or too large: `ws` has told the peer so.
    webSocket.on('error', () => this.#closeSoon());
    webSocket.on('close', (code, reason) => {
      this.#closing?.cancel();
      const said = reason
        .toString()
        .replace(/[^\x20-\x7e]+/g, ' ')
        .slice(0, ANSWER_SHOWN_MAX);
      user.closed(PLAIN_CLOSES.has(code) ? undefined : `${code} ${said}`.trimEnd());
    });
  }

  /** False: wait for `drained`. */
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
