/**
 * Numbers as they are written in payloads: `21.5` is 215 with one place. Exact in both directions for what is written
 * plainly; any other spelling (1e-7, 007, -0, twenty digits) is kept as its text.
 */

/** Below this, differences of differences are exact too. */
export const MANTISSA_MAX = 2 ** 49;
const DIGITS_MAX = 14;
export const PLACES_MAX = 14;
export const POWERS: readonly number[] = Array.from({ length: PLACES_MAX + 1 }, (_, places) =>
  Number(`1e${places}`),
);

const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const NINE = 57;

/** What was found by the last `read`. */
export class DecimalReader {
  /** Where it ends. */
  end = 0;
  mantissa = 0;
  /** -1: not plain; its text is what counts. */
  places = 0;

  /** Whether a number begins at `at`. */
  read(bytes: Uint8Array, start: number): boolean {
    let at = start;
    const negative = bytes[at] === MINUS;
    if (negative) at += 1;
    const firstAt = at;
    let mantissa = 0;
    let byte = bytes[at] as number;
    while (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + byte - ZERO;
      at += 1;
      byte = bytes[at] as number;
    }
    const whole = at - firstAt;
    if (whole === 0) return false;
    let places = 0;
    if (byte === DOT && isDigit(bytes[at + 1])) {
      at += 1;
      byte = bytes[at] as number;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = mantissa * 10 + byte - ZERO;
        at += 1;
        places += 1;
        byte = bytes[at] as number;
      }
    }
    let plain =
      whole + places <= DIGITS_MAX &&
      !(whole > 1 && bytes[firstAt] === ZERO) &&
      !(negative && mantissa === 0);
    while (isNumeric(byte)) {
      plain = false;
      at += 1;
      byte = bytes[at] as number;
    }
    this.end = at;
    this.mantissa = negative ? -mantissa : mantissa;
    this.places = plain ? places : -1;
    return true;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** Digits and . e E + - */
function isNumeric(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === DOT ||
    byte === 101 ||
    byte === 69 ||
    byte === MINUS ||
    byte === 43
  );
}

/** What `writeDecimal` takes at most. */
export const DECIMAL_BYTES_MAX = 20;
const scratch = new Uint8Array(DECIMAL_BYTES_MAX);

/** Writes digits at `start` and returns where they end. @param shortest without the fraction's trailing zeros */
export function writeDecimal(
  to: Uint8Array,
  start: number,
  mantissa: number,
  scale: number,
  shortest: boolean,
): number {
  let at = start;
  let rest = mantissa;
  let places = scale;
  if (rest < 0) {
    to[at++] = MINUS;
    rest = -rest;
  }
  if (shortest) {
    while (places > 0 && rest % 10 === 0) {
      rest /= 10;
      places -= 1;
    }
  }
  let count = 0;
  while (rest > 0x3fff_ffff) {
    const tenth = Math.floor(rest / 10);
    scratch[count++] = rest - tenth * 10;
    rest = tenth;
  }
  let small = rest | 0;
  do {
    const tenth = (small / 10) | 0;
    scratch[count++] = small - tenth * 10;
    small = tenth;
  } while (small > 0);
  while (count <= places) scratch[count++] = 0;
  while (count > 0) {
    if (count === places) to[at++] = DOT;
    count -= 1;
    to[at++] = (scratch[count] as number) + ZERO;
  }
  return at;
}
