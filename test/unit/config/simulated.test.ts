/** Real configurations on simulated devices. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../../../src/config/parse.js';
import { profileFiles } from '../../../src/config/profile-files.js';
import { simulatedConfig } from '../../../src/config/simulated.js';
import { Simulator } from '../../../src/drivers/simulator/driver.js';
import { DriverBench } from '../../support/driver-bench.js';
import { FakeClock } from '../../support/fake-clock.js';
import { configOf } from './fixtures.js';

const EVERY_KIND = `gateway: { id: a }
buses:
  line: { driver: modbus-rtu, path: /dev/a }
  scale: { driver: serial, path: /dev/b, frame: { delimiter: "\\r\\n" } }
devices:
  tank:
    bus: line
    unit: 1
    points:
      level: { register: holding/100, type: float32, unit: "%" }
      setpoint: { register: holding/200, scale: 0.1, writable: true, min: 0, max: 80 }
      mode: { register: holding/201, enum: { 0: "off", 1: auto, 2: manual } }
      fault: { register: holding/202, bit: 3 }
      high: { register: discrete/12 }
      warm: { register: input/3, type: int16, raw_unit: °C, unit: °F }
  hopper: { bus: scale, points: { weight: { match: '([0-9.]+)kg', type: number, unit: kg } } }
`;

test('points are worth what they could be on the device: switches, names, numbers within limits', async () => {
  const { devices } = simulatedConfig(configOf(EVERY_KIND));
  const bench = new DriverBench({ driver: 'simulator' }, {}, new FakeClock());
  const driver = new Simulator({ ...bench.context, devices: new Map(Object.entries(devices)) });
  const worth = async (device: string): Promise<Record<string, unknown>> =>
    Object.fromEntries((await driver.readRaw(device)).map(({ point, value }) => [point, value]));
  const tank = await worth('tank');
  expect(typeof tank.level).toBe('number');
  expect(tank.mode).toBe('off');
  expect(typeof tank.fault).toBe('boolean');
  expect(typeof tank.high).toBe('boolean');
  expect(tank.setpoint).toBeGreaterThanOrEqual(0);
  expect(tank.setpoint).toBeLessThanOrEqual(80);
  expect(typeof (await worth('hopper')).weight).toBe('number');
  expect(await driver.write('tank', 'setpoint', '40')).toMatchObject({ ok: true, value: 40 });
  expect(await driver.write('tank', 'level', '40')).toMatchObject({ ok: false, fault: 'not writable' });
});

test('the example that ships with godwit runs simulated', async () => {
  const text = readFileSync(join(import.meta.dirname, '../../../config/godwit.example.yaml'), 'utf8');
  const { config, errors } = readConfig(
    text,
    'f.yaml',
    { CLOUD_PASSWORD: 'x' },
    undefined,
    profileFiles('/'),
  );
  expect(errors).toEqual([]);
  const { devices, buses } = simulatedConfig(config!);
  expect(new Set(Object.values(buses).map(({ driver }) => driver))).toEqual(new Set(['simulator']));
  const bench = new DriverBench({ driver: 'simulator' }, {}, new FakeClock());
  const driver = new Simulator({ ...bench.context, devices: new Map(Object.entries(devices)) });
  for (const device of Object.keys(devices)) {
    for (const { quality } of await driver.readRaw(device)) expect(quality).toBe('good');
  }
});
