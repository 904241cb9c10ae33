import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Schedule, type ScheduledDevice, type Task } from '../../../src/drivers/schedule.js';

const rules = { offlineAfter: 3, retryMaxMs: 60_000 };

function device(name: string, ...polls: readonly number[]): ScheduledDevice {
  return { device: name, points: polls.map((pollMs, index) => ({ point: `p${index}`, pollMs })) };
}

/** Serves tasks as they fall due, each taking `takesMs`, until `untilMs`. */
function serve(
  schedule: Schedule,
  untilMs: number,
  takesMs = 0,
  answers: (task: Task, nowMs: number) => boolean = () => true,
): { readonly task: Task; readonly atMs: number }[] {
  const served: { task: Task; atMs: number }[] = [];
  let nowMs = 0;
  while (nowMs <= untilMs) {
    const task = schedule.next(nowMs);
    if (task === undefined) {
      nowMs = Math.max(nowMs, schedule.nextDueMs);
      continue;
    }
    served.push({ task, atMs: nowMs });
    nowMs += takesMs;
    if (answers(task, nowMs)) schedule.answered(task.device, nowMs);
    else schedule.failed(task.device, nowMs);
  }
  return served;
}

describe('a schedule', () => {
  test('polls a point by its own period, together with the others of its device', () => {
    const served = serve(new Schedule([device('tank', 1000, 3000)], rules, 0), 6500);
    expect(served.map(({ atMs }) => atMs)).toEqual([0, 1000, 2000, 3000, 4000, 5000, 6000]);
    expect(served.map(({ task }) => task.points.length)).toEqual([2, 1, 1, 2, 1, 1, 2]);
  });

  test('spreads devices of one period evenly over it', () => {
    const names = ['a', 'b', 'c', 'd'];
    const schedule = new Schedule(
      names.map((name) => device(name, 1000)),
      rules,
      0,
    );
    const phases = new Map(serve(schedule, 5000).map(({ task, atMs }) => [task.device, atMs % 1000]));
    expect([...phases.values()]).toEqual([0, 250, 500, 750]);
  });

  test('asks every device within its first second, however long its period', () => {
    const names = ['a', 'b', 'c', 'd'];
    const schedule = new Schedule(
      names.map((name) => device(name, 3_600_000)),
      rules,
      0,
    );
    expect(serve(schedule, 1000).map(({ task }) => task.device)).toEqual(names);
  });

  test('leaves out and counts the polls that a late bus missed, and returns to its grid', () => {
    const schedule = new Schedule([device('tank', 1000)], rules, 0);
    schedule.next(0);
    expect(schedule.next(3700)?.device).toBe('tank');
    expect(schedule.skipped('tank')).toBe(2);
    expect(schedule.next(3700)).toBeUndefined();
    expect(schedule.nextDueMs).toBe(4000);
  });

  test('gives each device its share of an overloaded bus', () => {
    const schedule = new Schedule([device('a', 100), device('b', 100), device('c', 100)], rules, 0);
    const served = serve(schedule, 90_000, 100);
    for (const name of ['a', 'b', 'c']) {
      const share = served.filter(({ task }) => task.device === name).length / served.length;
      expect(share).toBeCloseTo(1 / 3, 2);
    }
  });

  test('a unit that stays silent is asked ever more rarely, never less often than retry_max, by one probe', () => {
    const schedule = new Schedule([device('tank', 1000)], rules, 0);
    const served = serve(schedule, 400_000, 0, () => false);
    const gaps = served.slice(1).map(({ atMs }, index) => atMs - (served[index]?.atMs ?? 0));
    expect(gaps.slice(0, 9)).toEqual([1000, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    expect(served.map(({ task }) => task.probe).slice(0, 5)).toEqual([false, false, false, true, true]);
  });

  test('the first answer brings a unit back to its cadence', () => {
    const schedule = new Schedule([device('tank', 1000, 5000)], rules, 0);
    const served = serve(schedule, 20_000, 0, (_, nowMs) => nowMs >= 10_000);
    const after = served.filter(({ atMs }) => atMs > 10_000).map(({ atMs }) => atMs);
    expect(after[0]).toBe(16_000);
    expect(after.slice(1)).toEqual([17_000, 18_000, 19_000, 20_000]);
    expect(served.find(({ atMs }) => atMs === 16_000)?.task.points).toEqual(['p0', 'p1']);
  });

  test('tells the poll that makes a device offline, and the one that brings it back', () => {
    const schedule = new Schedule([device('tank', 1000)], rules, 0);
    expect([1, 2, 3, 4].map((atMs) => schedule.failed('tank', atMs))).toEqual([false, false, true, false]);
    expect([5, 6].map((atMs) => schedule.answered('tank', atMs))).toEqual([true, false]);
  });

  test('a failed poll now and then makes no device offline', () => {
    const schedule = new Schedule([device('tank', 1000)], rules, 0);
    for (let atMs = 0; atMs < 100; atMs++) {
      expect(schedule.failed('tank', atMs)).toBe(false);
      expect(schedule.failed('tank', atMs)).toBe(false);
      schedule.answered('tank', atMs);
    }
  });

  test('asks offline devices at once when their bus has come back', () => {
    const schedule = new Schedule([device('tank', 1000)], rules, 0);
    serve(schedule, 100_000, 0, () => false);
    schedule.askNow(100_500);
    expect(schedule.next(100_500)).toMatchObject({ device: 'tank', probe: true });
  });

  test('a bus without points is never due', () => {
    expect(new Schedule([device('tank')], rules, 0).nextDueMs).toBe(Infinity);
    expect(new Schedule([], rules, 0).next(1e9)).toBeUndefined();
  });

  test('never gives a point more often than its period allows, nor forgets one, however late the bus', () => {
    const devices = fc.array(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(devices, fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 50 }), (polls, takes) => {
        const schedule = new Schedule(
          polls.map((each, index) => device(`d${index}`, ...each)),
          rules,
          0,
        );
        const counts = new Map<string, number>();
        let nowMs = 0;
        for (const takesMs of takes) {
          const task = schedule.next(nowMs);
          if (task === undefined) {
            nowMs = Math.max(nowMs, schedule.nextDueMs);
            continue;
          }
          for (const point of task.points) {
            const key = `${task.device}/${point}`;
            counts.set(key, (counts.get(key) ?? 0) + 1);
          }
          schedule.answered(task.device, nowMs);
          nowMs += takesMs;
        }
        // One for the early start, one for each place on the grid up to now.
        polls.forEach((each, index) => {
          each.forEach((pollMs, point) => {
            const count = counts.get(`d${index}/p${point}`) ?? 0;
            expect(count).toBeLessThanOrEqual(Math.floor(nowMs / pollMs) + 2);
          });
        });
        // Nothing waits behind what was served: what is still due is due on its grid.
        for (let task = schedule.next(nowMs); task !== undefined; task = schedule.next(nowMs)) {
          expect(task.points.length).toBeGreaterThan(0);
        }
        expect(schedule.nextDueMs).toBeGreaterThan(nowMs);
      }),
    );
  });
});
