/** The Modbus driver on the fake clock, with a slave of a few lines behind a stream that is none. */

import { describe, expect, test } from 'vitest';
import { GodwitError } from '../../../../src/core/error.js';
import type { OpenStream } from '../../../../src/drivers/byte-stream.js';
import { ModbusDriver } from '../../../../src/drivers/modbus/driver.js';
import { frameGapMs, lineSettings } from '../../../../src/drivers/modbus/line-settings.js';
import { decodeTcpFrame, encodeTcpFrame } from '../../../../src/drivers/modbus/tcp-frame.js';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { DriverBench, type MemoryKeyValue } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';

/** Answers each register with its own address. */
class Plant {
  readonly silent = new Set<number>();
  /** Addresses that are refused with exception 2. */
  readonly missing = new Set<number>();
  /** Every request: unit, start, count. */
  readonly asked: {
    readonly unit: number;
    readonly start: number;
    readonly count: number;
    readonly atMs: number;
  }[] = [];
  reachable = true;
  opened = 0;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  readonly open: OpenStream = async (listener) => {
    this.opened += 1;
    if (!this.reachable) throw new GodwitError('BUS_DOWN', 'the plant cannot be reached');
    return {
      close: () => undefined,
      write: (bytes) => {
        const decoded = decodeTcpFrame(bytes);
        if (decoded.kind !== 'frame') throw new Error('a request is a frame');
        const { transaction, unit, pdu } = decoded.frame;
        const start = ((pdu[1] ?? 0) << 8) | (pdu[2] ?? 0);
        const count = ((pdu[3] ?? 0) << 8) | (pdu[4] ?? 0);
        const functionCode = pdu[0] ?? 0;
        const nowMs = this.#clock.monotonicMs();
        this.asked.push({ unit, start, count, atMs: nowMs });
        if (this.silent.has(unit)) return;
        const addresses = Array.from({ length: count }, (_, index) => start + index);
        const answer = addresses.some((address) => this.missing.has(address))
          ? Uint8Array.of(functionCode | 0x80, 2)
          : Uint8Array.of(functionCode, count * 2, ...addresses.flatMap((each) => [each >> 8, each & 0xff]));
        this.#clock.at(nowMs + 5, () => listener.onBytes(encodeTcpFrame({ transaction, unit, pdu: answer })));
      },
    };
  };
}

interface Rig {
  readonly plant: Plant;
  readonly bench: DriverBench;
  readonly driver: ModbusDriver;
  readonly clock: FakeClock;
}

async function rig(
  devices: Record<string, object>,
  bus: object = {},
  prepare: (plant: Plant, bench: DriverBench) => void = () => undefined,
): Promise<Rig> {
  const clock = new FakeClock();
  const plant = new Plant(clock);
  const bench = new DriverBench({ driver: 'modbus-tcp', host: 'plant', ...bus }, devices, clock);
  prepare(plant, bench);
  const { config } = bench.context;
  if (config.driver !== 'modbus-tcp') throw new Error('a TCP bus');
  const settings = { ...lineSettings(config, bench.context.random), open: plant.open };
  const driver = new ModbusDriver(bench.context, config, settings);
  await driver.start();
  return { plant, bench, driver, clock };
}

function registers(...addresses: readonly number[]): Record<string, object> {
  return Object.fromEntries(addresses.map((address) => [`r${address}`, { register: `holding/${address}` }]));
}

