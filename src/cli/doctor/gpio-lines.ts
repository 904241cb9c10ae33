/** GPIO: which way to the lines, what the kernel calls them, and whether they may be used. */
import { join } from 'node:path';
import type { Config, GpioBusConfig, GpioPointConfig } from '../../config/schema.js';
import { reasonOf } from '../../core/error.js';
import { chipOf, type SysfsChip, sysfsChips, sysfsNumber } from '../../drivers/gpio/chips.js';
import { chooseBackend } from '../../drivers/gpio/choose-backend.js';
import { chipsIn, type ToolChip } from '../../drivers/gpio/gpiod-tools.js';
import { checkAccess } from './access.js';
import { type Finding, type Findings, findings, troubleAndFix } from './finding.js';
import { at, filesIn, type Machine, Wanted } from './machine.js';
import { mountOf, mountsOf } from './mounts.js';
import { hidesDevices, isInstalled, serviceUser, type Unit } from './service-unit.js';

type Line = GpioPointConfig['gpio'];

export async function checkGpio(
  machine: Machine,
  { buses, devices }: Pick<Config, 'buses' | 'devices'>,
  unit: Unit | string | undefined,
): Promise<readonly Finding[]> {
  const found = findings('gpio');
  for (const [bus, config] of Object.entries(buses)) {
    if (config.driver !== 'gpio') continue;
    const gpio = config as GpioBusConfig;
    const points = Object.entries(devices)
      .filter(([, device]) => device.bus === bus)
      .flatMap(([device, one]) =>
        Object.entries(one.points).flatMap(([point, of]) =>
          'gpio' in of ? [{ name: `${device}/${point}`, line: of.gpio, pull: of.pull }] : [],
        ),
      );
    const wish = {
      backend: gpio.backend,
      root: gpio.root,
      wantsPull: points.some(({ pull }) => pull !== undefined),
    };
    const choice = chooseBackend(wish, machine.tools, machine.root);
    if (choice.kind === 'none') {
      const [what, fix] = troubleAndFix(choice.why, 'install the package gpiod');
      found.fail(`bus ${bus}: ${what}`, fix);
      continue;
    }
    found.ok(`bus ${bus}: lines are reached through ${choice.kind}, since ${choice.why}`);
    if ('but' in choice && choice.but !== undefined) {
      const [what, fix] = troubleAndFix(choice.but, 'install the package gpiod');
      found.warn(`bus ${bus}: ${what}`, fix);
    }
    if (choice.kind === 'sysfs') await checkSysfs(machine, bus, gpio.root, points, unit, found);
    else await checkChardev(machine, bus, points, unit, found);
  }
  return found.list;
}

interface Point {
  readonly name: string;
  readonly line: Line;
}

async function checkSysfs(
  machine: Machine,
  bus: string,
  root: string,
  points: readonly Point[],
  unit: Unit | string | undefined,
  found: Findings,
): Promise<void> {
  const of = `bus ${bus}`;
  const mount = mountOf(await mountsOf(machine), join(root, 'class/gpio'));
  if (mount?.options.has('ro') === true) {
    found.fail(
      `${of}: ${mount.point} is read-only here, so that no line can be exported`,
      `sudo mount -o remount,rw ${mount.point}; a container needs it mounted with write access`,
    );
  }
  if (isInstalled(unit) && unit.get('ProtectKernelTunables') === 'yes') {
    found.fail(
      `${of}: the unit makes /sys read-only for the gateway (ProtectKernelTunables=yes)`,
      'sudo systemctl edit godwit: ProtectKernelTunables=no; then restart it',
    );
  }
  const service = await serviceUser(machine, unit);
  const wish = { usualGroup: 'gpio', of, wanted: Wanted.write };
  await checkAccess(machine, service, join(root, 'class/gpio/export'), wish, found);
  let chips: SysfsChip[];
  try {
    chips = await sysfsChips(at(machine, root));
  } catch (fault) {
    found.fail(`${of}: the chips cannot be read: ${reasonOf(fault)}`, `ls -l ${join(root, 'class/gpio')}`);
    return;
  }
  checkLines(of, points, found, (line) => {
    const number = sysfsNumber(line, chips);
    if (typeof line === 'object' && 'sysfs' in line) return `${number} is the kernel's own number`;
    const chip = chipOf(line, chips);
    return `${lineText(line)} is ${number} (${chip.label}, base ${chip.base})`;
  });
}

async function checkChardev(
  machine: Machine,
  bus: string,
  points: readonly Point[],
  unit: Unit | string | undefined,
  found: Findings,
): Promise<void> {
  const of = `bus ${bus}`;
  const hidden = hidesDevices(unit);
  if (hidden !== undefined) {
    found.fail(
      `${of}: the unit hides /dev/gpiochip* from the gateway (${hidden})`,
      'sudo systemctl edit godwit: PrivateDevices=no and DeviceAllow=char-gpiochip rw; then restart it',
    );
  }
  const devices = (await filesIn(machine, '/dev')).filter((name) => name.startsWith('gpiochip'));
  if (devices.length === 0) {
    found.fail(
      `${of}: this machine has no GPIO chip (no /dev/gpiochip*)`,
      'load the driver of the board or expander (an overlay in config.txt), or take the bus out; a container needs --device /dev/gpiochip0',
    );
    return;
  }
  const service = await serviceUser(machine, unit);
  for (const name of devices) {
    await checkAccess(machine, service, `/dev/${name}`, { usualGroup: 'gpio', of }, found);
  }
  let chips: ToolChip[];
  try {
    chips = chipsIn(await machine.tools.run('gpiodetect', []));
  } catch (fault) {
    found.fail(
      `${of}: the chips cannot be listed: gpiodetect says: ${reasonOf(fault)}`,
      `sudo gpiodetect shows whether it is a matter of permissions: sudo usermod -aG gpio ${machine.user.name}`,
    );
    return;
  }
  checkLines(of, points, found, (line) => {
    if (typeof line === 'object' && 'sysfs' in line) {
      throw new Error(
        `{ sysfs: ${line.sysfs} } is no line of the character device; write { chip: LABEL, line: NUMBER }`,
      );
    }
    const chip = chipOf(line, chips);
    const offset = typeof line === 'number' ? line : line.line;
    if (offset >= chip.lines)
      throw new Error(`${chip.label} has lines 0 to ${chip.lines - 1}, not ${offset}`);
    return `${lineText(line)} is line ${offset} of ${chip.name} (${chip.label})`;
  });
}

function checkLines(
  of: string,
  points: readonly Point[],
  { ok, fail }: Findings,
  translate: (line: Line) => string,
): void {
  const named: string[] = [];
  for (const { name, line } of points) {
    try {
      named.push(`${name} ${translate(line)}`);
    } catch (fault) {
      const [what, fix] = troubleAndFix(reasonOf(fault), 'correct the number; gpioinfo lists the lines');
      fail(`${of}: ${name}: ${what}`, fix);
    }
  }
  if (named.length > 0) ok(`${of}: ${named.join('; ')}`);
}

function lineText(line: Exclude<Line, { sysfs: number }>): string {
  return typeof line === 'number' ? `BCM ${line}` : `line ${line.line}`;
}
