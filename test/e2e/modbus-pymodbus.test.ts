/** The Modbus driver against python3-pymodbus, which shares no code with it: TCP, and RTU and ASCII over a pair of ptys. */

import { afterEach, describe, expect, test } from 'vitest';
import type { Driver } from '../../src/drivers/driver.js';
import { openDriver } from '../../src/drivers/open-driver.js';
import { DriverBench } from '../support/driver-bench.js';
import { float32Words, ModbusSlave } from '../support/modbus-slave.js';
import { SerialPair } from '../support/serial-pair.js';

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(bench: DriverBench): Promise<Driver> {
  const driver = await openDriver(bench.context);
  stops.push(() => driver.stop());
  await driver.start();
  return driver;
}

async function onTcp(units: readonly number[]): Promise<{ slave: ModbusSlave; bus: object }> {
  const slave = await ModbusSlave.tcp(units);
  stops.push(() => slave.stop());
  return { slave, bus: { driver: 'modbus-tcp', host: '127.0.0.1', port: slave.port, timeout: '300ms' } };
}

async function onRtu(units: readonly number[]): Promise<{ slave: ModbusSlave; bus: object }> {
  const pair = await SerialPair.start();
  stops.push(() => pair.stop());
  const slave = await ModbusSlave.rtu(pair.theirs, units);
  stops.push(() => slave.stop());
  return { slave, bus: { driver: 'modbus-rtu', path: pair.ours, timeout: '300ms' } };
}

async function onAscii(units: readonly number[]): Promise<{ slave: ModbusSlave; bus: object }> {
  const pair = await SerialPair.start();
  stops.push(() => pair.stop());
  const slave = await ModbusSlave.ascii(pair.theirs, units);
  stops.push(() => slave.stop());
  return { slave, bus: { driver: 'modbus-ascii', path: pair.ours, timeout: '300ms' } };
}

const everyTable = {
  unit: 1,
  poll: '50ms',
  points: {
    level: { register: 'holding/100', type: 'float32' },
    swapped: { register: 'holding/102', type: 'float32', word_order: 'little' },
    total: { register: 'holding/104', type: 'uint64' },
    offset: { register: 'input/7', type: 'int16' },
    counter: { register: 'input/8', type: 'uint32', word_order: 'little', byte_order: 'little' },
    pump: { register: 'coil/3' },
    door: { register: 'discrete/12' },
  },
};

async function fill(slave: ModbusSlave): Promise<void> {
  const [high = 0, low = 0] = float32Words(-7.25);
  await slave.set('holding', 100, float32Words(21.1));
  await slave.set('holding', 102, [low, high]);
  await slave.set('holding', 104, [0xffff, 0xffff, 0xffff, 0xfffe]);
  await slave.set('input', 7, [0x10000 - 40, 0x7856, 0x3412]);
  await slave.set('coil', 3, [1]);
  await slave.set('discrete', 12, [1]);
}

const filled = {
  level: 21.1,
  swapped: -7.25,
  total: 0xffff_ffff_ffff_fffen,
  offset: -40,
  counter: 0x12345678,
  pump: true,
  door: true,
};

