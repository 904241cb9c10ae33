/**
 * Counts the edges of one line. Pure.
 *
 * An edge that is reported with the level there was already means that the line went there and back in between: both
 * edges are counted, though nobody saw the first. What comes sooner than `minGapMs` after the last counted edge is
 * bouncing.
 */
export type WhichEdges = 'rising' | 'falling' | 'both';

export class EdgeCounter {
  readonly #which: WhichEdges;
  readonly #minGapMs: number;
  #level: boolean;
  #lastMs = -Infinity;

  constructor(which: WhichEdges, minGapMs: number, level: boolean) {
    this.#which = which;
    this.#minGapMs = minGapMs;
    this.#level = level;
  }

  /** How many edges this one counts for. */
  edge(level: boolean, atMs: number): number {
    if (atMs - this.#lastMs < this.#minGapMs) return 0;
    this.#lastMs = atMs;
    const unseen = level === this.#level;
    this.#level = level;
    const rising = unseen || level ? 1 : 0;
    const falling = unseen || !level ? 1 : 0;
    if (this.#which === 'both') return rising + falling;
    return this.#which === 'rising' ? rising : falling;
  }
}
