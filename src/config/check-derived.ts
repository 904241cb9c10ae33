/** Expressions of computed points: their grammar, the points that they name, and that none is computed from itself. */
import { checkTransform } from './check-point.js';
import type { Path } from './config-error.js';
import { DERIVED } from './derived.js';
import { type PointOf, parseExpression, pointsOf } from './expression.js';
import { didYouMean, shortList } from './nearest.js';
import type { Report } from './report.js';
import { entriesAt, nodeAt, textAt } from './tree.js';

interface Computed {
  readonly path: Path;
  readonly uses: readonly PointOf[];
}

export function checkDerived(report: Report): void {
  const { tree } = report;
  const entries = entriesAt(tree, [DERIVED]);
  if (entries.length === 0) return;
  if (nodeAt(tree, ['devices', DERIVED]) !== undefined) {
    report.atKey(
      ['devices', DERIVED],
      `found a device ${DERIVED}, which is where computed points are; give it another name`,
    );
  }
  const computed = new Map<string, Computed>();
  for (const [name, node] of entries) {
    const path = node.kind === 'mapping' ? [DERIVED, name, 'expr'] : [DERIVED, name];
    if (node.kind === 'mapping') checkTransform(report, [DERIVED, name], node);
    const text = textAt(tree, path);
    if (text === undefined || text === '') continue;
    const parsed = parseExpression(text);
    if (parsed.kind === 'mistake') {
      report.within(path, parsed.at, parsed.message);
      continue;
    }
    const uses = pointsOf(parsed.expression);
    if (uses.length === 0)
      report.at(
        path,
        'found an expression without a point, so that nothing makes it change; needed: at least one DEVICE/POINT',
      );
    computed.set(name, { path, uses: uses.filter((point) => checkNamed(report, path, point)) });
  }
  checkCircles(report, computed);
}

function checkNamed(report: Report, path: Path, { device, point, at }: PointOf): boolean {
  const { tree } = report;
  const devices = entriesAt(tree, ['devices']).map(([name]) => name);
  if (device !== DERIVED && !devices.includes(device)) {
    const names = [...devices, DERIVED];
    const meant = didYouMean(device, names);
    report.within(
      path,
      at,
      `found no device ${device}${meant === '' ? ',' : meant} allowed: ${shortList(names)}`,
    );
    return false;
  }
  const points = device === DERIVED ? [DERIVED] : ['devices', device, 'points'];
  const names = entriesAt(tree, points).map(([name]) => name);
  // A device without readable points has its own error, and one with a profile has points that are not here.
  if (
    names.includes(point) ||
    (names.length === 0 && device !== DERIVED) ||
    nodeAt(tree, ['devices', device, 'profile']) !== undefined
  )
    return true;
  const meant = didYouMean(point, names);
  const minus = point.includes('-') ? '; a minus needs blanks around it' : '';
  report.within(
    path,
    at,
    `found no point ${point} of device ${device}${meant === '' ? ',' : meant} allowed: ${shortList(names)}${minus}`,
  );
  return false;
}

/** Each circle is told once, where it closes. */
function checkCircles(report: Report, computed: ReadonlyMap<string, Computed>): void {
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (name: string): void => {
    if (done.has(name)) return;
    trail.push(name);
    const { path, uses } = computed.get(name) ?? { path: [], uses: [] };
    for (const { device, point, at } of uses) {
      if (device !== DERIVED || done.has(point)) continue;
      const from = trail.indexOf(point);
      if (from === -1) {
        if (trail.length < TRAIL_MAX) visit(point);
        else
          report.within(
            path,
            at,
            `found computed points that build on each other more than ${TRAIL_MAX} deep`,
          );
        continue;
      }
      const circle = [...trail.slice(from), point].map((one) => `${DERIVED}/${one}`).join(' from ');
      report.within(
        path,
        at,
        `found a circle: ${circle}, allowed: points that are not computed from themselves`,
      );
    }
    trail.pop();
    done.add(name);
  };
  for (const name of computed.keys()) visit(name);
}

const TRAIL_MAX = 100;
