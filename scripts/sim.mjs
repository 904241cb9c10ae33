/**
 * npm run sim -- [--seeds 10000] [--from 1] [--jobs 2] [--without crash,cut] [--mutation NAME] [--tell]
 *
 * Plays histories of the whole gateway (test/sim), one per seed, and prints each failure with its seed; at the end
 * one line of JSON. Ends with 1 if a history failed. `--without` leaves kinds of trouble out of the same histories,
 * `--tell` follows one history step by step; `--mutation` breaks the gateway on purpose: then it must fail.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    without: { type: 'string', default: '' },
    mutation: { type: 'string' },
    tell: { type: 'boolean', default: false },
  },
});
const seeds = Number(values.seeds);
const from = Number(values.from);
const jobs = Math.max(1, Math.min(Number(values.jobs), seeds));
const FAILURES_SHOWN = 20;

// A process is killed in these histories, not the power: memory will do, and spares the disk.
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'godwit-sim-'));
const total = { histories: 0, failed: [], events: 0, simulatedMs: 0, taken: 0, arrived: 0, met: {} };
const children = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  });
}
const begunAt = process.hrtime.bigint();
let toldAt = Date.now();
try {
  compile();
  await Promise.all(Array.from({ length: jobs }, (_, job) => play(job)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const seconds = Number(process.hrtime.bigint() - begunAt) / 1e9;
const { failed, simulatedMs, ...counts } = total;
console.log(
  JSON.stringify({
    ...counts,
    from,
    failed: failed.sort((a, b) => a - b),
    simulatedHours: round(simulatedMs / 3_600_000),
    seconds: round(seconds),
    historiesPerSecond: round(total.histories / seconds),
    ...(values.mutation !== undefined && { mutation: values.mutation }),
  }),
);
process.exitCode = failed.length === 0 && total.histories === seeds ? 0 : 1;

function compile() {
  const config = join(folder, 'tsconfig.json');
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        rootDir: root,
        outDir: join(folder, 'out'),
        typeRoots: [join(root, 'node_modules', '@types')],
      },
      include: [join(root, 'test', 'sim', 'run.ts')],
    }),
  );
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'out'));
  copyFileSync(join(root, 'package.json'), join(folder, 'out', 'package.json'));
  // What does not compile elsewhere is another script's to tell; what does not run here is seen at once.
  const tsc = spawnSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', config], { encoding: 'utf8' });
  if (!existsSync(join(folder, 'out', 'test', 'sim', 'run.js'))) throw new Error(tsc.stdout + tsc.stderr);
}

async function play(job) {
  const count = Math.ceil((seeds - job) / jobs);
  const child = spawn(
    process.execPath,
    [
      join(folder, 'out', 'test', 'sim', 'run.js'),
      ...[from + job, jobs, count, folder].map(String),
      ...['--without', values.without],
      ...(values.mutation === undefined ? [] : ['--mutation', values.mutation]),
      ...(values.tell ? ['--tell'] : []),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.add(child);
  const ended = new Promise((resolve) => child.once('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) add(JSON.parse(line));
  if ((await ended) !== 0) console.error(`a process of the simulator ended early, after ${total.histories} histories`);
}

function add({ seed, wrong, events, simulatedMs, taken, arrived, met }) {
  total.histories += 1;
  total.events += events;
  total.simulatedMs += simulatedMs;
  total.taken += taken;
  total.arrived += arrived;
  for (const [kind, times] of Object.entries(met)) total.met[kind] = (total.met[kind] ?? 0) + times;
  if (wrong.length > 0) {
    total.failed.push(seed);
    if (total.failed.length <= FAILURES_SHOWN) console.error(`seed ${seed}:\n  ${wrong.slice(0, 6).join('\n  ')}`);
  }
  if (Date.now() - toldAt < 10_000) return;
  toldAt = Date.now();
  console.error(`${total.histories} of ${seeds} histories, ${total.failed.length} failed`);
}

function round(figure) {
  return Math.round(figure * 10) / 10;
}