describe('a Modbus bus', () => {
  test('reads all points of a poll in the fewest requests and hands them over in one call', async () => {
    const { bench, plant, driver, clock } = await rig({
      tank: { poll: '1s', points: registers(0, 3, 10, 200) },
    });
    await clock.advanceAsync(500);
    expect(plant.asked.map(({ start, count }) => [start, count])).toEqual([
      [0, 11],
      [200, 1],
    ]);
    expect(bench.polls).toHaveLength(1);
    expect(bench.polls[0]?.readings.map(({ value }) => value)).toEqual([0, 3, 10, 200]);
    await driver.stop();
    expect(clock.waiting).toBe(0);
  });

  test('a silent unit delays the others by no more than its timeouts, and ever more rarely', async () => {
    const { bench, plant, driver, clock } = await rig(
      {
        one: { unit: 1, poll: '1s', points: registers(0) },
        dead: { unit: 2, poll: '1s', points: registers(0) },
      },
      { timeout: '200ms', retries: 1, retry_max: '30s' },
      (each) => each.silent.add(2),
    );
    await clock.advanceAsync(120_000);
    const times = bench.polls.filter(({ device }) => device === 'one').map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThanOrEqual(119);
    const lateness = times.slice(1).map((atMs) => atMs % 1000);
    expect(Math.max(...lateness)).toBeLessThanOrEqual(2 * 200 + 5);
    expect(bench.states.filter(({ device }) => device === 'dead').map(({ state }) => state)).toMatchObject([
      { state: 'offline', reason: 'timeout' },
    ]);
    expect(bench.seen('dead', 'r0')).toEqual([{ bad: 'timeout' }]);
    // Three polls of two requests, then single probes 2, 4, 8, 16, 30, 30 s after one another.
    expect(plant.asked.filter(({ unit }) => unit === 2)).toHaveLength(6 + 6);
    expect(bench.sentences('warn')).toEqual(['Device stopped answering']);
    await driver.stop();
  });

  test('splits a refused block at its hole, remembers it, and asks no more than it must from then on', async () => {
    const points = registers(0, 4, 8, 12);
    const devices = { tank: { poll: '1s', points } };
    const hole = (each: Plant): void => void each.missing.add(6);
    const { bench, plant, driver, clock } = await rig(devices, {}, hole);
    await clock.advanceAsync(5500);
    expect(bench.seen('tank', 'r8')).toEqual([8, 8, 8, 8, 8, 8]);
    const lastPoll = plant.asked.filter(({ atMs }) => atMs >= 5000).map(({ start, count }) => [start, count]);
    expect(lastPoll).toEqual([
      [0, 5],
      [8, 5],
    ]);
    expect(bench.sentences('warn')).toEqual([]);
    await driver.stop();

    const again = await rig(devices, {}, (each, next) => {
      hole(each);
      copy(bench.keyValue, next.keyValue);
    });
    await again.clock.advanceAsync(500);
    expect(again.plant.asked.map(({ start, count }) => [start, count])).toEqual([
      [0, 5],
      [8, 5],
    ]);
    await again.driver.stop();
  });

  test('a refused point is bad once with its reason, rests, and is good again when the device has it', async () => {
    const { bench, plant, driver, clock } = await rig(
      { tank: { poll: '1s', points: registers(0, 1, 2) } },
      {},
      (each) => each.missing.add(1),
    );
    await clock.advanceAsync(30_500);
    expect(bench.seen('tank', 'r1')).toEqual([{ bad: 'illegal data address' }]);
    expect(bench.seen('tank', 'r0')).toHaveLength(31);
    expect(bench.seen('tank', 'r2')).toHaveLength(31);
    expect(plant.asked.filter(({ start, count }) => start <= 1 && start + count > 1).length).toBeLessThan(6);
    plant.missing.delete(1);
    await clock.advanceAsync(60_000);
    expect(bench.seen('tank', 'r1').at(-1)).toBe(1);
    expect(bench.sentences('warn')).toEqual(['Points turned bad']);
    expect(bench.sentences('info')).toEqual(['Points are good again']);
    await driver.stop();
  });

  test('a number that is none is bad, and its neighbour is not', async () => {
    // Registers 0x7fc0 and 0x7fc1 as one float32 are NaN.
    const nan = { register: `holding/${0x7fc0}`, type: 'float32' };
    const { bench, driver, clock } = await rig({
      tank: { poll: '1s', points: { nan, next: { register: `holding/${0x7fc2}` } } },
    });
    await clock.advanceAsync(3500);
    expect(bench.seen('tank', 'nan')).toEqual([{ bad: 'not a number' }]);
    expect(bench.seen('tank', 'next')).toHaveLength(4);
    await driver.stop();
  });

  test('an unreachable host is one fault with one beginning and one end, tried at 1 s to 30 s', async () => {
    const { bench, plant, driver, clock } = await rig(
      { tank: { poll: '1s', points: registers(7) } },
      {},
      (each) => {
        each.reachable = false;
      },
    );
    await clock.advanceAsync(300_000);
    expect(driver.snapshot()).toMatchObject({
      state: 'down',
      reason: 'the plant cannot be reached',
      requests: 0,
    });
    expect(bench.states.map(({ state }) => state)).toMatchObject([
      { state: 'offline', reason: 'bus down: the plant cannot be reached' },
    ]);
    expect(bench.seen('tank', 'r7')).toEqual([{ bad: 'bus down' }]);
    // 1 + 2 + 4 + 8 + 16 s, then every 30 s, each up to a fifth sooner.
    expect(plant.opened).toBeGreaterThanOrEqual(14);
    expect(plant.opened).toBeLessThanOrEqual(18);
    plant.reachable = true;
    await clock.advanceAsync(31_000);
    expect(driver.snapshot().state).toBe('up');
    expect(bench.seen('tank', 'r7').at(-1)).toBe(7);
    expect(bench.sentences('warn')).toEqual(['Bus is down', 'Device stopped answering']);
    expect(bench.sentences('info')).toEqual(['Bus is up again', 'Device answers again']);
    await driver.stop();
  });

  test('a connection on which nothing answers any more is opened anew', async () => {
    const { plant, driver, clock } = await rig(
      { tank: { poll: '1s', points: registers(0) } },
      { timeout: '100ms' },
    );
    await clock.advanceAsync(1500);
    plant.silent.add(1);
    await clock.advanceAsync(10_000);
    expect(plant.opened).toBeGreaterThan(1);
    await driver.stop();
  });

  test('stops while a request is under way, twice if asked', async () => {
    const { plant, driver, clock } = await rig({ tank: { poll: '1s', points: registers(0) } }, {}, (each) =>
      each.silent.add(1),
    );
    await clock.advanceAsync(100);
    expect(plant.asked).toHaveLength(1);
    await driver.stop();
    await driver.stop();
    expect(clock.waiting).toBe(0);
  });

  test('counts polls and failed polls of each device', async () => {
    const { plant, driver, clock } = await rig(
      { tank: { poll: '1s', points: registers(0) } },
      { retries: 0 },
    );
    await clock.advanceAsync(2500);
    plant.silent.add(1);
    await clock.advanceAsync(2000);
    expect(driver.counters('tank')).toEqual({ polls: 5, failures: 2, skipped: 0 });
    expect(driver.snapshot()).toMatchObject({ requests: 5, timeouts: 2 });
    await driver.stop();
  });
});

