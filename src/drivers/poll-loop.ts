/**
 * The shell around a Schedule: as many polls at once as the bus takes, one for each unit, the next when it is due.
 * It decides nothing.
 */

import type { Clock, Timer } from '../core/clock.js';
import { Lateness } from './lateness.js';
import type { Schedule, Task } from './schedule.js';

export interface PollLoopOptions {
  /** Polls under way at once; one where absent. */
  readonly concurrency?: number;
  /** Devices of one group are never polled at once; each is its own where absent. */
  readonly groupOf?: (device: string) => unknown;
}

export class PollLoop {
  readonly lateness = new Lateness();
  readonly #clock: Clock;
  readonly #schedule: Schedule;
  readonly #poll: (task: Task) => Promise<void>;
  readonly #concurrency: number;
  readonly #groupOf: (device: string) => unknown;
  readonly #busy = new Set<unknown>();
  readonly #isFree = (device: string): boolean => !this.#busy.has(this.#groupOf(device));
  #running: Promise<unknown> | undefined;
  #stopped = false;
  readonly #waiting = new Set<() => void>();

  /** `poll` never rejects: what goes wrong on a bus is its business to tell. */
  constructor(
    clock: Clock,
    schedule: Schedule,
    poll: (task: Task) => Promise<void>,
    { concurrency = 1, groupOf = (device) => device }: PollLoopOptions = {},
  ) {
    this.#clock = clock;
    this.#schedule = schedule;
    this.#poll = poll;
    this.#concurrency = concurrency;
    this.#groupOf = groupOf;
  }

  start(): void {
    this.#running ??= Promise.all(Array.from({ length: this.#concurrency }, () => this.#run()));
  }

  /** Looks at the schedule again: something became due sooner than it said. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves once the polls under way have ended; whoever calls makes that soon. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const nowMs = this.#clock.monotonicMs();
      const task = this.#schedule.next(nowMs, this.#isFree);
      if (task === undefined) await this.#waitUntil(this.#schedule.dueAfter(this.#isFree));
      else await this.#serve(task, nowMs);
    }
  }

  async #serve(task: Task, nowMs: number): Promise<void> {
    this.lateness.add(nowMs - task.dueMs);
    const group = this.#groupOf(task.device);
    this.#busy.add(group);
    await this.#poll(task);
    this.#busy.delete(group);
    // What was due behind it may go now, and another of us waits for something later.
    if (this.#concurrency > 1) this.wake();
  }

  #waitUntil(atMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const wake = (): void => {
        timer?.cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      if (atMs !== Infinity) timer = this.#clock.at(atMs, wake);
    });
  }
}
