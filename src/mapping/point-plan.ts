/**
 * What is done with each point's readings, worked out once from the configuration:
 *
 *   DevicePlan ──▶ PointPlan (scale, unit, when stale) ──▶ Outlet (one rule: topic, report) ──▶ SampleSet
 *                                                              └── Group: the outlets that leave as one message
 *
 * Outlets of a rule with `group: device` share a Group per topic.
 */
import { matcherOf, parsePattern } from '../config/pattern.js';
import type { Config, DeviceConfig, MappingConfig } from '../config/schema.js';
import type { QoS } from '../core/message.js';
import type { Reading } from '../core/reading.js';
import type { PayloadFormat, Sample, SampleSet } from '../core/sample.js';
import { normalInteger } from '../core/scale.js';
import { Report, type ReportPolicy } from './report.js';
import { Unfit } from './step.js';
import { renderTopic } from './topic-template.js';
import { makeTransform, type Transform } from './transform.js';

export interface MappingConfigs {
  readonly gatewayId: string;
  readonly tags: { readonly [name: string]: string };
  readonly devices: Config['devices'];
  readonly mappings: readonly MappingConfig[];
}

/** How many polls old a good value is when it is called stale. */
const STALE_POLLS = 3;

export class DevicePlan {
  readonly points: ReadonlyMap<string, PointPlan>;
  readonly groups: readonly Group[];
  readonly latest = new Map<string, Sample>();
  /** A lower bound of when a point is stale or an outlet must speak; readings only ever lower it, `tick` renews it. */
  deadlineMs = Infinity;

  constructor(points: ReadonlyMap<string, PointPlan>, groups: readonly Group[]) {
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
  readonly #device: string;
  readonly #unit: string | undefined;
  readonly #transform: Transform | undefined;
  sample: Sample | undefined;
  staleAtMs = Infinity;
  /** Which poll the sample is from: groups never mix two. */
  poll = 0;

  constructor(device: string, name: string, config: DeviceConfig, outlets: readonly Outlet[]) {
    const point = config.points[name] as DeviceConfig['points'][string];
    this.name = name;
    this.outlets = outlets;
    this.staleAfterMs = STALE_POLLS * (point.poll ?? config.poll);
    this.quietMs = Math.min(this.staleAfterMs, ...outlets.map((outlet) => outlet.report.latestMs));
    this.#device = device;
    this.#unit = point.unit;
    this.#transform = makeTransform(point);
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
      device: this.#device,
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
  const rules = configs.mappings.map((rule) => {
    const { device, point } = parsePattern(rule.from) ?? { device: '', point: '' };
    return { rule, takesDevice: matcherOf(device), takesPoint: matcherOf(point), report: readReport(rule) };
  });
  for (const [device, config] of Object.entries(configs.devices)) {
    const groups = new Map<string, Group>();
    const points = new Map<string, PointPlan>();
    for (const [point, pointConfig] of Object.entries(config.points)) {
      const outlets: Outlet[] = [];
      for (const [index, { rule, takesDevice, takesPoint, report }] of rules.entries()) {
        if (!takesDevice(device) || !takesPoint(point)) continue;
        const destination: Destination = {
          topic: renderTopic(rule.topic, {
            gateway: configs.gatewayId,
            device,
            point,
            unit: pointConfig.unit,
            tags: configs.tags,
          }),
          qos: rule.qos,
          retain: rule.retain,
          format: { kind: rule.payload },
          grouped: rule.group === 'device',
        };
        let group: Group | undefined;
        if (destination.grouped) {
          const key = `${index} ${destination.topic}`;
          group = groups.get(key) ?? new Group(destination);
          groups.set(key, group);
        }
        outlets.push(new Outlet(destination, { ...report, pollMs: pointConfig.poll ?? config.poll }, group));
      }
      points.set(point, new PointPlan(device, point, config, outlets));
    }
    plans.set(device, new DevicePlan(points, [...groups.values()]));
  }
  return plans;
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
