/**
 * Numbers without binary dust: what was reckoned in doubles, as a person would have written it down.
 *
 *   withoutDust   0.1 + 0.2 = 0.30000000000000004 ──▶ 0.3      14 significant digits, integers exact
 *   roundingTo    21.537 at a resolution of 0.05  ──▶ 21.55    the double nearest to a multiple, in decimals
 */

/** A double has 15 to 17 digits; the last of them is what some dozens of roundings can spoil. */
const DIGITS = 14;
/** 10^22 is the last power of ten that a double holds exactly. */
const POWERS: readonly number[] = Array.from({ length: 23 }, (_, places) => Number(`1e${places}`));

export function withoutDust(value: number): number {
  // Adding 0 turns a negative zero into zero.
  if (Number.isInteger(value) || !Number.isFinite(value)) return value + 0;
  const places = DIGITS - 1 - Math.floor(Math.log10(Math.abs(value)));
  const power = POWERS[Math.max(places, 0)];
  if (power === undefined) return Number(value.toPrecision(DIGITS));
  return Math.round(value * power) / power + 0;
}

/** Halves go away from zero, as on paper. `resolution` is more than 0. */
export function roundingTo(resolution: number): (value: number) => number {
  const [mantissa = '', exponent = '0'] = String(resolution).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const places = fraction.length - Number(exponent);
  const step = Number(whole + fraction) * (places < 0 ? Number(`1e${-places}`) : 1);
  const power = Number(`1e${Math.max(0, places)}`);
  return (value) => {
    const steps = (Math.abs(value) * power) / step;
    // 1.005 × 100 is 100.49999999999999: a half that lost its last bit is still a half.
    const nearest = Math.round(steps + steps * 2 * Number.EPSILON) * step;
    if (!Number.isFinite(nearest) || nearest > Number.MAX_SAFE_INTEGER) return value;
    return (value < 0 ? -nearest : nearest) / power + 0;
  };
}
