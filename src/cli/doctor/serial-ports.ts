/** The serial ports of the configuration: there, lasting names, permissions, and nobody else on the line. */
import { readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BusConfig } from '../../config/schema.js';
import { consoleOn, openFaultSentence } from '../../drivers/serial-port-advice.js';
import { checkAccess } from './access.js';
import { type Finding, type Findings, findings, troubleAndFix } from './finding.js';
import { at, filesIn, type Machine, realPath, textOf } from './machine.js';
import { hidesDevices, serviceUser, type Unit } from './service-unit.js';

export interface SerialSurroundings {
  readonly unit: Unit | string | undefined;
  /** The gateway may hold its ports. */
  readonly gatewayPid: number | undefined;
}

const UNSEEN = ' (whether a program of another user has it open, only sudo tells)';

/** Ports of the board itself, which nobody can plug in. */
const UART = /^\/dev\/(serial|ttyAMA|ttyS)\d+$/;
const UART_FIX =
  'add enable_uart=1 to config.txt and restart, or correct the path; ls -l /dev/serial* shows what is there';

interface Holder {
  readonly pid: number;
  readonly name: string;
}

export async function checkSerialPorts(
  machine: Machine,
  buses: Readonly<Record<string, BusConfig>>,
  { unit, gatewayPid }: SerialSurroundings,
): Promise<readonly Finding[]> {
  const found = findings('serial');
  const ports = Object.entries(buses).flatMap(([bus, config]) =>
    'path' in config && typeof config.path === 'string'
      ? [{ bus, path: config.path, parity: 'parity' in config ? config.parity : 'none' }]
      : [],
  );
  if (ports.length === 0) return found.list;
  const hidden = hidesDevices(unit);
  if (hidden !== undefined) {
    found.fail(
      `the unit hides serial ports from the gateway (${hidden})`,
      'sudo systemctl edit godwit: PrivateDevices=no, and DeviceAllow= for each port; then restart it',
    );
  }
  const service = await serviceUser(machine, unit);
  const holders = await holdersOf(machine);
  for (const { bus, path, parity } of ports) {
    const of = `bus ${bus}`;
    const before = found.list.length;
    const device = await realPath(machine, path);
    const state = device === undefined ? undefined : await machine.stat(at(machine, device));
    if (device === undefined || state === undefined) {
      const sentence = await openFaultSentence('No such file', path, machine.root);
      const [what, fix] = troubleAndFix(sentence, 'plug the adapter in or correct the path');
      found.fail(`${of}: ${what}`, UART.test(path) ? UART_FIX : fix);
      continue;
    }
    if (!state.isDevice) {
      found.fail(`${of}: ${path} is not a serial port`, `correct buses.${bus}.path`);
      continue;
    }
    await checkName(machine, bus, path, device, found);
    await checkAccess(machine, service, device, { usualGroup: 'dialout', of }, found);
    await checkConsole(machine, of, path, found);
    checkHolder(
      of,
      path,
      device,
      (holders.get(device) ?? []).filter(({ pid }) => pid !== gatewayPid),
      found,
    );
    if (parity !== 'none' && (await isMiniUart(machine, device))) {
      found.fail(
        `${of}: ${path} is the mini UART of this board, which has no parity bit, and parity is ${String(parity)}`,
        'add dtoverlay=disable-bt to config.txt, so that /dev/serial0 is the full UART, and restart; or use a USB adapter',
      );
    }
    if (found.list.length === before)
      found.ok(`${of}: ${path} can be used${machine.user.uid === 0 ? '' : UNSEEN}`);
  }
  return found.list;
}

/** /dev/ttyUSB0 is whichever adapter answered first at this start. */
async function checkName(
  machine: Machine,
  bus: string,
  path: string,
  device: string,
  { warn }: Findings,
): Promise<void> {
  if (!/^\/dev\/tty(USB|ACM)\d+$/.test(path)) return;
  for (const folder of ['/dev/serial/by-id', '/dev/serial/by-path']) {
    for (const name of await filesIn(machine, folder)) {
      if ((await realPath(machine, join(folder, name))) !== device) continue;
      warn(
        `bus ${bus}: ${path} may be another adapter after a restart or when one is plugged in again`,
        `buses.${bus}.path: ${join(folder, name)}`,
      );
      return;
    }
  }
  warn(
    `bus ${bus}: ${path} may be another adapter after a restart, and udev has no lasting name for it`,
    'give it one with a udev rule (SYMLINK+="…"), or use an adapter with a serial number',
  );
}

async function checkConsole(machine: Machine, of: string, path: string, { fail }: Findings): Promise<void> {
  const sentence = await consoleOn(path, machine.root);
  if (sentence === undefined) return;
  const [what, fix] = troubleAndFix(sentence, 'switch the console off and restart');
  fail(`${of}: ${path}: ${what}`, fix);
}

function checkHolder(
  of: string,
  path: string,
  device: string,
  holders: readonly Holder[],
  { fail }: Findings,
): void {
  const [holder] = holders;
  if (holder === undefined) return;
  fail(
    `${of}: ${path} is in use by ${holder.name} (process ${holder.pid})`,
    fixFor(holder, basename(device)),
  );
}

function fixFor({ name, pid }: Holder, port: string): string {
  if (/getty|login/.test(name)) return `sudo systemctl disable --now serial-getty@${port}.service`;
  if (name === 'ModemManager') {
    return 'sudo systemctl disable --now ModemManager, or tell it to leave the port alone (udev: ENV{ID_MM_PORT_IGNORE}="1")';
  }
  if (name === 'gpsd') return 'sudo systemctl disable --now gpsd.socket gpsd';
  return `stop it: kill ${pid}; a second gateway or another master on the line garbles both`;
}

/** Who has which terminal open. Processes of other users show it to root only. */
async function holdersOf(machine: Machine): Promise<Map<string, Holder[]>> {
  const holders = new Map<string, Holder[]>();
  for (const pid of await filesIn(machine, '/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const open = new Set<string>();
    for (const file of await filesIn(machine, `/proc/${pid}/fd`)) {
      // It may have been closed since.
      open.add(await readlink(at(machine, `/proc/${pid}/fd/${file}`)).catch(() => ''));
    }
    for (const device of open) {
      if (!device.startsWith('/dev/tty')) continue;
      const name = (await textOf(machine, `/proc/${pid}/comm`)) ?? 'a process';
      holders.set(device, [...(holders.get(device) ?? []), { pid: Number(pid), name }]);
    }
  }
  return holders;
}

async function isMiniUart(machine: Machine, device: string): Promise<boolean> {
  const model = (await textOf(machine, '/proc/device-tree/model')) ?? '';
  return /^Raspberry Pi (?!5)/.test(model) && device === '/dev/ttyS0';
}
