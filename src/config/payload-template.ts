/**
 * Payloads of a template, without logic: `{"v":{value},"at":{ts}}`. A brace that holds no name is text, so that JSON can
 * be written as it is.
 */

/** What a sample can say; texts stand as they are, bad values as null. */
export const PAYLOAD_PLACES = ['value', 'unit', 'ts', 'quality', 'reason', 'device', 'point'] as const;
export type PayloadPlace = (typeof PAYLOAD_PLACES)[number];

export type PayloadPart = { readonly text: string } | { readonly place: string };

const PLACE = /\{([A-Za-z_][\w.-]*)\}/g;

export function payloadParts(template: string): PayloadPart[] {
  const parts: PayloadPart[] = [];
  let end = 0;
  for (const match of template.matchAll(PLACE)) {
    if (match.index > end) parts.push({ text: template.slice(end, match.index) });
    parts.push({ place: match[1] as string });
    end = match.index + match[0].length;
  }
  if (end < template.length) parts.push({ text: template.slice(end) });
  return parts;
}

/** What does not depend on the sample is filled in once: {gateway} and {tags.NAME}. */
export function fillFixed(
  template: string,
  gateway: string,
  tags: { readonly [name: string]: string },
): string {
  return payloadParts(template)
    .map((part) => {
      if ('text' in part) return part.text;
      if (part.place === 'gateway') return gateway;
      const tag = part.place.startsWith('tags.') ? part.place.slice('tags.'.length) : undefined;
      return tag !== undefined && Object.hasOwn(tags, tag) ? (tags[tag] as string) : `{${part.place}}`;
    })
    .join('');
}
