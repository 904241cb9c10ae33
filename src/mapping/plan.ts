/**
 * From the configuration to what is done with each point, worked out once: patterns, topics, groups, windows, alarms and
 * computations, so that a reading costs no look-up but that of its point.
 */
import { type AlarmConfig, type AlarmsConfig, alarmName, alarmsSchema } from '../config/alarm-schema.js';
import { computedPoints, DERIVED } from '../config/derived.js';
import { matcherOf, parsePattern } from '../config/pattern.js';
import { fillFixed } from '../config/payload-template.js';
import type { PointTransform } from '../config/point-transform.js';
import type { Config, DerivedConfig, MappingConfig } from '../config/schema.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { PayloadFormat } from '../core/sample.js';
import { Aggregate } from './aggregate.js';
import { Alarm } from './alarm.js';
import { Computation } from './computation.js';
import { type Destination, Group, Outlet } from './outlet.js';
import { DevicePlan, type PointEnds, PointPlan } from './point-plan.js';
import { latestMs, type ReportPolicy } from './report.js';
import { renderTopic, type TopicNames } from './topic-template.js';
import { TrendOutlet } from './trend-outlet.js';

export interface MappingConfigs {
  readonly gatewayId: string;
  readonly tags: { readonly [name: string]: string };
  readonly devices: Config['devices'];
  readonly alarms?: AlarmsConfig;
  /** What must outlive the process: windows that are open, alarms. Absent: nothing does. */
  readonly keyValue?: KeyValueDoor;
  readonly derived?: { readonly [name: string]: DerivedConfig };
  readonly mappings: readonly MappingConfig[];
}

/** How many polls old a good value is when it is called stale. */
const STALE_POLLS = 3;
/** As the configuration has it by default. */
const ALARMS = alarmsSchema.parse({});

export function planDevices(configs: MappingConfigs): Map<string, DevicePlan> {
  const plans = new Map<string, DevicePlan>();
  const rules = configs.mappings.map(readRule);
  for (const [device, config] of Object.entries(configs.devices)) {
    const points = new Map<string, PointPlan>();
    const outlets = new OutletMaker(configs, rules, device);
    for (const [point, pointConfig] of Object.entries(config.points)) {
      const pollMs = pointConfig.poll ?? config.poll;
      const made = outlets.of(point, pointConfig, pollMs);
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
      const point = new PointPlan(DERIVED, name, config, Infinity, outlets.of(name, config, pollMs));
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

function formatOf(payload: MappingConfig['payload'], { gatewayId, tags }: MappingConfigs): PayloadFormat {
  if (typeof payload === 'string') return { kind: payload };
  return { kind: 'template', template: fillFixed(payload.template, gatewayId, tags) };
}

type PointConfig = PointTransform & { readonly alarm?: readonly AlarmConfig[] | undefined };

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

  of(point: string, config: PointConfig, pollMs: number): PointEnds {
    const outlets: Outlet[] = [];
    const aggregates: Aggregate[] = [];
    const trends: TrendOutlet[] = [];
    for (const rule of this.#rules) {
      if (!rule.takesPoint(point)) continue;
      const { aggregate } = rule.config;
      const destination = this.#destination(rule.config, point, config.unit);
      if (rule.config.report?.on === 'trend') {
        const { tolerance = 0 } = rule.config.report;
        const policy = { tolerance, latestMs: latestMs(rule.report.everyMs, pollMs), pollMs };
        trends.push(
          new TrendOutlet(destination, policy, { device: this.#device, point }, this.#configs.keyValue),
        );
      } else if (aggregate === undefined) {
        const group = destination.grouped ? this.#group(rule, destination) : undefined;
        outlets.push(new Outlet(destination, { ...rule.report, pollMs }, group));
      } else {
        const names = { device: this.#device, point, unit: config.unit };
        const format = { ...destination.format, shape: 'fields' } as const;
        const windows = { windowMs: aggregate.window, emit: aggregate.emit };
        aggregates.push(new Aggregate({ ...destination, format }, windows, names, this.#configs.keyValue));
      }
    }
    return { outlets, aggregates, alarms: this.#alarms(point, config), trends };
  }

  #alarms(point: string, { alarm: alarms = [], unit }: PointConfig): Alarm[] {
    return alarms.map((config) => {
      const { topic, qos, retain } = this.#configs.alarms ?? ALARMS;
      const name = alarmName(config);
      const names = { ...this.#names(point, unit), alarm: name, priority: config.priority };
      const format = { kind: 'json', shape: 'fields' } as const;
      const destination = { topic: renderTopic(topic, names), qos, retain, format, grouped: true };
      return new Alarm(
        { id: `${this.#device}/${point}/${name}`, unit },
        config,
        destination,
        this.#configs.keyValue,
      );
    });
  }

  #names(point: string, unit: string | undefined): TopicNames {
    const { gatewayId: gateway, tags } = this.#configs;
    const names = { gateway, device: this.#device, point, tags };
    return unit === undefined ? names : { ...names, unit };
  }

  #destination(rule: MappingConfig, point: string, unit: string | undefined): Destination {
    return {
      topic: renderTopic(rule.topic, this.#names(point, unit)),
      qos: rule.qos,
      retain: rule.retain,
      format: formatOf(rule.payload, this.#configs),
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
    minIntervalMs: rule.report?.min_interval ?? 0,
  };
}

function readDeadband(deadband: number | string | undefined): ReportPolicy['deadband'] {
  if (deadband === undefined) return undefined;
  return typeof deadband === 'number'
    ? { kind: 'absolute', size: deadband }
    : { kind: 'relative', size: Number(deadband.slice(0, -1)) / 100 };
}
