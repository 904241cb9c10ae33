import { expect, test } from 'vitest';
import { Gathering } from '../../../src/storage/gathering.js';

/** Commits that take `tookMs`, each acknowledging `count`, one after the other. */
function commits(gathering: Gathering, times: number, count: number, tookMs: number, fromMs = 0): number {
  let nowMs = fromMs;
  for (let one = 0; one < times; one += 1) {
    nowMs += tookMs;
    gathering.committed(count, tookMs, nowMs);
  }
  return nowMs;
}

test('a lone publisher and a few are never made to wait', () => {
  const gathering = new Gathering();
  for (const acknowledged of [0, 1, 3]) {
    gathering.committed(acknowledged, 5, 100);
    expect(gathering.waitMs(1, 200, 100)).toBe(0);
  }
});

test('the next commit begins when about as many have come as the last one acknowledged', () => {
  const gathering = new Gathering();
  gathering.committed(200, 4, 100);
  expect(gathering.waitMs(20, 4000, 100)).toBe(1);
  expect(gathering.waitMs(179, 40_000, 100.2)).toBeCloseTo(0.8);
  expect(gathering.waitMs(180, 40_000, 100.3)).toBe(0);
});

test('company that does not come is waited for a quarter of a commit, and no longer than 5 ms', () => {
  const gathering = new Gathering();
  gathering.committed(200, 4, 100);
  expect(gathering.waitMs(20, 4000, 101)).toBe(0);
  gathering.committed(20, 1000, 2000);
  expect(gathering.waitMs(1, 200, 2000)).toBe(5);
  expect(gathering.waitMs(1, 200, 2005)).toBe(0);
});

test('a stream shares commits of some pages while it flows, for 12 ms at most', () => {
  const gathering = new Gathering();
  const nowMs = commits(gathering, 1000, 10, 1);
  for (let ms = 1; ms < 12; ms += 1) expect(gathering.waitMs(10 * ms, 2400 * ms, nowMs + ms)).toBe(1);
  expect(gathering.waitMs(120, 28_000, nowMs + 12)).toBe(0);
  gathering.committed(120, 0.5, nowMs + 12.5);
  expect(gathering.waitMs(5, 1200, nowMs + 13)).toBe(1);
  expect(gathering.waitMs(130, 30_000, nowMs + 14)).toBe(0);
});

test('publishers that wait for their acknowledgements are no stream, however quick, and are rarely tried again', () => {
  const gathering = new Gathering();
  let nowMs = commits(gathering, 1000, 10, 1);
  expect(gathering.waitMs(10, 2400, nowMs + 0.1)).toBe(1);
  expect(gathering.waitMs(10, 2400, nowMs + 1.1)).toBe(1);
  expect(gathering.waitMs(10, 2400, nowMs + 6.1)).toBe(0);
  let waits = 0;
  for (let commit = 0; commit < 3000; commit += 1) {
    nowMs += 1;
    gathering.committed(10, 1, nowMs);
    let atMs = nowMs;
    while (gathering.waitMs(10, 2400, atMs) > 0) atMs += 1;
    if (atMs > nowMs) waits += 1;
    nowMs = atMs;
  }
  expect(waits).toBeLessThan(6);
});

test('a stream that slows down is none any more', () => {
  const gathering = new Gathering();
  const nowMs = commits(gathering, 1000, 10, 1);
  const later = commits(gathering, 100, 10, 10, nowMs);
  expect(gathering.waitMs(10, 2400, later)).toBe(0);
});
