/**
 * How much may be under way, where the server's announcements are not the whole truth: the limit of a 3.1.1 server
 * (window-finder.ts), and one at a time while a message is suspected of ending connections (suspicion.ts).
 */
import type { KeyValueDoor } from '../core/key-value.js';
import type { Log } from '../core/log.js';
import type { BridgeSession } from './bridge-session.js';
import type { Fault } from './fault.js';
import { Suspicion } from './suspicion.js';
import { WindowFinder } from './window-finder.js';

export interface PacingOptions {
  readonly bridge: string;
  readonly session: BridgeSession;
  /** What was found out, by server. */
  readonly door: KeyValueDoor;
  readonly log: Log;
}

export class Pacing {
  readonly #options: PacingOptions;
  readonly #suspicion = new Suspicion();
  #finder: WindowFinder | undefined;
  #acknowledgements = 0;

  constructor(options: PacingOptions) {
    this.#options = options;
  }

  /** @param window what the configuration and the server allow */
  connected(server: string, isV5: boolean, window: number): void {
    const { door, session } = this.#options;
    if (isV5) this.#finder = undefined;
    else if (this.#finder?.server !== server) this.#finder = new WindowFinder(door, server, window);
    this.#acknowledgements = session.acknowledgements;
    this.#apply();
  }

  /** Once in each turn, before what may be sent is sent. */
  turn(): void {
    const { session } = this.#options;
    const acknowledged = session.acknowledgements - this.#acknowledgements;
    this.#acknowledgements = session.acknowledgements;
    const larger = this.#finder?.seen(session.unacknowledgedQoS2, acknowledged) ?? false;
    const over = acknowledged > 0 && this.#suspicion.acknowledged(acknowledged);
    if (larger || over) this.#apply();
  }

  /** The connection is over; asked while the session still knows what was under way. */
  closed(fault: Fault): void {
    const { bridge, log, session } = this.#options;
    this.turn();
    const limit = fault.kind === 'closed' ? this.#finder?.closed() : undefined;
    if (limit !== undefined) {
      log.info(
        { bridge, limit },
        'Server closes with more unacknowledged QoS 2 messages than this; keeping under it',
      );
    }
    const verdict = this.#suspicion.closed({
      broke: fault.kind === 'closed',
      byServer: fault.byServer === true,
      onWire: session.unacknowledged,
      sole: session.soleOnWire,
    });
    if (verdict === 'narrow') {
      log.warn(
        { bridge, suspected: session.unacknowledged },
        'Server closed three times without an acknowledgement; messages go one at a time until the cause is found',
      );
    }
    if (verdict === 'refuse') {
      log.warn(
        { bridge, seq: session.soleOnWire },
        'Server closes on one message each time; it is given up as refused',
      );
      session.refuseSole();
    }
  }

  #apply(): void {
    const most = this.#suspicion.narrow ? 1 : Infinity;
    this.#options.session.narrow(most, this.#finder?.window ?? Infinity);
  }
}
