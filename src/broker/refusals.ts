/**
 * What clients are refused for, told once per span: when it begins, with the first client, and when it has been quiet
 * for a while, with the number and the duration. A scanner of ports or a broken client must not fill the log.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Log } from '../core/log.js';

/** Quiet for so long, it is over. */
const QUIET_MS = 600_000;
/** Reasons are Reason Codes and a few words of ours; this bounds what a mistake in that would cost. */
const SPANS_MAX = 100;

const REFUSED = 'A client was refused; more for the same reason are only counted';

interface Span {
  readonly beganMs: number;
  lastMs: number;
  count: number;
}

export class Refusals {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #spans = new Map<string, Span>();
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `reason`: one of a few; `fields`: of the client, told of the first one only. */
  count(reason: string, fields: object, sentence: string = REFUSED): void {
    const nowMs = this.#clock.monotonicMs();
    const span = this.#spans.get(reason);
    if (span !== undefined) {
      span.lastMs = nowMs;
      span.count += 1;
      return;
    }
    if (this.#spans.size >= SPANS_MAX) return;
    this.#spans.set(reason, { beganMs: nowMs, lastMs: nowMs, count: 1 });
    this.#log.warn({ reason, ...fields }, sentence);
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#spans.clear();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#spans.size === 0) return;
    const nextMs = Math.min(...[...this.#spans.values()].map(({ lastMs }) => lastMs)) + QUIET_MS;
    this.#timer = this.#clock.at(nextMs, () => {
      this.#timer = undefined;
      this.#end();
      this.#arm();
    });
  }

  #end(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [reason, { beganMs, lastMs, count }] of this.#spans) {
      if (nowMs - lastMs < QUIET_MS) continue;
      this.#spans.delete(reason);
      // Of a single one everything was said.
      if (count === 1) continue;
      const forMs = Math.round(lastMs - beganMs);
      this.#log.info({ reason, count, forMs }, 'No more clients are refused for this reason');
    }
  }
}
