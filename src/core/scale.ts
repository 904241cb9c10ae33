/**
 * value × scale + offset, as a person would reckon it: in decimals. What comes out is the double nearest to the
 * exact decimal result, so 215 × 0.1 is 21.5 and never 21.500000000000004.
 *
 *   value = r / 10^d     scale = m / 10^k     offset = n / 10^k      (all integers)
 *   result = (r·m + n·10^d) / 10^(k+d)
 *
 * While numerator and power are exact as doubles (below 2^53, up to 10^22) that one division rounds correctly;
 * otherwise the same is done with bigints. Integers stay exact up to 64 bits.
 */
import type { Value } from './value.js';

export type Scale = (value: Value) => Value;

/** undefined where there is nothing to do but keep the value. */
export function makeScale(scale = 1, offset = 0): Scale | undefined {
  if (scale === 1 && offset === 0) return undefined;
  const exactScale = toDecimal(scale);
  const exactOffset = toDecimal(offset);
  const places = Math.max(exactScale.places, exactOffset.places);
  const m = Number(exactScale.digits * 10n ** BigInt(places - exactScale.places));
  const n = Number(exactOffset.digits * 10n ** BigInt(places - exactOffset.places));
  const quick = places <= PLACES_MAX - RAW_PLACES_MAX && Number.isSafeInteger(m) && Number.isSafeInteger(n);

  return (value) => {
    if (typeof value === 'number') {
      if (quick) {
        const d = rawPlaces(value);
        if (d >= 0) {
          const power = POWERS[d] as number;
          const product = Math.round(value * power) * m;
          const shift = n * power;
          const sum = product + shift;
          if (isExact(product) && isExact(shift) && isExact(sum)) {
            // Adding 0 turns a negative zero into zero.
            return sum / (POWERS[places + d] as number) + 0;
          }
        }
      }
      return Number.isFinite(value) ? exactly(value, exactScale, exactOffset) : value;
    }
    return typeof value === 'bigint' ? exactly(value, exactScale, exactOffset) : value;
  };
}

/** Beyond 2^53 a bigint, within it a number: the one form that `Value` allows. */
export function normalInteger(value: bigint): Value {
  return value >= -SAFE_MAX && value <= SAFE_MAX ? Number(value) : value;
}

interface Decimal {
  readonly digits: bigint;
  /** Decimal places, never negative. */
  readonly places: number;
}

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);
/** What a 64-bit register can hold; a larger product is a number like any other. */
const INTEGER_MAX = 2n ** 64n;
/** 10^22 is the last power of ten that a double holds exactly. */
const PLACES_MAX = 22;
const POWERS: readonly number[] = Array.from({ length: PLACES_MAX + 1 }, (_, places) =>
  Number(`1e${places}`),
);
/** A float32 near 1 has up to nine places; more of them take the long way. */
const RAW_PLACES_MAX = 9;
/** Two different decimals of 15 digits never share a double, so the one found is the shortest one. */
const RAW_DIGITS_MAX = 1e15;

function isExact(integer: number): boolean {
  return integer <= Number.MAX_SAFE_INTEGER && integer >= -Number.MAX_SAFE_INTEGER;
}

/** How many decimal places the shortest decimal of `value` has; -1 where that is not found quickly. */
function rawPlaces(value: number): number {
  for (let places = 0; places <= RAW_PLACES_MAX; places += 1) {
    const power = POWERS[places] as number;
    const digits = Math.round(value * power);
    if (digits > RAW_DIGITS_MAX || digits < -RAW_DIGITS_MAX) return -1;
    if (digits / power === value) return places;
  }
  return -1;
}

function exactly(value: number | bigint, scale: Decimal, offset: Decimal): Value {
  const raw = toDecimal(value);
  const productPlaces = raw.places + scale.places;
  const places = Math.max(productPlaces, offset.places);
  const sum =
    raw.digits * scale.digits * 10n ** BigInt(places - productPlaces) +
    offset.digits * 10n ** BigInt(places - offset.places);
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (isWhole) {
    const unit = 10n ** BigInt(places);
    if (sum % unit === 0n) {
      const whole = sum / unit;
      if (whole > -INTEGER_MAX && whole < INTEGER_MAX) return normalInteger(whole);
    }
  }
  return Number(`${sum}e-${places}`) + 0;
}

/** The shortest decimal that reads back as `value`, which is what its writer meant. */
function toDecimal(value: number | bigint): Decimal {
  if (typeof value === 'bigint') return { digits: value, places: 0 };
  const [mantissa = '0', exponent = '0'] = String(value).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const digits = BigInt(whole + fraction);
  const places = fraction.length - Number(exponent);
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}
