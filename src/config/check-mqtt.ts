/** Points that come in over MQTT: filters that can match, expressions that can be read. */
import { filterProblem } from './check-topics.js';
import type { Path } from './config-error.js';
import type { Report } from './report.js';
import { nodeAt, type Tree, textAt } from './tree.js';

export function checkMqttPoint(report: Report, path: Path, point: Tree): void {
  const topic = textAt(point, ['topic']);
  if (topic === undefined || topic === '') return;
  const problem = filterProblem(topic.replaceAll('{device}', String(path[1])), false);
  if (problem !== undefined) report.at([...path, 'topic'], problem);
  const pattern = textAt(point, ['pattern']);
  if (pattern !== undefined && nodeAt(point, ['json']) !== undefined) {
    report.atKey([...path, 'pattern'], 'found pattern beside json, allowed: one of them');
  }
  if (pattern === undefined) return;
  try {
    new RegExp(pattern, 'u');
  } catch {
    report.at([...path, 'pattern'], `found ${pattern}, which is no regular expression`);
  }
}
