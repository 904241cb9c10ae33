/**
 * Whether the disk keeps up: said once in the log when it stops, once when it does again, and for as long as it does not
 * in the journal's state.
 *
 *   ok ──a commit failed──────────────▶ failing ──one succeeds───────────────────────────▶ ok
 *    └──one waits for SLOW_MS or more──▶ slow ────one takes less than half, or none comes──▶ ok
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Log } from '../core/log.js';

const RETRY_DELAY_MS_MIN = 250;
export const RETRY_DELAY_MS_MAX = 5000;
/** An SD card that tidies up takes a second or so; people notice two. */
export const SLOW_MS = 2000;
/** Without a commit for so long, a slow disk counts as well again. */
const SLOW_FORGOTTEN_MS = 60_000;

export class DiskState {
  readonly #path: string;
  readonly #log: Log;
  readonly #clock: Clock;
  #failing: { readonly sinceMs: number; tries: number; reason: string } | undefined;
  #slow: { readonly sinceMs: number; commits: number } | undefined;
  /** When the commit that is at the disk went there. */
  #sentAtMs: number | undefined;
  #endedAtMs = 0;
  /** One timer for all commits: it looks at what is at the disk when it goes off. */
  #look: Timer | undefined;
  #stopped = false;

  constructor(path: string, log: Log, clock: Clock) {
    this.#path = path;
    this.#log = log;
    this.#clock = clock;
  }

  /** Nothing is acknowledged at present. */
  get failing(): boolean {
    return this.#failing !== undefined || this.#slow !== undefined;
  }

  /** Why, undefined where it works. */
  get reason(): string | undefined {
    if (this.#failing !== undefined) return this.#failing.reason;
    if (this.#slow === undefined) return undefined;
    return this.#sentAtMs === undefined
      ? 'the disk is slow'
      : `the disk is slow: a commit has waited for it for ${Math.round((this.#clock.monotonicMs() - this.#sentAtMs) / 1000)} s`;
  }

  /** A commit goes to the disk. */
  sent(): void {
    this.#sentAtMs = this.#clock.monotonicMs();
    if (this.#look === undefined) this.#lookAt(this.#sentAtMs + SLOW_MS);
  }

  /** It is durable. Returns how long that took. */
  done(): number {
    const nowMs = this.#clock.monotonicMs();
    const tookMs = nowMs - (this.#sentAtMs ?? nowMs);
    this.#sentAtMs = undefined;
    this.#endedAtMs = nowMs;
    const failing = this.#failing;
    this.#failing = undefined;
    if (failing !== undefined) {
      const failedMs = Math.round(nowMs - failing.sinceMs);
      this.#log.info({ path: this.#path, failedMs }, 'Journal can be written again');
    }
    if (this.#slow === undefined) return tookMs;
    this.#slow.commits += 1;
    if (tookMs < SLOW_MS / 2) this.#quickAgain();
    return tookMs;
  }

  /** Nothing of it became true. Returns when to try it again. */
  failed(code: string, reason: string): number {
    const nowMs = this.#clock.monotonicMs();
    this.#sentAtMs = undefined;
    this.#endedAtMs = nowMs;
    if (this.#failing === undefined) {
      this.#failing = { sinceMs: nowMs, tries: 0, reason };
      this.#log.error(
        { path: this.#path, code, reason },
        'Journal cannot be written; nothing is acknowledged until it can',
      );
    }
    const failing = this.#failing;
    failing.reason = reason;
    const delayMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** failing.tries);
    failing.tries = Math.min(failing.tries + 1, 16);
    return nowMs + delayMs;
  }

  stop(): void {
    this.#stopped = true;
    this.#look?.cancel();
    this.#look = undefined;
  }

  #lookAt(atMs: number): void {
    if (this.#stopped) return;
    this.#look = this.#clock.at(atMs, () => {
      this.#look = undefined;
      this.#looked();
    });
  }

  #looked(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#sentAtMs !== undefined) {
      const waitedMs = nowMs - this.#sentAtMs;
      if (waitedMs >= SLOW_MS && this.#slow === undefined) {
        this.#slow = { sinceMs: this.#sentAtMs, commits: 0 };
        this.#log.warn(
          { path: this.#path, waitedMs: Math.round(waitedMs) },
          'Journal disk is slow; nothing is acknowledged before it answers',
        );
      }
      this.#lookAt((waitedMs >= SLOW_MS ? nowMs : this.#sentAtMs) + SLOW_MS);
      return;
    }
    if (this.#slow === undefined) return;
    if (nowMs - this.#endedAtMs >= SLOW_FORGOTTEN_MS) this.#quickAgain();
    else this.#lookAt(this.#endedAtMs + SLOW_FORGOTTEN_MS);
  }

  #quickAgain(): void {
    const slow = this.#slow;
    if (slow === undefined) return;
    this.#slow = undefined;
    const slowMs = Math.round(this.#clock.monotonicMs() - slow.sinceMs);
    this.#log.info({ path: this.#path, slowMs, commits: slow.commits }, 'Journal disk keeps up again');
  }
}
