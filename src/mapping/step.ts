import type { Value } from '../core/value.js';

/** One step between what a device said and what it means. `atMs` is monotonic: when it was read. */
export interface Step {
  apply(value: Value, atMs: number): Value | Unfit;
  /** Forgets what it remembers: the readings that follow have nothing to do with those before. */
  reset?(): void;
}

/** What is no value: bad for a reason, or, without one, nothing to tell yet. */
export class Unfit {
  readonly reason: string | undefined;

  constructor(reason?: string) {
    this.reason = reason;
  }
}

/** A step that remembers nothing and leaves alone what is no number. */
export function numeric(change: (value: number) => number | Unfit): Step {
  return {
    apply: (value) => {
      if (typeof value === 'number') return change(value);
      return typeof value === 'bigint' ? change(Number(value)) : value;
    },
  };
}
