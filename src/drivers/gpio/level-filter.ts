/** A level counts once it has held for a while: contacts bounce. Pure. */
export class LevelFilter {
  readonly #holdMs: number;
  #accepted: boolean;
  #candidate: boolean;
  #sinceMs = 0;

  constructor(holdMs: number, level: boolean) {
    this.#holdMs = holdMs;
    this.#accepted = level;
    this.#candidate = level;
  }

  get level(): boolean {
    return this.#accepted;
  }

  /** When `tick` has something to decide. */
  get deadlineMs(): number {
    return this.#candidate === this.#accepted ? Infinity : this.#sinceMs + this.#holdMs;
  }

  edge(level: boolean, atMs: number): void {
    // Also the same level again: it was away in between, so its time begins anew.
    this.#candidate = level;
    this.#sinceMs = atMs;
  }

  /** True: the level is another one from now on. */
  tick(nowMs: number): boolean {
    if (nowMs < this.deadlineMs) return false;
    this.#accepted = this.#candidate;
    return true;
  }
}
