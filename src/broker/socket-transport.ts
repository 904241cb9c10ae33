/** A TCP or TLS socket as a Transport. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { leanSocket } from './lean-socket.js';
import type { Transport, TransportUser } from './transport.js';

abstract class SocketTransport implements Transport {
  readonly remoteAddress: string;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? '';
  }

  serve(user: TransportUser): void {
    const socket = this.#socket;
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

export class TcpTransport extends SocketTransport {
  readonly #reader: Reader;

  /**
   * The socket comes from a server with `pauseOnConnect` and a write mark of 1 byte, so that it tells of every drain, not
   * only of those after 16 KiB.
   */
  constructor(accepted: Socket) {
    const reader: Reader = { user: undefined };
    super(leanSocket(accepted, (chunk) => reader.user?.received(chunk)));
    this.#reader = reader;
  }

  /** In the same turn as the constructor: it reads from the next on. */
  override serve(user: TransportUser): void {
    this.#reader.user = user;
    super.serve(user);
  }
}

interface Reader {
  user: TransportUser | undefined;
}

/**
 * TLS encrypts before it writes and never says at once that the kernel has taken everything: each write is waited for.
 * Node gives the sockets of a TLS server no write mark of ours, so the callback of a write tells what 'drain' tells of TCP.
 */
export class TlsTransport extends SocketTransport {
  readonly #socket: TLSSocket;
  readonly #written = (): void => {
    if (this.#socket.writableLength === 0) this.#user?.drained();
  };
  #user: TransportUser | undefined;

  constructor(socket: TLSSocket) {
    super(socket);
    this.#socket = socket;
  }

  override serve(user: TransportUser): void {
    this.#user = user;
    this.#socket.on('data', (chunk: Buffer) => user.received(chunk));
    super.serve(user);
  }

  override write(bytes: Uint8Array): boolean {
    if (!this.#socket.writable) return true;
    this.#socket.write(bytes, this.#written);
    return false;
  }
}
