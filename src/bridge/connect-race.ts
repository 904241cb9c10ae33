/**
 * The first of several addresses that takes a connection [RFC 8305 §5]: one is tried, and the next beside it as soon
 * as that fails or has not answered for a while. What Node does by itself gives each address but the last a quarter of
 * a second, less than one round trip by satellite.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../core/clock.js';

/** Above the round trip of nearly every link, so that a working address is seldom tried in vain. */
export const STAGGER_MS = 1000;

export interface RaceOptions {
  readonly addresses: readonly string[];
  readonly connect: (address: string) => Socket;
  readonly clock: Clock;
  readonly won: (socket: Socket, address: string) => void;
  /** None took one; the reason that tells most. */
  readonly lost: (fault: Error) => void;
}

export class ConnectRace {
  readonly #options: RaceOptions;
  readonly #sockets = new Set<Socket>();
  readonly #faults: Error[] = [];
  #next = 0;
  #timer: Timer | undefined;
  #over = false;

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  start(): void {
    this.#tryNext();
  }

  cancel(): void {
    this.#end(undefined);
  }

  #tryNext(): void {
    const { addresses, clock, connect, won } = this.#options;
    const address = addresses[this.#next];
    this.#timer?.cancel();
    if (address === undefined) return;
    this.#next += 1;
    if (this.#next < addresses.length) {
      this.#timer = clock.at(clock.monotonicMs() + STAGGER_MS, () => this.#tryNext());
    }
    const socket = connect(address);
    this.#sockets.add(socket);
    const failed = (fault: Error): void => {
      this.#sockets.delete(socket);
      this.#faults.push(fault);
      if (this.#over) return;
      if (this.#next < addresses.length) this.#tryNext();
      else if (this.#sockets.size === 0) {
        this.#end(undefined);
        this.#options.lost(mostTelling(this.#faults));
      }
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      if (this.#over) return;
      socket.off('error', failed);
      this.#end(socket);
      won(socket, address);
    });
  }

  #end(winner: Socket | undefined): void {
    this.#over = true;
    this.#timer?.cancel();
    for (const socket of this.#sockets) {
      if (socket === winner) continue;
      socket.destroy();
    }
  }
}

/** The further a packet got, the more its fault says: on a network without IPv6 each such address is unreachable. */
const TELLING = ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'];

function mostTelling(faults: readonly Error[]): Error {
  const rank = (fault: Error): number => {
    const at = TELLING.indexOf('code' in fault ? String(fault.code) : '');
    return at < 0 ? TELLING.length : at;
  };
  return faults.reduce((best, fault) => (rank(fault) < rank(best) ? fault : best));
}
