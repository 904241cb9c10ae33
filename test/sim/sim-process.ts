/**
 * One life of the gateway's process. It dies at a chosen one of its visible acts: a write to a socket, or just
 * before or just after a commit. From then on nothing that it does is seen: its writes go nowhere, its timers do not
 * fire, its disk takes nothing. What still runs of it is reaped in the same instant of the world.
 */
import type { Clock, Timer } from '../../src/core/clock.js';
import type { FakeClock } from '../support/fake-clock.js';

export class SimProcess implements Clock {
  readonly #world: FakeClock;
  readonly #died: () => void;
  readonly #timers = new Set<Timer>();
  #actsLeft = Number.POSITIVE_INFINITY;
  isDead = false;

  /** `died`: called once, within the act. */
  constructor(world: FakeClock, died: () => void) {
    this.#world = world;
    this.#died = died;
  }

  /** It dies at the `acts`-th act from now on. */
  doom(acts: number): void {
    this.#actsLeft = Math.min(this.#actsLeft, acts);
  }

  /** An act is about to be seen; false: it never is. */
  act(): boolean {
    if (this.isDead) return false;
    this.#actsLeft -= 1;
    if (this.#actsLeft > 0) return true;
    this.die();
    return false;
  }

  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#died();
  }

  wallMs(): number {
    return Math.floor(this.#world.wallMs());
  }

  monotonicMs(): number {
    return this.#world.monotonicMs();
  }

  at(atMs: number, run: () => void): Timer {
    if (this.isDead) return { cancel: () => undefined };
    const timer = this.#world.at(atMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }
}
