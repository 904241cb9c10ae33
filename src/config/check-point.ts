/** How a point's value comes about, and its alarms: keys that need, exclude or contradict each other. */
import { unitNamed, unitsLike } from '../core/unit.js';
import { checkAlarms } from './check-alarms.js';
import type { Path } from './config-error.js';
import { didYouMean, shortList } from './nearest.js';
import type { Report } from './report.js';
import { entriesAt, itemsAt, nodeAt, type Tree, textAt } from './tree.js';

export function checkTransform(report: Report, path: Path, point: Tree): void {
  checkAlarms(report, path, point);
  checkNames(report, path, point);
  checkTable(report, path, point);
  checkUnits(report, path, point);
  for (const key of ['valid', 'clamp']) checkLimits(report, path, point, key);
  const smooth = entriesAt(point, ['smooth']);
  if (nodeAt(point, ['smooth'])?.kind === 'mapping' && smooth.length !== 1) {
    report.atKey(
      [...path, 'smooth'],
      `found ${smooth.length} ways to smooth, allowed: one of mean, median and exponential`,
    );
  }
}

/** What is a name in the end cannot be reckoned with. */
function checkNames(report: Report, path: Path, point: Tree): void {
  const [names, other] = nodeAt(point, ['enum']) === undefined ? ['flags', 'enum'] : ['enum', 'flags'];
  if (nodeAt(point, [names]) === undefined) return;
  for (const key of [other, ...RECKONING]) {
    if (nodeAt(point, [key]) === undefined) continue;
    report.atKey([...path, key], `found ${key} beside ${names}, whose values are names; remove one of them`);
  }
}

const RECKONING = ['rate', 'scale', 'offset', 'table', 'raw_unit', 'valid', 'clamp', 'smooth', 'resolution'];

function checkTable(report: Report, path: Path, point: Tree): void {
  let before: number | undefined;
  for (const [index] of itemsAt(point, ['table', 'points']).entries()) {
    const x = numberAt(point, ['table', 'points', index, 0]);
    if (x === undefined) return;
    if (before !== undefined && x <= before) {
      report.at(
        [...path, 'table', 'points', index],
        `found ${x} after ${before}, allowed: pairs whose first numbers rise`,
      );
      return;
    }
    before = x;
  }
}

function checkUnits(report: Report, path: Path, point: Tree): void {
  const from = textAt(point, ['raw_unit']);
  if (from === undefined || from === '') return;
  const at = [...path, 'raw_unit'];
  const to = textAt(point, ['unit']);
  if (to === undefined || to === '') {
    report.atKey(at, 'found raw_unit without unit, needed: unit, what it is converted to');
    return;
  }
  for (const [name, place] of [
    [from, at],
    [to, [...path, 'unit']],
  ] as const) {
    if (unitNamed(name) !== undefined) continue;
    const known = unitsLike(name === from ? to : from);
    const meant = didYouMean(name, known);
    report.at(
      place,
      `found ${name}, which cannot be converted${meant === '' ? ',' : meant} allowed: ${shortList(known)}`,
    );
    return;
  }
  if (unitNamed(from)?.quantity !== unitNamed(to)?.quantity) {
    report.at(
      at,
      `found ${from}, a unit of ${unitNamed(from)?.quantity}, but ${to} is one of ${unitNamed(to)?.quantity}, allowed: ${shortList(unitsLike(to))}`,
    );
  }
}

function checkLimits(report: Report, path: Path, point: Tree, key: string): void {
  const [min, max] = [numberAt(point, [key, 'min']), numberAt(point, [key, 'max'])];
  if (min !== undefined && max !== undefined && min > max) {
    report.at([...path, key, 'min'], `found min ${min} above max ${max}, allowed: min up to max`);
  }
  if (nodeAt(point, [key])?.kind === 'mapping' && entriesAt(point, [key]).length === 0) {
    report.at([...path, key], 'found nothing, needed: min, max or both');
  }
}

function numberAt(tree: Tree, path: Path): number | undefined {
  const node = nodeAt(tree, path);
  return node?.kind === 'scalar' && typeof node.value === 'number' ? node.value : undefined;
}
