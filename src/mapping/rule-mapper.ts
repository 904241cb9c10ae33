/**
 * The Mapping by the rules of the configuration. Globs, topics and scales are worked out once, in the
 * constructor: a reading costs one look-up, and one comparison per rule.
 *
 *   good ──3 polls without a reading──▶ stale ──reading──▶ good        bad: as the driver says
 *
 * Each of these changes is told once: a stale value with the time it was read at, a bad one with its reason. The
 * bare `value` payload cannot say `stale`, so nothing is sent there that would look fresh.
 */
import type { Reading } from '../core/reading.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { Computation } from './computation.js';
import type { Mapping } from './mapper.js';
import { type DevicePlan, type MappingConfigs, type PointPlan, planDevices } from './point-plan.js';

export class Mapper implements Mapping {
  readonly #devices: ReadonlyMap<string, DevicePlan>;
  #deadlineMs = Infinity;
  #polls = 0;
  #unknown = 0;
  /** Computations whose inputs were read, by level; empty between two calls. */
  readonly #due: Computation[][] = [];
  #anyDue = false;

  constructor(configs: MappingConfigs) {
    this.#devices = planDevices(configs);
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

  tick(monotonicMs: number): SampleSet[] {
    const sets: SampleSet[] = [];
    if (monotonicMs < this.#deadlineMs) return sets;
    this.#deadlineMs = Infinity;
    this.#polls += 1;
    for (const plan of this.#devices.values()) {
      if (monotonicMs >= plan.deadlineMs) this.#tellDue(plan, monotonicMs, sets);
      this.#deadlineMs = Math.min(this.#deadlineMs, plan.deadlineMs);
    }
    this.#compute(monotonicMs, sets);
    return sets;
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
      if (outlet.group !== undefined) outlet.group.add(outlet, sample, point.poll, wanted, nowMs, into);
      else if (wanted) outlet.publish(sample, nowMs, into);
    }
    if (sample.quality === 'good') plan.deadlineMs = Math.min(plan.deadlineMs, nowMs + point.quietMs);
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
      const due = this.#due[level] ?? [];
      this.#due[level] = [];
      for (const computation of due) {
        computation.due = false;
        plan = computation.plan;
        const sample = computation.sample();
        if (sample !== undefined) this.#take(plan, computation.point, sample, nowMs, into);
      }
    }
    if (plan === undefined) return;
    for (const group of plan.groups) group.flush(nowMs, into);
    if (plan.deadlineMs < this.#deadlineMs) this.#deadlineMs = plan.deadlineMs;
  }

  /** By the poll they were read in, so that a group tells the points of one poll together, the oldest first. */
  #tellDue(plan: DevicePlan, nowMs: number, into: SampleSet[]): void {
    const due = [...plan.points.values()].filter((point) => nowMs >= point.deadlineMs());
    due.sort((a, b) => a.poll - b.poll);
    for (const point of due) {
      if (point.sample === undefined) continue;
      const turnsStale = nowMs >= point.staleAtMs;
      if (turnsStale) {
        point.sample = { ...point.sample, quality: 'stale' };
        point.staleAtMs = Infinity;
        plan.latest.set(point.name, point.sample);
        this.#wakeComputations(point);
      }
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
}

const nothing: ReadonlyMap<string, Sample> = new Map();
