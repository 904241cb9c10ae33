/**
 * Which chip a BCM number belongs to, and what the kernel calls its lines. Bases and device numbers change from one
 * kernel to the next (GPIO17 was 17, is 529, and on a Pi 5 588), so chips are found by their labels.
 */
import { join } from 'node:path';
import type { GpioPointConfig } from '../../config/schema.js';
import { namesIn, readKernelFile } from '../kernel-file.js';

export interface SysfsChip {
  readonly label: string;
  readonly base: number;
  readonly lines: number;
}

/** The 40-pin header is on one of these: Pi 5, Pi 4, all before. */
const HEADER_LABELS = ['pinctrl-rp1', 'pinctrl-bcm2711', 'pinctrl-bcm2835'];

/** The one of these chips that has the header; undefined: none of them. */
export function headerChip<Chip extends { readonly label: string }>(
  chips: readonly Chip[],
): Chip | undefined {
  for (const label of HEADER_LABELS) {
    const chip = chips.find((one) => one.label.startsWith(label));
    if (chip !== undefined) return chip;
  }
  return undefined;
}

export function chipOf<Chip extends { readonly label: string }>(
  line: Exclude<GpioPointConfig['gpio'], { sysfs: number }>,
  chips: readonly Chip[],
): Chip {
  const chip = typeof line === 'number' ? headerChip(chips) : chips.find((one) => one.label === line.chip);
  if (chip !== undefined) return chip;
  const labels = [...new Set(chips.map(({ label }) => label))].join(', ') || 'none';
  throw new Error(
    typeof line === 'number'
      ? `no chip of a Raspberry Pi header; write gpio: { chip: LABEL, line: ${line} } with one of: ${labels}`
      : `no chip ${line.chip}; there is ${labels}`,
  );
}

export async function sysfsChips(root: string): Promise<SysfsChip[]> {
  const folder = join(root, 'class/gpio');
  const chips: SysfsChip[] = [];
  for (const name of await namesIn(folder)) {
    if (!name.startsWith('gpiochip')) continue;
    const text = (file: string): Promise<string> => readKernelFile(join(folder, name, file));
    chips.push({
      label: await text('label'),
      base: Number(await text('base')),
      lines: Number(await text('ngpio')),
    });
  }
  return chips;
}

/** The kernel's number of a line, for /sys/class/gpio/export. */
export function sysfsNumber(line: GpioPointConfig['gpio'], chips: readonly SysfsChip[]): number {
  if (typeof line === 'object' && 'sysfs' in line) return line.sysfs;
  const chip = chipOf(line, chips);
  const offset = typeof line === 'number' ? line : line.line;
  if (offset >= chip.lines) throw new Error(`${chip.label} has lines 0 to ${chip.lines - 1}, not ${offset}`);
  return chip.base + offset;
}
