/**
 * `when_full: thin`: a sweep from the oldest Record on takes every second reading of each topic, so that an outage
 * of any length leaves a complete if coarser curve. Behind the sweep all spans have one resolution:
 *
 *   oldest ─── 1/2^level ───│at│─── 1/2^(level-1) ───│sweptTo│─── as it came ───│newest quarter: left alone│
 *
 * At the newest quarter it begins again with half the resolution. Were each span halved whenever the sweep comes by,
 * its age would decide, and after some weeks nothing would be left of the first day. Messages that are no readings
 * cannot be thinned; they go where the sweep passes, oldest first.
 *
 * It decides; retention.ts carries out. Its place is kept in the database, within the caller's transaction.
 */
import type { Database, Statement } from './database.js';
import type { Verdict } from './eviction.js';
import { readSeries } from './record-codec.js';

interface Place {
  /** Readings behind the sweep: one of 2^level is left. */
  level: number;
  at: number;
  sweptTo: number;
}

/** Of the Records there are, this share is left alone: what is new is what is looked at. */
const NEWEST_SHARE = 0.25;
/** Topics whose count is carried on from chunk to chunk; past it, counting begins anew. */
const TOPICS_MAX = 100_000;
/** 2^30 readings to one: nothing is left to halve. */
const LEVEL_MAX = 30;

const META = 'thinning';

export class Thinning {
  readonly #load: Statement<[string], { readonly value: string }>;
  readonly #store: Statement<[string, string]>;
  /** Readings seen per series in this sweep: the first of each always stays. */
  readonly #seen = new Map<number | string, number>();
  #place: Place;
  #end = 0;
  #foundNothing = 0;

  constructor(database: Database) {
    this.#load = database.prepare('SELECT value FROM meta WHERE name = ?');
    this.#store = database.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)');
    this.#place = this.#loaded();
  }

  /** Where the sweep goes on. */
  get at(): number {
    return this.#place.at;
  }

  get isAtEnd(): boolean {
    return this.#place.at >= this.#end;
  }

  /** @param records how many there still are: new ones have their offsets one behind the other */
  begin(oldest: number, end: number, records: number): void {
    const place = this.#place;
    this.#end = end - Math.floor(records * NEWEST_SHARE);
    // All that was ever thinned has left: what comes now is whole again.
    if (oldest >= Math.max(place.at, place.sweptTo)) this.#restart({ level: 1, at: oldest, sweptTo: oldest });
    this.#foundNothing = 0;
  }

  /** Asked of each Record that may go, in order. */
  readonly verdict: Verdict = (chunk, slot) => {
    const series = readSeries(chunk, slot);
    if (series === undefined) return 'evicted';
    const seen = this.#seen.get(series) ?? 0;
    if (this.#seen.size >= TOPICS_MAX) this.#seen.clear();
    this.#seen.set(series, seen + 1);
    const halvings = slot.offset < this.#place.sweptTo ? 1 : this.#place.level;
    return seen % 2 ** halvings === 0 ? undefined : 'thinned';
  };

  passed(offset: number): void {
    this.#place.at = offset;
  }

  /** The next sweep, at half the resolution; false: there is nothing left to halve. */
  again(): boolean {
    this.#foundNothing += 1;
    const { level, at, sweptTo } = this.#place;
    if (this.#foundNothing > 2 || level >= LEVEL_MAX) return false;
    this.#restart({ level: level + 1, at: 0, sweptTo: Math.max(at, sweptTo) });
    return true;
  }

  save(): void {
    this.#store.run(META, JSON.stringify(this.#place));
  }

  rollback(): void {
    this.#restart(this.#loaded());
  }

  #restart(place: Place): void {
    this.#place = place;
    this.#seen.clear();
  }

  #loaded(): Place {
    const saved = this.#load.get(META)?.value;
    return saved === undefined ? { level: 1, at: 0, sweptTo: 0 } : (JSON.parse(saved) as Place);
  }
}
