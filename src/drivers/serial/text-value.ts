/** What a piece of text is worth: pure. */
import type { SerialTextPointConfig } from '../../config/schema.js';
import type { Value } from '../../core/value.js';

const TRUE = new Set(['1', 'on', 'true', 'yes', 'y', 'high', 'open']);
const FALSE = new Set(['0', 'off', 'false', 'no', 'n', 'low', 'closed']);
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/;
const INTEGER = /^[-+]?\d+$/;
const HEX = /^(0x)?[0-9a-f]{1,16}$/i;

export type TextRules = Pick<SerialTextPointConfig, 'type' | 'decimal' | 'texts'>;

/** undefined: it is worth nothing of that type. */
export function valueOfText(text: string, { type, decimal, texts }: TextRules): Value | undefined {
  const trimmed = text.trim();
  if (texts !== undefined) return Object.hasOwn(texts, trimmed) ? texts[trimmed] : undefined;
  switch (type) {
    case 'string':
      return trimmed;
    case 'bool':
      if (TRUE.has(trimmed.toLowerCase())) return true;
      return FALSE.has(trimmed.toLowerCase()) ? false : undefined;
    case 'hex':
      return HEX.test(trimmed) ? inRange(BigInt(`0x${trimmed.replace(/^0x/i, '')}`)) : undefined;
    case 'number':
      return numberIn(trimmed, decimal);
  }
}

/** Scales fill the place between sign and digits with blanks. */
function numberIn(text: string, decimal: 'point' | 'comma'): Value | undefined {
  const close = text.replace(/\s+/g, '');
  const plain = decimal === 'comma' ? close.replaceAll('.', '').replace(',', '.') : close;
  if (!NUMBER.test(plain)) return undefined;
  if (INTEGER.test(plain)) return inRange(BigInt(plain.replace(/^\+/, '')));
  const value = Number(plain);
  return Number.isFinite(value) ? value : undefined;
}

/** Beyond 2^53 exactly, as a bigint; beyond 64 bits no device counts. */
function inRange(value: bigint): Value | undefined {
  if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER))
    return Number(value);
  return value > -(2n ** 63n) && value < 2n ** 64n ? value : undefined;
}
