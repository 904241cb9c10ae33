/** Alarms of a point: one condition each, and a `clear` on the right side of it. */
import type { Path } from './config-error.js';
import type { Report } from './report.js';
import { itemsAt, nodeAt, type Tree, textAt } from './tree.js';

const CONDITIONS = ['high', 'low', 'equals', 'bad'] as const;

export function checkAlarms(report: Report, path: Path, point: Tree): void {
  const node = nodeAt(point, ['alarm']);
  if (node?.kind === 'mapping') checkAlarm(report, [...path, 'alarm'], node, new Set());
  const names = new Set<string>();
  for (const [index, item] of itemsAt(point, ['alarm']).entries()) {
    if (item.kind === 'mapping') checkAlarm(report, [...path, 'alarm', index], item, names);
  }
}

function checkAlarm(report: Report, path: Path, alarm: Tree, names: Set<string>): void {
  const conditions = CONDITIONS.filter((key) => nodeAt(alarm, [key]) !== undefined);
  const [condition] = conditions;
  if (condition === undefined || conditions.length > 1) {
    report.at(
      path,
      `found ${conditions.length === 0 ? 'no condition' : conditions.join(' and ')}, needed: one of high, low, equals and bad${conditions.length > 1 ? '; write a list of alarms' : ''}`,
    );
    return;
  }
  const name = textAt(alarm, ['name']) ?? condition;
  if (names.has(name))
    report.at(path, `found a second alarm ${name} of this point, needed: a name of its own`);
  names.add(name);
  const [limit, clear] = [numberAt(alarm, condition), numberAt(alarm, 'clear')];
  if (clear === undefined) return;
  if (condition === 'equals' || condition === 'bad') {
    report.atKey([...path, 'clear'], `found clear with ${condition}, allowed: only with high or low`);
  } else if (limit !== undefined && (condition === 'high' ? clear > limit : clear < limit)) {
    const side = condition === 'high' ? 'up to' : 'from';
    report.at(
      [...path, 'clear'],
      `found ${clear}, allowed with ${condition}: ${limit}: a number ${side} ${limit}`,
    );
  }
}

function numberAt(tree: Tree, key: string): number | undefined {
  const node = nodeAt(tree, [key]);
  return node?.kind === 'scalar' && typeof node.value === 'number' ? node.value : undefined;
}
