/**
 * What a configuration would do, as data: for each point where it is read, how often, on which topics it appears,
 * and which bridges carry it; with warnings for what is allowed and probably not meant. `godwit check` prints it.
 */
import { matches } from '../mqtt/topic.js';
import { type AlarmConfig, alarmName } from './alarm-schema.js';
import { warnings } from './check-warnings.js';
import { computedPoints, DERIVED } from './derived.js';
import { type BridgeReport, describeBridge } from './describe-bridge.js';
import { aggregateExample, groupExample, messageBytes, singleExample } from './example-payload.js';
import { matcherOf, parsePattern } from './pattern.js';
import { fillFixed } from './payload-template.js';
import { exampleValue, sourceOf } from './point-source.js';
import type { PointTransform } from './point-transform.js';
import { durationText } from './quantity.js';
import type { BridgeConfig, Config, MappingConfig } from './schema.js';
import { expandGateway, expandTemplate, parseTemplate, unitLevel } from './template.js';

export { renderReport } from './render-report.js';

export interface CheckReport {
  readonly gateway: string;
  readonly devices: readonly DeviceReport[];
  readonly bridges: readonly BridgeReport[];
  /** Of all rules together, at most. */
  readonly messagesPerDay: number;
  readonly bytesPerDay: number;
  readonly warnings: readonly string[];
}

export interface DeviceReport {
  readonly device: string;
  readonly bus: string;
  readonly driver: string;
  /** Modbus unit number. */
  readonly unitId?: number;
  readonly points: readonly PointReport[];
}

export interface PointReport {
  readonly point: string;
  /** `holding/100 float32`, `simulated sine`. */
  readonly source: string;
  readonly unit?: string;
  readonly pollMs: number;
  readonly publishes: readonly Publication[];
  readonly alarms: readonly { readonly alarm: string; readonly topic: string; readonly when: string }[];
}

export interface Publication {
  /** Number of the rule in `mappings`, from 0. */
  readonly rule: number;
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** One message holds all points of the device. */
  readonly grouped: boolean;
  /** At most, where only changes are reported. */
  readonly messagesPerDay: number;
  /** As MQTT carries them, without acknowledgements and what TCP adds. */
  readonly bytesPerDay: number;
  readonly onChange: boolean;
  readonly bridges: readonly {
    readonly bridge: string;
    readonly topic: string;
    readonly qos: 0 | 1 | 2;
    /** The topic of the batch that it goes in. */
    readonly batch?: string;
  }[];
}

interface Rule {
  readonly index: number;
  readonly config: MappingConfig;
  readonly matchesDevice: (name: string) => boolean;
  readonly matchesPoint: (name: string) => boolean;
}

const DAY_MS = 86_400_000;

export function describeConfig(config: Config): CheckReport {
  const rules = config.mappings.map(ruleOf);
  const devices = knownDevices(config).map((known) => describeDevice(config, rules, known));
  return {
    gateway: config.gateway.id,
    devices,
    bridges: Object.entries(config.bridges).map(([name, bridge]) =>
      describeBridge(name, bridge, config.gateway.id),
    ),
    ...totalPerDay(devices),
    warnings: [...warnings(config, devices)],
  };
}

function ruleOf(config: MappingConfig, index: number): Rule {
  const { device, point } = parsePattern(config.from) ?? { device: '', point: '' };
  return { index, config, matchesDevice: matcherOf(device), matchesPoint: matcherOf(point) };
}

/** A device with what is known of each point before rules are looked at. */
interface Known {
  readonly device: string;
  readonly bus: string;
  readonly driver: string;
  readonly unitId?: number;
  readonly points: ReadonlyMap<string, KnownPoint>;
}

interface KnownPoint {
  readonly source: string;
  readonly unit: string | undefined;
  readonly pollMs: number;
  /** A value as JSON has it. */
  readonly example: string;
  readonly alarms: readonly AlarmConfig[];
}

function knownDevices(config: Config): Known[] {
  const known = Object.entries(config.devices).map(
    ([name, device]): Known => ({
      device: name,
      bus: device.bus,
      driver: config.buses[device.bus]?.driver ?? 'unknown',
      ...(device.unit === undefined ? {} : { unitId: device.unit }),
      points: new Map(
        Object.entries(device.points).map(([point, pointConfig]) => [
          point,
          {
            source: sourceOf(pointConfig, device.address_base),
            unit: pointConfig.unit,
            pollMs: pointConfig.poll ?? device.poll,
            example: nameExample(pointConfig) ?? exampleValue(pointConfig),
            alarms: pointConfig.alarm ?? [],
          },
        ]),
      ),
    }),
  );
  return Object.keys(config.derived).length === 0 ? known : [...known, knownDerived(config)];
}

function knownDerived({ derived, devices }: Config): Known {
  const computed = computedPoints(derived, devices);
  const points = computed.map(({ name, config, pollMs }): [string, KnownPoint] => [
    name,
    {
      source: config.expr,
      unit: config.unit,
      pollMs,
      example: nameExample(config) ?? '21.5',
      alarms: config.alarm ?? [],
    },
  ]);
  return { device: DERIVED, bus: 'other points', driver: 'computed', points: new Map(points) };
}

