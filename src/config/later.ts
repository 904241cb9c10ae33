/**
 * What the contract knows and this version does not act on yet: refused with that said, instead of as a slip of
 * the finger. Who builds one of these moves it from here into `schema.ts`.
 */
import type { Path } from './config-error.js';

/** By the path of the mapping that would hold them, with * for a name or a number. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  '': ['clock'],
  'bridges.*': ['window', 'budget'],
};

const VALUES: Readonly<Record<string, readonly string[]>> = {
  'mappings.*.payload': ['cbor', 'sparkplug'],
};

/** @param mapping path of the mapping that holds the key */
export function isLaterKey(mapping: Path, key: string): boolean {
  return KEYS[patternOf(mapping)]?.includes(key) ?? false;
}

export function isLaterValue(path: Path, value: unknown): boolean {
  return typeof value === 'string' && (VALUES[patternOf(path)]?.includes(value) ?? false);
}

/** Every second step is a name or a number that the operator chose, once below a section that holds names. */
function patternOf(path: Path): string {
  const [section] = path;
  return path
    .map((step, index) => {
      if (typeof step === 'number') return '*';
      if (index === 1 && (section === 'buses' || section === 'devices' || section === 'bridges')) return '*';
      return index === 3 && section === 'devices' ? '*' : step;
    })
    .join('.');
}
