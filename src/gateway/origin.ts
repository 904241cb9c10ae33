/** Which bridge is publishing right now: what comes in over one is answered over it. */
export class Origin {
  #bridge: string | undefined;

  /** Undefined: a client of this gateway, or the gateway itself. */
  get bridge(): string | undefined {
    return this.#bridge;
  }

  /** What is published meanwhile came over this bridge. */
  during(bridge: string, publish: () => void): void {
    this.#bridge = bridge;
    try {
      publish();
    } finally {
      this.#bridge = undefined;
    }
  }
}
