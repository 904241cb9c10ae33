/**
 * One point's readings as one message per window of the clock: `aggregate: { window: 1m, emit: [min, max, mean] }`.
 *
 *   10:00:00 ├─ reading reading reading ─┤ 10:01:00 ──▶ {"ts":10:01:00,"min":…,"max":…,"mean":…,"window":60000}
 *
 * Windows begin at multiples of their length since the epoch (UTC). A reading belongs to the window of its own time.
 *
 *   no reading at all in a window        no message
 *   only bad ones                        {"ts":…,"count":0,"quality":"bad","reason":…}, once
 *   the process ends and another begins  the window goes on with what it had; one that has ended meanwhile is told then
 *   the clock steps on                   the window is told with what it has
 *   the clock steps back                 likewise, and the earlier one begins again; by a little: the window goes on
 *   time_in_state, the value unchanged   window after window, until the value is stale or bad
 */
import type { KeyValueDoor } from '../core/key-value.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { Stamp } from '../core/stamp.js';
import type { Value } from '../core/value.js';
import type { Destination } from './outlet.js';
import { Window } from './window.js';

export type Statistic = 'min' | 'max' | 'mean' | 'last' | 'count' | 'sum' | 'stddev' | 'time_in_state';

export interface AggregateRule {
  readonly windowMs: number;
  readonly emit: readonly Statistic[];
}

/** A clock that is corrected by so little starts no window anew. */
const STEP_BACK_MS = 5000;
/** A sleep of hours is not told as hours of the state before it. */
const WINDOWS_CARRIED_MAX = 10;

export class Aggregate {
  readonly #destination: Destination;
  readonly #rule: AggregateRule;
  readonly #door: KeyValueDoor | undefined;
  readonly #key: string;
  readonly #names: Pick<Sample, 'device' | 'unit'>;
  #window: Window | undefined;
  /** Monotonic: when the open window ends as far as the clock is known. */
  deadlineMs = Infinity;
  /** Of the last reading. */
  #stamp: Stamp | undefined;
  /** What it has been since when (monotonic), where that is counted. */
  #state: { readonly name: string; sinceMs: number } | undefined;
  #endedAtMs = -Infinity;
  #toldBad = false;

  constructor(
    destination: Destination,
    rule: AggregateRule,
    of: { readonly device: string; readonly point: string; readonly unit: string | undefined },
    door: KeyValueDoor | undefined,
  ) {
    this.#destination = destination;
    this.#rule = rule;
    this.#door = door;
    this.#key = aggregateKey(of.device, of.point, destination.topic, rule.windowMs);
    this.#names = of.unit === undefined ? { device: of.device } : { device: of.device, unit: of.unit };
  }

  get key(): string {
    return this.#key;
  }

