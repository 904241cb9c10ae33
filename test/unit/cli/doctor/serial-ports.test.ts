import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkSerialPorts } from '../../../../src/cli/doctor/serial-ports.js';
import { readUnit } from '../../../../src/cli/doctor/service-unit.js';
import { parseConfig } from '../../../../src/config/parse.js';
import { FakeMachine, troubles } from '../../../support/fake-machine.js';

const BY_ID = '/dev/serial/by-id/usb-FTDI-if00-port0';
let machine: FakeMachine;

beforeEach(() => {
  machine = new FakeMachine()
    .device('dev/ttyUSB0')
    .link('dev/serial/by-id/usb-FTDI-if00-port0', '../../ttyUSB0');
});
afterEach(() => machine.tree.remove());

async function check(path: string, { parity = 'none', gatewayPid = 0 } = {}) {
  const text = `gateway: { id: a }\nbuses: { line: { driver: modbus-rtu, path: ${path}, parity: ${parity} }, plc: { driver: modbus-tcp, host: 127.0.0.1 } }`;
  const { config, errors } = parseConfig(text, 'a.yaml', {});
  if (config === undefined) throw new Error(errors[0]?.line);
  return checkSerialPorts(machine, config.buses, { unit: await readUnit(machine), gatewayPid });
}

test('a port with a lasting name that may be opened and that nobody has is as it should be', async () => {
  const found = await check(BY_ID);
  expect(found.map(({ state, what }) => `${state} ${what}`)).toEqual([
    `ok bus line: ${BY_ID} can be used (whether a program of another user has it open, only sudo tells)`,
  ]);
});

test('a port that is missing is named with those that are there', async () => {
  expect(troubles(await check('/dev/ttyUSB7'))).toEqual([
    `fail bus line: /dev/ttyUSB7 is missing → plug the adapter in or correct the path; there is ${BY_ID}`,
  ]);
});

test('a port of the board that is missing is to be switched on', async () => {
  expect(troubles(await check('/dev/ttyAMA0'))[0]).toMatch(/^fail .*ttyAMA0 is missing → add enable_uart=1/);
});

test('a file that is no device is told', async () => {
  machine.set({ 'dev/notes': '' });
  expect(troubles(await check('/dev/notes'))).toEqual([
    'fail bus line: /dev/notes is not a serial port → correct buses.line.path',
  ]);
});

test('a name that changes is told with the one that lasts', async () => {
  expect(troubles(await check('/dev/ttyUSB0'))).toEqual([
    `warn bus line: /dev/ttyUSB0 may be another adapter after a restart or when one is plugged in again → buses.line.path: ${BY_ID}`,
  ]);
});

test('a user outside of the group is told how to get in', async () => {
  machine.user = { name: 'eva', uid: 1000, groups: [1000] };
  expect(troubles(await check(BY_ID))).toEqual([
    'fail bus line: this user, eva, may not open /dev/ttyUSB0 → sudo usermod -aG dialout eva; then log in again',
  ]);
});

test('the user of the service counts more than the one who asks', async () => {
  machine.set({ 'etc/passwd': 'godwit:x:998:998::/:/bin/false' }).unit({ User: 'godwit' });
  machine.user = { name: 'eva', uid: 1000, groups: [1000] };
  expect((await check(BY_ID)).map(({ state, fix }) => `${state} ${fix}`)).toEqual([
    'fail sudo usermod -aG dialout godwit; then sudo systemctl restart godwit',
    'warn sudo usermod -aG dialout eva; then log in again',
  ]);
  machine.unit({ User: 'godwit', SupplementaryGroups: 'dialout gpio' });
  expect((await check(BY_ID)).map(({ state }) => state)).toEqual(['warn']);
});

test('a user that systemd makes has the groups of the unit', async () => {
  machine.unit({ DynamicUser: 'yes' });
  expect(troubles(await check(BY_ID))).toEqual([
    expect.stringMatching(
      /^fail .*user godwit, .* → sudo systemctl edit godwit: SupplementaryGroups=dialout/,
    ),
  ]);
  machine.unit({ User: 'godwit', DynamicUser: 'yes', SupplementaryGroups: 'dialout' });
  expect((await check(BY_ID)).map(({ state }) => state)).toEqual(['ok']);
});

test('a port that belongs to root alone needs a udev rule', async () => {
  machine.device('dev/ttyUSB0', { gid: 0, mode: 0o600 });
  expect(troubles(await check(BY_ID))[0]).toContain('with a udev rule (GROUP="dialout", MODE="0660")');
});

test.each(['PrivateDevices=yes', 'DevicePolicy=closed'])('a unit with %s hides ports', async (setting) => {
  const [name = '', value = ''] = setting.split('=');
  machine.unit({ [name]: value });
  expect(troubles(await check(BY_ID))[0]).toMatch(
    /^fail the unit hides serial ports .* → sudo systemctl edit godwit/,
  );
});

test('the console of the kernel on the UART is told with the way to switch it off', async () => {
  machine
    .device('dev/ttyAMA0')
    .link('dev/serial0', 'ttyAMA0')
    .set({ 'proc/cmdline': 'console=serial0,115200 quiet' });
  expect(troubles(await check('/dev/serial0'))).toEqual([
    'fail bus line: /dev/serial0: a login console uses it (console=serial0) → switch it off with raspi-config, Interface Options, Serial Port: login shell no, hardware yes, and restart',
  ]);
});

test.each([
  ['agetty', 'sudo systemctl disable --now serial-getty@ttyUSB0.service'],
  ['ModemManager', 'sudo systemctl disable --now ModemManager'],
  ['mbpoll', 'stop it: kill 4711'],
])('%s on the port is named, with the way to end it', async (name, fix) => {
  machine.set({ 'proc/4711/comm': name }).link('proc/4711/fd/5', '/dev/ttyUSB0');
  const [found] = troubles(await check(BY_ID));
  expect(found).toContain(`fail bus line: ${BY_ID} is in use by ${name} (process 4711) → ${fix}`);
});

test('the gateway itself may hold its port', async () => {
  machine.set({ 'proc/4711/comm': 'node' }).link('proc/4711/fd/5', '/dev/ttyUSB0');
  expect(troubles(await check(BY_ID, { gatewayPid: 4711 }))).toEqual([]);
});

test('the mini UART of a Raspberry Pi has no parity', async () => {
  machine.device('dev/ttyS0').set({ 'proc/device-tree/model': 'Raspberry Pi 3 Model B Rev 1.2' });
  expect(troubles(await check('/dev/ttyS0', { parity: 'even' }))[0]).toMatch(
    /no parity bit.*dtoverlay=disable-bt/,
  );
  expect(troubles(await check('/dev/ttyS0'))).toEqual([]);
});
