/** What a message would look like, and what it weighs: for `godwit check`. */
import { payloadParts } from './payload-template.js';
import type { MappingConfig } from './schema.js';

const EXAMPLE_TS = 1732147200123;

export function singleExample(
  value: string,
  unit: string | undefined,
  payload: MappingConfig['payload'],
  names: { readonly device: string; readonly point: string },
): string {
  if (payload === 'value') return bare(value);
  if (typeof payload === 'object')
    return templateExample(payload.template, { ...names, value: bare(value), unit: unit ?? '' });
  const shown = unit === undefined ? '' : `,"unit":${JSON.stringify(unit)}`;
  return `{"ts":${EXAMPLE_TS},"value":${value}${shown}}`;
}

function templateExample(template: string, names: Readonly<Record<string, string>>): string {
  const known: Readonly<Record<string, string>> = {
    ...names,
    ts: `${EXAMPLE_TS}`,
    quality: 'good',
    reason: '',
  };
  return payloadParts(template)
    .map((part) => ('text' in part ? part.text : (known[part.place] ?? `{${part.place}}`)))
    .join('');
}

export function groupExample(
  points: ReadonlyMap<string, { readonly example: string }>,
  together: readonly string[],
): string {
  const shown = together.slice(0, 4).map((point) => `${JSON.stringify(point)}:${points.get(point)?.example}`);
  return `{"ts":${EXAMPLE_TS},"values":{${shown.join(',')}${together.length > shown.length ? ',…' : ''}}}`;
}

export function aggregateExample(
  value: string,
  unit: string | undefined,
  { aggregate, payload }: Pick<MappingConfig, 'aggregate' | 'payload'>,
): string {
  const { emit = [], window = 0 } = aggregate ?? {};
  if (payload === 'value') return bare(value);
  const figures = emit.map((figure) => {
    if (figure === 'count') return '"count":60';
    return figure === 'time_in_state'
      ? `"time_in_state":{${JSON.stringify(bare(value))}:${window}}`
      : `"${figure}":${value}`;
  });
  const shown = unit === undefined ? '' : `,"unit":${JSON.stringify(unit)}`;
  return `{"ts":${EXAMPLE_TS},${figures.join(',')},"window":${window}${shown}}`;
}

function bare(value: string): string {
  return value.startsWith('"') ? String(JSON.parse(value)) : value;
}

/** As a PUBLISH of MQTT 3.1.1, without what TCP and TLS add. */
export function messageBytes(topic: string, payload: string, qos: 0 | 1 | 2): number {
  const rest = 2 + Buffer.byteLength(topic) + (qos === 0 ? 0 : 2) + Buffer.byteLength(payload);
  const lengthBytes = rest < 128 ? 1 : rest < 16_384 ? 2 : 3;
  return 1 + lengthBytes + rest;
}
