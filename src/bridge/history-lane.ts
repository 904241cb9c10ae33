/**
 * The lane of rules with `order: live-first`: what is new goes at once on the stream `live`, what waited before that
 * is left behind as gaps, which the stream `history` drains beside it. Both streams in one place, since a Record
 * leaves the one for the other.
 */
import type { Record } from '../core/record.js';
import type { LaneNeeds } from '../storage/storage.js';
import { type Gap, Gaps, type HistoryOrder } from './gaps.js';
import type { NewestSent } from './newest-sent.js';
import { LIVE, type Stream } from './stream.js';

/** With so few waiting, what is new comes soon enough behind them. */
export const SKIP_LEAST = 100;

export class HistoryLane {
  readonly #live: Stream;
  readonly #history: Stream;
  readonly #gaps: Gaps;
  readonly #order: HistoryOrder;
  readonly #newestSent: NewestSent;

  constructor(live: Stream, history: Stream, gaps: readonly Gap[], order: HistoryOrder, newest: NewestSent) {
    this.#live = live;
    this.#history = history;
    this.#gaps = new Gaps(gaps);
    this.#order = order;
    this.#newestSent = newest;
  }

  get gaps(): readonly Gap[] {
    return this.#gaps.all;
  }

  /** Whether history has something to drain, now or later. */
  get hasHistory(): boolean {
    const history = this.#history;
    return !this.#gaps.isEmpty || !history.ring.isEmpty || history.next < history.until;
  }

  /** What was never offered. */
  get needs(): Omit<LaneNeeds, 'held'> {
    const { next, until } = this.#history;
    const waiting = next < until ? [...this.#gaps.all, [next, until] as const] : [...this.#gaps.all];
    return { offset: this.#live.next, waiting: waiting.sort((one, other) => one[0] - other[0]) };
  }

  isPending(offset: number): boolean {
    const live = this.#live;
    const history = this.#history;
    return (
      offset >= live.next ||
      isOpen(live, offset) ||
      isOpen(history, offset) ||
      (offset >= history.next && offset < history.until) ||
      this.#gaps.all.some(([from, to]) => offset >= from && offset < to)
    );
  }

  /** What waits up to `head` becomes history. False: it is not worth it, or there are too many gaps. */
  skip(head: number, least: number): boolean {
    const live = this.#live;
    if (head + 1 - live.next <= least || this.#gaps.isFull) return false;
    this.#gaps.add(live.next, head + 1);
    live.next = head + 1;
    return true;
  }

  /** The next gap, once the one before is done with. True: the history feed must start at its cursor. */
  openGap(): boolean {
    const history = this.#history;
    if (history.next < history.until || !history.ring.isEmpty) return false;
    const gap = this.#gaps.take(this.#order);
    if (gap === undefined) {
      this.#newestSent.clear();
      return false;
    }
    [history.next, history.until] = gap;
    return true;
  }

  /** Whether a newer message of the topic was sent, as far as it matters: where RETAIN is set. */
  isLate(stream: Stream, { content, offset }: Record): boolean {
    if (stream.id < LIVE || !this.hasHistory) return false;
    const { retain, topic } = content.kind === 'message' ? content.message : content.set;
    if (!retain) return false;
    if (this.#newestSent.isNewerThan(topic, offset)) return true;
    const gapsEnd =
      stream.id === LIVE ? Math.max(this.#history.until, this.#gaps.all.at(-1)?.[1] ?? 0) : Infinity;
    this.#newestSent.sent(topic, offset, gapsEnd);
    return false;
  }
}

function isOpen(stream: Stream, offset: number): boolean {
  return offset >= stream.cursor && offset < stream.next;
}
