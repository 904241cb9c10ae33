import type { Path } from './config-error.js';
import type { Report } from './report.js';
import { nodeAt, type Tree } from './tree.js';

/** true and false cannot be multiplied, nor can text. */
export function refuseScaling(report: Report, path: Path, point: Tree, what = 'true or false'): void {
  for (const key of ['scale', 'offset']) {
    if (nodeAt(point, [key]) === undefined) continue;
    report.atKey([...path, key], `found ${key} on a value that is ${what}, allowed: only on numbers`);
  }
}
