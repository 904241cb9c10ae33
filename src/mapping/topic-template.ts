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
  switch (name) {
    case 'gateway':
      return names.gateway;
    case 'device':
      return names.device;
    case 'point':
      return names.point;
    case 'unit':
      return unitLevel(names.unit);
    default: {
      const tag = name.startsWith('tags.') ? name.slice('tags.'.length) : undefined;
      if (tag !== undefined && Object.hasOwn(names.tags, tag)) return names.tags[tag] as string;
      throw new GodwitError(
        'TOPIC_TEMPLATE',
        `Topic template ${template} asks for {${name}}: allowed are {gateway}, {device}, {point}, {unit} and {tags.NAME} of gateway.tags`,
        { template, name },
      );
    }
  }
}
