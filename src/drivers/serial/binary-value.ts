/** A value out of the bytes of a frame: pure. */
import type { SerialBinaryPointConfig } from '../../config/schema.js';
import type { Value } from '../../core/value.js';
import { shortestFloat32 } from '../modbus/float.js';

export type BinaryRules = Pick<SerialBinaryPointConfig, 'at' | 'type' | 'byte_order' | 'length' | 'bit'>;

const SIZES: Readonly<Record<Exclude<BinaryRules['type'], 'string'>, number>> = {
  bool: 1,
  int8: 1,
  uint8: 1,
  bcd8: 1,
  int16: 2,
  uint16: 2,
  bcd16: 2,
  int24: 3,
  uint24: 3,
  int32: 4,
  uint32: 4,
  float32: 4,
  bcd32: 4,
  int64: 8,
  uint64: 8,
  float64: 8,
};

export type Decoded =
  | { readonly kind: 'value'; readonly value: Value; readonly raw: Uint8Array }
  /** The frame ends before it. */
  | { readonly kind: 'short' }
  | { readonly kind: 'no number' };

export function valueInFrame(frame: Uint8Array, rules: BinaryRules): Decoded {
  const size = rules.type === 'string' ? (rules.length ?? 1) : SIZES[rules.type];
  const at = rules.at < 0 ? frame.length + rules.at : rules.at;
  if (at < 0 || at + size > frame.length) return { kind: 'short' };
  const raw = frame.slice(at, at + size);
  const value = decode(raw, rules);
  if (value === undefined) return { kind: 'no number' };
  if (rules.bit === undefined) return { kind: 'value', value, raw };
  return { kind: 'value', value: ((BigInt(value) >> BigInt(rules.bit)) & 1n) === 1n, raw };
}

function decode(raw: Uint8Array, { type, byte_order }: BinaryRules): Value | undefined {
  if (type === 'string') {
    // Devices fill strings up with NULs or blanks.
    return (Buffer.from(raw).toString('latin1').split('\0', 1)[0] as string).trim();
  }
  const big = byte_order === 'big' ? raw : raw.slice().reverse();
  const view = new DataView(big.buffer, big.byteOffset, big.byteLength);
  switch (type) {
    case 'bool':
      return view.getUint8(0) !== 0;
    case 'float32': {
      const value = view.getFloat32(0);
      return Number.isFinite(value) ? shortestFloat32(value) : undefined;
    }
    case 'float64': {
      const value = view.getFloat64(0);
      return Number.isFinite(value) ? value : undefined;
    }
    case 'bcd8':
    case 'bcd16':
    case 'bcd32': {
      const digits = Buffer.from(big).toString('hex');
      return /^\d+$/.test(digits) ? Number(digits) : undefined;
    }
    default: {
      const unsigned = big.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      const value = type.startsWith('u') ? unsigned : BigInt.asIntN(8 * big.length, unsigned);
      const isSafe = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
      return isSafe ? Number(value) : value;
    }
  }
}
