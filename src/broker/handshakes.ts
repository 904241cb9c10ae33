/**
 * Sockets that are not yet a stream of MQTT: in the handshake of TLS, of WebSocket, or of both. Each has the same time
 * for all of it, whatever it sends meanwhile, and nobody else would close it.
 *
 * Known by where they come from, since a TLS socket does not tell what it stands on.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../core/clock.js';

export interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

export class Handshakes {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #tooSlow: (remoteAddress: string) => void;
  readonly #open = new Map<string, { readonly socket: Socket; readonly timer: Timer }>();

  constructor(clock: Clock, limitMs: number, tooSlow: (remoteAddress: string) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#tooSlow = tooSlow;
  }

  begin(socket: Socket): void {
    const id = idOf(socket);
    const timer = this.#clock.at(this.#clock.monotonicMs() + this.#limitMs, () => {
      this.#tooSlow(socket.remoteAddress ?? '');
      socket.destroy();
    });
    this.#open.set(id, { socket, timer });
    socket.once('close', () => this.#settle(id));
  }

  /** It is a stream of MQTT now, and its owner's. */
  end(peer: Peer): void {
    this.#settle(idOf(peer));
  }

  /** Closes every one that is left. */
  cut(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  #settle(id: string): void {
    this.#open.get(id)?.timer.cancel();
    this.#open.delete(id);
  }
}

function idOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`;
}
