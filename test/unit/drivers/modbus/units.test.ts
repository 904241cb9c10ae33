/** Scale registers, not-a-value numbers, limits of a device and units in parallel, on the fake clock. */
import { expect, test } from 'vitest';
import { ModbusDriver } from '../../../../src/drivers/modbus/driver.js';
import { isModbusBus, lineSettings } from '../../../../src/drivers/modbus/line-settings.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { SimulatedSlave } from '../../../support/simulated-slave.js';
import { slaveStream } from '../../../support/slave-stream.js';

async function rig(
  bus: object,
  devices: Record<string, object>,
  units: readonly number[],
  prepare: (slave: SimulatedSlave) => void,
) {
  const clock = new FakeClock();
  const slave = new SimulatedSlave('tcp', units);
  prepare(slave);
  const bench = new DriverBench({ driver: 'modbus-tcp', host: 'plant', ...bus }, devices, clock);
  const { config } = bench.context;
  if (!isModbusBus(config)) throw new Error('a Modbus bus');
  const settings = lineSettings(config, bench.context.random);
  const driver = new ModbusDriver(bench.context, config, {
    ...settings,
    open: slaveStream(slave, clock, 50),
  });
  await driver.start();
  return { bench, clock, driver, slave };
}

test('a value and its scale register come with one request, and what the device calls no value is bad', async () => {
  const points = {
    power: { register: 'holding/100', type: 'int16', scale_register: 'holding/115', nan: 0x8000 },
    current: { register: 'holding/101', scale_register: 'holding/114', nan: 0xffff },
    odd: { register: 'holding/102', scale_register: 'holding/113' },
    bit: { register: 'holding/103', bit: 3 },
    nibble: { register: 'holding/103', bit: '4-7' },
  };
  const { bench, clock, driver, slave } = await rig(
    {},
    { inv: { unit: 1, poll: '1s', points } },
    [1],
    (each) => {
      each.unit().holding.set([2215, 0xffff, 7, 0x00a8], 100);
      each.unit().holding.set([11, 0, 0xffff], 113);
    },
  );
  await clock.advanceAsync(900);
  expect(slave.seen).toMatchObject([{ functionCode: 3, start: 100, count: 16 }]);
  expect(bench.seen('inv', 'power')).toEqual([221.5]);
  expect(bench.seen('inv', 'current')).toEqual([{ bad: 'not available' }]);
  expect(bench.seen('inv', 'odd')).toEqual([{ bad: 'wrong scale factor' }]);
  expect(bench.seen('inv', 'bit')).toEqual([true]);
  expect(bench.seen('inv', 'nibble')).toEqual([10]);
  slave.unit().holding[115] = 0x8000;
  await clock.advanceAsync(1000);
  expect(bench.seen('inv', 'power').at(-1)).toEqual({ bad: 'not available' });
  await driver.stop();
});

test('a device is never asked for more than it gives at once, nor over its gap', async () => {
  const points = Object.fromEntries(
    [0, 1, 2, 3, 4, 7].map((at) => [`r${at}`, { register: `holding/${at}` }]),
  );
  const limits = { max_registers: 4, gap: 1 };
  const { clock, driver, slave } = await rig(
    {},
    { d: { unit: 1, poll: '1s', points, ...limits } },
    [1],
    (each) => {
      each.unit().registersMax = 4;
    },
  );
  await clock.advanceAsync(900);
  expect(slave.seen.map(({ start, count }) => [start, count])).toEqual([
    [0, 4],
    [4, 1],
    [7, 1],
  ]);
  await driver.stop();
});

test('units behind one host are asked side by side up to concurrency, never one of them twice at once', async () => {
  const units = [1, 2, 3, 4];
  const devices = Object.fromEntries(
    units.map((unit) => [`d${unit}`, { unit, poll: '60ms', points: { a: { register: 'holding/0' } } }]),
  );
  const polls = async (concurrency: number): Promise<number> => {
    const { bench, clock, driver } = await rig({ concurrency }, devices, units, () => undefined);
    await clock.advanceAsync(6000);
    await driver.stop();
    expect(new Set(bench.polls.map(({ device }) => device)).size).toBe(4);
    return bench.polls.length;
  };
  const [one, four] = [await polls(1), await polls(4)];
  // Each answer takes 50 ms: one at a time gives 20 a second, four at a time what was asked for.
  expect(one).toBeLessThan(125);
  expect(four).toBeGreaterThan(3 * one);
});

test('after connecting the bus is left alone as long as it wants, and each device before its requests', async () => {
  const points = { a: { register: 'holding/0' }, b: { register: 'holding/100' } };
  const { clock, driver, slave } = await rig(
    { connect_delay: '2s' },
    { d: { unit: 1, poll: '10s', frame_gap: '300ms', points } },
    [1],
    () => undefined,
  );
  await clock.advanceAsync(1990);
  expect(slave.seen).toHaveLength(0);
  await clock.advanceAsync(100);
  expect(slave.seen).toHaveLength(1);
  await clock.advanceAsync(200);
  expect(slave.seen).toHaveLength(1);
  await clock.advanceAsync(200);
  expect(slave.seen).toHaveLength(2);
  await driver.stop();
});
