/**
 * The shell around a Schedule: one poll at a time, the next when it is due. It decides nothing.
 */

import type { Clock, Timer } from '../core/clock.js';
import type { Schedule, Task } from './schedule.js';

export class PollLoop {
  readonly #clock: Clock;
  readonly #schedule: Schedule;
  readonly #poll: (task: Task) => Promise<void>;
  #running: Promise<void> | undefined;
  #stopped = false;
  #timer: Timer | undefined;
  #wake: (() => void) | undefined;

  /** `poll` never rejects: what goes wrong on a bus is its business to tell. */
  constructor(clock: Clock, schedule: Schedule, poll: (task: Task) => Promise<void>) {
    this.#clock = clock;
    this.#schedule = schedule;
    this.#poll = poll;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Looks at the schedule again: something became due sooner than it said. */
  wake(): void {
    this.#timer?.cancel();
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Resolves once the poll under way has ended; whoever calls makes that soon. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const task = this.#schedule.next(this.#clock.monotonicMs());
      if (task === undefined) await this.#waitUntil(this.#schedule.nextDueMs);
      else await this.#poll(task);
    }
  }

  #waitUntil(atMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (atMs !== Infinity) this.#timer = this.#clock.at(atMs, () => this.wake());
    });
  }
}
