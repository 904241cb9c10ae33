/**
 * What a configuration would do, as data: for each point where it is read, how often, on which topics it appears,
 * and which bridges carry it; with warnings for what is allowed and probably not meant. `godwit check` prints it.
 */
import { matches } from '../mqtt/topic.js';
import { computedPoints, DERIVED } from './derived.js';
import { type BridgeReport, describeBridge, wayWarnings } from './describe-bridge.js';
import { matcherOf, parsePattern } from './pattern.js';
import { exampleValue, sourceOf } from './point-source.js';
import type { BridgeConfig, Config, MappingConfig } from './schema.js';
import { expandGateway, expandTemplate, parseTemplate, unitLevel } from './template.js';

export { renderReport } from './render-report.js';

export interface CheckReport {
  readonly gateway: string;
  readonly devices: readonly DeviceReport[];
  readonly bridges: readonly BridgeReport[];
  /** Of all rules together, at most. */
  readonly messagesPerDay: number;
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
  readonly onChange: boolean;
  readonly bridges: readonly { readonly bridge: string; readonly topic: string; readonly qos: 0 | 1 | 2 }[];
}

interface Rule {
  readonly index: number;
  readonly config: MappingConfig;
  readonly matchesDevice: (name: string) => boolean;
  readonly matchesPoint: (name: string) => boolean;
}

const DAY_MS = 86_400_000;
const EXAMPLE_TS = 1732147200123;

export function describeConfig(config: Config): CheckReport {
  const rules = config.mappings.map(ruleOf);
  const devices = knownDevices(config).map((known) => describeDevice(config, rules, known));
  return {
    gateway: config.gateway.id,
    devices,
    bridges: Object.entries(config.bridges).map(([name, bridge]) =>
      describeBridge(name, bridge, config.gateway.id),
    ),
    messagesPerDay: totalPerDay(devices),
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
            source: sourceOf(pointConfig),
            unit: pointConfig.unit,
            pollMs: pointConfig.poll ?? device.poll,
            example: exampleValue(pointConfig),
          },
        ]),
      ),
    }),
  );
  return Object.keys(config.derived).length === 0 ? known : [...known, knownDerived(config)];
}

function knownDerived({ derived, devices }: Config): Known {
  const computed = computedPoints(derived, devices);
  const points = computed.map(({ name, config: { expr, unit }, pollMs }): [string, KnownPoint] => [
    name,
    { source: expr, unit, pollMs, example: '21.5' },
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
      ([point, { source, unit, pollMs }]): PointReport => ({
        point,
        source,
        ...(unit === undefined ? {} : { unit }),
        pollMs,
        publishes: mine
          .filter((rule) => rule.matchesPoint(point))
          .map((rule) => publicationOf(config, rule, known, point, groupOf(rule, point))),
      }),
    ),
  };
}

