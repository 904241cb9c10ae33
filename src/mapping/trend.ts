/**
 * `report: { on: trend, tolerance: 0.2 }`: few of the values that were read, chosen so that every other lies within the
 * tolerance of the straight line between its neighbours: a swinging door.
 *
 *              ╱ hi            a door from the value last told, ever narrower, that lets all later ones be
 *      told ●──── ○ ○ ○  held  reached within the tolerance. Once it is shut, the last one that the door was
 *              ╲ lo            open to is told, the door starts there, and the rest is held against it.
 *
 * What is told is what was read, with its own time; only later. A change of quality, `every`, a step of the clock and the
 * end tell all that is held, up to the newest. What is no number is told when it changes.
 */
import type { Quality, Sample } from '../core/sample.js';
import type { Value } from '../core/value.js';

export interface TrendPolicy {
  readonly tolerance: number;
  /** No value is told later than this after the one before; Infinity: no limit. */
  readonly latestMs: number;
  readonly pollMs: number;
}

/** A value that never bends would be held for ever; each takes some 200 bytes. */
const HELD_MAX = 1000;

interface Held {
  readonly atMs: number;
  readonly value: number;
  readonly sample: Sample;
}

export class Trend {
  readonly #policy: TrendPolicy;
  #quality: Quality | undefined;
  #value: Value | null = null;
  #toldAtMs = 0;
  /** The value last told, where the door hangs. */
  #hinge: Held | undefined;
  #held: Held[] = [];
  /** How many of them the door was open to, up to the last such. */
  #reached = 0;
  #lo = Number.NEGATIVE_INFINITY;
  #hi = Infinity;

  constructor(policy: TrendPolicy) {
    this.#policy = policy;
  }

  /** What is to be told now that this was read, in the order of time; mostly nothing. */
  take(sample: Sample, nowMs: number): Sample[] {
    if (sample.quality !== this.#quality) return [...this.#end(), this.#tell(sample, nowMs)];
    if (sample.quality !== 'good') return [];
    const one = heldOf(sample);
    const told = this.#follow(sample, one, nowMs);
    const { latestMs, pollMs } = this.#policy;
    // The next would come too late for `every`.
    if (nowMs - this.#toldAtMs + pollMs > latestMs) told.push(...this.flush(nowMs));
    return told;
  }

  /** All that is held, so that the newest is told. */
  flush(nowMs: number): Sample[] {
    const told = this.#end();
    const last = told.at(-1);
    if (last !== undefined) this.#tell(last, nowMs);
    return told;
  }

  /** What `flush` would tell, without telling it: to be kept over a restart. */
  get unsaid(): readonly Sample[] {
    const copy = new Trend(this.#policy);
    copy.#hinge = this.#hinge;
    copy.#held = [...this.#held];
    copy.#reached = this.#reached;
    return copy.#end();
  }

  /** Read since, and not told. */
  get heldCount(): number {
    return this.#held.length;
  }

  /** The newest was told, though it was told before: `every`. */
  repeated(nowMs: number): void {
    this.#toldAtMs = nowMs;
  }

  /** When the newest must be told though nothing is read. */
  get deadlineMs(): number {
    return this.#quality === 'good' ? this.#toldAtMs + this.#policy.latestMs : Infinity;
  }

  #follow(sample: Sample, one: Held | undefined, nowMs: number): Sample[] {
    if (one === undefined) {
      // Neither a line to it nor a line from it.
      if (sample.value === this.#value && this.#hinge === undefined) return [];
      return [...this.#end(), this.#tell(sample, nowMs)];
    }
    const last = this.#held.at(-1) ?? this.#hinge;
    // Time must go on, by the clock that the consumer sees.
    if (last === undefined || one.atMs <= last.atMs) return [...this.#end(), this.#tell(sample, nowMs)];
    const told: Sample[] = [];
    this.#hold(one);
    while (this.#lo > this.#hi || this.#held.length >= HELD_MAX) told.push(this.#swing());
    if (told.length > 0) this.#toldAtMs = nowMs;
    return told;
  }

  #tell(sample: Sample, nowMs: number): Sample {
    this.#quality = sample.quality;
    this.#value = sample.value;
    this.#toldAtMs = nowMs;
    this.#hang(sample.quality === 'good' ? heldOf(sample) : undefined);
    return sample;
  }

  #hang(hinge: Held | undefined): void {
    this.#hinge = hinge;
    this.#held = [];
    this.#reached = 0;
    this.#lo = Number.NEGATIVE_INFINITY;
    this.#hi = Infinity;
  }

  #hold(one: Held): void {
    const { atMs, value } = this.#hinge as Held;
    const { tolerance } = this.#policy;
    const dtMs = one.atMs - atMs;
    const slope = (one.value - value) / dtMs;
    this.#held.push(one);
    if (slope >= this.#lo && slope <= this.#hi) this.#reached = this.#held.length;
    this.#lo = Math.max(this.#lo, (one.value - tolerance - value) / dtMs);
    this.#hi = Math.min(this.#hi, (one.value + tolerance - value) / dtMs);
  }

  /** Tells the last that was reached, and holds the others against a door that hangs there. */
  #swing(): Sample {
    const next = this.#held[this.#reached - 1] as Held;
    const rest = this.#held.slice(this.#reached);
    this.#hang(next);
    for (const one of rest) this.#hold(one);
    return next.sample;
  }

  #end(): Sample[] {
    const told: Sample[] = [];
    while (this.#held.length > 0) told.push(this.#swing());
    return told;
  }
}

/** Undefined where it is no number. */
function heldOf(sample: Sample): Held | undefined {
  const { stamp, value } = sample;
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  return { atMs: Math.round(stamp.wallMs), value: Number(value), sample };
}
