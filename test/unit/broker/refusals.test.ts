import { expect, test } from 'vitest';
import { Refusals } from '../../../src/broker/refusals.js';
import { SaidLog } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';

test('the first client is named, the others are counted, and the end is told after ten quiet minutes', () => {
  const clock = new FakeClock();
  const log = new SaidLog();
  const refusals = new Refusals(clock, log);
  for (let client = 0; client < 2000; client += 1) {
    refusals.count('too many sockets', { address: `10.0.0.${client}` });
    clock.advance(1000);
  }
  expect(log.said).toMatchObject([
    { level: 'warn', fields: { reason: 'too many sockets', address: '10.0.0.0' } },
  ]);
  clock.advance(601_000);
  expect(log.said.slice(1)).toMatchObject([
    { level: 'info', fields: { reason: 'too many sockets', count: 2000, forMs: 1_999_000 } },
  ]);
  refusals.count('too many sockets', { address: 'later' });
  expect(log.said).toHaveLength(3);
});

test('each reason has its own span, one alone is told once, and stopping leaves no timer', () => {
  const clock = new FakeClock();
  const log = new SaidLog();
  const refusals = new Refusals(clock, log);
  refusals.count('a', {});
  clock.advance(300_000);
  refusals.count('b', {});
  refusals.count('b', {});
  expect(log.said.map(({ level }) => level)).toEqual(['warn', 'warn']);
  clock.advance(400_000);
  expect(log.said).toHaveLength(2);
  clock.advance(400_000);
  expect(log.said.slice(2)).toMatchObject([{ level: 'info', fields: { reason: 'b', count: 2 } }]);
  refusals.count('a', {});
  refusals.count('a', {});
  refusals.stop();
  clock.advance(4_000_000);
  expect(log.said).toHaveLength(4);
});

test('reasons beyond any that there are cost no memory', () => {
  const log = new SaidLog();
  const refusals = new Refusals(new FakeClock(), log);
  for (let reason = 0; reason < 1000; reason += 1) refusals.count(`${reason}`, {});
  expect(log.said).toHaveLength(100);
});
