/** Writing, raw reads, traces and identification, on the fake clock with a slave that knows every function. */

import { describe, expect, test } from 'vitest';
import { ModbusDriver } from '../../../../src/drivers/modbus/driver.js';
import { isModbusBus, lineSettings } from '../../../../src/drivers/modbus/line-settings.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { type Framing, SimulatedSlave } from '../../../support/simulated-slave.js';
import { slaveStream } from '../../../support/slave-stream.js';

const DRIVERS = { tcp: 'modbus-tcp', rtu: 'modbus-rtu', ascii: 'modbus-ascii' } as const;

interface Rig {
  readonly slave: SimulatedSlave;
  readonly bench: DriverBench;
  readonly driver: ModbusDriver;
  readonly clock: FakeClock;
  /** Runs the fake clock until it is done. */
  soon<Result>(promise: Promise<Result>): Promise<Result>;
}

async function rig(
  points: Record<string, object>,
  {
    framing = 'tcp',
    unit = 1,
    units = [1],
    device = {},
    bus = {},
  }: {
    framing?: Framing;
    unit?: number;
    units?: readonly number[];
    device?: object;
    bus?: object;
  } = {},
): Promise<Rig> {
  const clock = new FakeClock();
  const slave = new SimulatedSlave(framing, units);
  const where = framing === 'tcp' ? { host: 'plant' } : { path: '/dev/plant' };
  const bench = new DriverBench(
    { driver: DRIVERS[framing], ...where, ...bus },
    { tank: { unit, poll: '1h', points, ...device } },
    clock,
  );
  const { config } = bench.context;
  if (!isModbusBus(config)) throw new Error('a Modbus bus');
  const settings = { ...lineSettings(config, bench.context.random), open: slaveStream(slave, clock) };
  const driver = new ModbusDriver(bench.context, config, settings);
  await driver.start();
  await clock.advanceAsync(2000);
  slave.seen.length = 0;
  const soon = async <Result>(promise: Promise<Result>): Promise<Result> => {
    let isDone = false;
    const done = promise.finally(() => {
      isDone = true;
    });
    for (let waitedMs = 0; !isDone && waitedMs < 60_000; waitedMs += 10) await clock.advanceAsync(10);
    return done;
  };
  return { slave, bench, driver, clock, soon };
}

