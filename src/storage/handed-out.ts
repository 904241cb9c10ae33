/**
 * What of a lane its bridge has read and may have sent: it is under way, though the disk does not know it yet. To
 * evict it would be to count as lost what the next save says is delivered.
 *
 * In memory only: a process that dies takes with it whoever could say so. A bridge that is not connected lets go of
 * all that it had read until then, else the oldest would outlive a long outage.
 */
import type { Span } from './lane-floor.js';

/** Gaps of a history that was read newest first; with more, two that are next to each other are taken for one. */
const SPANS_MAX = 64;

export class HandedOut {
  /** Ascending; none touches another. */
  #spans: Span[] = [];
  #letGo = 0;
  #newest = 0;

  has(offset: number): boolean {
    return this.#spans.some(([from, to]) => offset >= from && offset < to);
  }

  /** @param serial counts the lane's reads as they were asked for */
  add(from: number, to: number, serial: number): void {
    if (serial <= this.#letGo || to <= from) return;
    this.#newest = serial;
    const apart = this.#spans.filter((span) => span[1] < from || span[0] > to);
    const joined = this.#spans.filter((span) => span[1] >= from && span[0] <= to);
    const least = Math.min(from, joined[0]?.[0] ?? from);
    const most = Math.max(to, joined.at(-1)?.[1] ?? to);
    this.#spans = [...apart, [least, most] as const].sort((one, other) => one[0] - other[0]);
    if (this.#spans.length <= SPANS_MAX) return;
    const [[first] = [0], [, end] = [0, 0]] = this.#spans;
    this.#spans.splice(0, 2, [first, end]);
  }

  /** Nobody sends any more what was asked for up to this read. True: there was something. */
  letGo(serial: number): boolean {
    if (serial <= this.#letGo) return false;
    this.#letGo = serial;
    // It has connected again before this was on disk: what was read before that goes with the next.
    if (this.#newest > serial) return false;
    const had = this.#spans.length > 0;
    this.#spans = [];
    return had;
  }

  /** Nothing before this offset is needed. */
  trim(offset: number): void {
    if (this.#spans[0] !== undefined && this.#spans[0][1] <= offset)
      this.#spans = this.#spans.filter(([, to]) => to > offset);
  }
}
