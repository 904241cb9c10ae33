/**
 * The text of a configuration file to a Config, or to all that is wrong with it. Pure: no file is opened here.
 *
 *   text ──tree──▶ Tree (places, ${NAME}) ──schema──▶ Config
 *                    └──────── semantic ────────▶ what refers to what
 */

import { type ConfigError, configError, FILE_START, type Path, sortErrors } from './config-error.js';
import { anonymousByDefault } from './endpoint.js';
import { noWords, reportIssues } from './issue.js';
import { graftProfiles, NO_PROFILES, type ProfileSource } from './profile.js';
import { parseRegister, typeOf } from './register.js';
import { Report } from './report.js';
import { type Config, configSchema, type PointConfig } from './schema.js';
import { schemaAt } from './schema-at.js';
import { checkSemantics } from './semantic.js';
import { expandGateway } from './template.js';
import { type MappingNode, nodeAt, plainValue, readTree, type ScalarNode, type Tree } from './tree.js';
import { z } from './zod.js';

export type { ConfigError } from './config-error.js';

export type Section = 'gateway' | 'journal' | 'broker' | 'buses' | 'devices';

export interface Parsed {
  /** Only where there are no errors. */
  readonly config?: Config;
  readonly errors: readonly ConfigError[];
}

/** What `load.ts` needs beyond: the places of what it finds wrong in files. */
export interface ParsedFile extends Parsed {
  readonly report?: Report;
}

/** Larger than any configuration, small enough to be read on a small board. */
export const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

export function parseConfig(
  text: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
  only?: readonly Section[],
): Parsed {
  const { config, errors } = readConfig(text, file, environment, only);
  return config === undefined ? { errors } : { config, errors };
}

export function readConfig(
  text: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
  only?: readonly Section[],
  profiles: ProfileSource = NO_PROFILES,
): ParsedFile {
  if (text.length > CONFIG_BYTES_MAX) {
    return {
      errors: [configError(file, FILE_START, [], 'found more than 4 MiB, which no configuration needs')],
    };
  }
  // A byte order mark is no character of the first line.
  const { root, errors } = readTree({ text: text.replace(/^\uFEFF/, ''), file, environment, only });
  if (root === undefined) return { errors: sortErrors(errors) };
  const report = new Report(root, file);
  report.errors.push(...errors);
  graftProfiles(report, profiles);
  takeNumbers(root, root, []);
  const judged = configSchema.safeParse(plainValue(root), noWords);
  reportIssues(report, judged.error?.issues ?? []);
  checkSemantics(report);
  if (!judged.success || report.errors.length > 0) return { errors: sortErrors(report.errors), report };
  return { config: complete(judged.data, root), errors: [], report };
}

/** `port: ${PORT}` is a text to YAML; where a number or a truth value is wanted, it is taken as that. */
function takeNumbers(root: MappingNode, tree: Tree, path: Path): void {
  if (tree.kind === 'mapping') {
    for (const [key, value] of tree.entries) takeNumbers(root, value, [...path, key]);
  } else if (tree.kind === 'list') {
    for (const [index, item] of tree.items.entries()) takeNumbers(root, item, [...path, index]);
  } else if (tree.fromEnvironment && /^\$\{[^}]*\}$/.test(tree.source)) {
    takeNumber(root, tree, path);
  }
}

function takeNumber(root: MappingNode, scalar: ScalarNode, path: Path): void {
  const schema = schemaAt(root, path);
  const text = String(scalar.value);
  const isNumber = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text);
  if (schema instanceof z.ZodNumber && isNumber) scalar.value = Number(text);
  else if (schema instanceof z.ZodBoolean && /^(true|false)$/.test(text)) scalar.value = text === 'true';
  else if (schema instanceof z.ZodLiteral && isNumber && schema.values.has(Number(text))) {
    scalar.value = Number(text);
  }
}

/** Defaults that depend on a second value. */
function complete(config: Config, root: MappingNode): Config {
  const urls = config.broker.listeners.map((listener) => listener.url);
  const { record } = config.journal;
  return {
    ...config,
    journal: {
      ...config.journal,
      record:
        typeof record === 'string'
          ? record
          : record.map((filter) => expandGateway(filter, config.gateway.id)),
    },
    broker: {
      ...config.broker,
      allow_anonymous: config.broker.allow_anonymous ?? anonymousByDefault(urls),
    },
    devices: mapValues(config.devices, (device, name) => {
      const polled =
        config.buses[device.bus]?.driver !== 'mqtt' || nodeAt(root, ['devices', name, 'poll']) !== undefined;
      return {
        ...device,
        poll: polled ? device.poll : EXPECTED_MS,
        points: mapValues(device.points, (point) => withTopic(withType(point), config.gateway.id, name)),
      };
    }),
  };
}

/** How often a device that speaks by itself is expected to, unless it says so. */
const EXPECTED_MS = 60_000;

function withTopic(point: PointConfig, gatewayId: string, device: string): PointConfig {
  if (!('topic' in point)) return point;
  return { ...point, topic: expandGateway(point.topic, gatewayId).replaceAll('{device}', device) };
}

function withType(point: PointConfig): PointConfig {
  if (!('register' in point) || point.type !== undefined) return point;
  const register = parseRegister(point.register);
  return register === undefined ? point : { ...point, type: typeOf(point, register.table) };
}

function mapValues<Value>(
  values: Readonly<Record<string, Value>>,
  change: (value: Value, key: string) => Value,
) {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value, key)]));
}
