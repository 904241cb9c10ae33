import { afterEach, expect, test } from 'vitest';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeTree } from '../../../support/fake-tree.js';

let tree: FakeTree;
afterEach(() => tree.remove());

const ADC = 'bus/iio/devices/iio:device0';
const CLIMATE = 'bus/iio/devices/iio:device1';
const FILES = {
  [`${ADC}/name`]: 'ads1015',
  [`${ADC}/in_voltage0_raw`]: '1234',
  [`${ADC}/in_voltage0_scale`]: '3.000000000',
  [`${ADC}/in_voltage1_raw`]: '-7',
  [`${ADC}/in_voltage_scale`]: '0.1',
  [`${ADC}/in_voltage0-voltage1_raw`]: '10',
  [`${CLIMATE}/name`]: 'bme280',
  [`${CLIMATE}/in_temp_raw`]: '215',
  [`${CLIMATE}/in_temp_offset`]: '-100',
  [`${CLIMATE}/in_temp_scale`]: '10',
  [`${CLIMATE}/in_pressure_input`]: '101.325000',
};

async function read(points: Record<string, object>, files: Record<string, string> = FILES) {
  tree = new FakeTree(files);
  const bench = new DriverBench({ driver: 'iio', root: tree.root }, { chip: { points } });
  const driver = await openDriver(bench.context);
  const readings = await driver.readRaw('chip');
  await driver.stop();
  return Object.fromEntries(readings.map(({ point, value, reason }) => [point, value ?? reason]));
}

test('a channel is (raw + offset) × scale, by its own scale or that of its kind, without noise in the decimals', async () => {
  expect(
    await read({
      level: { channel: 'voltage0' },
      other: { channel: 'in_voltage1' },
      both: { channel: 'ads1015/voltage0-voltage1' },
      temperature: { channel: 'bme280/temp', scale: 0.001 },
      pressure: { channel: 'iio:device1/pressure' },
    }),
  ).toEqual({ level: 3702, other: -0.7, both: 1, temperature: 1.15, pressure: 101.325 });
});

test('what is not there is told with what is', async () => {
  expect(await read({ a: { channel: 'voltage9' }, b: { channel: 'mcp3008/voltage0' } })).toEqual({
    a: 'no channel voltage9; there is pressure, temp, voltage0, voltage0-voltage1, voltage1',
    b: 'no IIO device mcp3008; there is ads1015, bme280',
  });
  tree.remove();
  expect(await read({ a: { channel: 'voltage0' } }, {})).toEqual({
    a: 'no IIO device; check the overlay in config.txt and the wiring',
  });
});

test('a channel that two chips have wants the chip to be named', async () => {
  const twice = { ...FILES, 'bus/iio/devices/iio:device2/in_voltage0_raw': '1' };
  expect(await read({ a: { channel: 'voltage0' } }, twice)).toEqual({
    a: 'several devices have voltage0: write iio:device0/voltage0 or iio:device2/voltage0',
  });
});

test('what is no number is bad, not a number', async () => {
  const files = { ...FILES, [`${ADC}/in_voltage0_raw`]: 'oops', [`${CLIMATE}/in_temp_scale`]: '' };
  expect(await read({ a: { channel: 'voltage0' }, b: { channel: 'temp' } }, files)).toEqual({
    a: 'not a number',
    b: 'in_temp_scale is no number',
  });
});
