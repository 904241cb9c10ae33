import type { Clock, Timer } from '../../src/core/clock.js';

interface Due {
  readonly atMs: number;
  readonly run: () => void;
}

/**
 * Time that moves only when told. Timers run in the order of their times (of equal ones the older first), each
 * seeing the time it asked for; a timer set by one that runs is run too if it falls within the same advance.
 */
export class FakeClock implements Clock {
  #monotonicMs: number;
  /** Wall minus monotonic: a step of the wall clock moves no timer. */
  #wallOffsetMs: number;
  readonly #due = new Set<Due>();

  constructor(start: { readonly wallMs?: number; readonly monotonicMs?: number } = {}) {
    this.#monotonicMs = start.monotonicMs ?? 0;
    this.#wallOffsetMs = (start.wallMs ?? Date.UTC(2026, 10, 20, 12)) - this.#monotonicMs;
  }

  wallMs(): number {
    return this.#monotonicMs + this.#wallOffsetMs;
  }

  /** Steps the wall clock, as NTP or a careless person would. */
  setWallMs(wallMs: number): void {
    this.#wallOffsetMs = wallMs - this.#monotonicMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  at(atMs: number, run: () => void): Timer {
    const due: Due = { atMs, run };
    this.#due.add(due);
    return { cancel: () => void this.#due.delete(due) };
  }

  /** How many timers wait: 0 after a clean stop. */
  get waiting(): number {
    return this.#due.size;
  }

  /** When the next timer is due; undefined where none waits. */
  get nextAtMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Moves both clocks on and runs what becomes due on the way. Promise callbacks run only once the caller awaits. */
  advance(ms: number): void {
    const untilMs = this.#monotonicMs + ms;
    for (let due = this.#next(); due !== undefined && due.atMs <= untilMs; due = this.#next()) {
      this.#due.delete(due);
      this.#monotonicMs = Math.max(this.#monotonicMs, due.atMs);
      due.run();
    }
    this.#monotonicMs = untilMs;
  }

  /** Like `advance`, and lets promise callbacks settle after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    await settle();
    for (let due = this.#next(); due !== undefined && due.atMs <= untilMs; due = this.#next()) {
      this.advance(Math.max(0, due.atMs - this.#monotonicMs));
      await settle();
    }
    this.advance(Math.max(0, untilMs - this.#monotonicMs));
    await settle();
  }

  #next(): Due | undefined {
    let next: Due | undefined;
    for (const due of this.#due) if (next === undefined || due.atMs < next.atMs) next = due;
    return next;
  }
}

/** One turn of the event loop: every promise callback that was ready has run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
