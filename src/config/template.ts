/** Templates with `{name}` places: their parts, and what they become. */

export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'place'; readonly name: string }
  | { readonly kind: 'broken'; readonly text: string };

/** A brace without its partner is `broken`. */
export function parseTemplate(template: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  for (const [text] of template.matchAll(/\{[^{}]*\}|[^{}]+|[{}]/g)) {
    if (text === '{' || text === '}') parts.push({ kind: 'broken', text });
    else if (text.startsWith('{')) parts.push({ kind: 'place', name: text.slice(1, -1) });
    else parts.push({ kind: 'text', text });
  }
  return parts;
}

/** A place without a value stays empty. */
export function expandTemplate(
  parts: readonly TemplatePart[],
  valueAt: (name: string) => string | undefined,
): string {
  return parts.map((part) => (part.kind === 'place' ? (valueAt(part.name) ?? '') : part.text)).join('');
}

/** `{gateway}` alone, as in filters, prefixes and client identifiers. */
export function expandGateway(template: string, gatewayId: string): string {
  return template.replaceAll('{gateway}', gatewayId);
}

/** A unit always makes one topic level: `_` in place of what a level cannot hold (`m³/h`: `m³_h`), and where there is none. */
export function unitLevel(unit: string | undefined): string {
  return (unit ?? '').replaceAll(/[/+#\p{Cc}\p{Cs}]/gu, '_') || '_';
}
