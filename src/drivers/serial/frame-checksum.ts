/** The check sum of a frame by the configuration: where it stands, what it is made of, how it is written. Pure. */
import type { SerialBusConfig } from '../../config/schema.js';
import { checksum, checksumBytes, isLittleByDefault } from '../checksum.js';

export type ChecksumRules = NonNullable<SerialBusConfig['checksum']>;

export function checksumIsRight(bytes: Uint8Array, rules: ChecksumRules): boolean {
  const width = written(rules);
  const at = rules.at === undefined ? bytes.length - width : fromEnd(rules.at, bytes.length);
  const from = fromEnd(rules.from, bytes.length);
  const to = rules.to === undefined ? at : fromEnd(rules.to, bytes.length);
  if (at < 0 || from < 0 || at + width > bytes.length || to < from || to > bytes.length) return false;
  const expected = checksumText(bytes.subarray(from, to), rules);
  const found = bytes.subarray(at, at + width);
  return rules.format === 'hex'
    ? Buffer.from(found).toString('latin1').toUpperCase() === Buffer.from(expected).toString('latin1')
    : Buffer.compare(found, expected) === 0;
}

/** As it stands on the line. */
export function checksumText(bytes: Uint8Array, rules: ChecksumRules): Uint8Array {
  const width = checksumBytes(rules.type);
  const little = (rules.byte_order ?? (isLittleByDefault(rules.type) ? 'little' : 'big')) === 'little';
  const value = checksum(rules.type, bytes);
  const out = new Uint8Array(width);
  for (let index = 0; index < width; index += 1) {
    const shift = BigInt(8 * (little ? index : width - 1 - index));
    out[index] = Number((value >> shift) & 0xffn);
  }
  if (rules.format === 'binary') return out;
  return Uint8Array.from(Buffer.from(Buffer.from(out).toString('hex').toUpperCase(), 'latin1'));
}

const PLACE = '{checksum}';

/** `{checksum}` in what is sent stands for the check sum of what is before it, from `from` on. */
export function withChecksum(bytes: Uint8Array, rules: ChecksumRules | undefined): Uint8Array {
  const buffer = Buffer.from(bytes);
  const at = buffer.indexOf(PLACE, 0, 'latin1');
  if (at === -1 || rules === undefined) return bytes;
  const before = buffer.subarray(0, at);
  const sum = checksumText(before.subarray(Math.max(0, rules.from)), rules);
  return Uint8Array.from(Buffer.concat([before, sum, buffer.subarray(at + PLACE.length)]));
}

function written(rules: ChecksumRules): number {
  return checksumBytes(rules.type) * (rules.format === 'hex' ? 2 : 1);
}

function fromEnd(place: number, length: number): number {
  return place < 0 ? length + place : place;
}
