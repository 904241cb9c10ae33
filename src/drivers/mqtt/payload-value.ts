/**
 * What a payload is worth to one point: pure.
 *
 *   {"AM2301":{"Temperature":21.5}}   json: AM2301.Temperature   ──▶ 21.5
 *   21.5                              nothing                    ──▶ 21.5
 *   T=21.5;H=40                       pattern: 'T=([-.0-9]+)'      ──▶ 21.5
 */
import type { MqttPointConfig } from '../../config/schema.js';
import type { Value } from '../../core/value.js';
import { valueOfText } from '../serial/text-value.js';

export type PayloadValue =
  | { readonly kind: 'value'; readonly value: Value }
  /** The payload is right and has nothing for this point. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'bad'; readonly reason: string };

/** A payload, read at most once as what its points want of it. */
export class Payload {
  readonly #bytes: Uint8Array;
  #text: string | undefined;
  #json: { readonly value: unknown } | 'none' | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get text(): string {
    this.#text ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length).toString(
      'utf8',
    );
    return this.#text;
  }

  get json(): { readonly value: unknown } | 'none' {
    if (this.#json === undefined) {
      try {
        this.#json = { value: JSON.parse(this.text) as unknown };
      } catch {
        this.#json = 'none';
      }
    }
    return this.#json;
  }
}

type Rules = Pick<MqttPointConfig, 'json' | 'pattern' | 'type' | 'texts'>;

export function payloadReader(rules: Rules): (payload: Payload) => PayloadValue {
  if (rules.json !== undefined) {
    const steps = stepsOf(rules.json);
    return ({ json }) => (json === 'none' ? NOT_JSON : worth(at(json.value, steps), rules));
  }
  if (rules.pattern !== undefined) {
    const pattern = new RegExp(rules.pattern, 'u');
    return ({ text }) => {
      const found = text.length > MATCHED_LENGTH_MAX ? null : pattern.exec(text);
      return found === null ? NO_MATCH : ofText(found[1] ?? found[0], rules);
    };
  }
  return ({ text }) => ofText(text, rules);
}

/** An expression of the operator's own may take long on long texts; no sensor writes so much before its value. */
const MATCHED_LENGTH_MAX = 4096;
/** A value that is longer is no value but a document. */
const TEXT_LENGTH_MAX = 1024;

const NOT_JSON: PayloadValue = { kind: 'bad', reason: 'payload is not JSON' };
const NO_MATCH: PayloadValue = { kind: 'bad', reason: 'payload does not match the pattern' };
const ABSENT: PayloadValue = { kind: 'absent' };

function stepsOf(path: string): string[] {
  return [...path.matchAll(/\[(?:"([^"]*)"|'([^']*)'|(\d+))\]|([\w-]+)/g)].map(
    ([, quoted, single, index, name]) => quoted ?? single ?? index ?? (name as string),
  );
}

function at(json: unknown, steps: readonly string[]): unknown {
  let value = json;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

function worth(value: unknown, rules: Rules): PayloadValue {
  switch (typeof value) {
    case 'undefined':
      return ABSENT;
    case 'string':
      return ofText(value, rules);
    case 'number':
    case 'boolean':
      if (rules.type === 'auto' && rules.texts === undefined) return { kind: 'value', value };
      return ofText(String(value), rules);
    default:
      return { kind: 'bad', reason: value === null ? 'value is null' : 'value is no scalar' };
  }
}

function ofText(text: string, { type, texts }: Rules): PayloadValue {
  if (text.length > TEXT_LENGTH_MAX) return { kind: 'bad', reason: 'value is too long' };
  const of = (as: 'number' | 'bool' | 'string' | 'hex'): Value | undefined =>
    valueOfText(text, { type: as, decimal: 'point', texts });
  const value = type === 'auto' ? (of('number') ?? of('string')) : of(type);
  if (value !== undefined && !(type !== 'string' && value === '')) return { kind: 'value', value };
  return {
    kind: 'bad',
    reason: type === 'auto' ? 'no value' : `no ${type}: ${JSON.stringify(text.slice(0, 40))}`,
  };
}