describe.each([
  ['TCP', onTcp],
  ['RTU', onRtu],
  ['ASCII', onAscii],
])('Modbus %s against pymodbus', (_, on) => {
  test('every table, width and order arrives as it was set, and changes follow', async () => {
    const { slave, bus } = await on([1]);
    await fill(slave);
    const bench = new DriverBench(bus, { tank: everyTable });
    await start(bench);
    await bench.until(() => bench.polls.length > 0);
    const first = Object.fromEntries(
      bench.polls[0]?.readings.map(({ point, value }) => [point, value]) ?? [],
    );
    expect(first).toEqual(filled);
    expect(bench.statesOf('tank')).toEqual(['online']);

    await slave.set('holding', 100, float32Words(0.3));
    await bench.until(() => bench.seen('tank', 'level').at(-1) === 0.3);
    expect(new Set(bench.seen('tank', 'level'))).toEqual(new Set([21.1, 0.3]));
  });

  test('a unit that falls silent goes offline alone, turns bad once, and comes back by itself', async () => {
    const { slave, bus } = await on([1, 2]);
    const device = (unit: number): object => ({
      unit,
      poll: '100ms',
      points: { value: { register: 'holding/0' }, other: { register: 'input/0' } },
    });
    const bench = new DriverBench(
      { ...bus, timeout: '100ms', retry_max: '400ms' },
      { one: device(1), two: device(2) },
    );
    await slave.set('holding', 0, [11], 1);
    await slave.set('holding', 0, [22], 2);
    await start(bench);
    await bench.until(() => bench.statesOf('one').length > 0 && bench.statesOf('two').length > 0);

    await slave.silence(2);
    await bench.until(() => bench.statesOf('two').at(-1) === 'offline');
    const answersOfOne = bench.seen('one', 'value').length;
    await bench.until(() => bench.seen('one', 'value').length > answersOfOne + 10);
    await slave.answer(2);
    await bench.until(() => bench.seen('two', 'value').at(-1) === 22);

    expect(bench.statesOf('two')).toEqual(['online', 'offline', 'online']);
    expect(bench.statesOf('one')).toEqual(['online']);
    expect(new Set(bench.seen('one', 'value'))).toEqual(new Set([11]));
    const bad = bench.seen('two', 'value').filter((seen) => seen !== 22);
    expect(bad).toEqual([{ bad: 'timeout' }]);
    expect(bench.sentences('warn')).toEqual(['Device stopped answering']);
    expect(bench.sentences('info')).toContain('Device answers again');
  });

  test('every way to write arrives there as it was meant, and is read back', async () => {
    const { slave, bus } = await on([1]);
    const writable = { writable: true };
    const bench = new DriverBench(bus, {
      tank: {
        unit: 1,
        poll: '1h',
        points: {
          word: { register: 'holding/10', scale: 0.1, ...writable },
          long: { register: 'holding/12', type: 'float32', word_order: 'little', ...writable },
          by16: { register: 'holding/14', write_function: 16, ...writable },
          bit: { register: 'holding/15', bit: 4, ...writable },
          by23: { register: 'holding/16', type: 'int32', write_function: 23, ...writable },
          text: { register: 'holding/20', length: 6, ...writable },
          coil: { register: 'coil/3', ...writable },
          coils: { register: 'coil/4', write_function: 15, ...writable },
          missing: { register: 'holding/41050', ...writable },
        },
      },
    });
    await slave.set('holding', 15, [0x8001]);
    const driver = await start(bench);
    const write = async (point: string, value: boolean | number | string): Promise<unknown> => {
      const result = await driver.write('tank', point, value);
      return result.ok && result.verified ? result.value : result;
    };
    expect(await write('word', 21.5)).toBe(21.5);
    expect(await write('long', 0.1)).toBe(0.1);
    expect(await write('by16', '7')).toBe(7);
    expect(await write('bit', true)).toBe(true);
    expect(await write('by23', -2)).toBe(-2);
    expect(await write('text', 'pump')).toBe('pump');
    expect(await write('coil', 'on')).toBe(true);
    expect(await write('coils', true)).toBe(true);
    expect(await write('missing', 1)).toMatchObject({ ok: false, fault: 'refused' });
    expect(await slave.get('holding', 10)).toEqual([215]);
    expect(await slave.get('holding', 12, 2)).toEqual(float32Words(0.1).reverse());
    expect(await slave.get('holding', 14, 4)).toEqual([7, 0x8011, 0xffff, 0xfffe]);
    expect(await slave.get('coil', 3, 2)).toEqual([1, 1]);
  });

  test('a unit identifies itself, and one that is not there is not found', async () => {
    const { bus } = await on([1]);
    const driver = await start(
      new DriverBench(bus, { tank: { unit: 1, poll: '1h', points: { a: { register: 'holding/0' } } } }),
    );
    expect(await driver.modbus?.find(1)).toEqual({
      unit: 1,
      answer: 'data',
      identification: expect.objectContaining({ vendor: 'Peer', product: 'PM', revision: '3.0' }),
    });
    expect(await driver.modbus?.find(9)).toBeUndefined();
  });

  test('a point outside the register map is bad with its reason, its neighbours are not', async () => {
    const { slave, bus } = await on([1]);
    await slave.set('holding', 40_998, [7, 8]);
    const bench = new DriverBench(bus, {
      edge: {
        unit: 1,
        poll: '50ms',
        points: {
          last: { register: 'holding/40999' },
          before: { register: 'holding/40998' },
          beyond: { register: 'holding/41002' },
        },
      },
    });
    await start(bench);
    await bench.until(() => bench.seen('edge', 'last').length >= 5);
    expect(new Set(bench.seen('edge', 'last'))).toEqual(new Set([8]));
    expect(new Set(bench.seen('edge', 'before'))).toEqual(new Set([7]));
    expect(bench.seen('edge', 'beyond')).toEqual([{ bad: 'illegal data address' }]);
    expect(bench.statesOf('edge')).toEqual(['online']);
  });
});

test('a TCP server that goes away and comes back is found again, and says so once each', async () => {
  const { slave, bus } = await onTcp([1]);
  await slave.set('holding', 0, [5]);
  const bench = new DriverBench(bus, {
    tank: { unit: 1, poll: '100ms', points: { level: { register: 'holding/0' } } },
  });
  const driver = await start(bench);
  await bench.until(() => bench.seen('tank', 'level').includes(5));
  await slave.stop();
  await bench.until(() => bench.statesOf('tank').at(-1) === 'offline');
  expect(driver.snapshot().state).toBe('down');
  expect(driver.snapshot().reason).toMatch(
    /refuses connections on port \d+; check|reset the connection|closed the/,
  );

  const again = await ModbusSlave.tcp([1], slave.port);
  stops.push(() => again.stop());
  await again.set('holding', 0, [6]);
  await bench.until(() => bench.seen('tank', 'level').at(-1) === 6);
  expect(bench.statesOf('tank')).toEqual(['online', 'offline', 'online']);
  expect(bench.sentences('warn')).toEqual(['Bus is down', 'Device stopped answering']);
  expect(bench.sentences('info')).toEqual(['Bus is up again', 'Device answers again']);
});

test('a serial adapter that is unplugged and plugged in again is reopened by its path', async () => {
  const pair = await SerialPair.start();
  stops.push(() => pair.stop());
  const slave = await ModbusSlave.rtu(pair.theirs);
  await slave.set('holding', 0, [5]);
  const bench = new DriverBench(
    { driver: 'modbus-rtu', path: pair.ours, timeout: '200ms' },
    { tank: { unit: 1, poll: '100ms', points: { level: { register: 'holding/0' } } } },
  );
  const driver = await start(bench);
  await bench.until(() => bench.seen('tank', 'level').includes(5));
  await pair.unplug();
  await slave.stop();
  await bench.until(() => bench.statesOf('tank').at(-1) === 'offline');
  expect(driver.snapshot().reason).toMatch(
    /ours is missing; plug the adapter in or correct the path|was unplugged/,
  );

  await pair.plug();
  const again = await ModbusSlave.rtu(pair.theirs);
  stops.push(() => again.stop());
  await again.set('holding', 0, [6]);
  await bench.until(() => bench.seen('tank', 'level').at(-1) === 6);
  expect(bench.statesOf('tank')).toEqual(['online', 'offline', 'online']);
});
