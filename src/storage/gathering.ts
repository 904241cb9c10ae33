/**
 * When the batch that forms goes to the disk, once the disk is free. Mostly at once; but
 *
 *   company   who was just acknowledged is likely to publish again: with the next commit begun at the first of them, the
 *             others would wait for it and for one more. So it waits until about as many have come as the last one
 *             acknowledged, for a quarter of the time a commit takes at most.
 *   stream    thousands of messages a second, each acknowledged within a millisecond, would write the same pages again
 *             and again: a card wears out by it. They share commits of some pages, unless they stop coming: then their
 *             publishers wait for us, and it goes.
 *
 * Time and counts are arguments; nothing is kept here but what decides.
 */

/** Fewer do not delay each other noticeably. */
const COMPANY_MIN = 4;
const COMPANY_SHARE = 0.9;
const COMPANY_OF_COMMIT = 0.25;
const COMPANY_MS_MAX = 5;

/** Messages a second that are a stream, and below which they are none any more. */
const STREAM_RATE_MIN = 4000;
const STREAM_RATE_END = 3000;
/** Seven pages of Records: the pages that a commit writes besides are then about half as many. */
const STREAM_BYTES = 28 * 1024;
/** What a stream's acknowledgement may wait for it. */
const STREAM_MS_MAX = 12;
/** Nobody came for so long: they wait for acknowledgements. */
const STREAM_SILENCE_MS = 6;
const WINDOW_MS = 250;
/** After a stream that was none, so many commits pass before the next try, and twice as many each time. */
const RETRY_COMMITS_MIN = 200;
const RETRY_COMMITS_MAX = 5000;

export class Gathering {
  #expected = 0;
  #committedAtMs = 0;
  #companyUntilMs = 0;
  #windowFromMs = 0;
  #windowMessages = 0;
  #isStream = false;
  #retryCommits = RETRY_COMMITS_MIN;
  #commitsToRetry = 0;
  #count = 0;
  #grewAtMs = 0;

  /** A commit is done: so many were acknowledged by it. */
  committed(acknowledged: number, tookMs: number, nowMs: number): void {
    this.#expected = acknowledged;
    this.#committedAtMs = nowMs;
    this.#companyUntilMs = nowMs + Math.min(tookMs * COMPANY_OF_COMMIT, COMPANY_MS_MAX);
    this.#count = 0;
    this.#grewAtMs = nowMs;
    if (this.#commitsToRetry > 0) this.#commitsToRetry -= 1;
    this.#windowMessages += acknowledged;
    const passedMs = nowMs - this.#windowFromMs;
    if (passedMs < WINDOW_MS) return;
    const perSecond = (this.#windowMessages * 1000) / passedMs;
    const rateMin = this.#isStream ? STREAM_RATE_END : STREAM_RATE_MIN;
    this.#isStream = perSecond >= rateMin && this.#commitsToRetry === 0;
    this.#windowFromMs = nowMs;
    this.#windowMessages = 0;
  }

  /** Milliseconds until it is worth another look, for a batch of so many that wait, and so many bytes; 0: it goes now. */
  waitMs(count: number, bytes: number, nowMs: number): number {
    if (this.#isStream) return this.#streamMs(count, bytes, nowMs);
    if (this.#expected < COMPANY_MIN || count >= this.#expected * COMPANY_SHARE) return 0;
    return Math.max(0, this.#companyUntilMs - nowMs);
  }

  #streamMs(count: number, bytes: number, nowMs: number): number {
    if (bytes >= STREAM_BYTES || nowMs - this.#committedAtMs >= STREAM_MS_MAX) return 0;
    if (count > this.#count) {
      this.#count = count;
      this.#grewAtMs = nowMs;
    } else if (nowMs - this.#grewAtMs >= STREAM_SILENCE_MS) {
      this.#isStream = false;
      this.#commitsToRetry = this.#retryCommits;
      this.#retryCommits = Math.min(this.#retryCommits * 2, RETRY_COMMITS_MAX);
      return 0;
    }
    return 1;
  }
}