describe.each(['tcp', 'rtu', 'ascii'] as const)('a write over %s', (framing) => {
  test.each([
    ['a register', { register: 'holding/5', writable: true }, 7, { 5: 7 }, 7, [6, 3]],
    [
      'a scaled value',
      { register: 'holding/5', type: 'int16', scale: 0.1, offset: -40, writable: true },
      21.5,
      { 5: 615 },
      21.5,
      [6, 3],
    ],
    ['text as a number', { register: 'holding/5', writable: true }, '8', { 5: 8 }, 8, [6, 3]],
    [
      'a float',
      { register: 'holding/4', type: 'float32', word_order: 'little', writable: true },
      21.1,
      { 4: 0xcccd, 5: 0x41a8 },
      21.1,
      [16, 3],
    ],
    [
      'one register by function 16',
      { register: 'holding/5', writable: true, write_function: 16 },
      7,
      { 5: 7 },
      7,
      [16, 3],
    ],
    [
      'with function 23',
      { register: 'holding/5', type: 'int32', writable: true, write_function: 23 },
      -2,
      { 5: 0xffff, 6: 0xfffe },
      -2,
      [23, 3],
    ],
    [
      'a name',
      { register: 'holding/5', enum: { 0: 'off', 2: 'auto' }, writable: true },
      'auto',
      { 5: 2 },
      'auto',
      [6, 3],
    ],
    [
      'the number of a name',
      { register: 'holding/5', enum: { 0: 'off', 2: 'auto' }, writable: true },
      2,
      { 5: 2 },
      'auto',
      [6, 3],
    ],
    ['a bit', { register: 'holding/5', bit: 3, writable: true }, 'on', { 5: 0x00f8 }, true, [22, 3]],
    ['a range of bits', { register: 'holding/5', bit: '4-7', writable: true }, 2, { 5: 0x0020 }, 2, [22, 3]],
    [
      'a byte',
      { register: 'holding/5', type: 'int8', byte: 'high', writable: true },
      -1,
      { 5: 0xfff0 },
      -1,
      [22, 3],
    ],
    [
      'flags',
      { register: 'holding/5', flags: { 0: 'hot', 5: 'dry' }, writable: true },
      'hot',
      { 5: 0x00d1 },
      'hot,bit4,bit6,bit7',
      [22, 3],
    ],
    [
      'a text',
      { register: 'holding/5', length: 5, writable: true },
      'abc',
      { 5: 0x6162, 6: 0x6300, 7: 0 },
      'abc',
      [16, 3],
    ],
    ['BCD', { register: 'holding/5', type: 'bcd16', writable: true }, 1234, { 5: 0x1234 }, 1234, [6, 3]],
    [
      'without reading back',
      { register: 'holding/5', writable: true, read_back: false },
      9,
      { 5: 9 },
      9,
      [6],
    ],
  ] as const)('%s', async (_, point, value, words, wanted, functions) => {
    const { slave, driver, soon } = await rig({ p: point }, { framing });
    const { holding } = slave.unit();
    holding[5] = 0x00f0;
    const verified = !('read_back' in point);
    expect(await soon(driver.write('tank', 'p', value))).toEqual({ ok: true, value: wanted, verified });
    for (const [address, word] of Object.entries(words)) expect(holding[Number(address)]).toBe(word);
    expect(slave.seen.map(({ functionCode }) => functionCode)).toEqual(functions);
    await driver.stop();
  });

  test('a coil, by function 5 or 15', async () => {
    const { slave, driver, soon } = await rig(
      {
        pump: { register: 'coil/3', writable: true },
        valve: { register: 'coil/4', writable: true, write_function: 15, enum: { 0: 'closed', 1: 'open' } },
      },
      { framing },
    );
    expect(await soon(driver.write('tank', 'pump', true))).toEqual({ ok: true, value: true, verified: true });
    expect(await soon(driver.write('tank', 'valve', 'open'))).toEqual({
      ok: true,
      value: 'open',
      verified: true,
    });
    expect([...slave.unit().coils.subarray(3, 5)]).toEqual([1, 1]);
    expect(slave.seen.map(({ functionCode }) => functionCode)).toEqual([5, 1, 15, 1]);
    await driver.stop();
  });

  test('what cannot be right is refused before any byte reaches the bus', async () => {
    const { slave, driver, soon } = await rig(
      {
        level: { register: 'holding/1', writable: true, min: 0, max: 80 },
        mode: { register: 'holding/2', writable: true, enum: { 0: 'off', 1: 'auto' } },
        small: { register: 'holding/3', type: 'int8', writable: true },
        name: { register: 'holding/4', length: 2, writable: true },
        sun: { register: 'holding/8', scale_register: 'holding/9', writable: true, max: 5 },
        fixed: { register: 'holding/10' },
      },
      { framing },
    );
    const fault = async (point: string, value: boolean | number | bigint | string): Promise<unknown> => {
      const result = await soon(driver.write('tank', point, value));
      return result.ok ? 'written' : result.fault;
    };
    expect(await fault('nothing', 1)).toBe('unknown');
    expect(await soon(driver.write('nobody', 'level', 1))).toMatchObject({ ok: false, fault: 'unknown' });
    expect(await fault('fixed', 1)).toBe('not writable');
    expect(await fault('level', 81)).toBe('out of range');
    expect(await fault('level', -1)).toBe('out of range');
    expect(await fault('level', 'high')).toBe('wrong type');
    expect(await fault('level', true)).toBe('wrong type');
    expect(await fault('level', Number.NaN)).toBe('wrong type');
    expect(await fault('mode', 'fast')).toBe('wrong type');
    expect(await fault('small', 128)).toBe('out of range');
    expect(await fault('name', 'abc')).toBe('out of range');
    expect(await fault('sun', 6)).toBe('out of range');
    expect(slave.seen).toEqual([]);
    driver.setInService('tank', false);
    expect(await fault('level', 1)).toBe('out of service');
    expect(slave.seen).toEqual([]);
    await driver.stop();
  });
});

