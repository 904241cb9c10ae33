/**
 * What is done with each point's readings, worked out once from the configuration:
 *
 *   DevicePlan ──▶ PointPlan (scale, unit, when stale) ──▶ Outlet (one rule: topic, report) ──▶ SampleSet
 *                                                              └── Group: the outlets that leave as one message
 *
 * Outlets of a rule with `group: device` share a Group per topic.
 */
import { computedPoints, DERIVED } from '../config/derived.js';
import { matcherOf, parsePattern } from '../config/pattern.js';
import type { PointTransform } from '../config/point-transform.js';
import type { Config, DerivedConfig, MappingConfig } from '../config/schema.js';
import type { QoS } from '../core/message.js';
import type { Reading } from '../core/reading.js';
import type { PayloadFormat, Sample, SampleSet } from '../core/sample.js';
import { normalInteger } from '../core/scale.js';
import { Computation } from './computation.js';
import { Report, type ReportPolicy } from './report.js';
import { Unfit } from './step.js';
import { renderTopic } from './topic-template.js';
import { makeTransform, type Transform } from './transform.js';

export interface MappingConfigs {
  readonly gatewayId: string;
  readonly tags: { readonly [name: string]: string };
  readonly devices: Config['devices'];
  readonly derived?: { readonly [name: string]: DerivedConfig };
  readonly mappings: readonly MappingConfig[];
}

/** How many polls old a good value is when it is called stale. */
const STALE_POLLS = 3;

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
  readonly name: string;
  readonly outlets: readonly Outlet[];
  readonly staleAfterMs: number;
  /** No sooner after a reading has this point anything to say by time alone. */
  readonly quietMs: number;
  readonly device: string;
  readonly #unit: string | undefined;
  readonly #transform: Transform | undefined;
  sample: Sample | undefined;
  staleAtMs = Infinity;
  /** Which poll the sample is from: groups never mix two. */
  poll = 0;

  /** What is computed from it. */
  computations: Computation[] = [];

  constructor(
    device: string,
    name: string,
    config: PointTransform,
    staleAfterMs: number,
    outlets: readonly Outlet[],
  ) {
    this.name = name;
    this.outlets = outlets;
    this.staleAfterMs = staleAfterMs;
    this.quietMs = Math.min(this.staleAfterMs, ...outlets.map((outlet) => outlet.report.latestMs));
    this.device = device;
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
    let deadlineMs = this.staleAtMs;
    if (this.sample?.quality === 'good') {
      for (const { report } of this.outlets) deadlineMs = Math.min(deadlineMs, report.deadlineMs);
    }
    return deadlineMs;
  }
}

/** Where the samples of one point leave by one rule. */
export class Outlet {
  readonly destination: Destination;
  readonly report: Report;
  readonly group: Group | undefined;

  constructor(destination: Destination, policy: ReportPolicy, group: Group | undefined) {
    this.destination = destination;
    this.report = new Report(policy);
    this.group = group;
  }

  /** A bare value cannot say that it is stale. */
  get tellsStale(): boolean {
    return this.destination.grouped || this.destination.format.kind !== 'value';
  }

  /** Publishes the sample at once, or leaves it to the group. */
  publish(sample: Sample, nowMs: number, into: SampleSet[]): void {
    this.report.told(sample, nowMs);
    into.push(setOf(this.destination, [sample]));
  }
}

export interface Destination {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly format: PayloadFormat;
  readonly grouped: boolean;
}

/** Collects the samples of one poll: if one of them is worth telling, all are told. */
export class Group {
  readonly #destination: Destination;
  #pending = new Map<Outlet, Sample>();
  #poll = 0;
  #wanted = false;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  add(outlet: Outlet, sample: Sample, poll: number, wanted: boolean, nowMs: number, into: SampleSet[]): void {
    // A second reading of the same point, or one of another poll, belongs to another message.
    if (poll !== this.#poll || this.#pending.has(outlet)) this.flush(nowMs, into);
    this.#poll = poll;
    this.#pending.set(outlet, sample);
    this.#wanted ||= wanted;
  }