describe('what cannot be polled is refused with the key that is wrong', () => {
  const open = (bus: object, point: object, unit = 1) =>
    openDriver(new DriverBench(bus, { tank: { unit, points: { level: point } } }).context);
  const tcp = { driver: 'modbus-tcp', host: 'plant' };

  test.each([
    [tcp, { simulate: {} }, 1, 'devices.tank.points.level has no register'],
    [
      tcp,
      { register: 'coil/1', type: 'float32' },
      1,
      'devices.tank.points.level has type float32; a coil is one bit',
    ],
    [tcp, { register: 'holding/65535', type: 'uint32' }, 1, 'ends beyond address 65535'],
    [{ driver: 'modbus-rtu', path: '/dev/ttyS9' }, { register: 'holding/0' }, 0, 'devices.tank.unit is 0'],
  ])('%j %j on unit %i', async (bus, point, unit, sentence) => {
    await expect(open(bus, point, unit)).rejects.toThrow(sentence);
  });
});

test('frames are 3.5 characters apart, and 1.75 ms above 19200 baud', () => {
  const bus = (baudRate: number) => {
    const { config } = new DriverBench({ driver: 'modbus-rtu', path: '/dev/x', baud_rate: baudRate }, {})
      .context;
    if (config.driver !== 'modbus-rtu') throw new Error('a serial bus');
    return frameGapMs(config);
  };
  expect(bus(9600)).toBeCloseTo(3.646, 3);
  expect(bus(115_200)).toBe(1.75);
});

function copy(from: MemoryKeyValue, to: MemoryKeyValue): void {
  for (const [key, value] of from.entries()) to.put(key, value);
}
