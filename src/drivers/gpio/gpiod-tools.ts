/**
 * The command lines of the tools of libgpiod, which differ between 1.x (Debian 12) and 2.x (Debian 13), and what they
 * print. Pure.
 *
 *   1.x   gpiomon -b -F "%e %s %n" gpiochip0 17       0 falling, 1 rising
 *   2.x   gpiomon --banner -F "%e %S" -c gpiochip0 17  1 rising, 2 falling
 */
export type Generation = 1 | 2;

export interface ToolChip {
  /** `gpiochip0`. */
  readonly name: string;
  readonly label: string;
  readonly lines: number;
}

/** `gpiodetect (libgpiod) v1.6.3`. Undefined: this is no version of it. */
export function generationIn(text: string): Generation | undefined {
  const major = Number(/\(libgpiod\)\s+v(\d+)\./.exec(text)?.[1]);
  if (Number.isNaN(major)) return undefined;
  return major >= 2 ? 2 : 1;
}

/** `gpiochip0 [pinctrl-bcm2711] (58 lines)`. */
export function chipsIn(text: string): ToolChip[] {
  return [...text.matchAll(/^(\S+) \[([^\]]*)\] \((\d+) lines?\)/gm)].map((match) => ({
    name: match[1] as string,
    label: match[2] as string,
    lines: Number(match[3]),
  }));
}

type Pull = 'up' | 'down' | 'none';

function bias(generation: Generation, pull: Pull | undefined): string[] {
  if (pull === undefined) return [];
  const off = generation === 1 ? 'disable' : 'disabled';
  return [`--bias=${pull === 'none' ? off : `pull-${pull}`}`];
}

export function getArguments(generation: Generation, chip: string, line: number, pull?: Pull): string[] {
  return generation === 1
    ? [...bias(1, pull), chip, String(line)]
    : [...bias(2, pull), '--numeric', '--chip', chip, String(line)];
}

export function monitorArguments(generation: Generation, chip: string, line: number, pull?: Pull): string[] {
  return generation === 1
    ? [...bias(1, pull), '--line-buffered', '--format=%e %s %n', chip, String(line)]
    : [...bias(2, pull), '--banner', '--format=%e %S', '--chip', chip, String(line)];
}

/** Holds the line until it is killed; `interactive`: takes `set LINE=VALUE` on its standard input too. */
export function setArguments(
  generation: Generation,
  chip: string,
  line: number,
  high: boolean,
  interactive: boolean,
): string[] {
  const value = `${line}=${high ? 1 : 0}`;
  if (generation === 1) return ['--mode=signal', chip, value];
  return [...(interactive ? ['--interactive'] : []), '--chip', chip, value];
}

/** One edge as gpiomon printed it, its time in ms of the kernel's clock; undefined: this line is none. */
export function edgeIn(
  generation: Generation,
  text: string,
): { readonly high: boolean; readonly kernelMs: number } | undefined {
  if (generation === 1) {
    const [, type, seconds, nanoseconds] = /^\s*([01]) +(\d+) +(\d+)\s*$/.exec(text) ?? [];
    if (type === undefined) return undefined;
    return { high: type === '1', kernelMs: Number(seconds) * 1000 + Number(nanoseconds) / 1e6 };
  }
  const [, type, seconds] = /^\s*([12]) +(\d+(?:\.\d+)?)\s*$/.exec(text) ?? [];
  return type === undefined ? undefined : { high: type === '1', kernelMs: Number(seconds) * 1000 };
}
