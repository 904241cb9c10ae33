/** Whether texts can serve as Topic Names and Topic Filters, with what is wrong in words. */
import { validTopicFilter } from '../mqtt/topic.js';
import { nearest } from './nearest.js';
import { expandGateway, parseTemplate } from './template.js';

const TOPIC_BYTES_MAX = 65_535;

/** What a Topic Name may not hold, in words; undefined where there is none of it. [MQTT5-4.7.1-1] [MQTT5-4.7.3-2] */
export function forbiddenInTopic(text: string): string | undefined {
  if (text.includes('+')) return '+';
  if (text.includes('#')) return '#';
  return text.includes('\0') ? 'NUL' : undefined;
}

/** Undefined where every place of the template is `{gateway}`. */
export function gatewayTemplateProblem(template: string): string | undefined {
  for (const part of parseTemplate(template)) {
    if (part.kind === 'broken') return `found ${part.text} without its partner, allowed: {gateway}`;
    if (part.kind === 'place' && part.name !== 'gateway') {
      const meant = nearest(part.name, ['gateway']) === undefined ? ',' : ', did you mean {gateway}?';
      return `found {${part.name}}${meant} allowed here: {gateway}`;
    }
  }
  return undefined;
}

/** A Topic Name, or a piece of one, in which `{gateway}` may stand. */
export function gatewayTopicProblem(template: string): string | undefined {
  const forbidden = forbiddenInTopic(template);
  if (forbidden !== undefined) return `found ${forbidden}, allowed: a topic without +, # and NUL`;
  if (Buffer.byteLength(template) > TOPIC_BYTES_MAX) return `found a text too long for a topic`;
  return gatewayTemplateProblem(template);
}

/** A Topic Filter in which `{gateway}` may stand. */
export function filterProblem(template: string, shared: boolean): string | undefined {
  const problem = gatewayTemplateProblem(template);
  if (problem !== undefined) return problem;
  const filter = expandGateway(template, 'gateway');
  if (!shared && filter.startsWith('$share/')) {
    return 'found a shared subscription, allowed: a topic filter without $share';
  }
  if (validTopicFilter(filter)) return undefined;
  return `found ${JSON.stringify(template)}, allowed: a topic filter, with + for a whole level and # for all that follow at the end`;
}
