/** What scripts/hardware-check finds on a board that is made of files, with a serial port whose other end echoes. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FakeTree } from '../support/fake-tree.js';
import { ROOT, Running } from '../support/process.js';

const SCRIPT = join(ROOT, 'scripts/lib/hardware-check.mjs');
let tree: FakeTree;
afterEach(() => tree.remove());

interface Entry {
  readonly name: string;
  readonly result: string;
  readonly found?: Readonly<Record<string, unknown>>;
  readonly why?: string;
}

test('each check is one entry, what is not there is absent, and what fails says why and ends with 1', async () => {
  tree = new FakeTree({
    'proc/device-tree/model': 'Raspberry Pi 5 Model B\0',
    'proc/cmdline': 'console=ttyAMA0,115200',
    'dev/ttyAMA0': '',
    'sys/class/gpio/export': '',
    'sys/class/gpio/gpiochip571/label': 'pinctrl-rp1',
    'sys/class/gpio/gpiochip571/base': '571',
    'sys/class/gpio/gpiochip571/ngpio': '54',
    'sys/bus/w1/devices/28-0316a2794ef1/w1_slave':
      '50 01 4b 46 7f ff 0c 10 f1 : crc=f1 YES\n50 01 4b 46 7f ff 0c 10 f1 t=21062',
    'sys/bus/iio/devices/iio:device0/name': 'ads1015',
    'sys/bus/iio/devices/iio:device0/in_voltage0_raw': '1234',
    'sys/bus/iio/devices/iio:device0/in_voltage_scale': '3.0',
  });
  const run = spawnSync(
    process.execPath,
    [SCRIPT, '--root', tree.root, '--serial', '/dev/nowhere', '--json'],
    {
      encoding: 'utf8',
    },
  );
  expect(run.status, run.stderr).toBe(1);
  const { failed, checks } = JSON.parse(run.stdout) as { failed: number; checks: Entry[] };
  expect(failed).toBe(1);
  const entry = (name: string): Entry | undefined => checks.find((one) => one.name === name);
  expect(entry('board')?.found).toMatchObject({ model: 'Raspberry Pi 5 Model B' });
  expect(entry('gpio: which way and why')?.found).toMatchObject({ gpio17: 588 });
  expect(entry('1-wire: probes')?.found).toEqual({ '28-0316a2794ef1': 21.062 });
  expect(entry('iio: channels')?.found).toEqual({ 'iio:device0/voltage0': 3702 });
  expect(entry('serial: ports')?.found).toMatchObject({
    consoles: [expect.stringContaining('login console')],
  });
  expect(entry('serial: wire')).toMatchObject({
    result: 'failed',
    why: expect.stringContaining('/dev/nowhere is missing'),
  });
});

test('a wire from TX to RX brings every byte back; the words end with the line to send', async () => {
  tree = new FakeTree();
  const echo = new Running('socat', 'socat', [`pty,raw,echo=0,link=${tree.root}/port`, 'exec:cat']);
  try {
    let run = spawnSync(process.execPath, [SCRIPT, '--root', tree.root, '--serial', `${tree.root}/port`], {
      encoding: 'utf8',
    });
    // socat makes its link and says nothing.
    for (let attempt = 0; attempt < 20 && run.stdout.includes('is missing'); attempt += 1) {
      run = spawnSync(process.execPath, [SCRIPT, '--root', tree.root, '--serial', `${tree.root}/port`], {
        encoding: 'utf8',
      });
    }
    expect(run.stdout).toMatch(/^ok {6}serial: wire \(\d+ ms\)$/m);
    expect(run.stdout).toMatch(/^absent {2}1-wire: probes/m);
    expect(JSON.parse(run.stdout.trim().split('\n').at(-1) as string)).toMatchObject({
      godwit: 'hardware-check',
    });
  } finally {
    await echo.kill();
  }
});