function publicationOf(
  config: Config,
  rule: Rule,
  { device, points }: Known,
  point: string,
  together: readonly string[],
): Publication {
  const { topic: template, qos, retain, payload, group, report } = rule.config;
  const { unit, example } = points.get(point) as KnownPoint;
  const topic = topicOf(config, template, device, point, unit);
  const grouped = group === 'device';
  const pollMs = Math.min(...together.map((each) => points.get(each)?.pollMs ?? Infinity));
  return {
    rule: rule.index,
    topic,
    payload: grouped ? groupExample(points, together) : singleExample(example, unit, payload),
    qos,
    retain,
    grouped,
    messagesPerDay: Math.ceil(DAY_MS / pollMs),
    onChange: report?.on === 'change',
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
): string {
  return expandTemplate(parseTemplate(template), (place) => {
    if (place === 'gateway') return config.gateway.id;
    if (place === 'device') return device;
    if (place === 'point') return point;
    if (place === 'unit') return unitLevel(unit);
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
  return [{ bridge, topic: gateway(rule.prefix) + rest, qos: rule.qos ?? qos }];
}

function singleExample(value: string, unit: string | undefined, payload: MappingConfig['payload']): string {
  if (payload === 'value') return value.startsWith('"') ? String(JSON.parse(value)) : value;
  const shown = unit === undefined ? '' : `,"unit":${JSON.stringify(unit)}`;
  return `{"ts":${EXAMPLE_TS},"value":${value}${shown}}`;
}

function groupExample(points: Known['points'], together: readonly string[]): string {
  const shown = together.slice(0, 4).map((point) => `${JSON.stringify(point)}:${points.get(point)?.example}`);
  return `{"ts":${EXAMPLE_TS},"values":{${shown.join(',')}${together.length > shown.length ? ',…' : ''}}}`;
}

/** A grouped message is one, however many points it holds. */
function totalPerDay(devices: readonly DeviceReport[]): number {
  let total = 0;
  for (const { points } of devices) {
    const groups = new Set<number>();
    for (const publication of points.flatMap((point) => point.publishes)) {
      if (publication.grouped && groups.has(publication.rule)) continue;
      if (publication.grouped) groups.add(publication.rule);
      total += publication.messagesPerDay;
    }
  }
  return total;
}

function* warnings(config: Config, devices: readonly DeviceReport[]): Generator<string> {
  const used = new Set(devices.map((device) => device.bus));
  for (const bus of Object.keys(config.buses)) if (!used.has(bus)) yield `bus ${bus} has no devices`;
  for (const { device, points } of devices) {
    if (points.length === 0) yield `device ${device} has no points, so that nothing is read from it`;
    const unmapped = points.filter((point) => point.publishes.length === 0).map(({ point }) => point);
    if (unmapped.length > 0) {
      yield `no rule of mappings publishes ${shortNames(unmapped.map((point) => `${device}/${point}`))}`;
    }
  }
  yield* ruleWarnings(config, devices);
  for (const [name, bridge] of Object.entries(config.bridges)) yield* bridgeWarnings(config, name, bridge);
  yield* accessWarnings(config);
}

function* accessWarnings({ broker }: Config): Generator<string> {
  const users = broker.password_file !== undefined || broker.scram_file !== undefined;
  if (users && broker.allow_anonymous === true) {
    yield 'clients without a user name may connect to the broker too; broker.allow_anonymous: false refuses them';
  }
}

function* ruleWarnings(config: Config, devices: readonly DeviceReport[]): Generator<string> {
  const matching = new Set<number>();
  const writers = new Map<string, Set<string>>();
  for (const { device, points } of devices) {
    for (const { point, publishes } of points) {
      for (const { rule, topic, grouped } of publishes) {
        matching.add(rule);
        const writer = `mappings[${rule}] with ${device}${grouped ? '' : `/${point}`}`;
        writers.set(topic, (writers.get(topic) ?? new Set()).add(writer));
      }
    }
  }
  for (const [index, { from }] of config.mappings.entries()) {
    if (!matching.has(index)) yield `mappings[${index}] never matches: no point is ${from}`;
  }
  for (const [topic, of] of writers) {
    if (of.size > 1) yield `topic ${topic} is written by ${shortNames([...of])}`;
  }
}

function* bridgeWarnings(config: Config, name: string, bridge: BridgeConfig): Generator<string> {
  if (bridge.forward.length === 0 && bridge.receive.length === 0) {
    yield `bridge ${name} has no forward and no receive rules: it carries only status and losses`;
  }
  yield* wayWarnings(name, bridge);
  for (const [index, { filter, strip }] of bridge.forward.entries()) {
    const literal = expandGateway(filter, config.gateway.id).replace(/[+#].*$/s, '');
    const start = expandGateway(strip, config.gateway.id);
    if (!literal.startsWith(start) && !start.startsWith(literal)) {
      yield `bridges.${name}.forward[${index}]: no topic of ${filter} begins with ${strip}, so that strip does nothing`;
    }
  }
}

const NAMES_SHOWN_MAX = 5;

function shortNames(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(', ');
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown;
}
