import { describe, expect, test } from 'vitest';
import { simulatorPointSchema } from '../../../../src/config/schema.js';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { Wave } from '../../../../src/drivers/simulator/wave.js';
import { DriverBench, seeded } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';

function wave(simulate: object, seed = 1): Wave {
  return new Wave(simulatorPointSchema.parse({ simulate }).simulate, seeded(seed));
}

async function run(points: Record<string, object>, forMs: number, seed = 1): Promise<DriverBench> {
  const clock = new FakeClock();
  const bench = new DriverBench({ driver: 'simulator' }, { toy: { poll: '1s', points } }, clock, seed);
  const driver = await openDriver(bench.context);
  await driver.start();
  await clock.advanceAsync(forMs);
  await driver.stop();
  expect(clock.waiting).toBe(0);
  return bench;
}

describe('a simulated wave', () => {
  test.each([
    ['sine', [5, 10, 5, 0]],
    ['ramp', [0, 2.5, 5, 7.5]],
    ['square', [0, 0, 10, 10]],
    ['constant', [5, 5, 5, 5]],
  ])('%s at each quarter of its period', (name, values) => {
    const each = wave({ wave: name, min: 0, max: 10, period: '4s' });
    expect([0, 1000, 2000, 3000].map((atMs) => each.at(atMs))).toEqual(values);
  });

  test('a walk stays within its bounds', () => {
    const each = wave({ wave: 'walk', min: -1, max: 1, decimals: 6 });
    const values = Array.from({ length: 5000 }, (_, index) => Number(each.at(index)));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...values)).toBeLessThanOrEqual(1);
    expect(new Set(values).size).toBeGreaterThan(1000);
  });

  test('noise stays within its size, decimals and type hold', () => {
    const noisy = wave({ wave: 'constant', min: 5, max: 5, noise: 0.5, decimals: 1 });
    for (let index = 0; index < 1000; index++) {
      const value = Number(noisy.at(index));
      expect(Math.abs(value - 5)).toBeLessThanOrEqual(0.5);
      expect(Number(value.toFixed(1))).toBe(value);
    }
    expect(wave({ wave: 'ramp', period: '3s', type: 'integer' }).at(1000)).toBe(33);
    expect(wave({ wave: 'square', period: '2s', type: 'boolean' }).at(1000)).toBe(true);
  });
});

describe('the simulator', () => {
  const points = {
    level: { simulate: { wave: 'walk', noise: 1 } },
    slow: { simulate: { wave: 'sine' }, poll: '3s' },
  };

  test('polls each point by its period and tells the device online once', async () => {
    const bench = await run(points, 6500);
    expect(bench.seen('toy', 'level')).toHaveLength(7);
    expect(bench.seen('toy', 'slow')).toHaveLength(3);
    expect(bench.statesOf('toy')).toEqual(['online']);
  });

  test('says the same for the same seed and something else for another', async () => {
    const [one, same, other] = await Promise.all([
      run(points, 9000, 7),
      run(points, 9000, 7),
      run(points, 9000, 8),
    ]);
    expect(same.seen('toy', 'level')).toEqual(one.seen('toy', 'level'));
    expect(other.seen('toy', 'level')).not.toEqual(one.seen('toy', 'level'));
  });

  test('a device that drops out goes offline, turns bad once each time, and returns by itself', async () => {
    const bench = await run({ flaky: { simulate: { dropout: 0.7 } } }, 600_000);
    const states = bench.statesOf('toy');
    expect(states.filter((state) => state === 'offline').length).toBeGreaterThan(2);
    states.slice(1).forEach((state, index) => {
      expect(state).not.toBe(states[index]);
    });
    const bad = bench.readings('toy', 'flaky').filter(({ quality }) => quality === 'bad');
    expect(bad).toHaveLength(states.filter((state) => state === 'offline').length);
    expect(bad.every(({ value, reason }) => value === null && reason === 'timeout')).toBe(true);
  });

  test('a device that never answers is offline after three polls', async () => {
    const bench = await run({ dead: { simulate: { dropout: 1 } } }, 60_000);
    expect(bench.statesOf('toy')).toEqual(['offline']);
    expect(bench.seen('toy', 'dead')).toEqual([{ bad: 'timeout' }]);
  });
});
