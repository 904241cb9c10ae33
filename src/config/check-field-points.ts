/** Points on GPIO lines and on the board itself: what depends on a second value. */
import type { Path } from './config-error.js';
import { refuseScaling } from './refuse-scaling.js';
import type { Report } from './report.js';
import { driverOf } from './schema-at.js';
import { entriesAt, nodeAt, type Tree, textAt } from './tree.js';

export function checkFieldPoint(report: Report, path: Path, point: Tree): void {
  if (nodeAt(point, ['gpio']) !== undefined) checkGpio(report, path, point);
  const metric = textAt(point, ['metric']);
  if (metric === undefined) return;
  for (const [key, prefix] of [
    ['path', 'disk_'],
    ['interface', 'link_'],
  ] as const) {
    if (nodeAt(point, [key]) === undefined || metric.startsWith(prefix)) continue;
    report.atKey([...path, key], `found ${key}, which only ${prefix}… metrics have; remove it`);
  }
}

function checkGpio(report: Report, path: Path, point: Tree): void {
  const has = (key: string): boolean => nodeAt(point, [key]) !== undefined;
  const direction = textAt(point, ['direction']) ?? 'in';
  const isTrue = (key: string): boolean => {
    const node = nodeAt(point, [key]);
    return node?.kind === 'scalar' && node.value === true;
  };
  const foreign =
    direction === 'out'
      ? ['count', 'frequency', 'frequency_timeout', 'debounce', 'pull']
      : ['initial', 'safe'];
  for (const key of foreign.filter(has)) {
    report.atKey(
      [...path, key],
      `found ${key}, which an ${direction === 'out' ? 'output' : 'input'} does not have; change direction or remove it`,
    );
  }
  if (has('count') && has('frequency')) {
    report.atKey(
      [...path, 'frequency'],
      'found count and frequency, allowed: one of them; make two points of it',
    );
  }
  if (direction !== 'out' && isTrue('writable') && !has('count')) {
    report.atKey([...path, 'writable'], 'found writable on an input, allowed: on outputs and on counters');
  }
  for (const key of ['min', 'max']) {
    if (has(key) && !(isTrue('writable') && has('count'))) {
      report.atKey([...path, key], `found ${key}, which only a counter that is writable has; remove it`);
    }
  }
  if (!has('count') && !has('frequency')) refuseScaling(report, path, point);
}

/** Several points may look at one input; an output has one owner. */
export function checkGpioLines(report: Report): void {
  const owners = new Map<string, { readonly name: string; readonly out: boolean }>();
  for (const [device] of entriesAt(report.tree, ['devices'])) {
    if (driverOf(report.tree, device) !== 'gpio') continue;
    for (const [point, node] of entriesAt(report.tree, ['devices', device, 'points'])) {
      const line = nodeAt(node, ['gpio']);
      if (line === undefined) continue;
      const key = keyOf(line);
      const out = textAt(node, ['direction']) === 'out';
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, { name: `${device}/${point}`, out });
      else if (out || owner.out) {
        report.at(
          ['devices', device, 'points', point, 'gpio'],
          `found a line that ${owner.name} has already, allowed: one point for a line, unless all of them read it`,
        );
      }
    }
  }
}

function keyOf(line: Tree): string {
  if (line.kind === 'scalar') return String(line.value);
  return entriesAt(line, [])
    .map(([key, value]) => `${key} ${value.kind === 'scalar' ? String(value.value) : ''}`)
    .sort()
    .join(' ');
}
