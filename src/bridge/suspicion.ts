/**
 * Finds a message for which the server closes the connection each time (a topic that a cloud forbids): it would block
 * all that waits behind it for ever.
 *
 *   watching ──three closes without an acknowledgement──▶ narrow: one message at a time
 *      ▲                                                    │ closed with it alone under way, twice: refused
 *      └──as many acknowledged as were under suspicion──────┘
 *
 * A link that breaks is not a verdict: in `narrow` only a server that itself ends the connection counts.
 */

const CLOSES_MAX = 3;
const STRIKES_MAX = 2;

export interface Close {
  /** The server ended it, with DISCONNECT or a FIN, for no reason of its own. */
  readonly byServer: boolean;
  /** The connection broke, by whomever. */
  readonly broke: boolean;
  /** Messages under way, and the only one if there is only one. */
  readonly onWire: number;
  readonly sole: number | undefined;
}

export class Suspicion {
  #closes = 0;
  #left = 0;
  #strikes = 0;
  #suspect: number | undefined;
  #acknowledged = 0;

  /** One message at a time. */
  get narrow(): boolean {
    return this.#left > 0;
  }

  /** True: the suspicion is over, and the window as wide as before. */
  acknowledged(count: number): boolean {
    this.#acknowledged += count;
    this.#closes = 0;
    if (this.#left === 0) return false;
    this.#left = Math.max(0, this.#left - count);
    return this.#left === 0;
  }

  /** The connection is over. `refuse`: the only message under way is the cause. */
  closed({ broke, byServer, onWire, sole }: Close): 'nothing' | 'narrow' | 'refuse' {
    const idle = this.#acknowledged === 0 && onWire > 0;
    this.#acknowledged = 0;
    if (!idle || !broke) return 'nothing';
    if (this.#left === 0) {
      this.#closes += 1;
      if (this.#closes < CLOSES_MAX) return 'nothing';
      this.#closes = 0;
      this.#strikes = 0;
      this.#suspect = undefined;
      this.#left = onWire;
      return 'narrow';
    }
    if (!byServer || sole === undefined) return 'nothing';
    this.#strikes = this.#suspect === sole ? this.#strikes + 1 : 1;
    this.#suspect = sole;
    if (this.#strikes < STRIKES_MAX) return 'nothing';
    this.#strikes = 0;
    this.#suspect = undefined;
    this.#left = Math.max(0, this.#left - 1);
    return 'refuse';
  }
}
