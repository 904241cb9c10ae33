/** What a configuration allows and is probably not meant: points that nobody maps, topics written twice, rules that never match. */
import { matches } from '../mqtt/topic.js';
import { computedPoints } from './derived.js';
import type { DeviceReport } from './describe.js';
import { wayWarnings } from './describe-bridge.js';
import type { BridgeConfig, Config } from './schema.js';
import { expandGateway } from './template.js';

export function* warnings(config: Config, devices: readonly DeviceReport[]): Generator<string> {
  const used = new Set(devices.map((device) => device.bus));
  const computed = new Set(computedPoints(config.derived, config.devices).flatMap(({ inputs }) => inputs));
  for (const bus of Object.keys(config.buses)) if (!used.has(bus)) yield `bus ${bus} has no devices`;
  for (const { device, points } of devices) {
    if (points.length === 0) yield `device ${device} has no points, so that nothing is read from it`;
    const unmapped = points
      .filter(
        ({ point, publishes, alarms }) =>
          publishes.length + alarms.length === 0 && !computed.has(`${device}/${point}`),
      )
      .map(({ point }) => point);
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
    for (const { point, publishes, alarms } of points) {
      for (const { alarm, topic } of alarms) {
        writers.set(topic, (writers.get(topic) ?? new Set()).add(`alarm ${alarm}`));
      }
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
  const inputs = Object.entries(config.devices).flatMap(([device, { points }]) =>
    Object.entries(points).flatMap(([point, of]) =>
      'topic' in of && typeof of.topic === 'string' ? [{ of: `${device}/${point}`, filter: of.topic }] : [],
    ),
  );
  const exact = new Map(inputs.map((input) => [input.filter, input]));
  const wild = [
    ...new Map(
      inputs.filter(({ filter }) => /[+#]/.test(filter)).map((input) => [input.filter, input]),
    ).values(),
  ];
  for (const topic of writers.keys()) {
    const input = exact.get(topic) ?? wild.find(({ filter }) => matches(filter, topic));
    if (input === undefined) continue;
    yield `topic ${topic} is where ${input.of} comes in: what the gateway itself publishes is not taken as a reading`;
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
