/**
 * The time by which history is old. A wall clock that jumps ahead must not make a month of history too old at once:
 *
 *   not trusted yet ────────────▶ unknown: nothing is too old
 *   trusted ────────────────────▶ goes on with monotonic time from there
 *   jumped ahead by an hour ────▶ goes on as before, until the new time has held for a day
 *   set back ───────────────────▶ taken over: things only get younger by it
 */
const STEP_MS = 3_600_000;
const HELD_MS = 86_400_000;

interface Base {
  /** Wall minus monotonic. */
  readonly offsetMs: number;
  readonly sinceMs: number;
}

export class AgeClock {
  #base: Base | undefined;
  #other: Base | undefined;

  now(wallMs: number, monotonicMs: number, trusted: boolean): number | undefined {
    const offsetMs = wallMs - monotonicMs;
    if (trusted) this.#hear({ offsetMs, sinceMs: monotonicMs });
    return this.#base === undefined ? undefined : monotonicMs + this.#base.offsetMs;
  }

  #hear(now: Base): void {
    if (this.#base === undefined || now.offsetMs - this.#base.offsetMs < STEP_MS) {
      this.#base = now;
      this.#other = undefined;
      return;
    }
    if (this.#other === undefined || Math.abs(now.offsetMs - this.#other.offsetMs) >= STEP_MS)
      this.#other = now;
    if (now.sinceMs - this.#other.sinceMs < HELD_MS) return;
    this.#base = now;
    this.#other = undefined;
  }
}
