/**
 * One process's share of `npm run sim`: plays seeds from the first in steps of so many, one line of JSON for each.
 *
 *   node run.js FIRST STEP COUNT FOLDER [--without kind,…] [--mutation name] [--tell]
 */
import '../../src/drivers/simulator/driver.js';
import { type HistoryOptions, playHistory } from './history.js';
import { TROUBLES, type TroubleKind } from './plan.js';
import type { Mutation } from './watched-storage.js';

const [first = '1', step = '1', count = '1', folder = '.', ...rest] = process.argv.slice(2);

function option(name: string): string | undefined {
  const at = rest.indexOf(`--${name}`);
  return at < 0 ? undefined : rest[at + 1];
}

const without = new Set((option('without') ?? '').split(',').filter((kind) => kind !== ''));
for (const kind of without) {
  if (!TROUBLES.some((one) => one === kind))
    throw new Error(`--without ${kind}: there are ${TROUBLES.join(', ')}`);
}
const mutation = option('mutation') as Mutation | undefined;
const options: HistoryOptions = {
  folder,
  without: without as Set<TroubleKind>,
  ...(mutation !== undefined && { mutation }),
  ...(rest.includes('--tell') && {
    tell: (atMs: number, what: string) =>
      process.stderr.write(`${(atMs / 1000).toFixed(4).padStart(11)}  ${what}\n`),
  }),
};

for (let seed = Number(first), n = 0; n < Number(count); seed += Number(step), n += 1) {
  const outcome = await playHistory(seed, options);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
