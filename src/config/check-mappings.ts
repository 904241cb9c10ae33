/** Mapping rules against the devices they name and the topics they would make. */
import { forbiddenInTopic } from './check-topics.js';
import type { Path } from './config-error.js';
import { DERIVED } from './derived.js';
import { didYouMean, shortList } from './nearest.js';
import { isWild, matcherOf, parsePattern } from './pattern.js';
import { PAYLOAD_PLACES, payloadParts } from './payload-template.js';
import { parseDuration } from './quantity.js';
import type { Report } from './report.js';
import { parseTemplate } from './template.js';
import { entriesAt, itemsAt, nodeAt, type Tree, textAt } from './tree.js';

/** Points by device; a device whose points cannot be read has none here. */
type Points = ReadonlyMap<string, ReadonlyMap<string, Tree>>;

export function checkMappings(report: Report): void {
  const { tree } = report;
  const points = new Map(
    entriesAt(tree, ['devices']).map(([device, node]) => [device, new Map(entriesAt(node, ['points']))]),
  );
  const derived = entriesAt(tree, ['derived']);
  if (derived.length > 0) points.set(DERIVED, new Map(derived));
  for (const [index, rule] of itemsAt(tree, ['mappings']).entries()) {
    const path = ['mappings', index];
    checkFrom(report, path, rule, points);
    checkTopic(report, path, rule, points);
    checkReport(report, path, rule);
    checkAggregate(report, path, rule);
    checkPayload(report, path, rule);
  }
  const alarms = nodeAt(tree, ['alarms']);
  if (alarms !== undefined) checkTopic(report, ['alarms'], alarms, points, ['alarm', 'priority']);
}

function checkFrom(report: Report, path: Path, rule: Tree, points: Points): void {
  const pattern = parsePattern(textAt(rule, ['from']) ?? '');
  if (pattern === undefined || isWild(pattern.device)) return;
  const device = points.get(pattern.device);
  if (device === undefined) {
    const names = [...points.keys()];
    const meant = didYouMean(pattern.device, names);
    const allowed = names.length === 0 ? 'none, since there are no devices' : shortList(names);
    report.at(
      [...path, 'from'],
      `found no device ${pattern.device}${meant === '' ? ',' : meant} allowed: ${allowed}`,
    );
    return;
  }
  // A device without readable points has its own error.
  if (isWild(pattern.point) || device.has(pattern.point) || device.size === 0) return;
  const names = [...device.keys()];
  const meant = didYouMean(pattern.point, names);
  report.at(
    [...path, 'from'],
    `found no point ${pattern.point} of device ${pattern.device}${meant === '' ? ',' : meant} allowed: ${shortList(names)}`,
  );
}

/** @param more places that are known beside those of every topic */
function checkTopic(
  report: Report,
  path: Path,
  rule: Tree,
  points: Points,
  more: readonly string[] = [],
): void {
  const template = textAt(rule, ['topic']);
  if (template === undefined || template === '') return;
  const at = [...path, 'topic'];
  const tags = new Map(
    entriesAt(report.tree, ['gateway', 'tags']).map(([name]) => [
      name,
      textAt(report.tree, ['gateway', 'tags', name]),
    ]),
  );
  const known = [
    'gateway',
    'device',
    'point',
    'unit',
    ...more,
    ...[...tags.keys()].map((name) => `tags.${name}`),
  ];
  const grouped = textAt(rule, ['group']) === 'device';
  // Whether something is there whatever the reading; a device's or gateway's name is never empty.
  let filled = false;
  let unit = false;
  for (const part of parseTemplate(template)) {
    if (part.kind === 'broken') {
      report.at(at, `found ${part.text} without its partner, allowed: ${shortList(known.map(braced))}`);
      return;
    }
    if (part.kind === 'text') {
      const forbidden = forbiddenInTopic(part.text);
      if (forbidden !== undefined) {
        report.at(at, `found ${forbidden} in a topic, allowed: a topic without +, # and NUL`);
        return;
      }
      filled = true;
      continue;
    }
    if (!known.includes(part.name)) {
      const meant = didYouMean(part.name, known);
      report.at(
        at,
        `found {${part.name}}${meant === '' ? ',' : meant.replace(/(mean )(.*)\?/, '$1{$2}?')} allowed: ${shortList(known.map(braced))}`,
      );
      return;
    }
    if (grouped && (part.name === 'point' || part.name === 'unit')) {
      report.at(
        at,
        `found {${part.name}} with group: device, allowed: {gateway}, {device} and {tags.NAME}, since one message holds all points`,
      );
      return;
    }
    if (part.name === 'unit') unit = true;
    else if (part.name.startsWith('tags.')) {
      const value = tags.get(part.name.slice(5));
      // A tag that is no text has its own error.
      if (value === undefined) return;
      const forbidden = forbiddenInTopic(value);
      if (forbidden !== undefined) {
        report.at(
          at,
          `found ${braced(part.name)}, whose value holds ${forbidden}: no topic may; change the tag or the topic`,
        );
        return;
      }
      if (value !== '') filled = true;
    } else filled = true;
  }
  if (!unit && !filled)
    report.at(at, 'found a template that makes an empty topic, allowed: a topic with at least one character');
  if (unit) checkUnits(report, at, rule, points, filled);
  if (Buffer.byteLength(template) > TEMPLATE_BYTES_MAX)
    report.at(at, `found a template too long for a topic, allowed: up to ${TEMPLATE_BYTES_MAX} bytes`);
}

