import { expect, test } from 'vitest';
import { type Part, startAll } from '../../../src/core/part.js';

function recorder(log: string[], name: string, fails: 'start' | 'stop' | undefined = undefined): Part {
  const act = (what: 'start' | 'stop') => async (): Promise<void> => {
    log.push(`${what} ${name}`);
    if (fails === what) throw new Error(`${name} cannot ${what}`);
  };
  return { name, start: act('start'), stop: act('stop') };
}

test('parts start in order and stop the other way round', async () => {
  const log: string[] = [];
  const stop = await startAll([recorder(log, 'sink'), recorder(log, 'source')]);
  await stop();
  expect(log).toEqual(['start sink', 'start source', 'stop source', 'stop sink']);
});

test('a start that fails half-way stops what it had started, and the fault is told', async () => {
  const log: string[] = [];
  const parts = [recorder(log, 'a'), recorder(log, 'b', 'start'), recorder(log, 'c')];
  await expect(startAll(parts)).rejects.toThrow('b cannot start');
  expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
});

test('a part that cannot stop does not keep the others from stopping', async () => {
  const log: string[] = [];
  const stop = await startAll([recorder(log, 'a'), recorder(log, 'b', 'stop')]);
  await expect(stop()).rejects.toThrow('b cannot stop');
  expect(log).toContain('stop a');
});

test('stopping twice stops once', async () => {
  const log: string[] = [];
  const stop = await startAll([recorder(log, 'a')]);
  await stop();
  await stop();
  expect(log).toEqual(['start a', 'stop a']);
});
