/**
 * When something was read. Wall time alone cannot be trusted on a board without a clock battery:
 * with monotonic time and boot id it can be repaired once the clock is known.
 */
export interface Stamp {
  /** Milliseconds since the epoch, as believed then. */
  readonly wallMs: number;
  /** Milliseconds since boot. */
  readonly monotonicMs: number;
  readonly bootId: string;
  /** Whether the wall clock was known to be right. */
  readonly trusted: boolean;
}
