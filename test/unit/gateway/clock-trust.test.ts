import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { silentLog } from '../../../src/core/log.js';
import { BUILT_AT_MS, ClockTrust, readBootId } from '../../../src/gateway/clock-trust.js';
import { FakeClock } from '../../support/fake-clock.js';

const SYNCHRONISED = '/run/systemd/timesync/synchronized';

function machine(options: { files?: string[]; answer?: string | undefined; wallMs?: number } = {}) {
  const clock = new FakeClock({ wallMs: options.wallMs ?? BUILT_AT_MS + 1000 });
  const files = new Set(options.files);
  const state = { answer: options.answer, asked: 0 };
  const said: string[] = [];
  const say = (_: object, sentence: string): void => void said.push(sentence);
  const trust = new ClockTrust({
    clock,
    log: { ...silentLog, info: say, warn: say },
    machine: {
      exists: (path) => files.has(path),
      timedatectl: async () => {
        state.asked += 1;
        if (state.answer === undefined) throw new Error('no D-Bus');
        return state.answer;
      },
    },
  });
  return { trust, clock, files, state, said };
}

describe('the clock is trusted', () => {
  test('not before it was looked at', () => {
    expect(machine({ files: [SYNCHRONISED] }).trust.trusted).toBe(false);
  });

  test('at once where systemd-timesyncd has synchronised it, without asking further', async () => {
    const { trust, state, clock, said } = machine({ files: [SYNCHRONISED] });
    await trust.start();
    expect(trust.trusted).toBe(true);
    expect(state.asked).toBe(0);
    expect(clock.waiting).toBe(0);
    expect(said).toEqual(['The clock is trusted']);
  });

  test('where the kernel says that a daemon such as chrony disciplines it', async () => {
    const { trust } = machine({ files: ['/run/chrony'], answer: 'NTP=no\nNTPSynchronized=yes\n' });
    await trust.start();
    expect(trust.trusted).toBe(true);
  });

  test.each([
    ['no timedatectl', undefined],
    ['none enabled', 'NTP=no\nNTPSynchronized=no\n'],
  ])('by its date alone where there is no time daemon: %s', async (_, answer) => {
    const { trust } = machine({ answer });
    await trust.start();
    expect(trust.trusted).toBe(true);
  });
});

describe('the clock is not trusted', () => {
  test('while a time daemon has not synchronised it, and is as soon as it has', async () => {
    const { trust, clock, files, said } = machine({ answer: 'NTP=yes\nNTPSynchronized=no\n' });
    await trust.start();
    await clock.advanceAsync(30_000);
    expect(trust.trusted).toBe(false);
    files.add(SYNCHRONISED);
    await clock.advanceAsync(5000);
    expect(trust.trusted).toBe(true);
    expect(clock.waiting).toBe(0);
    expect(said).toEqual([
      'The clock is not trusted yet: waiting for synchronisation',
      'The clock is trusted',
    ]);
  });

  test('while traces of a daemon are there that timedatectl does not know', async () => {
    const { trust, clock, state } = machine({ files: ['/run/chrony'], answer: undefined });
    await trust.start();
    expect(trust.trusted).toBe(false);
    state.answer = 'NTPSynchronized=yes';
    await clock.advanceAsync(55_000);
    expect(trust.trusted).toBe(false);
    await clock.advanceAsync(5000);
    expect(trust.trusted).toBe(true);
    expect(state.asked).toBe(2);
  });

  test('with a date before this version was built, whatever says otherwise', async () => {
    const { trust, clock } = machine({ files: [SYNCHRONISED], wallMs: Date.UTC(1970, 0, 1) });
    await trust.start();
    expect(trust.trusted).toBe(false);
    clock.setWallMs(BUILT_AT_MS);
    expect(trust.trusted).toBe(true);
  });
});

test('a slow answer does not hold up the start, and counts when it comes', async () => {
  const clock = new FakeClock({ wallMs: BUILT_AT_MS });
  let answer = (_: string): void => {};
  const trust = new ClockTrust({
    clock,
    log: silentLog,
    machine: {
      exists: () => false,
      timedatectl: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    },
  });
  const started = trust.start();
  await clock.advanceAsync(300);
  await started;
  expect(trust.trusted).toBe(false);
  answer('NTPSynchronized=yes');
  await clock.advanceAsync(0);
  expect(trust.trusted).toBe(true);
});

test('a stop leaves no timer, may be asked for twice, and an answer after it starts nothing', async () => {
  const { trust, clock } = machine({ answer: 'NTP=yes' });
  await trust.start();
  expect(clock.waiting).toBe(1);
  await trust.stop();
  await trust.stop();
  expect(clock.waiting).toBe(0);
  const late = machine({ answer: 'NTP=yes' });
  const started = late.trust.start();
  await late.trust.stop();
  await late.clock.advanceAsync(1000);
  await started;
  expect(late.clock.waiting).toBe(0);
});

test('the boot id is the kernel’s, or one of this process where that is hidden', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-boot-'));
  try {
    const path = join(folder, 'boot_id');
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(readBootId(path)).toMatch(uuid);
    writeFileSync(path, '');
    expect(readBootId(path)).toMatch(uuid);
    writeFileSync(path, '0b6a3a5e-3d5c-4b0e-9d0a-2f0c1d2e3f40\n');
    expect(readBootId(path)).toBe('0b6a3a5e-3d5c-4b0e-9d0a-2f0c1d2e3f40');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