  flush(nowMs: number, into: SampleSet[]): void {
    if (this.#wanted) {
      for (const [outlet, sample] of this.#pending) outlet.report.told(sample, nowMs);
      into.push(setOf(this.#destination, [...this.#pending.values()]));
    }
    this.#pending.clear();
    this.#wanted = false;
  }
}

export function planDevices(configs: MappingConfigs): Map<string, DevicePlan> {
  const plans = new Map<string, DevicePlan>();
  const rules = configs.mappings.map(readRule);
  for (const [device, config] of Object.entries(configs.devices)) {
    const points = new Map<string, PointPlan>();
    const outlets = new OutletMaker(configs, rules, device);
    for (const [point, pointConfig] of Object.entries(config.points)) {
      const pollMs = pointConfig.poll ?? config.poll;
      const made = outlets.of(point, pointConfig.unit, pollMs);
      points.set(point, new PointPlan(device, point, pointConfig, STALE_POLLS * pollMs, made));
    }
    plans.set(device, new DevicePlan(points, outlets.groups));
  }
  planDerived(configs, rules, plans);
  return plans;
}

/** Computed points are the points of a device of their own, and are stale when one of their inputs is. */
function planDerived(configs: MappingConfigs, rules: readonly Rule[], plans: Map<string, DevicePlan>): void {
  const { derived = {} } = configs;
  const outlets = new OutletMaker(configs, rules, DERIVED);
  const points = new Map<string, PointPlan>();
  const plan = new DevicePlan(points, outlets.groups);
  const computations = new Map(
    computedPoints(derived, configs.devices).map((computed) => {
      const { name, config, pollMs } = computed;
      const point = new PointPlan(DERIVED, name, config, Infinity, outlets.of(name, config.unit, pollMs));
      points.set(name, point);
      return [name, new Computation(computed, plan, point)] as const;
    }),
  );
  if (points.size === 0) return;
  plans.set(DERIVED, plan);
  for (const computation of computations.values()) computation.connect(plans);
}

interface Rule {
  readonly index: number;
  readonly config: MappingConfig;
  readonly takesDevice: (name: string) => boolean;
  readonly takesPoint: (name: string) => boolean;
  readonly report: Omit<ReportPolicy, 'pollMs'>;
}

function readRule(config: MappingConfig, index: number): Rule {
  const { device, point } = parsePattern(config.from) ?? { device: '', point: '' };
  return {
    index,
    config,
    takesDevice: matcherOf(device),
    takesPoint: matcherOf(point),
    report: readReport(config),
  };
}

/** Makes the outlets of one device's points; those that leave together share a Group. */
class OutletMaker {
  readonly #configs: MappingConfigs;
  readonly #rules: readonly Rule[];
  readonly #device: string;
  readonly #groups = new Map<string, Group>();

  constructor(configs: MappingConfigs, rules: readonly Rule[], device: string) {
    this.#configs = configs;
    this.#rules = rules.filter((rule) => rule.takesDevice(device));
    this.#device = device;
  }

  /** Of the outlets made so far, and those made later. */
  get groups(): Iterable<Group> {
    return { [Symbol.iterator]: () => this.#groups.values() };
  }

  of(point: string, unit: string | undefined, pollMs: number): Outlet[] {
    return this.#rules
      .filter((rule) => rule.takesPoint(point))
      .map((rule) => {
        const destination = this.#destination(rule.config, point, unit);
        const group = destination.grouped ? this.#group(rule, destination) : undefined;
        return new Outlet(destination, { ...rule.report, pollMs }, group);
      });
  }

  #destination(rule: MappingConfig, point: string, unit: string | undefined): Destination {
    const { gatewayId: gateway, tags } = this.#configs;
    const names = { gateway, device: this.#device, point, tags };
    return {
      topic: renderTopic(rule.topic, unit === undefined ? names : { ...names, unit }),
      qos: rule.qos,
      retain: rule.retain,
      format: { kind: rule.payload },
      grouped: rule.group === 'device',
    };
  }

  #group(rule: Rule, destination: Destination): Group {
    const key = `${rule.index} ${destination.topic}`;
    const group = this.#groups.get(key) ?? new Group(destination);
    this.#groups.set(key, group);
    return group;
  }
}

function readReport(rule: MappingConfig): Omit<ReportPolicy, 'pollMs'> {
  return {
    onChange: rule.report?.on === 'change',
    deadband: readDeadband(rule.report?.deadband),
    everyMs: rule.report?.every ?? Infinity,
  };
}

function readDeadband(deadband: number | string | undefined): ReportPolicy['deadband'] {
  if (deadband === undefined) return undefined;
  return typeof deadband === 'number'
    ? { kind: 'absolute', size: deadband }
    : { kind: 'relative', size: Number(deadband.slice(0, -1)) / 100 };
}

function setOf(destination: Destination, samples: readonly Sample[]): SampleSet {
  const { topic, qos, retain, format, grouped } = destination;
  return { topic, qos, retain, format, grouped, samples };
}