describe('a write', () => {
  test('by a scale register reads the exponent first', async () => {
    const { slave, driver, soon } = await rig({
      power: { register: 'holding/5', type: 'int16', scale_register: 'holding/7', writable: true },
    });
    slave.unit().holding[7] = 0x1_0000 - 2;
    expect(await soon(driver.write('tank', 'power', 1.25))).toEqual({
      ok: true,
      value: 1.25,
      verified: true,
    });
    expect(slave.unit().holding[5]).toBe(125);
    await driver.stop();
  });

  test('of a bit to a device without function 22 changes the register as it is', async () => {
    const { slave, driver, soon } = await rig({ p: { register: 'holding/5', bit: 0, writable: true } });
    slave.unit().unknownFunctions.add(22);
    slave.unit().holding[5] = 0x8000;
    expect(await soon(driver.write('tank', 'p', true))).toEqual({ ok: true, value: true, verified: true });
    expect(await soon(driver.write('tank', 'p', true))).toMatchObject({ ok: true });
    expect(slave.unit().holding[5]).toBe(0x8001);
    expect(slave.seen.map(({ functionCode }) => functionCode)).toEqual([22, 3, 6, 3, 3, 6, 3]);
    await driver.stop();
  });

  test('that the device makes something else of is a mismatch, with what it holds', async () => {
    const { slave, driver, soon } = await rig({ p: { register: 'holding/5', writable: true } });
    slave.unit().accept = (_, value) => Math.min(value, 50);
    expect(await soon(driver.write('tank', 'p', 60))).toEqual({
      ok: false,
      fault: 'mismatch',
      error: 'the device confirmed the write and holds 50 all the same',
      value: 50,
    });
    await driver.stop();
  });

  test('that is refused says so in the words of Modbus', async () => {
    const { slave, driver, soon } = await rig({ p: { register: 'holding/5', writable: true } });
    slave.unit().exists = () => false;
    expect(await soon(driver.write('tank', 'p', 60))).toEqual({
      ok: false,
      fault: 'refused',
      error: 'the device refused the write: illegal data address',
    });
    await driver.stop();
  });

  test('without an answer is not repeated, and is told as what is known', async () => {
    const { slave, driver, soon } = await rig(
      { p: { register: 'holding/5', writable: true } },
      { framing: 'rtu' },
    );
    slave.unit().silent = true;
    expect(await soon(driver.write('tank', 'p', 60))).toMatchObject({ ok: false, fault: 'timeout' });
    expect(slave.seen.filter(({ functionCode }) => functionCode === 6)).toHaveLength(1);
    await driver.stop();
  });

  test('to unit 0 on a serial line reaches all units, is not waited for, and unit 0 is never polled', async () => {
    const { slave, bench, driver, clock, soon } = await rig(
      { p: { register: 'holding/5', writable: true } },
      { framing: 'rtu', unit: 0, units: [1, 2], device: { poll: '100ms' } },
    );
    await clock.advanceAsync(5000);
    expect(slave.seen).toEqual([]);
    expect(await soon(driver.write('tank', 'p', 60))).toEqual({ ok: true, value: 60, verified: false });
    expect([slave.unit(1).holding[5], slave.unit(2).holding[5]]).toEqual([60, 60]);
    expect(bench.states).toEqual([]);
    await driver.stop();
  });

  test('waits for the request under way and goes before the next one', async () => {
    const points: Record<string, object> = { p: { register: 'holding/5', writable: true } };
    for (let block = 1; block <= 10; block++) points[`b${block}`] = { register: `holding/${block * 1000}` };
    const { slave, driver, clock, soon } = await rig(points, { framing: 'rtu', device: { poll: '10s' } });
    // Into the second of the eleven requests of a poll.
    for (let ms = 0; slave.seen.length < 2 && ms < 20_000; ms++) await clock.advanceAsync(1);
    expect(slave.seen).toHaveLength(2);
    await soon(driver.write('tank', 'p', 60));
    await clock.advanceAsync(1000);
    expect(slave.seen.map(({ functionCode }) => functionCode)).toEqual([3, 3, 6, 3, ...Array(9).fill(3)]);
    expect(slave.seen.slice(3, 5).map(({ start }) => start)).toEqual([5, 2000]);
    await driver.stop();
  });

  test('on a bus that is down or stopped says so', async () => {
    const { driver, soon } = await rig({ p: { register: 'holding/5', writable: true } });
    await driver.stop();
    expect(await soon(driver.write('tank', 'p', 60))).toMatchObject({ ok: false, fault: 'stopped' });
  });
});

