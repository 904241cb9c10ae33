/** A short set of the histories that `npm run sim` plays by the thousand; a failure prints its seed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
// Loaded beforehand, so that a history waits for no module.
import '../../src/drivers/simulator/driver.js';
import { BATCHED_FROM, playHistory } from './history.js';
import { KEPT_SEEDS } from './kept-seeds.js';
import type { Mutation } from './watched-storage.js';

const folder = mkdtempSync(join(tmpdir(), 'godwit-sim-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Some seconds of work; more only where the machine is not ours alone. */
const TIMEOUT_MS = 120_000;

async function failures(seeds: readonly number[], mutation?: Mutation): Promise<string[]> {
  const all: string[] = [];
  for (const seed of seeds) {
    const { wrong } = await playHistory(seed, { folder, ...(mutation !== undefined && { mutation }) });
    for (const what of wrong) all.push(`seed ${seed}: ${what}`);
    if (mutation !== undefined && all.length > 0) break;
  }
  return all;
}

function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => first + n);
}

test.each([1, 16, 31, 46, BATCHED_FROM])(
  'whatever is cut, killed or full, all that was accepted arrives as promised (15 seeds from %i)',
  async (first) => expect(await failures(seedsFrom(first, 15))).toEqual([]),
  TIMEOUT_MS,
);

test.each(KEPT_SEEDS)(
  'seed $seed holds: $showed',
  async ({ seed }) => {
    expect(await failures([seed])).toEqual([]);
  },
  TIMEOUT_MS,
);

test('the same seed is the same history', async () => {
  const [once, again] = [await playHistory(7, { folder }), await playHistory(7, { folder })];
  expect(again).toEqual(once);
  expect((await playHistory(9, { folder })).print).not.toBe(once.print);
});

test.each([
  ['acknowledges before the commit', 'early-acknowledgement', 'MISSING|TWICE|STRANGE'],
  ['stores an earlier state of its bridge', 'stale-bridge-state', 'TWICE|MISSING|SERVER'],
  ['forgets a save of its bridge', 'forgotten-save', 'LAG|TWICE'],
  ['counts a delivery twice', 'wrong-ledger', 'LAG'],
] as const)('a gateway that %s is found out', async (_, mutation, kinds) => {
  const [first = ''] = await failures(seedsFrom(1, 60), mutation);
  expect(first).toMatch(new RegExp(`^seed \\d+: (${kinds})`));
});
