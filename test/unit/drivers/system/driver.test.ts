import { afterEach, expect, test } from 'vitest';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { Board } from '../../../../src/drivers/system/board.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeTree } from '../../../support/fake-tree.js';

let tree: FakeTree;
afterEach(() => tree.remove());

const PI = {
  'sys/class/thermal/thermal_zone0/type': 'gpu-thermal',
  'sys/class/thermal/thermal_zone0/temp': '1000',
  'sys/class/thermal/thermal_zone1/type': 'cpu-thermal',
  'sys/class/thermal/thermal_zone1/temp': '48312',
  'sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq': '1500000',
  'sys/devices/platform/soc/soc:firmware/get_throttled': '50005',
  'sys/class/net/lo/operstate': 'unknown',
  'sys/class/net/eth0/operstate': 'up',
  'sys/class/net/eth0/speed': '1000',
  'sys/class/net/wlan0/operstate': 'down',
  'proc/net/wireless':
    'Inter-| sta-|   Quality        |\n face | tus | link level noise |\n wlan0: 0000   35.  -56.  -256        0      0',
  'proc/loadavg': '0.52 0.58 0.59 1/467 12345',
  'proc/uptime': '350735.47 234388.90',
  'proc/stat': 'cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3',
  'proc/meminfo':
    'MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:  750 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB',
};

async function read(metrics: Record<string, string | object>, files: Record<string, string> = PI) {
  tree = new FakeTree(files);
  const points = Object.fromEntries(
    Object.entries(metrics).map(([name, of]) => [name, typeof of === 'string' ? { metric: of } : of]),
  );
  const bench = new DriverBench({ driver: 'system', root: tree.root }, { host: { points } });
  const driver = await openDriver(bench.context);
  const readings = await driver.readRaw('host');
  await driver.stop();
  return Object.fromEntries(readings.map(({ point, value, reason }) => [point, value ?? reason]));
}

test('a Raspberry Pi tells its temperature, load, memory, supply and links', async () => {
  expect(
    await read({
      cpu: 'cpu_temperature',
      mhz: 'cpu_frequency',
      busy: 'cpu_usage',
      load: 'load_5m',
      total: 'memory_total',
      used: 'memory_used',
      swap: 'swap_used',
      uptime: 'uptime',
      under: 'undervoltage',
      underOnce: 'undervoltage_since_boot',
      throttled: 'throttled',
      throttledOnce: 'throttled_since_boot',
      capped: 'frequency_capped',
      soft: 'soft_temperature_limit',
      up: 'link_up',
      speed: 'link_speed',
      wlanUp: { metric: 'link_up', interface: 'wlan0' },
      quality: 'link_quality',
      signal: 'link_signal',
    }),
  ).toEqual({
    cpu: 48.312,
    mhz: 1500,
    busy: 20,
    load: 0.58,
    total: 1_024_000,
    used: 25,
    swap: 0,
    uptime: 350735.47,
    under: true,
    underOnce: true,
    throttled: true,
    throttledOnce: true,
    capped: false,
    soft: false,
    up: true,
    speed: 1000,
    wlanUp: false,
    quality: 50,
    signal: -56,
  });
});

test('a board without such files says what it lacks, point by point', async () => {
  expect(
    await read(
      {
        under: 'undervoltage',
        cpu: 'cpu_temperature',
        quality: 'link_quality',
        eth: { metric: 'link_up', interface: 'eth7' },
        mine: 'process_memory',
      },
      { 'sys/class/net/eth0/operstate': 'up' },
    ),
  ).toEqual({
    under: 'this board does not say so; a Raspberry Pi does',
    cpu: 'this board shows no temperature',
    quality: 'no radio link',
    eth: 'no interface eth7; there is eth0',
    mine: expect.any(Number),
  });
});

test('where the firmware has no file, the supply monitor tells undervoltage', async () => {
  const files = { 'sys/class/hwmon/hwmon1/name': 'rpi_volt', 'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '1' };
  expect(await read({ now: 'undervoltage' }, files)).toEqual({ now: true });
});

test('the disk that a path is on tells what is free of it', async () => {
  const { total, free, used } = await read({
    total: { metric: 'disk_total', path: 'proc' },
    free: 'disk_free',
    used: 'disk_used',
  });
  expect(Number(total)).toBeGreaterThanOrEqual(Number(free));
  expect(Number(used)).toBeGreaterThanOrEqual(0);
  expect(Number(used)).toBeLessThanOrEqual(100);
});

test('processor usage is that since the reading before', async () => {
  tree = new FakeTree(PI);
  const board = new Board(tree.root);
  expect(await board.cpuUsage()).toBe(20);
  tree.set({ 'proc/stat': 'cpu  175 0 100 725 100 0 0 0 0 0' });
  expect(await board.cpuUsage()).toBe(75);
  expect(await board.cpuUsage()).toBe(75);
});
