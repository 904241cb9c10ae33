import { expect, test } from 'vitest';
import { Simulator } from '../../../../src/drivers/simulator/driver.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';

const devices = {
  pump: { poll: '1s', points: { flow: { simulate: { wave: 'constant', min: 4, max: 4 } } } },
};

test('a device out of service is not asked, says so once, stays so over a restart, and comes back', async () => {
  const clock = new FakeClock();
  const bench = new DriverBench({ driver: 'simulator' }, devices, clock);
  const driver = new Simulator(bench.context);
  await driver.start();
  await clock.advanceAsync(2500);
  const polls = bench.seen('pump', 'flow').length;
  driver.setInService('pump', false);
  driver.setInService('pump', false);
  await clock.advanceAsync(5000);
  expect(bench.seen('pump', 'flow').slice(polls)).toEqual([{ bad: 'out of service' }]);
  expect(bench.states.at(-1)?.state).toMatchObject({ state: 'offline', reason: 'out of service' });
  await driver.stop();

  const again = new Simulator(bench.context);
  await again.start();
  await clock.advanceAsync(5000);
  expect(bench.seen('pump', 'flow').slice(polls + 1)).toEqual([{ bad: 'out of service' }]);
  again.setInService('pump', true);
  await clock.advanceAsync(100);
  expect(bench.seen('pump', 'flow').at(-1)).toBe(4);
  expect(bench.statesOf('pump').at(-1)).toBe('online');
  expect(bench.sentences('warn')).toEqual([]);
  await again.stop();
});

test('a simulated point is written where it is writable, refused where it is not, and read at once when asked', async () => {
  const setpoint = {
    ...{ simulate: { wave: 'constant', min: 100, max: 100 }, writable: true },
    ...{ min: 0, max: 80, scale: 0.1, unit: '%' },
  };
  const bench = new DriverBench(
    { driver: 'simulator' },
    { ...devices, tank: { poll: '1s', points: { setpoint } } },
    new FakeClock(),
  );
  const driver = new Simulator(bench.context);
  expect(await driver.readRaw('tank')).toMatchObject([{ value: 10 }]);
  expect(await driver.write('tank', 'setpoint', '21.5')).toEqual({ ok: true, value: 21.5, verified: true });
  expect(await driver.readRaw('tank')).toMatchObject([{ point: 'setpoint', value: 21.5, unit: '%' }]);
  expect(await driver.write('tank', 'setpoint', 81)).toMatchObject({ ok: false, fault: 'out of range' });
  expect(await driver.write('tank', 'setpoint', 'warm')).toMatchObject({ ok: false, fault: 'wrong type' });
  expect(await driver.write('pump', 'flow', 1)).toMatchObject({ ok: false, fault: 'not writable' });
  expect(await driver.write('pump', 'level', 1)).toMatchObject({ ok: false, fault: 'unknown' });
  expect(await driver.readRaw('pump')).toEqual([
    { point: 'flow', source: 'simulated', value: 4, quality: 'good' },
  ]);
});
