import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkGpio } from '../../../../src/cli/doctor/gpio-lines.js';
import { checkKernelBuses } from '../../../../src/cli/doctor/kernel-buses.js';
import { readUnit } from '../../../../src/cli/doctor/service-unit.js';
import { parseConfig } from '../../../../src/config/parse.js';
import { FakeMachine, troubles } from '../../../support/fake-machine.js';

let machine: FakeMachine;
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => machine.tree.remove());

function configWith(bus: string, points: string) {
  const text = `gateway: { id: a }\nbuses: { b: ${bus} }\ndevices: { d: { bus: b, points: ${points} } }`;
  const { config, errors } = parseConfig(text, 'a.yaml', {});
  if (config === undefined) throw new Error(errors[0]?.line);
  return config;
}

describe('GPIO', () => {
  const chip = (name: string, label: string, base: number) => ({
    [`sys/class/gpio/${name}/label`]: label,
    [`sys/class/gpio/${name}/base`]: `${base}`,
    [`sys/class/gpio/${name}/ngpio`]: '58',
  });
  const withSysfs = () =>
    machine
      .set({
        ...chip('gpiochip512', 'pinctrl-bcm2711', 512),
        ...chip('gpiochip570', 'raspberrypi-exp-gpio', 570),
      })
      .device('sys/class/gpio/export', { gid: 993, mode: 0o220 });
  const check = async (points = '{ open: { gpio: 17 }, relay: { gpio: 22, direction: out } }') =>
    checkGpio(machine, configWith('{ driver: gpio }', points), await readUnit(machine));

  test('the way to the lines and their numbers in the kernel are told', async () => {
    withSysfs();
    expect((await check()).map(({ state, what }) => `${state} ${what}`)).toEqual([
      'ok bus b: lines are reached through sysfs, since the kernel has /sys/class/gpio',
      'ok bus b: d/open BCM 17 is 529 (pinctrl-bcm2711, base 512); d/relay BCM 22 is 534 (pinctrl-bcm2711, base 512)',
    ]);
  });

  test('a machine without any way is told what to install', async () => {
    expect(troubles(await check())[0]).toMatch(
      /^fail bus b: the kernel has no .* → install the package gpiod/,
    );
  });

  test('lines through the character device are told with their chip', async () => {
    for (const tool of ['gpiomon', 'gpioset', 'gpioget']) machine.answers.set(tool, '');
    machine.answers.set('gpiodetect', 'gpiochip0 [pinctrl-rp1] (54 lines)');
    expect(troubles(await check())).toEqual([
      expect.stringMatching(/^fail bus b: this machine has no GPIO chip .* → load the driver/),
    ]);
    machine.device('dev/gpiochip0', { gid: 993 });
    expect((await check('{ open: { gpio: 17 } }')).map(({ what }) => what)).toEqual([
      'bus b: lines are reached through chardev, since the kernel has no /sys/class/gpio',
      'bus b: d/open BCM 17 is line 17 of gpiochip0 (pinctrl-rp1)',
    ]);
    machine.user = { name: 'eva', uid: 1000, groups: [] };
    expect(troubles(await check())[0]).toContain('sudo usermod -aG gpio eva');
    machine.answers.set('gpiodetect', new Error('unable to open chip'));
    expect(troubles(await check()).at(-1)).toMatch(/^fail .*gpiodetect says: unable to open chip/);
  });

  test('a chip that is not there, and a line that it has not, are told', async () => {
    withSysfs();
    const found = troubles(
      await check(
        '{ a: { gpio: { chip: mcp, line: 1 } }, b: { gpio: { chip: pinctrl-bcm2711, line: 58 } } }',
      ),
    );
    expect(found).toEqual([
      expect.stringMatching(/^fail bus b: d\/a: no chip mcp → there is pinctrl-bcm2711/),
      expect.stringMatching(/^fail bus b: d\/b: pinctrl-bcm2711 has lines 0 to 57, not 58 → /),
    ]);
  });

  test('pull resistors that sysfs cannot set are told', async () => {
    withSysfs();
    expect(troubles(await check('{ open: { gpio: 17, pull: up } }'))[0]).toMatch(
      /^warn bus b: pull resistors cannot/,
    );
  });

  test('a user outside of group gpio, a read-only /sys and a unit that makes it so are told', async () => {
    withSysfs().unit({ User: 'root', ProtectKernelTunables: 'yes' });
    machine.user = { name: 'eva', uid: 1000, groups: [] };
    machine.set({ 'proc/self/mountinfo': '22 27 0:20 / /sys ro,relatime - sysfs sysfs ro' });
    expect(troubles(await check())).toEqual([
      expect.stringMatching(/^fail bus b: \/sys is read-only here.* → sudo mount -o remount,rw \/sys/),
      expect.stringMatching(/^fail .*ProtectKernelTunables=yes.* → .*ProtectKernelTunables=no/),
      expect.stringMatching(
        /^warn .*eva, may not open \/sys\/class\/gpio\/export → sudo usermod -aG gpio eva/,
      ),
    ]);
  });
});

describe('1-Wire', () => {
  const check = (probe = '28-0316a2794ef1') =>
    checkKernelBuses(machine, configWith('{ driver: onewire }', `{ t: { probe: ${probe} } }`));
  const probes = (...ids: string[]) => {
    for (const id of ['w1_bus_master1', ...ids]) machine.set({ [`sys/bus/w1/devices/${id}/name`]: id });
  };

  test('without the overlay it is told which', async () => {
    expect(troubles(await check())[0]).toMatch(
      /^fail bus b: 1-Wire is not switched on.* → add dtoverlay=w1-gpio/,
    );
  });

  test('a bus without probes, a missing one and one too many are told', async () => {
    probes();
    expect(troubles(await check())[0]).toMatch(/^fail bus b: no probe answers → .*pull-up/);
    probes('28-000000000001');
    expect(troubles(await check())[0]).toMatch(/^fail bus b: missing 28-0316a2794ef1 → .*28-000000000001/);
    expect(troubles(await check('any'))).toEqual([]);
    probes('28-0316a2794ef1');
    expect(troubles(await check('any'))[0]).toMatch(/^fail bus b: probe: any, but there are 2/);
    expect(troubles(await check())).toEqual([]);
  });
});

test('IIO chips that are missing are told with those that are there', async () => {
  const check = () =>
    checkKernelBuses(machine, configWith('{ driver: iio }', '{ v: { channel: ads1015/voltage0 } }'));
  expect(troubles(await check())[0]).toMatch(/^fail bus b: the kernel has no IIO device → add the overlay/);
  machine.set({ 'sys/bus/iio/devices/iio:device0/name': 'bme280' });
  expect(troubles(await check())[0]).toMatch(/^fail bus b: no IIO device ads1015; there is bme280 → /);
  machine.set({ 'sys/bus/iio/devices/iio:device1/name': 'ads1015' });
  expect(troubles(await check())).toEqual([]);
});
