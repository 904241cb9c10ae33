/**
 * Time as an argument. Waits use `monotonicMs`, labels use `wallMs`; neither is read anywhere else.
 * Wall clocks lie on a Pi without a battery: order is the journal's offset, never a timestamp.
 */
export interface Clock {
  /** Milliseconds since the epoch, as the machine believes. */
  wallMs(): number;
  /** Milliseconds since boot: never steps. */
  monotonicMs(): number;
  /** Calls `run` once, at or after the monotonic time `atMs`. */
  at(atMs: number, run: () => void): Timer;
  /**
   * The same to a fraction of a millisecond, where a timer would be one or two late: the last one is spent turning the
   * loop, so this is for what is short and counts, such as the pause between two frames. Absent: `at` is exact.
   */
  exactlyAt?(atMs: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** setTimeout overflows above this and would fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** performance.now() begins with the process. Asked for every chunk that comes in, it is several times as quick as hrtime. */
const SINCE_BOOT_MS = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now();

export class SystemClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now() + SINCE_BOOT_MS;
  }

  at(atMs: number, run: () => void): Timer {
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const waitMs = atMs - this.monotonicMs();
      handle = setTimeout(waitMs > TIMEOUT_MS_MAX ? arm : run, Math.min(Math.max(0, waitMs), TIMEOUT_MS_MAX));
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  }

  exactlyAt(atMs: number, run: () => void): Timer {
    let immediate: NodeJS.Immediate | undefined;
    const turn = (): void => {
      if (this.monotonicMs() >= atMs) run();
      else immediate = setImmediate(turn);
    };
    // Timers count whole milliseconds and may come up to one late.
    const timer = this.at(atMs - EARLY_MS, turn);
    return {
      cancel: () => {
        timer.cancel();
        clearImmediate(immediate);
      },
    };
  }
}

const EARLY_MS = 1.25;
