import { describe, expect, test } from 'vitest';
import type { Command, CommandEnd } from '../../../src/bridge/command.js';
import { DownHook } from '../../../src/bridge/down-hook.js';
import type { Fault } from '../../../src/bridge/fault.js';
import { SaidLog } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';

const MINUTE = 60_000;
const FAULT: Fault = { kind: 'unreachable', sentence: 'there is no route' };

function world(config: { readonly every?: number } = {}) {
  const clock = new FakeClock({ wallMs: Date.UTC(2026, 10, 20, 12) });
  const log = new SaidLog();
  const runs: { readonly command: Command; readonly ended: (end: CommandEnd) => void }[] = [];
  const hook = new DownHook({
    bridge: 'cloud',
    gatewayId: 'well-17',
    config: { after: 30 * MINUTE, command: ['modem', 'off', 'on'], timeout: MINUTE, ...config },
    folder: '/etc/godwit',
    run: (command, ended) => {
      runs.push({ command, ended });
      return () => undefined;
    },
    clock,
    log,
  });
  return {
    hook,
    clock,
    log,
    runs,
    down: () => hook.down('mqtt://cloud:1883', FAULT),
    done: (text = '') => runs.at(-1)?.ended({ kind: 'done', output: Buffer.from(text) }),
  };
}

test('it runs once the link has been down for `after`, and is told since when and why', () => {
  const { clock, down, hook, runs } = world();
  hook.down('mqtt://cloud:1883', undefined);
  clock.advance(29 * MINUTE);
  down();
  expect(runs).toHaveLength(0);
  clock.advance(MINUTE);
  expect(runs).toHaveLength(1);
  expect(runs[0]?.command).toEqual({
    argv: ['modem', 'off', 'on'],
    folder: '/etc/godwit',
    environment: {
      GODWIT_GATEWAY: 'well-17',
      GODWIT_BRIDGE: 'cloud',
      GODWIT_SERVER: 'mqtt://cloud:1883',
      GODWIT_DOWN_SINCE: '2026-11-20T12:00:00.000Z',
      GODWIT_DOWN_SECONDS: '1800',
      GODWIT_FAULT: 'unreachable',
      GODWIT_REASON: 'there is no route',
      GODWIT_RUN: '1',
    },
    limitMs: MINUTE,
    outputBytesMax: 16 * 1024,
    excess: 'discard',
  });
});

test('without `every` it runs once for each outage', () => {
  const { clock, done, down, hook, runs } = world();
  down();
  clock.advance(30 * MINUTE);
  done();
  clock.advance(1000 * MINUTE);
  expect(runs).toHaveLength(1);
  hook.up();
  clock.advance(2 * MINUTE);
  down();
  clock.advance(30 * MINUTE);
  expect(runs).toHaveLength(2);
  expect(runs[1]?.command.environment.GODWIT_RUN).toBe('1');
});

test('with `every` it runs again, never twice at a time', () => {
  const { clock, done, down, runs } = world({ every: 10 * MINUTE });
  down();
  clock.advance(30 * MINUTE);
  // It is still under way when it would be due again.
  clock.advance(15 * MINUTE);
  expect(runs).toHaveLength(1);
  done();
  clock.advance(0);
  expect(runs).toHaveLength(2);
  done();
  clock.advance(10 * MINUTE);
  expect(runs.map(({ command }) => command.environment.GODWIT_RUN)).toEqual(['1', '2', '3']);
});

test('a short session ends no outage, a longer one does', () => {
  const { clock, down, hook, runs } = world();
  down();
  clock.advance(20 * MINUTE);
  hook.up();
  clock.advance(MINUTE / 2);
  down();
  clock.advance(9 * MINUTE);
  expect(runs).toHaveLength(0);
  clock.advance(MINUTE / 2);
  expect(runs).toHaveLength(1);
});

test('it does not run while the link is up', () => {
  const { clock, down, hook, runs } = world();
  down();
  clock.advance(29 * MINUTE);
  hook.up();
  clock.advance(100 * MINUTE);
  expect(runs).toHaveLength(0);
});

describe('its result', () => {
  test('is logged once and shown', () => {
    const { clock, done, down, hook, log, runs } = world({ every: 10 * MINUTE });
    down();
    clock.advance(30 * MINUTE);
    expect(hook.snapshot).toEqual({ runs: 1, running: true });
    done('switching\n  the modem is back\u0007\n');
    expect(hook.snapshot).toEqual({
      runs: 1,
      running: false,
      last: { at: clock.wallMs(), ok: true, result: 'the modem is back' },
    });
    clock.advance(10 * MINUTE);
    runs[1]?.ended({ kind: 'failed', why: 'ended with status 1' });
    expect(hook.snapshot.last).toMatchObject({ ok: false, result: 'ended with status 1' });
    expect(log.said.map(({ level, sentence }) => `${level}: ${sentence}`)).toEqual([
      'warn: Link has been down for long; on_down.command runs',
      'info: on_down.command is done',
      'warn: Link has been down for long; on_down.command runs',
      'warn: on_down.command failed',
    ]);
  });
});

test('after a stop nothing runs any more, and what runs may end', () => {
  const { clock, done, down, hook, runs } = world({ every: 10 * MINUTE });
  down();
  clock.advance(30 * MINUTE);
  hook.stop();
  done();
  down();
  clock.advance(1000 * MINUTE);
  expect(runs).toHaveLength(1);
  expect(clock.waiting).toBe(0);
});
