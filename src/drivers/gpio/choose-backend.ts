/**
 * Which way to the lines this machine offers, and why that one: what `godwit doctor` tells too.
 *
 *   sysfs where the kernel has it: one process, no children, and outputs that stay as they are over a restart
 *   chardev where it has not, or where a pull resistor is asked for, which only the character device can set
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { GpioBusConfig } from '../../config/schema.js';
import type { Tools } from './tool-process.js';

export interface GpioWish {
  readonly backend: GpioBusConfig['backend'];
  readonly root: string;
  readonly wantsPull: boolean;
}

export type BackendChoice =
  | {
      readonly kind: 'sysfs' | 'chardev';
      readonly why: string /** What it cannot do. */;
      readonly but?: string;
    }
  | { readonly kind: 'none'; readonly why: string };

/** onoff knows no other place. */
const SYSFS_ROOT = '/sys';
const INSTALL = 'install the package gpiod (sudo apt install gpiod)';
const NO_PULL =
  'pull resistors cannot be set through sysfs; set them in config.txt (gpio=17=ip,pu) or install the package gpiod';

/** @param fileSystem where the file system of the machine begins */
export function chooseBackend(wish: GpioWish, tools: Pick<Tools, 'has'>, fileSystem = '/'): BackendChoice {
  const sysfs = hasSysfs(join(fileSystem, wish.root));
  const gpiod =
    tools.has('gpiodetect') && tools.has('gpiomon') && tools.has('gpioset') && tools.has('gpioget');
  const but = wish.wantsPull ? { but: NO_PULL } : {};
  switch (wish.backend) {
    case 'sysfs':
      return sysfs
        ? { kind: 'sysfs', why: 'the configuration says so', ...but }
        : { kind: 'none', why: `this kernel has no ${wish.root}/class/gpio; set backend: chardev or auto` };
    case 'chardev':
      return gpiod
        ? { kind: 'chardev', why: 'the configuration says so' }
        : { kind: 'none', why: `the tools of the character device are missing; ${INSTALL}` };
    case 'auto':
      if (sysfs && wish.root === SYSFS_ROOT && !(wish.wantsPull && gpiod)) {
        return { kind: 'sysfs', why: 'the kernel has /sys/class/gpio', ...but };
      }
      if (gpiod) {
        return {
          kind: 'chardev',
          why: sysfs ? 'a pull resistor is asked for' : 'the kernel has no /sys/class/gpio',
        };
      }
      return {
        kind: 'none',
        why: `the kernel has no /sys/class/gpio, and the tools of the character device are missing; ${INSTALL}`,
      };
  }
}

function hasSysfs(root: string): boolean {
  try {
    accessSync(join(root, 'class/gpio'), constants.F_OK);
    return true;
  } catch {
    // Newer kernels are built without.
    return false;
  }
}
