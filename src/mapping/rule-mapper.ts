/**
 * The Mapping by the rules of the configuration. Globs, topics and scales are worked out once, in the
 * constructor: a reading costs one look-up, and one comparison per rule.
 *
 *   good ──3 polls without a reading──▶ stale ──reading──▶ good        bad: as the driver says
 *
 * Each of these changes is told once: a stale value with the time it was read at, a bad one with its reason. The
 * bare `value` payload cannot say `stale`, so nothing is sent there that would look fresh.
 */
import type { KeyValueDoor } from '../core/key-value.js';
import type { Reading } from '../core/reading.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { AlarmSnapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';
import { type Alarm, topicOfForgotten } from './alarm.js';
import type { Computation } from './computation.js';
import type { Mapping } from './mapper.js';
import { type MappingConfigs, planDevices } from './plan.js';
import type { DevicePlan, PointPlan } from './point-plan.js';

export class Mapper implements Mapping {
  readonly #devices: ReadonlyMap<string, DevicePlan>;
  readonly #door: KeyValueDoor | undefined;
  readonly #alarms = new Map<string, Alarm>();
  #deadlineMs = Infinity;
  #polls = 0;
  #unknown = 0;
  /** Computations whose inputs were read, by level; empty between two calls. */
  readonly #due: Computation[][] = [];
  #anyDue = false;

  constructor(configs: MappingConfigs) {
    this.#devices = planDevices(configs);
    this.#door = configs.keyValue;
  }

  begin(now: Stamp): SampleSet[] {
    const sets: SampleSet[] = [];
    const known = new Set<string>();
    for (const plan of this.#devices.values()) {
      for (const point of plan.points.values()) {
        for (const aggregate of point.aggregates) {
          known.add(aggregate.key);
          aggregate.begin(now, sets);
        }
        for (const alarm of point.alarms) {
          known.add(alarm.key);
          alarm.begin();
          this.#alarms.set(alarm.id, alarm);
        }
        for (const trend of point.trends) {
          known.add(trend.key);
          trend.begin(sets);
        }
        plan.deadlineMs = Math.min(plan.deadlineMs, point.lastingDeadlineMs());
      }
      this.#deadlineMs = Math.min(this.#deadlineMs, plan.deadlineMs);
    }
    this.#forget(known, sets);
    return sets;
  }