  /** Takes up what another process left. */
  begin(now: Stamp, into: SampleSet[]): void {
    this.#window = readWindow(this.#door?.get(this.#key));
    if (this.#window === undefined) return;
    this.#stamp = now;
    this.#arm(now);
    if (now.wallMs >= this.#endMs) this.#close(now, into);
  }

  take(sample: Sample, into: SampleSet[]): void {
    const { stamp, quality, value } = sample;
    this.#place(stamp, into);
    this.#spend(stamp.monotonicMs);
    this.#state = undefined;
    const window = this.#window as Window;
    if (quality === 'good' && value !== null) {
      window.add(value);
      this.#toldBad = false;
      if (this.#countsStates) this.#state = { name: stateName(value), sinceMs: stamp.monotonicMs };
    } else if (quality === 'bad') window.badReason = sample.reason ?? 'bad';
    this.#save();
  }

  /** What it was read as last holds no longer. */
  stale(monotonicMs: number): void {
    this.#spend(monotonicMs);
    this.#state = undefined;
    this.#save();
  }

  tick(now: Stamp, into: SampleSet[]): void {
    for (let carried = 0; now.monotonicMs >= this.deadlineMs; carried += 1) {
      if (carried >= WINDOWS_CARRIED_MAX) this.#state = undefined;
      this.#close(now, into);
    }
  }

  get #endMs(): number {
    return (this.#window?.startMs ?? 0) + this.#rule.windowMs;
  }

  get #countsStates(): boolean {
    return this.#rule.emit.includes('time_in_state');
  }

  /** Sees to it that the window of this instant is open. */
  #place(stamp: Stamp, into: SampleSet[]): void {
    const { wallMs } = stamp;
    this.tick(stamp, into);
    if (this.#window !== undefined) {
      const late = this.#window.startMs - wallMs;
      if (wallMs >= this.#endMs || late > STEP_BACK_MS) {
        // The clock was set: what was before has no length that could be told.
        this.#spend(stamp.monotonicMs);
        this.#state = undefined;
        this.#close(stamp, into);
      }
    }
    this.#stamp = stamp;
    if (this.#window === undefined) {
      const { windowMs } = this.#rule;
      const startMs = Math.floor(wallMs / windowMs) * windowMs;
      // A reading that comes a moment after its window was told counts in the next one.
      const late = this.#endedAtMs - wallMs;
      this.#window = new Window(late > 0 && late <= STEP_BACK_MS ? this.#endedAtMs : startMs);
    }
    this.#arm(stamp);
  }

  #arm(stamp: Stamp): void {
    this.deadlineMs = stamp.monotonicMs + Math.max(0, this.#endMs - stamp.wallMs);
  }

  #spend(monotonicMs: number): void {
    if (this.#state === undefined || this.#window === undefined) return;
    const { name, sinceMs } = this.#state;
    if (monotonicMs > sinceMs) this.#window.spent(name, monotonicMs - sinceMs);
    this.#state.sinceMs = Math.max(sinceMs, monotonicMs);
  }

  /** Tells the open window. The next one opens at once where a state goes on, else with the next reading. */
  #close(now: Stamp, into: SampleSet[]): void {
    const window = this.#window as Window;
    const endMs = this.#endMs;
    const endMonotonicMs = Math.min(this.deadlineMs, now.monotonicMs);
    this.#spend(endMonotonicMs);
    const known = this.#stamp ?? now;
    const stamp: Stamp = { ...known, wallMs: endMs, monotonicMs: endMonotonicMs };
    this.#tell(window, stamp, into);
    this.#endedAtMs = endMs;
    this.#window = undefined;
    this.deadlineMs = Infinity;
    if (this.#state !== undefined) {
      this.#window = new Window(endMs);
      this.deadlineMs = endMonotonicMs + this.#rule.windowMs;
    }
    this.#save();
  }

  #tell(window: Window, stamp: Stamp, into: SampleSet[]): void {
    const { emit, windowMs } = this.#rule;
    const { topic, qos, retain, format } = this.#destination;
    if (window.count === 0 && window.states.size === 0) {
      if (window.badReason === undefined || this.#toldBad) return;
      this.#toldBad = true;
      const single = format.kind === 'value';
      const field = (point: string, value: Value | null): Sample => this.#field(point, value, stamp, false);
      const samples = single
        ? [field('value', null)]
        : [field('count', 0), field('quality', 'bad'), field('reason', window.badReason)];
      into.push({ topic, qos, retain, format, grouped: !single, samples });
      return;
    }
    const samples = emit.flatMap((statistic): Sample[] => {
      if (statistic === 'time_in_state') {
        return [...window.states].map(([state, ms]) =>
          this.#field(`time_in_state/${state}`, Math.round(ms), stamp, false),
        );
      }
      const value = window[statistic];
      const inUnit = statistic !== 'count';
      return value === undefined ? [] : [this.#field(statistic, value, stamp, inUnit)];
    });
    if (samples.length === 0) return;
    if (format.kind === 'value')
      into.push({ topic, qos, retain, format, grouped: false, samples: samples.slice(0, 1) });
    else {
      samples.push(this.#field('window', windowMs, stamp, false));
      into.push({ topic, qos, retain, format, grouped: true, samples });
    }
  }

  #field(point: string, value: Value | null, stamp: Stamp, inUnit: boolean): Sample {
    const { device, unit } = this.#names;
    const sample: Sample = { device, point, value, quality: 'good', stamp };
    return inUnit && unit !== undefined ? { ...sample, unit } : sample;
  }

  /** In the same transaction as the readings that it was made of. */
  #save(): void {
    if (this.#door === undefined) return;
    if (this.#window === undefined) this.#door.remove(this.#key);
    else this.#door.put(this.#key, Buffer.from(JSON.stringify(this.#window.toJson())));
  }
}

export function aggregateKey(device: string, point: string, topic: string, windowMs: number): string {
  return `window ${device}/${point} ${windowMs} ${topic}`;
}

function readWindow(bytes: Uint8Array | undefined): Window | undefined {
  if (bytes === undefined) return undefined;
  try {
    return Window.fromJson(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    // Damaged or of another version: the window begins anew.
    return undefined;
  }
}

function stateName(value: Value): string {
  return String(value).slice(0, STATE_LENGTH_MAX);
}

const STATE_LENGTH_MAX = 64;
