import { expect, test } from 'vitest';
import {
  type Outcome,
  type Outcomes,
  PolledBus,
  type PolledSource,
} from '../../../src/drivers/polled-bus.js';
import { DriverBench } from '../../support/driver-bench.js';
import { FakeClock } from '../../support/fake-clock.js';

const RULES = { driver: 'system', offlineAfter: 3, retryMaxMs: 60_000 };
const POINTS = { a: { metric: 'uptime' }, b: { metric: 'load_1m' } };

function rig(source: PolledSource) {
  const clock = new FakeClock();
  const bench = new DriverBench({ driver: 'system' }, { d: { poll: '1s', points: POINTS } }, clock);
  return { clock, bench, bus: new PolledBus(bench.context, RULES, source) };
}

const all =
  (outcome: Outcome) =>
  (points: readonly string[]): Outcomes =>
    new Map(points.map((point) => [point, outcome]));

test('polls without a good value make the device offline after offline_after, and its return is told once', async () => {
  let outcome: Outcome = { value: 1 };
  const { clock, bench, bus } = rig({ read: async (_, points) => all(outcome)(points) });
  await bus.start();
  await clock.advanceAsync(1500);
  outcome = { bad: 'unplugged' };
  await clock.advanceAsync(10_000);
  expect(bench.statesOf('d')).toEqual(['online', 'offline']);
  expect(bench.seen('d', 'a')).toEqual([1, 1, { bad: 'unplugged' }]);
  outcome = { value: 2 };
  await clock.advanceAsync(60_000);
  expect(bench.statesOf('d')).toEqual(['online', 'offline', 'online']);
  expect(bench.seen('d', 'a').at(-1)).toBe(2);
  await bus.stop();
  expect(clock.waiting).toBe(0);
});

test('one bad point among good ones is told once, with its reason, and the device stays online', async () => {
  const { clock, bench, bus } = rig({
    read: async () => new Map<string, Outcome>([['a', { value: 1 }]]),
  });
  await bus.start();
  await clock.advanceAsync(3500);
  expect(bench.seen('d', 'b')).toEqual([{ bad: 'no value' }]);
  expect(bench.seen('d', 'a')).toEqual([1, 1, 1, 1]);
  expect(bench.statesOf('d')).toEqual(['online']);
  await bus.stop();
});

test('a bus that cannot be opened is down with its reason, logged once, and tried again', async () => {
  let attempts = 0;
  const { clock, bench, bus } = rig({
    open: async () => {
      attempts += 1;
      if (attempts < 3) throw new Error('no such chip');
    },
    read: async (_, points) => all({ value: 1 })(points),
  });
  await bus.start();
  await clock.advanceAsync(9000);
  expect(attempts).toBe(1);
  expect(bus.snapshot()).toMatchObject({ state: 'down', reason: 'no such chip' });
  expect(bench.sentences('warn').filter((sentence) => sentence === 'Bus is down')).toHaveLength(1);
  await clock.advanceAsync(120_000);
  expect(bus.snapshot().state).toBe('up');
  expect(bench.sentences('info')).toContain('Bus is up again');
  expect(bench.statesOf('d')).toEqual(['offline', 'online']);
  await bus.stop();
});

test('a read that never ends keeps nobody from stopping', async () => {
  const { clock, bus } = rig({ read: () => new Promise(() => undefined) });
  await bus.start();
  await clock.advanceAsync(5000);
  await bus.stop();
  expect(clock.waiting).toBe(0);
});

test('what a device says by itself arrives between polls', async () => {
  const { clock, bench, bus } = rig({ read: async (_, points) => all({ value: 1 })(points) });
  await bus.start();
  await clock.advanceAsync(100);
  bus.tell('d', new Map([['a', { value: 7 }]]));
  expect(bench.seen('d', 'a')).toEqual([1, 7]);
  expect(bus.counters('d').polls).toBe(1);
  await bus.stop();
  bus.tell('d', new Map([['a', { value: 8 }]]));
  expect(bench.seen('d', 'a')).toEqual([1, 7]);
});

test('a device out of service is neither polled nor heard until it is back, also after a restart', async () => {
  const { clock, bench, bus } = rig({ read: async (_, points) => all({ value: 1 })(points) });
  bus.setInService('d', false);
  await bus.start();
  await clock.advanceAsync(5000);
  bus.tell('d', new Map([['a', { value: 7 }]]));
  expect(bench.seen('d', 'a').filter((seen) => seen === 1 || seen === 7)).toEqual([]);
  const again = new PolledBus(bench.context, RULES, { read: async (_, points) => all({ value: 3 })(points) });
  await again.start();
  await clock.advanceAsync(2000);
  expect(bench.seen('d', 'a')).not.toContain(3);
  again.setInService('d', true);
  await clock.advanceAsync(2000);
  expect(bench.seen('d', 'a')).toContain(3);
  await again.stop();
  await bus.stop();
});
