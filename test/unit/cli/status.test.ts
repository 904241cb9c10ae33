import { expect, test } from 'vitest';
import { age, renderStatus } from '../../../src/cli/status.js';
import type { Snapshot } from '../../../src/core/snapshot.js';

test.each([
  [0, '0 s'],
  [5_000, '5 s'],
  [65_000, '1 min 5 s'],
  [3_600_000, '1 h'],
  [86_400_000 * 3 + 3_600_000 * 4, '3 d 4 h'],
  [-5, '0 s'],
])('%d ms is told as %s', (ms, words) => {
  expect(age(ms)).toBe(words);
});

test('status shows state and reason of every device, bus and bridge', () => {
  const snapshot: Snapshot = {
    gateway: 'well-17',
    version: '1.2.3',
    state: 'running',
    since: 0,
    clock: { now: 60_000, trusted: true },
    devices: {
      tank: {
        bus: 'plc',
        state: 'offline',
        reason: 'timeout',
        since: 30_000,
        polls: 9,
        failures: 3,
        points: { level: { value: null, unit: '%', quality: 'bad', reason: 'timeout', ts: 1 } },
      },
    },
    buses: {
      plc: { driver: 'modbus-tcp', state: 'down', reason: 'refused', requests: 9, timeouts: 3, errors: 0 },
    },
    broker: {
      listeners: ['mqtt://127.0.0.1:1883'],
      connections: 1,
      sessions: 1,
      subscriptions: 2,
      retained: 3,
      messagesReceived: 0,
      messagesSent: 0,
      messagesDropped: 0,
      bytesReceived: 0,
      bytesSent: 0,
      loginsFailed: 0,
      connectionsThrottled: 0,
      publishesDenied: 0,
      connectionsRefused: 14,
      subscriptionsRefused: 15,
      protocolErrors: 16,
      sessionsBytes: 0,
      sessionsFull: 0,
      messagesNotQueued: 0,
    },
    bridges: {
      cloud: {
        state: 'waiting',
        reason: 'name does not resolve',
        fault: 'dns',
        since: 0,
        server: null,
        attempts: 7,
        nextAttempt: 125_000,
        onDown: { runs: 2, running: false, last: { at: 30_000, ok: false, result: 'ended with status 1' } },
        waiting: 120,
        inFlight: 0,
        delivered: 5,
        lost: 0,
        eta: null,
        sessionsLost: 0,
      },
    },
    journal: {
      state: 'ok',
      path: '/x/journal.db',
      bytes: 2 ** 20,
      records: 125,
      oldest: 0,
      newest: 1,
      commits: 3,
      commitMs: 1,
      bytesAppended: 10,
    },
    memory: { rss: 80 * 2 ** 20, heapUsed: 1, external: 1 },
  };
  const text = renderStatus(snapshot);
  expect(text).toMatch(/device {2}tank\s+offline\s+for 30 s {2}3 of 9 polls failed {2}\(timeout\)/);
  expect(text).toMatch(/bus {5}plc\s+down .*\(refused\)/);
  expect(text).toMatch(
    /bridge {2}cloud\s+waiting .*120 waiting.*\(name does not resolve\) {2}7 attempts, the next in 1 min 5 s$/m,
  );
  expect(text).toMatch(/on_down +ran 2 times, the last 30 s ago: failed: ended with status 1$/m);
  expect(text).toContain('80 MiB');
});
