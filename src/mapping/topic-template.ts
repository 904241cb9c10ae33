/**
 * A topic from its template: {gateway} {device} {point} {unit} {tags.NAME}.
 *
 * Names of gateways, devices and points are plain identifiers. A unit is not: it always becomes one topic
 * level, with `_` in place of what a level cannot hold (`m³/h` gives `m³_h`), and `_` alone where a point has no
 * unit. A tag may hold `/` to give several levels. Rendered when rules are planned, never per reading.
 */
import { GodwitError } from '../core/error.js';

export interface TopicNames {
  readonly gateway: string;
  readonly device: string;
  readonly point: string;
  readonly unit?: string;
  readonly tags: { readonly [name: string]: string };
}

/** Throws TOPIC_TEMPLATE where the result would be no Topic Name; `godwit check` finds that earlier. */
export function renderTopic(template: string, names: TopicNames): string {
  const topic = template.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => valueFor(name, names, template));
  const fault = topicFault(topic);
  if (fault !== undefined) {
    throw new GodwitError('TOPIC_TEMPLATE', `Topic template ${template} ${fault}: change it or its tags`, {
      template,
    });
  }
  return topic;
}

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

function unitLevel(unit: string | undefined): string {
  const level = (unit ?? '').replaceAll(/[/+#\p{Cc}\p{Cs}]/gu, '_');
  return level === '' ? '_' : level;
}

/** [MQTT5-4.7.1-1] [MQTT5-4.7.3-1] [MQTT5-4.7.3-2] [MQTT5-4.7.3-3] [MQTT5-1.5.4-1] */
function topicFault(topic: string): string | undefined {
  if (topic === '') return 'gives an empty topic';
  if (/[+#]/.test(topic)) return 'gives a topic with + or #';
  if (topic.includes('\0')) return 'gives a topic with a NUL character';
  if (/\p{Cs}/u.test(topic)) return 'gives a topic that is not Unicode';
  if (Buffer.byteLength(topic) > 65_535) return 'gives a topic longer than 65,535 bytes';
  return undefined;
}
