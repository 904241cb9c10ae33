import { expect, test } from 'vitest';
import type { Fault } from '../../../src/bridge/fault.js';
import { Outage } from '../../../src/bridge/outage.js';
import { SaidLog } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';

const CUT: Fault = { kind: 'closed', sentence: 'the connection was cut' };

function world() {
  const clock = new FakeClock();
  const log = new SaidLog();
  const outage = new Outage({ bridge: 'cloud', clientId: 'well-17', clock, log });
  return {
    clock,
    log,
    outage,
    /** A session of so many seconds that ends, after so many without one. */
    session: (seconds: number, downSeconds = 5, fault = CUT) => {
      clock.advance(downSeconds * 1000);
      outage.over(undefined);
      clock.advance(seconds * 1000);
      outage.note(fault, undefined, seconds * 1000);
    },
    told: () => log.said.filter(({ level }) => level !== 'debug').map(({ sentence }) => sentence),
  };
}

const DOWN = 'Bridge is not connected; what is accepted waits in the journal';
const UP = 'Bridge is connected';
const FLAPS = 'Link comes and goes; its ends are only counted until it holds';

test('an outage is told once when it begins and once when it ends', () => {
  const { clock, log, outage, told } = world();
  outage.note(CUT, undefined, undefined);
  clock.advance(5000);
  outage.note({ kind: 'dns', sentence: 'no name' }, undefined, undefined);
  expect(outage.sentence).toBe('no name');
  expect(outage.fault?.kind).toBe('dns');
  expect(outage.attempts).toBe(2);
  clock.advance(5000);
  outage.over(undefined);
  expect(told()).toEqual([DOWN, UP]);
  expect(log.said.at(-1)?.fields).toMatchObject({ downMs: 10_000, attempts: 2 });
  expect(outage.sentence).toBeUndefined();
});

test('a link that comes and goes is told once, then counted, and told when it holds', () => {
  const { clock, log, outage, session, told } = world();
  for (let n = 1; n <= 20; n += 1) session(n <= 10 ? 30 : 40);
  expect(told()).toEqual([UP, DOWN, UP, DOWN, UP, DOWN, UP, DOWN, UP, FLAPS]);
  outage.over(undefined);
  expect(outage.sentence).toBe(
    'the link comes and goes: 20 sessions ended, of the latest none after more than 40 s, the last because the connection was cut; check signal and power, and keepalive where they end after about the same time',
  );
  clock.advance(600_000);
  expect(outage.sentence).toBeUndefined();
  expect(log.said.at(-1)).toMatchObject({ fields: { sessions: 20 }, sentence: 'Link holds again' });
  expect(clock.waiting).toBe(0);
});

test('a link that came and went and then stays down is told of as down', () => {
  const { clock, outage, session, told } = world();
  for (let n = 1; n <= 6; n += 1) session(30);
  expect(told().at(-1)).toBe(FLAPS);
  for (let minute = 0; minute < 60; minute += 1) {
    clock.advance(60_000);
    outage.note(CUT, undefined, undefined);
  }
  outage.over(undefined);
  expect(told().slice(-3)).toEqual([FLAPS, DOWN, UP]);
  outage.stop();
});

test('four short sessions in an hour, or five that are spread over a day, are no such link', () => {
  const { outage, session } = world();
  for (let n = 0; n < 4; n += 1) session(30);
  for (let n = 0; n < 10; n += 1) session(30, 3600);
  outage.over(undefined);
  expect(outage.sentence).toBeUndefined();
});

test('a session that held clears what was before it', () => {
  const { outage, session } = world();
  for (let n = 0; n < 4; n += 1) session(30);
  session(700);
  session(30);
  outage.over(undefined);
  expect(outage.sentence).toBeUndefined();
});

test('a stop leaves no timer', () => {
  const { clock, outage, session } = world();
  for (let n = 0; n < 6; n += 1) session(30);
  outage.over(undefined);
  outage.stop();
  expect(clock.waiting).toBe(0);
});