/** Room is left below MQTT's 65535 bytes for the names that come in. */
const TEMPLATE_BYTES_MAX = 8192;

function checkUnits(report: Report, at: Path, rule: Tree, points: Points, filled: boolean): void {
  const pattern = parsePattern(textAt(rule, ['from']) ?? '');
  if (pattern === undefined) return;
  const [matchesDevice, matchesPoint] = [matcherOf(pattern.device), matcherOf(pattern.point)];
  for (const [device, of] of points) {
    if (!matchesDevice(device)) continue;
    for (const [point, node] of of) {
      if (!matchesPoint(point)) continue;
      const unit = textAt(node, ['unit']) ?? '';
      const forbidden = forbiddenInTopic(unit);
      if (forbidden !== undefined) {
        report.at(
          at,
          `found {unit}, which for ${device}/${point} holds ${forbidden}: no topic may; leave {unit} out`,
        );
        return;
      }
      if (unit === '' && !filled) {
        report.at(
          at,
          `found {unit} alone, which is empty for ${device}/${point}; add something that is always there`,
        );
        return;
      }
    }
  }
}

function checkPayload(report: Report, path: Path, rule: Tree): void {
  const template = textAt(rule, ['payload', 'template']);
  if (template === undefined) return;
  const tags = entriesAt(report.tree, ['gateway', 'tags']).map(([name]) => `tags.${name}`);
  const known = [...PAYLOAD_PLACES, 'gateway', ...tags];
  for (const part of payloadParts(template)) {
    if ('text' in part || known.includes(part.place)) continue;
    const meant = didYouMean(part.place, known);
    report.at(
      [...path, 'payload', 'template'],
      `found {${part.place}}${meant === '' ? ',' : meant.replace(/(mean )(.*)\?/, '$1{$2}?')} allowed: ${known.map(braced).join(', ')}`,
    );
  }
  for (const key of ['group', 'aggregate']) {
    if (nodeAt(rule, [key]) === undefined) continue;
    report.atKey(
      [...path, 'payload'],
      `found a template with ${key}, allowed: json, since there are several values`,
    );
  }
}

function checkAggregate(report: Report, path: Path, rule: Tree): void {
  if (nodeAt(rule, ['aggregate']) === undefined) return;
  for (const [key, why] of [
    ['report', 'a window is told when it ends'],
    ['group', 'each point has windows of its own'],
  ] as const) {
    if (nodeAt(rule, [key]) !== undefined)
      report.atKey([...path, key], `found ${key} beside aggregate; remove it, ${why}`);
  }
  const emits = itemsAt(rule, ['aggregate', 'emit']);
  if (
    textAt(rule, ['payload']) === 'value' &&
    (emits.length !== 1 || textAt(rule, ['aggregate', 'emit', 0]) === 'time_in_state')
  ) {
    report.at(
      [...path, 'payload'],
      'found value with an aggregate of several figures, allowed: json, or one figure in emit',
    );
  }
}

function checkReport(report: Report, path: Path, rule: Tree): void {
  const node = nodeAt(rule, ['report']);
  if (node?.kind !== 'mapping') return;
  const [every, least] = ['every', 'min_interval'].map((key) => parseDuration(textAt(node, [key]) ?? ''));
  if (every !== undefined && least !== undefined && every < least) {
    report.at(
      [...path, 'report', 'every'],
      `found ${textAt(node, ['every'])}, which is shorter than min_interval, allowed: ${textAt(node, ['min_interval'])} or longer`,
    );
  }
  const on = node.entries.get('on');
  const isTrend = on?.kind === 'scalar' && on.value === 'trend';
  checkTrend(report, path, rule, isTrend);
  // A wrong `on` has its own error.
  if (on !== undefined && !(on.kind === 'scalar' && on.value === 'always')) return;
  for (const key of ['deadband', 'every']) {
    if (!node.entries.has(key) || isTrend) continue;
    report.atKey(
      [...path, 'report', key],
      `found ${key} without on: change, which it needs; add on: change or remove it`,
    );
  }
}

/** A line needs a tolerance, and each point its own. */
function checkTrend(report: Report, path: Path, rule: Tree, isTrend: boolean): void {
  const has = (key: string): boolean => nodeAt(rule, ['report', key]) !== undefined;
  if (!isTrend) {
    if (has('tolerance')) {
      report.atKey(
        [...path, 'report', 'tolerance'],
        'found tolerance without on: trend, which it needs; add on: trend or remove it',
      );
    }
    return;
  }
  if (!has('tolerance')) report.missing([...path, 'report', 'tolerance'], 'tolerance, which on: trend needs');
  for (const key of ['deadband', 'min_interval']) {
    if (!has(key)) continue;
    report.atKey([...path, 'report', key], `found ${key} with on: trend, which chooses itself; remove it`);
  }
  if (nodeAt(rule, ['group']) !== undefined) {
    report.atKey(
      [...path, 'group'],
      'found group with report.on: trend, which chooses for each point by itself; remove one',
    );
  }
}

function braced(name: string): string {
  return `{${name}}`;
}
