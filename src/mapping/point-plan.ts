/**
 * What is done with each point's readings: its transform, when it is stale, and where its samples go.
 *
 *   Reading ──Transform──▶ Sample ──▶ Outlet, Group (messages)   ──▶ Aggregate (windows)   ──▶ Alarm   ──▶ Computation
 */
import type { PointTransform } from '../config/point-transform.js';
import type { Reading } from '../core/reading.js';
import type { Sample, SampleSet } from '../core/sample.js';
import { normalInteger } from '../core/scale.js';
import type { Stamp } from '../core/stamp.js';
import type { Aggregate } from './aggregate.js';
import type { Alarm } from './alarm.js';
import type { Computation } from './computation.js';
import type { Group, Outlet } from './outlet.js';
import { Unfit } from './step.js';
import { makeTransform, type Transform } from './transform.js';
import type { TrendOutlet } from './trend-outlet.js';

/** Where the samples of a point go. */
export interface PointEnds {
  readonly outlets: readonly Outlet[];
  readonly aggregates: readonly Aggregate[];
  readonly alarms: readonly Alarm[];
  readonly trends: readonly TrendOutlet[];
}

export class DevicePlan {
  readonly points: ReadonlyMap<string, PointPlan>;
  readonly groups: Iterable<Group>;
  readonly latest = new Map<string, Sample>();
  /** A lower bound of when a point is stale or an outlet must speak; readings only ever lower it, `tick` renews it. */
  deadlineMs = Infinity;

  constructor(points: ReadonlyMap<string, PointPlan>, groups: Iterable<Group>) {
    this.points = points;
    this.groups = groups;
  }
}

export class PointPlan {
  readonly device: string;
  readonly name: string;
  readonly outlets: readonly Outlet[];
  readonly aggregates: readonly Aggregate[];
  readonly alarms: readonly Alarm[];
  readonly trends: readonly TrendOutlet[];
  /** What is computed from it. */
  readonly computations: Computation[] = [];
  readonly staleAfterMs: number;
  /** No sooner after a reading has this point anything to say by time alone, windows and alarms aside. */
  readonly quietMs: number;
  readonly #unit: string | undefined;
  readonly #transform: Transform | undefined;
  sample: Sample | undefined;
  staleAtMs = Infinity;
  /** Which poll the sample is from: groups never mix two. */
  poll = 0;

  constructor(device: string, name: string, config: PointTransform, staleAfterMs: number, ends: PointEnds) {
    this.device = device;
    this.name = name;
    this.outlets = ends.outlets;
    this.aggregates = ends.aggregates;
    this.alarms = ends.alarms;
    this.trends = ends.trends;
    this.staleAfterMs = staleAfterMs;
    this.quietMs = Math.min(staleAfterMs, ...ends.outlets.map((outlet) => outlet.report.latestMs));
    this.#unit = config.unit;
    this.#transform = makeTransform(config);
  }

  /** Undefined where there is nothing to tell yet: the first count of a rate. */
  sampleOf(reading: Reading): Sample | undefined {
    let { value, quality, reason } = reading;
    if (quality === 'good' && value !== null) {
      if (this.#transform !== undefined) {
        const meant = this.#transform.apply(value, reading.stamp.monotonicMs);
        if (meant instanceof Unfit) {
          if (meant.reason === undefined) return undefined;
          ({ reason } = meant);
          quality = 'bad';
        } else value = meant;
      } else if (typeof value === 'bigint') value = normalInteger(value);
      if (typeof value === 'number' && !Number.isFinite(value)) {
        reason = Number.isNaN(value) ? 'not a number' : 'infinite';
        quality = 'bad';
      }
    } else if (quality === 'good') {
      reason = 'no value';
      quality = 'bad';
    }
    if (quality === 'bad') this.#transform?.interrupted();
    return {
      device: this.device,
      point: this.name,
      unit: this.#unit,
      value: quality === 'bad' ? null : value,
      quality,
      reason: quality === 'bad' ? reason : undefined,
      stamp: reading.stamp,
    };
  }

  /** When this point has something to say though nothing is read. */
  deadlineMs(): number {
    let deadlineMs = Math.min(this.staleAtMs, this.lastingDeadlineMs());
    if (this.sample?.quality === 'good') {
      for (const { report } of this.outlets) deadlineMs = Math.min(deadlineMs, report.deadlineMs);
    }
    return deadlineMs;
  }

  /** Of windows, alarms and trends, which go on without readings. */
  lastingDeadlineMs(): number {
    let deadlineMs = Infinity;
    for (const aggregate of this.aggregates) deadlineMs = Math.min(deadlineMs, aggregate.deadlineMs);
    for (const alarm of this.alarms) deadlineMs = Math.min(deadlineMs, alarm.deadlineMs);
    for (const trend of this.trends) deadlineMs = Math.min(deadlineMs, trend.deadlineMs);
    return deadlineMs;
  }

  /** Whether anything is told of it but by its outlets. */
  get hasLasting(): boolean {
    return this.aggregates.length > 0 || this.alarms.length > 0 || this.trends.length > 0;
  }

  /** The windows, alarms and trends that the sample concerns. */
  tellLasting(sample: Sample, at: Stamp, into: SampleSet[]): void {
    for (const aggregate of this.aggregates) {
      if (sample.quality === 'stale') aggregate.stale(at.monotonicMs);
      else aggregate.take(sample, into);
    }
    for (const alarm of this.alarms) alarm.take(sample, at, into);
    for (const trend of this.trends) trend.take(sample, at.monotonicMs, into);
  }
}
