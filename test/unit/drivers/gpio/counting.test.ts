import { describe, expect, test } from 'vitest';
import { EdgeCounter, type WhichEdges } from '../../../../src/drivers/gpio/edge-counter.js';
import { FrequencyMeter } from '../../../../src/drivers/gpio/frequency-meter.js';
import { LevelFilter } from '../../../../src/drivers/gpio/level-filter.js';
import { seeded } from '../../../support/driver-bench.js';

function counted(which: WhichEdges, minGapMs: number, edges: readonly (readonly [0 | 1, number])[]): number {
  const counter = new EdgeCounter(which, minGapMs, false);
  return edges.reduce((sum, [level, atMs]) => sum + counter.edge(level === 1, atMs), 0);
}

const PULSES = [1, 2, 3, 4, 5].flatMap((n): [0 | 1, number][] => [
  [1, n * 100],
  [0, n * 100 + 10],
]);

describe('counting', () => {
  test('rising, falling and both edges', () => {
    expect(counted('rising', 0, PULSES)).toBe(5);
    expect(counted('falling', 0, PULSES)).toBe(5);
    expect(counted('both', 0, PULSES)).toBe(10);
  });

  test('a pulse that was over before anybody looked is counted when its level shows again', () => {
    expect(counted('rising', 0, [[0, 100]])).toBe(1);
    expect(
      counted('rising', 0, [
        [1, 100],
        [1, 200],
        [0, 300],
      ]),
    ).toBe(2);
    expect(counted('both', 0, [[0, 100]])).toBe(2);
  });

  test('pulses shorter than twice the least gap are still counted once each', () => {
    expect(counted('rising', 30, PULSES)).toBe(5);
  });

  test('a contact that bounces counts once for each press', () => {
    const bouncy = [0, 200, 400].flatMap((at): [0 | 1, number][] => [
      [1, at],
      [0, at + 1],
      [1, at + 3],
      [0, at + 60],
      [1, at + 61],
      [0, at + 62],
    ]);
    expect(counted('rising', 10, bouncy)).toBe(3);
    expect(counted('both', 10, bouncy)).toBe(6);
  });

  test('whatever bounces, one press is never none and never many', () => {
    const seed = 7;
    const random = seeded(seed);
    const edges: [0 | 1, number][] = [];
    for (let press = 0; press < 500; press += 1) {
      for (const [level, start] of [
        [1, press * 200],
        [0, press * 200 + 100],
      ] as const) {
        const bounces = Math.floor(random() * 4);
        for (let bounce = 0; bounce <= bounces; bounce += 1) {
          edges.push([level, start + bounce * 2]);
          if (bounce < bounces) edges.push([level === 1 ? 0 : 1, start + bounce * 2 + 1]);
        }
      }
    }
    expect(counted('rising', 20, edges), `seed ${seed}`).toBe(500);
  });
});

describe('frequency', () => {
  test('is exact for slow and fast signals, whatever the polls cut', () => {
    const meter = new FrequencyMeter(10_000);
    let next = 0;
    const hertz = [];
    for (let nowMs = 1000; nowMs <= 5000; nowMs += 1000) {
      for (; next <= nowMs; next += 370) meter.edges(1, next);
      hertz.push(meter.read(nowMs));
    }
    expect(hertz).toEqual([2.7027, 2.7027, 2.7027, 2.7027, 2.7027]);
  });

  test('falls as the signal stays away, and is 0 after the time-out', () => {
    const meter = new FrequencyMeter(5000);
    for (let at = 0; at <= 1000; at += 100) meter.edges(1, at);
    expect(meter.read(1000)).toBe(10);
    expect(meter.read(1050)).toBe(10);
    expect(meter.read(3000)).toBe(0.5);
    expect(meter.read(6000)).toBe(0);
    meter.edges(1, 7000);
    expect(meter.read(7100)).toBe(0);
    meter.edges(1, 7200);
    expect(meter.read(7300)).toBe(5);
  });
});

test('a level counts once it has held', () => {
  const filter = new LevelFilter(20, false);
  filter.edge(true, 0);
  expect(filter.deadlineMs).toBe(20);
  filter.edge(false, 5);
  expect(filter.tick(30)).toBe(false);
  filter.edge(true, 40);
  filter.edge(true, 50);
  expect(filter.tick(60)).toBe(false);
  expect(filter.tick(70)).toBe(true);
  expect(filter.level).toBe(true);
  expect(filter.deadlineMs).toBe(Infinity);
});
