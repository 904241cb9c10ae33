/** 1-Wire and IIO: whether the kernel has what the configuration names. */
import { join } from 'node:path';
import type { Config } from '../../config/schema.js';
import { type Finding, type Findings, findings } from './finding.js';
import { filesIn, type Machine, textOf } from './machine.js';

export async function checkKernelBuses(
  machine: Machine,
  { buses, devices }: Pick<Config, 'buses' | 'devices'>,
): Promise<readonly Finding[]> {
  const onewire = findings('1-wire');
  const iio = findings('iio');
  for (const [bus, config] of Object.entries(buses)) {
    if (config.driver !== 'onewire' && config.driver !== 'iio') continue;
    const points = Object.values(devices)
      .filter((device) => device.bus === bus)
      .flatMap((device) => Object.values(device.points));
    const root = 'root' in config ? String(config.root) : '/sys';
    if (config.driver === 'onewire') {
      const probes = points.flatMap((point) => ('probe' in point ? [point.probe.toLowerCase()] : []));
      await checkProbes(machine, `bus ${bus}`, root, probes, onewire);
    } else {
      const channels = points.flatMap((point) => ('channel' in point ? [point.channel] : []));
      await checkChips(machine, `bus ${bus}`, root, channels, iio);
    }
  }
  return [...onewire.list, ...iio.list];
}

async function checkProbes(
  machine: Machine,
  of: string,
  root: string,
  wanted: readonly string[],
  { ok, fail }: Findings,
): Promise<void> {
  const folder = join(root, 'bus/w1/devices');
  const there = await filesIn(machine, folder);
  const probes = there.filter((name) => /^[0-9a-f]{2}-[0-9a-f]{12}$/.test(name));
  const missing = wanted.filter((probe) => probe !== 'any' && !probes.includes(probe));
  if (there.length === 0) {
    fail(
      `${of}: 1-Wire is not switched on (${folder} is empty)`,
      'add dtoverlay=w1-gpio to config.txt and restart',
    );
  } else if (probes.length === 0) {
    fail(`${of}: no probe answers`, 'check the wiring and the pull-up resistor (4.7 kΩ from data to 3.3 V)');
  } else if (missing.length > 0) {
    fail(
      `${of}: missing ${missing.join(', ')}`,
      `check its wiring, or name one that is there: ${probes.slice(0, 8).join(', ')}`,
    );
  } else if (wanted.includes('any') && probes.length > 1) {
    fail(`${of}: probe: any, but there are ${probes.length}`, `name one of ${probes.slice(0, 8).join(', ')}`);
  } else ok(`${of}: ${probes.length === 1 ? '1 probe answers' : `${probes.length} probes answer`}`);
}

async function checkChips(
  machine: Machine,
  of: string,
  root: string,
  channels: readonly string[],
  { ok, fail }: Findings,
): Promise<void> {
  const folder = join(root, 'bus/iio/devices');
  const names = new Set<string>();
  for (const id of (await filesIn(machine, folder)).filter((name) => name.startsWith('iio:device'))) {
    names.add(id);
    for (const file of ['name', 'label']) {
      const name = await textOf(machine, join(folder, id, file));
      if (name !== undefined && name !== '') names.add(name);
    }
  }
  const wanted = channels
    .filter((channel) => channel.includes('/'))
    .map((channel) => channel.split('/')[0] as string);
  const missing = [...new Set(wanted)].filter((chip) => !names.has(chip));
  const overlay =
    'add the overlay of the chip to config.txt (such as dtparam=i2c_arm=on with dtoverlay=ads1015 or dtoverlay=i2c-sensor,bme280) and restart; i2cdetect -y 1 shows what answers';
  const shown = [...names].filter((name) => !name.startsWith('iio:')).join(', ');
  if (names.size === 0) fail(`${of}: the kernel has no IIO device`, overlay);
  else if (missing.length > 0) fail(`${of}: no IIO device ${missing.join(', ')}; there is ${shown}`, overlay);
  else ok(`${of}: the kernel has ${shown}`);
}
