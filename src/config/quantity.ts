/**
 * The words for amounts in the configuration file: durations `250ms` `5s` `10m` `2h` `30d`, sizes `512B`
 * `64KiB` `2GiB`; and back, for messages.
 */
const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

export const DURATION = /^\d+(\.\d+)?(ms|s|m|h|d)$/;
export const SIZE = /^\d+(\.\d+)?(B|KiB|MiB|GiB|TiB|KB|MB|GB)$/;

/** Milliseconds, or undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const unit = DURATION.exec(text)?.[2];
  return unit === undefined ? undefined : Number.parseFloat(text) * (DURATION_MS[unit] as number);
}

/** Bytes, or undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const unit = SIZE.exec(text)?.[2];
  return unit === undefined ? undefined : Math.round(Number.parseFloat(text) * (SIZE_BYTES[unit] as number));
}

/** The shortest word for a duration: 90000 is `90s`, 3600000 is `1h`. */
export function durationText(ms: number): string {
  const units = Object.entries(DURATION_MS).reverse();
  const [unit, factor] = units.find(([, one]) => ms >= one && ms % one === 0) ?? ['ms', 1];
  return `${ms / factor}${unit}`;
}