  readings(device: string, readings: readonly Reading[], monotonicMs: number): SampleSet[] {
    const sets: SampleSet[] = [];
    const plan = this.#devices.get(device);
    if (plan === undefined) {
      this.#unknown += readings.length;
      return sets;
    }
    this.#polls += 1;
    for (const reading of readings) {
      const point = plan.points.get(reading.point);
      if (point === undefined) {
        this.#unknown += 1;
        continue;
      }
      const sample = point.sampleOf(reading);
      if (sample !== undefined) this.#take(plan, point, sample, monotonicMs, sets);
    }
    this.#compute(monotonicMs, sets);
    for (const group of plan.groups) group.flush(monotonicMs, sets);
    if (plan.deadlineMs < this.#deadlineMs) this.#deadlineMs = plan.deadlineMs;
    return sets;
  }

  tick(now: Stamp): SampleSet[] {
    const { monotonicMs } = now;
    const sets: SampleSet[] = [];
    if (monotonicMs < this.#deadlineMs) return sets;
    this.#deadlineMs = Infinity;
    this.#polls += 1;
    for (const plan of this.#devices.values()) {
      if (monotonicMs >= plan.deadlineMs) this.#tellDue(plan, now, sets);
      this.#deadlineMs = Math.min(this.#deadlineMs, plan.deadlineMs);
    }
    this.#compute(monotonicMs, sets);
    return sets;
  }

  acknowledge(alarmId: string, now: Stamp): SampleSet[] | undefined {
    const sets: SampleSet[] = [];
    return this.#alarms.get(alarmId)?.acknowledge(now, sets) === true ? sets : undefined;
  }

  alarms(): readonly AlarmSnapshot[] {
    return [...this.#alarms.values()].flatMap((alarm) => alarm.snapshot() ?? []);
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  latest(device: string): ReadonlyMap<string, Sample> {
    return this.#devices.get(device)?.latest ?? nothing;
  }

  /** Readings of devices and points that the configuration does not have. */
  get unknown(): number {
    return this.#unknown;
  }

  #take(plan: DevicePlan, point: PointPlan, sample: Sample, nowMs: number, into: SampleSet[]): void {
    point.sample = sample;
    point.poll = this.#polls;
    point.staleAtMs = sample.quality === 'good' ? nowMs + point.staleAfterMs : Infinity;
    plan.latest.set(point.name, sample);
    if (point.computations.length > 0) this.#wakeComputations(point);
    for (const outlet of point.outlets) {
      if (sample.quality === 'stale' && !outlet.tellsStale) continue;
      const wanted = outlet.report.wants(sample, nowMs);
      if (outlet.report.heldUntilMs < plan.deadlineMs) plan.deadlineMs = outlet.report.heldUntilMs;
      if (outlet.group !== undefined) outlet.group.add(outlet, sample, point.poll, wanted, nowMs, into);
      else if (wanted) outlet.publish(sample, nowMs, into);
    }
    if (sample.quality === 'good') plan.deadlineMs = Math.min(plan.deadlineMs, nowMs + point.quietMs);
    if (!point.hasLasting) return;
    point.tellLasting(sample, sample.stamp, into);
    plan.deadlineMs = Math.min(plan.deadlineMs, point.lastingDeadlineMs());
  }

  #wakeComputations(point: PointPlan): void {
    for (const computation of point.computations) {
      if (computation.due) continue;
      computation.due = true;
      const level = this.#due[computation.level];
      if (level === undefined) this.#due[computation.level] = [computation];
      else level.push(computation);
      this.#anyDue = true;
    }
  }

  /** The lowest level first: what is computed wakes what builds on it, always above. */
  #compute(nowMs: number, into: SampleSet[]): void {
    if (!this.#anyDue) return;
    this.#anyDue = false;
    let plan: DevicePlan | undefined;
    for (let level = 0; level < this.#due.length; level += 1) {
      const due = this.#due[level];
      if (due === undefined) continue;
      // Nothing is added to this level while it is gone through.
      for (const computation of due) {
        computation.due = false;
        plan = computation.plan;
        const sample = computation.sample();
        if (sample !== undefined) this.#take(plan, computation.point, sample, nowMs, into);
      }
      due.length = 0;
    }
    if (plan === undefined) return;
    for (const group of plan.groups) group.flush(nowMs, into);
    if (plan.deadlineMs < this.#deadlineMs) this.#deadlineMs = plan.deadlineMs;
  }

  /** By the poll they were read in, so that a group tells the points of one poll together, the oldest first. */
  #tellDue(plan: DevicePlan, now: Stamp, into: SampleSet[]): void {
    const nowMs = now.monotonicMs;
    const due = [...plan.points.values()].filter((point) => nowMs >= point.deadlineMs());
    due.sort((a, b) => a.poll - b.poll);
    for (const point of due) {
      const turnsStale = nowMs >= point.staleAtMs;
      if (turnsStale && point.sample !== undefined) {
        point.sample = { ...point.sample, quality: 'stale' };
        point.staleAtMs = Infinity;
        plan.latest.set(point.name, point.sample);
        this.#wakeComputations(point);
        point.tellLasting(point.sample, now, into);
      }
      for (const aggregate of point.aggregates) aggregate.tick(now, into);
      for (const alarm of point.alarms) alarm.tick(now, into);
      for (const trend of point.trends) trend.tick(nowMs, into);
      if (point.sample === undefined) continue;
      for (const outlet of point.outlets) {
        if (turnsStale ? !outlet.tellsStale : nowMs < outlet.report.deadlineMs) continue;
        if (outlet.group === undefined) outlet.publish(point.sample, nowMs, into);
        else outlet.group.add(outlet, point.sample, point.poll, true, nowMs, into);
      }
    }
    for (const group of plan.groups) group.flush(nowMs, into);
    plan.deadlineMs = Infinity;
    for (const point of plan.points.values()) {
      plan.deadlineMs = Math.min(plan.deadlineMs, point.deadlineMs());
    }
  }

  /** What the configuration no longer has is not kept for ever; what is retained of an alarm goes with it. */
  #forget(known: ReadonlySet<string>, into: SampleSet[]): void {
    if (this.#door === undefined) return;
    for (const [key, bytes] of [...this.#door.entries()]) {
      if (known.has(key)) continue;
      this.#door.remove(key);
      const topic = topicOfForgotten(key, bytes);
      if (topic === undefined) continue;
      into.push({ topic, qos: 1, retain: true, format: { kind: 'json' }, grouped: false, samples: [] });
    }
  }
}

const nothing: ReadonlyMap<string, Sample> = new Map();
