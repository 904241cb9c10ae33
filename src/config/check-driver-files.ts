/** Buses whose driver is a file of the user's own: the file itself, and what it says of its options. */
import { resolve } from 'node:path';
import type { Path } from './config-error.js';
import { lookAtDriverFile, type OptionsPlace } from './driver-file-check.js';
import { isDriverFile } from './driver-file-schema.js';
import type { Report } from './report.js';
import { entriesAt, nodeAt, plainValue, type Tree, textAt } from './tree.js';

export function checkDriverFiles(report: Report, folder: string): void {
  for (const [bus, node] of entriesAt(report.tree, ['buses'])) {
    const driver = textAt(node, ['driver']);
    if (driver === undefined || !isDriverFile(driver)) continue;
    const places = [...placesOf(report.tree, bus, node)];
    const file = resolve(folder, driver);
    const verdict = lookAtDriverFile(
      file,
      places.map(({ place }) => place),
    );
    if (verdict.kind === 'unusable') {
      report.at(['buses', bus, 'driver'], `found ${file}, but ${verdict.why}`);
      continue;
    }
    for (const [index, problem] of verdict.problems.entries()) {
      const path = places[index]?.path;
      if (problem !== undefined && path !== undefined) report.at(path, `refused by ${driver}: ${problem}`);
    }
  }
}

function* placesOf(
  tree: Tree,
  bus: string,
  node: Tree,
): Generator<{ readonly path: Path; readonly place: OptionsPlace }> {
  yield placeAt('bus', ['buses', bus], node);
  for (const [device, deviceNode] of entriesAt(tree, ['devices'])) {
    if (textAt(deviceNode, ['bus']) !== bus) continue;
    yield placeAt('device', ['devices', device], deviceNode);
    for (const [point, pointNode] of entriesAt(deviceNode, ['points'])) {
      yield placeAt('point', ['devices', device, 'points', point], pointNode);
    }
  }
}

function placeAt(kind: OptionsPlace['kind'], path: Path, node: Tree) {
  const options = nodeAt(node, ['options']);
  return {
    path: [...path, 'options'],
    place: { kind, options: options === undefined ? undefined : plainValue(options) },
  };
}
