import { expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.js';

test('timers run in the order of their times, each at its own time', () => {
  const clock = new FakeClock({ wallMs: 5000 });
  const ran: [string, number, number][] = [];
  const note = (name: string) => () => ran.push([name, clock.monotonicMs(), clock.wallMs()]);
  clock.at(20, note('b'));
  clock.at(10, note('a'));
  clock.at(20, note('c'));
  clock.at(31, note('later'));
  clock.at(15, note('cancelled')).cancel();
  clock.at(10, () => clock.at(25, note('nested')));
  clock.advance(30);
  expect(ran).toEqual([
    ['a', 10, 5010],
    ['b', 20, 5020],
    ['c', 20, 5020],
    ['nested', 25, 5025],
  ]);
  expect([clock.waiting, clock.nextAtMs, clock.monotonicMs()]).toEqual([1, 31, 30]);
});

test('a step of the wall clock moves no timer', () => {
  const clock = new FakeClock();
  let ran = 0;
  clock.at(10, () => {
    ran += 1;
  });
  clock.setWallMs(clock.wallMs() + 1e9);
  clock.advance(9);
  expect(ran).toBe(0);
  clock.advance(1);
  expect(ran).toBe(1);
});

test('advanceAsync lets promises settle between timers', async () => {
  const clock = new FakeClock();
  const ran: number[] = [];
  const again = async (): Promise<void> => {
    ran.push(clock.monotonicMs());
    await Promise.resolve();
    clock.at(clock.monotonicMs() + 10, () => void again());
  };
  clock.at(10, () => void again());
  await clock.advanceAsync(35);
  expect(ran).toEqual([10, 20, 30]);
});
