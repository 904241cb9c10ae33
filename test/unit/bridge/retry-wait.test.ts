import { expect, test } from 'vitest';
import { LOOK_MS, networkAddresses, RetryWait } from '../../../src/bridge/retry-wait.js';
import { FakeClock } from '../../support/fake-clock.js';

function world(...addresses: string[]) {
  const clock = new FakeClock({ wallMs: 0 });
  const held = new Set(addresses);
  const wait = new RetryWait({ clock, network: () => new Set(held) });
  const tries: number[] = [];
  const start = (ms: number, wallMs?: number): void =>
    wait.start(clock.monotonicMs() + ms, wallMs, () => tries.push(clock.monotonicMs()));
  return { clock, held, wait, tries, start };
}

test('a wait ends when its time is over', () => {
  const { clock, start, tries } = world('eth0 10.0.0.2');
  start(300_000);
  clock.advance(299_999);
  expect(tries).toEqual([]);
  clock.advance(1);
  expect(tries).toEqual([300_000]);
  expect(clock.waiting).toBe(0);
});

test('an address that was not there ends it early, also one that had gone meanwhile', () => {
  for (const before of [[], ['wwan0 10.0.0.2']]) {
    const { clock, held, start, tries } = world(...before);
    start(300_000);
    clock.advance(LOOK_MS);
    held.clear();
    clock.advance(LOOK_MS);
    held.add('wwan0 10.0.0.2');
    clock.advance(LOOK_MS);
    expect(tries).toEqual([3 * LOOK_MS]);
    expect(clock.waiting).toBe(0);
  }
});

test('an address that goes does not', () => {
  const { clock, held, start, tries } = world('eth0 10.0.0.2', 'wwan0 10.1.0.2');
  start(300_000);
  held.delete('eth0 10.0.0.2');
  clock.advance(60_000);
  expect(tries).toEqual([]);
});

test('a network that comes and goes all the time ends one wait a minute early, no more', () => {
  const { clock, held, start, tries } = world();
  for (let n = 0; n < 60; n += 1) {
    if (n === 0 || tries.length > 0) start(300_000);
    held.clear();
    held.add(`wwan0 10.0.0.${n}`);
    clock.advance(LOOK_MS);
  }
  expect(tries.length).toBeLessThanOrEqual(5);
  expect(tries.length).toBeGreaterThanOrEqual(4);
});

test('a clock that is set to the time that was missing ends it early', () => {
  const { clock, start, tries } = world();
  start(300_000, 1_000_000);
  clock.advance(4 * LOOK_MS);
  expect(tries).toEqual([]);
  clock.setWallMs(2_000_000);
  clock.advance(LOOK_MS);
  expect(tries).toEqual([5 * LOOK_MS]);
});

test('where nothing is watched there is one timer', () => {
  const clock = new FakeClock();
  const wait = new RetryWait({ clock, network: undefined });
  wait.start(300_000, undefined, () => undefined);
  expect(clock.nextAtMs).toBe(300_000);
  wait.cancel();
  expect(clock.waiting).toBe(0);
});

test('addresses of the machine itself do not count', () => {
  for (const address of networkAddresses()) expect(address).not.toMatch(/ (127\.|::1$|fe80:)/);
});
