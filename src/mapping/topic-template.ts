/**
 * A topic from its template: {gateway} {device} {point} {unit} {tags.NAME}. Rendered when rules are planned, never
 * per reading. A unit always becomes one topic level; a tag may hold `/` to give several. `godwit check` finds
 * a template that makes no Topic Name; what slips through is thrown here before anything is published.
 */
import { expandTemplate, parseTemplate, unitLevel } from '../config/template.js';
import { GodwitError } from '../core/error.js';
import { validTopicName } from '../mqtt/topic.js';

export interface TopicNames {
  readonly gateway: string;
  readonly device: string;
  readonly point: string;
  readonly unit?: string;
  /** Of alarms. */
  readonly alarm?: string;
  readonly priority?: string;
  readonly tags: { readonly [name: string]: string };
}

/** Throws TOPIC_TEMPLATE where the result would be no Topic Name. */
export function renderTopic(template: string, names: TopicNames): string {
  const topic = expandTemplate(parseTemplate(template), (name) => valueFor(name, names, template));
  if (validTopicName(topic)) return topic;
  throw new GodwitError(
    'TOPIC_TEMPLATE',
    `Topic template ${template} gives ${JSON.stringify(topic.slice(0, SHOWN_MAX))}, which is no topic: one has 1 to 65,535 bytes without +, # and NUL. Change the template or its tags`,
    { template },
  );
}

const SHOWN_MAX = 200;

function valueFor(name: string, names: TopicNames, template: string): string {
  const value = name.startsWith('tags.')
    ? ownTag(names.tags, name.slice('tags.'.length))
    : name === 'unit'
      ? unitLevel(names.unit)
      : NAMES.has(name)
        ? names[name as 'gateway']
        : undefined;
  if (value !== undefined) return value;
  throw new GodwitError(
    'TOPIC_TEMPLATE',
    `Topic template ${template} asks for {${name}}: allowed are {gateway}, {device}, {point}, {unit} and {tags.NAME} of gateway.tags`,
    { template, name },
  );
}

const NAMES = new Set(['gateway', 'device', 'point', 'alarm', 'priority']);

function ownTag(tags: TopicNames['tags'], name: string): string | undefined {
  return Object.hasOwn(tags, name) ? tags[name] : undefined;
}
