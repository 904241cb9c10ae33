import { expect, test } from 'vitest';
import { AgeClock } from '../../../src/storage/age-clock.js';
import { FakeClock } from '../../support/fake-clock.js';
import { heldJournal, journalPath, messageOf, readAll } from './fixtures.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test('an untrusted clock says nothing of age; from trust on, monotonic time counts', () => {
  const age = new AgeClock();
  expect(age.now(1000, 50, false)).toBeUndefined();
  expect(age.now(5000, 60, true)).toBe(5000);
  expect(age.now(9999, 160, false)).toBe(5100);
});

test('a jump ahead is not believed until it has held for a day; a step back is at once', () => {
  const age = new AgeClock();
  expect(age.now(DAY, 0, true)).toBe(DAY);
  expect(age.now(31 * DAY, HOUR, true)).toBe(DAY + HOUR);
  expect(age.now(31 * DAY + 22 * HOUR, 23 * HOUR, true)).toBe(DAY + 23 * HOUR);
  // Another jump begins the day anew.
  expect(age.now(90 * DAY, 24 * HOUR, true)).toBe(2 * DAY);
  expect(age.now(90 * DAY + 23 * HOUR, 47 * HOUR, true)).toBe(2 * DAY + 23 * HOUR);
  expect(age.now(91 * DAY, 48 * HOUR, true)).toBe(91 * DAY);
  expect(age.now(5 * DAY, 49 * HOUR, true)).toBe(5 * DAY);
});

test('small corrections are taken over as they come', () => {
  const age = new AgeClock();
  age.now(DAY, 0, true);
  expect(age.now(DAY + HOUR + 2000, HOUR, true)).toBe(DAY + HOUR + 2000);
});

test('a clock that jumps ahead by a year, trusted or not, makes no history too old', async () => {
  const clock = new FakeClock();
  let trusted = true;
  const { journal } = await heldJournal({
    path: journalPath(),
    clock,
    clockTrusted: () => trusted,
    config: { max_age: HOUR },
  });
  const at = (topic: string): void => {
    journal.append(messageOf(topic), [], clock.wallMs(), true);
    journal.commitNow();
    clock.advance(60_000);
  };
  for (let minute = 0; minute < 10; minute += 1) at('t');
  clock.setWallMs(clock.wallMs() + 365 * DAY);
  for (let minute = 0; minute < 10; minute += 1) at('t');
  expect(journal.snapshot().records).toBe(20);
  trusted = false;
  clock.setWallMs(clock.wallMs() + 365 * DAY);
  for (let minute = 0; minute < 10; minute += 1) at('t');
  expect(journal.snapshot().records).toBe(30);
  expect(await readAll(journal)).toEqual([]);
});
