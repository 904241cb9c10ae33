/**
 * How many QoS 2 messages a 3.1.1 server takes unacknowledged: 3.1.1 has no words for it, and a server that has had
 * too many closes the connection (Debian's mosquitto 2.0.11 at 21).
 *
 *   20 ──a full window was acknowledged──▶ twice as many ──closed with more than ever worked──▶ what worked, for good
 *
 * What was found is kept over restarts: finding it costs a connection.
 */
import type { KeyValueDoor } from '../core/key-value.js';

/** mosquitto's default, and so the commonest limit. */
export const WINDOW_FIRST = 20;

export class WindowFinder {
  readonly #door: KeyValueDoor;
  readonly #server: string;
  readonly #most: number;
  #proven = 0;
  #window: number;
  #ceiling: number;
  #atFull = 0;
  #highest = 0;

  constructor(door: KeyValueDoor, server: string, most: number) {
    this.#door = door;
    this.#server = server;
    this.#most = most;
    const known = Number(Buffer.from(door.get(server) ?? []).toString());
    this.#ceiling = known >= 1 ? Math.min(known, most) : most;
    this.#window = Math.min(WINDOW_FIRST, this.#ceiling);
  }

  get server(): string {
    return this.#server;
  }

  get window(): number {
    return this.#window;
  }

  /** After each turn: how many are unacknowledged, and how many were acknowledged in it. True: the window is larger. */
  seen(unacknowledged: number, acknowledged: number): boolean {
    if (this.#highest >= this.#window) this.#atFull += acknowledged;
    this.#highest = Math.max(this.#highest, unacknowledged);
    if (this.#atFull < this.#window) return false;
    this.#proven = Math.max(this.#proven, this.#window);
    this.#atFull = 0;
    if (this.#window >= this.#ceiling) return false;
    this.#window = Math.min(this.#ceiling, 2 * this.#window);
    return true;
  }

  /** The server closed the connection. Returns the limit, where this told one. */
  closed(): number | undefined {
    const tooMany = this.#highest > this.#proven;
    this.#highest = 0;
    this.#atFull = 0;
    if (!tooMany || this.#window <= 1) return undefined;
    const found = this.#proven >= 1 ? this.#proven : Math.floor(this.#window / 2);
    if (found >= this.#window) return undefined;
    this.#ceiling = Math.max(1, Math.min(found, this.#most));
    this.#window = this.#ceiling;
    // Only what is known from both sides: a halving may have been a server that went down.
    if (this.#proven >= 1) this.#door.put(this.#server, Buffer.from(String(this.#ceiling)));
    return this.#ceiling;
  }
}
