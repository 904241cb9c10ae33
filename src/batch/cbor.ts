/**
 * CBOR (RFC 8949) for documents: texts, bytes, lists, objects, integers, true, false, null. A number with a fraction
 * is a decimal fraction (tag 4), which says 21.57 in six bytes and exactly. The document begins with the mark of
 * CBOR (tag 55799), by which a reader knows it.
 */
import { damaged } from './batch.js';
import { ByteSink } from './byte-sink.js';
import { ByteSource, decodeText } from './byte-source.js';

type Plain =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Plain[]
  | { readonly [key: string]: Plain };

export const CBOR_MARK: readonly number[] = [0xd9, 0xd9, 0xf7];

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const LIST = 4;
const MAP = 5;
const TAG = 6;
const SIMPLE = 7;
const DECIMAL_FRACTION = 4;
/** A document nests four deep. */
const DEPTH_MAX = 16;
const ENCODER = new TextEncoder();

export function toCbor(value: Plain): Uint8Array {
  const to = new ByteSink(4096);
  to.raw(Uint8Array.from(CBOR_MARK));
  write(to, value);
  return to.bytes;
}

function write(to: ByteSink, value: Plain): void {
  if (typeof value === 'number') writeNumber(to, value);
  else if (typeof value === 'string') {
    const bytes = ENCODER.encode(value);
    head(to, TEXT, bytes.length);
    to.raw(bytes);
  } else if (value instanceof Uint8Array) {
    head(to, BYTES, value.length);
    to.raw(value);
  } else if (isList(value)) {
    head(to, LIST, value.length);
    for (const one of value) write(to, one);
  } else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    head(to, MAP, entries.length);
    for (const [key, one] of entries) {
      write(to, key);
      write(to, one);
    }
  } else to.u8(value === null ? 0xf6 : value ? 0xf5 : 0xf4);
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}

function writeNumber(to: ByteSink, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    if (value >= 0) head(to, UNSIGNED, value);
    else head(to, NEGATIVE, -1 - value);
    return;
  }
  const [mantissa = '', places = ''] = String(value).split('.');
  const digits = Number(mantissa + places);
  if (/^\d+$/.test(places) && Number.isSafeInteger(digits)) {
    head(to, TAG, DECIMAL_FRACTION);
    head(to, LIST, 2);
    writeNumber(to, -places.length);
    writeNumber(to, mantissa.startsWith('-') && digits >= 0 ? -digits : digits);
    return;
  }
  const double = new DataView(new ArrayBuffer(8));
  double.setFloat64(0, value);
  to.u8((SIMPLE << 5) | 27);
  to.raw(new Uint8Array(double.buffer));
}

function head(to: ByteSink, major: number, value: number): void {
  const type = major << 5;
  if (value < 24) to.u8(type | value);
  else {
    const bytes = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
    to.u8(type | (24 + Math.log2(bytes)));
    for (let at = bytes - 1; at >= 0; at -= 1) to.u8(Math.floor(value / 256 ** at) % 256);
  }
}

export function fromCbor(bytes: Uint8Array): unknown {
  const from = new ByteSource(bytes);
  for (const byte of CBOR_MARK) if (from.u8() !== byte) throw damaged('it has no mark of CBOR');
  const value = read(from, 0);
  if (from.left > 0) throw damaged('bytes are left over');
  return value;
}

function read(from: ByteSource, depth: number): unknown {
  if (depth > DEPTH_MAX) throw damaged('it nests too deep');
  const initial = from.u8();
  const major = initial >> 5;
  const short = initial & 31;
  if (major === SIMPLE) return readSimple(from, short);
  const value = readHead(from, short);
  switch (major) {
    case UNSIGNED:
      return value;
    case NEGATIVE:
      return -1 - value;
    case BYTES:
      return from.raw(value).slice();
    case TEXT:
      return decodeText(from.raw(value));
    case LIST:
      return readList(from, value, depth);
    case MAP:
      return readMap(from, value, depth);
    default:
      return value === DECIMAL_FRACTION ? readFraction(from, depth) : read(from, depth + 1);
  }
}

function readHead(from: ByteSource, short: number): number {
  if (short < 24) return short;
  if (short > 27) throw damaged('CBOR without a length');
  let value = 0;
  for (let left = 2 ** (short - 24); left > 0; left -= 1) value = value * 256 + from.u8();
  if (!Number.isSafeInteger(value)) throw damaged('a number is too large');
  return value;
}

function readSimple(from: ByteSource, short: number): unknown {
  if (short === 20 || short === 21) return short === 21;
  if (short === 22) return null;
  if (short !== 27) throw damaged('CBOR of a kind that no batch has');
  const bytes = from.raw(8);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
}

function readList(from: ByteSource, count: number, depth: number): unknown[] {
  if (count > from.left) throw damaged('it counts more than it holds');
  return Array.from({ length: count }, () => read(from, depth + 1));
}

function readMap(from: ByteSource, count: number, depth: number): { readonly [key: string]: unknown } {
  if (count * 2 > from.left) throw damaged('it counts more than it holds');
  const map: { [key: string]: unknown } = Object.create(null);
  for (let left = count; left > 0; left -= 1) {
    const key = read(from, depth + 1);
    if (typeof key !== 'string') throw damaged('a key that is no text');
    map[key] = read(from, depth + 1);
  }
  return map;
}

function readFraction(from: ByteSource, depth: number): number {
  const pair = read(from, depth + 1);
  const [exponent, mantissa]: readonly unknown[] = Array.isArray(pair) ? pair : [];
  if (typeof exponent !== 'number' || typeof mantissa !== 'number') throw damaged('a fraction that is none');
  return Number(`${mantissa}e${exponent}`);
}