function describeDevice(config: Config, rules: readonly Rule[], known: Known): DeviceReport {
  const { device, bus, driver, unitId, points } = known;
  const mine = rules.filter((rule) => rule.matchesDevice(device));
  const groups = new Map<Rule, readonly string[]>();
  const groupOf = (rule: Rule, point: string): readonly string[] => {
    if (rule.config.group === undefined) return [point];
    const together = groups.get(rule) ?? [...points.keys()].filter(rule.matchesPoint);
    groups.set(rule, together);
    return together;
  };
  return {
    device,
    bus,
    driver,
    ...(unitId === undefined ? {} : { unitId }),
    points: [...points].map(
      ([point, { source, unit, pollMs, alarms }]): PointReport => ({
        point,
        source,
        ...(unit === undefined ? {} : { unit }),
        pollMs,
        publishes: mine
          .filter((rule) => rule.matchesPoint(point))
          .map((rule) => publicationOf(config, rule, known, point, groupOf(rule, point))),
        alarms: alarms.map((alarm) => ({
          alarm: `${device}/${point}/${alarmName(alarm)}`,
          topic: topicOf(config, config.alarms.topic, device, point, unit, alarm),
          when: conditionText(alarm),
        })),
      }),
    ),
  };
}

function filledPayload({ gateway }: Config, payload: MappingConfig['payload']): MappingConfig['payload'] {
  return typeof payload === 'string'
    ? payload
    : { template: fillFixed(payload.template, gateway.id, gateway.tags) };
}

/** What is a name in the end has a name as its example. */
function nameExample(config: PointTransform): string | undefined {
  const names = config.enum ?? config.flags;
  return names === undefined ? undefined : JSON.stringify(Object.values(names)[0] ?? '');
}

/** `high 80 until 75 after 5s`. */
function conditionText({ high, low, equals, clear, delay }: AlarmConfig): string {
  const condition =
    high !== undefined
      ? `high ${high}`
      : low !== undefined
        ? `low ${low}`
        : equals === undefined
          ? 'bad'
          : `equals ${equals}`;
  const until = clear === undefined ? '' : ` until ${clear}`;
  return `${condition}${until}${delay === 0 ? '' : ` after ${durationText(delay)}`}`;
}

function publicationOf(
  config: Config,
  rule: Rule,
  { device, points }: Known,
  point: string,
  together: readonly string[],
): Publication {
  const { topic: template, qos, retain, group, report, aggregate } = rule.config;
  const { unit, example } = points.get(point) as KnownPoint;
  const topic = topicOf(config, template, device, point, unit);
  const grouped = group === 'device';
  const pollMs = Math.min(...together.map((each) => points.get(each)?.pollMs ?? Infinity));
  const payload = grouped
    ? groupExample(points, together)
    : aggregate === undefined
      ? singleExample(example, unit, filledPayload(config, rule.config.payload), { device, point })
      : aggregateExample(example, unit, rule.config);
  const everyMs = aggregate?.window ?? Math.max(pollMs, report?.min_interval ?? 0);
  const messagesPerDay = Math.ceil(DAY_MS / everyMs);
  return {
    rule: rule.index,
    topic,
    payload,
    qos,
    retain,
    grouped,
    messagesPerDay,
    bytesPerDay: messagesPerDay * messageBytes(topic, payload, qos),
    onChange: report?.on === 'change' || report?.on === 'trend',
    bridges: Object.entries(config.bridges).flatMap(([bridge, of]) =>
      carried(config, bridge, of, topic, qos),
    ),
  };
}

/** As `mapping` makes it: a unit is one level of its own, `_` where there is none. */
function topicOf(
  config: Config,
  template: string,
  device: string,
  point: string,
  unit: string | undefined,
  alarm?: AlarmConfig,
): string {
  return expandTemplate(parseTemplate(template), (place) => {
    if (place === 'gateway') return config.gateway.id;
    if (place === 'device') return device;
    if (place === 'point') return point;
    if (place === 'unit') return unitLevel(unit);
    if (alarm !== undefined && place === 'alarm') return alarmName(alarm);
    if (alarm !== undefined && place === 'priority') return alarm.priority;
    return config.gateway.tags[place.slice('tags.'.length)];
  });
}

/** The first rule whose filter matches decides. */
function carried(
  config: Config,
  bridge: string,
  { forward }: BridgeConfig,
  topic: string,
  qos: 0 | 1 | 2,
): Publication['bridges'][number][] {
  const gateway = (text: string): string => expandGateway(text, config.gateway.id);
  const rule = forward.find((one) => matches(gateway(one.filter), topic));
  if (rule === undefined) return [];
  const strip = gateway(rule.strip);
  const rest = strip !== '' && topic.startsWith(strip) ? topic.slice(strip.length) : topic;
  const batch = rule.batch === undefined ? {} : { batch: gateway(rule.batch.topic) };
  return [{ bridge, topic: gateway(rule.prefix) + rest, qos: rule.qos ?? qos, ...batch }];
}

/** A grouped message is one, however many points it holds. */
function totalPerDay(devices: readonly DeviceReport[]): Pick<CheckReport, 'messagesPerDay' | 'bytesPerDay'> {
  const total = { messagesPerDay: 0, bytesPerDay: 0 };
  for (const { points } of devices) {
    const groups = new Set<string>();
    for (const { grouped, rule, topic, messagesPerDay, bytesPerDay } of points.flatMap(
      (point) => point.publishes,
    )) {
      const group = `${rule} ${topic}`;
      if (grouped && groups.has(group)) continue;
      if (grouped) groups.add(group);
      total.messagesPerDay += messagesPerDay;
      total.bytesPerDay += bytesPerDay;
    }
  }
  return total;
}
