/** Command topics: which device and point is meant must be readable from them, and an answer must not be a command. */

import { forbiddenInTopic } from './check-topics.js';
import type { Path } from './config-error.js';
import { didYouMean } from './nearest.js';
import type { Report } from './report.js';
import { parseTemplate } from './template.js';
import { textAt } from './tree.js';

const PLACES = ['gateway', 'device', 'point'];

export function checkCommands(report: Report): void {
  const topic = checkTopic(report, ['commands', 'topic'], true);
  const result = checkTopic(report, ['commands', 'result_topic'], false);
  if (topic === undefined || result === undefined || shapeOf(topic) !== shapeOf(result)) return;
  report.at(
    ['commands', 'result_topic'],
    'found the shape of commands.topic, so that each result would be a command; allowed: another topic',
  );
}

/** The text where it is right. */
function checkTopic(report: Report, path: Path, whole: boolean): string | undefined {
  const text = textAt(report.tree, path);
  if (text === undefined) return undefined;
  const forbidden = forbiddenInTopic(text);
  if (forbidden !== undefined) {
    report.at(path, `found ${forbidden}, allowed: a topic without +, # and NUL`);
    return undefined;
  }
  for (const part of parseTemplate(text)) {
    if (part.kind === 'text' || (part.kind === 'place' && PLACES.includes(part.name))) continue;
    const found =
      part.kind === 'broken'
        ? `${part.text} without its partner,`
        : `{${part.name}}${didYouMean(part.name, PLACES) || ','}`;
    report.at(path, `found ${found} allowed here: {gateway}, {device} and {point}`);
    return undefined;
  }
  const levels = text.split('/');
  for (const place of ['{device}', '{point}']) {
    if (levels.filter((level) => level === place).length === 1 || !whole) continue;
    report.at(path, `found ${JSON.stringify(text)}, needed: ${place} once, as a level of its own`);
    return undefined;
  }
  return text;
}

function shapeOf(topic: string): string {
  return topic.replaceAll(/\{(device|point)\}/g, '+');
}
