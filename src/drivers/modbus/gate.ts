/**
 * Who may ask next: one request at a time on each line, one for each unit, and what is urgent (a write, a person's
 * read) before the polls that wait. A lease lasts from one request to the end of what belongs to it.
 *
 *   acquire ──waits──▶ lease ──▶ requests ──▶ release ──▶ the next one that waits and can go
 *
 * A serial bus has one line; TCP has as many as `concurrency` says. A line that is down is given out only where all
 * of them are, so that whoever holds it learns that.
 */

import { invariant } from '../../core/error.js';

export interface Lane {
  readonly isUp: boolean;
}

interface Waiting<L extends Lane> {
  readonly unit: number;
  readonly grant: (lane: L) => void;
}

export class Gate<L extends Lane> {
  readonly #lanes: readonly L[];
  readonly #free: Set<L>;
  readonly #heldUnits = new Set<number>();
  /** Where a unit was asked last: its connection is known to work. */
  readonly #last = new Map<number, L>();
  readonly #urgent: Waiting<L>[] = [];
  readonly #polls: Waiting<L>[] = [];

  constructor(lanes: readonly L[]) {
    this.#lanes = lanes;
    this.#free = new Set(lanes);
  }

  acquire(unit: number, urgent: boolean): Promise<L> {
    return new Promise((grant) => {
      (urgent ? this.#urgent : this.#polls).push({ unit, grant });
      this.grant();
    });
  }

  release(unit: number, lane: L): void {
    invariant(!this.#free.has(lane) && this.#heldUnits.has(unit), 'a lease is released once');
    this.#free.add(lane);
    this.#heldUnits.delete(unit);
    this.grant();
  }

  /** Whether something urgent waits: what takes long may make room. */
  get hasUrgent(): boolean {
    return this.#urgent.length > 0;
  }

  /** To be called when a line comes up or goes down. */
  grant(): void {
    for (const queue of [this.#urgent, this.#polls]) {
      for (let index = 0; index < queue.length; ) {
        const waiting = queue[index] as Waiting<L>;
        const lane = this.#heldUnits.has(waiting.unit) ? undefined : this.#laneFor(waiting.unit);
        if (lane === undefined) {
          index += 1;
          continue;
        }
        queue.splice(index, 1);
        this.#free.delete(lane);
        this.#heldUnits.add(waiting.unit);
        this.#last.set(waiting.unit, lane);
        waiting.grant(lane);
      }
    }
  }

  #laneFor(unit: number): L | undefined {
    const last = this.#last.get(unit);
    if (last?.isUp === true && this.#free.has(last)) return last;
    const anyUp = this.#lanes.some((lane) => lane.isUp);
    for (const lane of this.#free) if (lane.isUp || !anyUp) return lane;
    return undefined;
  }
}