test('a raw read has the registers beside the value, asks now, and publishes nothing', async () => {
  const { slave, bench, driver, soon } = await rig({
    level: { register: 'holding/5', type: 'float32', scale: 2, unit: 'm' },
    mode: { register: 'holding/7', enum: { 1: 'auto' } },
    gone: { register: 'holding/8', nan: 0xffff },
    pump: { register: 'coil/3' },
  });
  slave.unit().holding.set([0x41a8, 0xcccd, 1, 0xffff], 5);
  const polls = bench.polls.length;
  expect(await soon(driver.readRaw('tank'))).toEqual([
    {
      point: 'level',
      source: 'holding/5 float32',
      unit: 'm',
      value: 42.2,
      quality: 'good',
      raw: Uint8Array.of(0x41, 0xa8, 0xcc, 0xcd),
    },
    { point: 'mode', source: 'holding/7', value: 'auto', quality: 'good', raw: Uint8Array.of(0, 1) },
    {
      point: 'gone',
      source: 'holding/8',
      value: null,
      quality: 'bad',
      reason: 'not available',
      raw: Uint8Array.of(0xff, 0xff),
    },
    { point: 'pump', source: 'coil/3', value: false, quality: 'good', raw: Uint8Array.of(0) },
  ]);
  slave.unit().exists = (address) => address !== 7;
  expect(await soon(driver.readRaw('tank', ['gone', 'mode', 'what']))).toMatchObject([
    { point: 'gone', reason: 'not available' },
    { point: 'mode', reason: 'illegal data address' },
    { point: 'what', reason: 'unknown point' },
  ]);
  await expect(driver.readRaw('nobody')).rejects.toThrow('there is no device nobody');
  expect(bench.polls).toHaveLength(polls);
  await driver.stop();
});

test('a trace has every frame both ways with its time, until it is ended', async () => {
  const { driver, soon } = await rig({ p: { register: 'holding/5', writable: true } }, { framing: 'rtu' });
  const frames: string[] = [];
  const end = driver.trace(({ direction, bytes }) => {
    frames.push(`${direction} ${Buffer.from(bytes).toString('hex')}`);
  });
  await soon(driver.write('tank', 'p', 7));
  end();
  await soon(driver.write('tank', 'p', 8));
  expect(frames).toEqual([
    'sent 010600050007d809',
    'received 010600050007d809',
    expect.stringMatching(/^sent 01030005/),
    expect.stringMatching(/^received 0103/),
  ]);
  await driver.stop();
});

test.each(['tcp', 'rtu', 'ascii'] as const)(
  'units are found and identify themselves over %s',
  async (framing) => {
    const { slave, driver, soon } = await rig({ p: { register: 'holding/5' } }, { framing, units: [1, 9] });
    slave.unit(9).identification = ['ACME', 'Meter 3000', 'v2'];
    slave.unit(9).exists = () => false;
    expect(await soon(driver.modbus.find(9))).toEqual({
      unit: 9,
      answer: 'illegal data address',
      identification: { vendor: 'ACME', product: 'Meter 3000', revision: 'v2' },
    });
    slave.unit(1).unknownFunctions.add(43);
    expect(await soon(driver.modbus.find(1))).toEqual({ unit: 1, answer: 'data', identification: {} });
    expect(await soon(driver.modbus.find(5))).toBeUndefined();
    const outcome = await soon(driver.modbus.read(1, { table: 'input', start: 3, count: 2 }));
    expect(outcome).toEqual({ kind: 'data', bytes: new Uint8Array(4) });
    await driver.stop();
  },
);
