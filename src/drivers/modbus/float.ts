/**
 * Floats as the sensor meant them: a float32 is the double with the shortest decimal that reads back as that float32
 * (21.1, not 21.100000381469727), a float16 likewise. Pure.
 */

/** The double with the shortest decimal that rounds to this float32. */
export function shortestFloat32(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  // Six digits survive decimal → float32 → decimal, so six recover any shorter decimal; subnormals have fewer.
  const least = Math.abs(value) < 2 ** -126 ? 1 : 6;
  return shortest(value, least, 9, (candidate) => Math.fround(candidate) === value);
}

/** The double with the shortest decimal that rounds to the float16 with these bits. */
export function shortestFloat16(bits: number): number {
  const value = float16FromBits(bits);
  if (!Number.isFinite(value) || value === 0) return value;
  const least = Math.abs(value) < 2 ** -14 ? 1 : 3;
  return shortest(value, least, 5, (candidate) => float16ToBits(candidate) === bits);
}

export function float16FromBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to the nearest float16, ties to even. */
export function float16ToBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65_520) return sign | 0x7c00;
  // In units of the last place: subnormals and the smallest normals share one, so carries run on by themselves.
  let place = Math.max(-14, Math.floor(Math.log2(magnitude)));
  // log2 may round across a power of two.
  if (magnitude >= 2 ** (place + 1)) place += 1;
  else if (place > -14 && magnitude < 2 ** place) place -= 1;
  return sign | ((place + 14) * 1024 + roundToEven(magnitude / 2 ** (place - 10)));
}

function shortest(value: number, least: number, most: number, fits: (candidate: number) => boolean): number {
  for (let digits = least; digits < most; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (fits(candidate)) return candidate;
  }
  return Number(value.toPrecision(most));
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
