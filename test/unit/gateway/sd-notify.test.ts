import { expect, test } from 'vitest';
import { silentLog } from '../../../src/core/log.js';
import { SystemdNotifier } from '../../../src/gateway/sd-notify.js';
import { FakeClock } from '../../support/fake-clock.js';

/** Children that end when told. */
function notifier(environment: Record<string, string> = { NOTIFY_SOCKET: '/run/systemd/notify' }) {
  const clock = new FakeClock();
  const calls: string[][] = [];
  const ends: ((fault?: Error) => void)[] = [];
  const warnings: object[] = [];
  let alive = true;
  const systemd = new SystemdNotifier({
    clock,
    environment,
    log: { ...silentLog, warn: (fields) => warnings.push(fields) },
    isAlive: () => alive,
    run: (args) => {
      calls.push([...args]);
      return new Promise((resolve, reject) => ends.push((fault) => (fault ? reject(fault) : resolve())));
    },
  });
  const end = async (fault?: Error): Promise<void> => {
    ends.shift()?.(fault);
    await clock.advanceAsync(0);
  };
  const die = (): void => {
    alive = false;
  };
  return { systemd, clock, calls, end, warnings, die };
}

test('without NOTIFY_SOCKET nothing is run and nothing waits', async () => {
  const { systemd, clock, calls } = notifier({ WATCHDOG_USEC: '3000000' });
  await systemd.ready();
  await systemd.status('x');
  await systemd.stopping();
  expect(calls).toEqual([]);
  expect(clock.waiting).toBe(0);
});

test('one child runs at a time, and what waits is the newest of each kind', async () => {
  const { systemd, clock, calls, end } = notifier();
  void systemd.ready();
  void systemd.status('starting\nup');
  await clock.advanceAsync(0);
  expect(calls).toEqual([['READY=1', 'STATUS=starting up']]);
  for (let round = 0; round < 100; round += 1) void systemd.status(`${round} waiting`);
  const stopped = systemd.stopping();
  await clock.advanceAsync(0);
  expect(calls).toHaveLength(1);
  await end();
  expect(calls[1]).toEqual(['STATUS=99 waiting', 'STOPPING=1']);
  await end();
  await stopped;
  expect(calls).toHaveLength(2);
});

test('a fault is logged once until it succeeds again, and is never thrown', async () => {
  const { systemd, clock, end, warnings } = notifier();
  for (const fault of [new Error('ENOENT'), new Error('ENOENT'), undefined, new Error('ENOENT')]) {
    const told = systemd.status('x');
    await clock.advanceAsync(0);
    await end(fault);
    await told;
  }
  expect(warnings).toEqual([{ reason: 'ENOENT' }, { reason: 'ENOENT' }]);
});

test('the watchdog is fed at a third of its limit from ready to stopping, while the gateway is alive', async () => {
  const { systemd, clock, calls, end, die } = notifier({
    NOTIFY_SOCKET: '@x',
    WATCHDOG_USEC: '60000000',
    WATCHDOG_PID: String(process.pid),
  });
  expect(clock.waiting).toBe(0);
  void systemd.ready();
  await clock.advanceAsync(19_999);
  await end();
  expect(calls).toEqual([['READY=1']]);
  await clock.advanceAsync(1);
  await end();
  await clock.advanceAsync(20_000);
  await end();
  expect(calls.slice(1)).toEqual([['WATCHDOG=1'], ['WATCHDOG=1']]);
  die();
  await clock.advanceAsync(60_000);
  expect(calls).toHaveLength(3);
  void systemd.stopping();
  expect(clock.waiting).toBe(0);
});

test('a watchdog that is meant for another process is not fed', async () => {
  const { systemd, clock } = notifier({ NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' });
  void systemd.ready();
  expect(clock.waiting).toBe(0);
});
