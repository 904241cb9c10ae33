import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { SystemClock } from '../../../src/core/clock.js';
import { silentLog } from '../../../src/core/log.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { WorkerStorage } from '../../../src/storage/worker-storage.js';
import { FakeClock } from '../../support/fake-clock.js';
import { heldJournal, journalPath, messageOf, readAll, routeOf } from './fixtures.js';

const DIST = join(import.meta.dirname, '../../../dist');
const WORKER = pathToFileURL(join(DIST, 'storage/worker.js'));

const config = {
  durability: 'power-loss',
  max_size: 2 ** 30,
  max_age: 86_400_000,
  when_full: 'drop-oldest',
  max_commit_delay: 5,
} as const;

function worker(
  path: string,
  workerUrl = WORKER,
  onFatal = (fault: Error): void => expect.unreachable(fault.message),
) {
  const journal = new WorkerStorage({
    path,
    config,
    log: silentLog,
    clock: new SystemClock(),
    onFatal,
    workerUrl,
  });
  onTestFinished(() => journal.stop());
  return journal;
}

/** A process that appends; resolves once its journal is open. */
async function appending(
  path: string,
  first: number,
): Promise<{ child: ChildProcess; acknowledged: number[] }> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'appending-process.mjs'), DIST, path, `${first}`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const acknowledged: number[] = [];
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  lines.on('line', (line) => acknowledged.push(Number(line)));
  return { child, acknowledged };
}

test('the worker commits, reads back, and leaves nothing behind when stopped', async () => {
  const path = journalPath();
  const journal = worker(path);
  await journal.start();
  const route = journal.routeId(routeOf());
  for (let index = 1; index <= 5000; index += 1) {
    expect(journal.append(messageOf(`t/${index}`, 'x'.repeat(200)), [route], index, true)).toBe(true);
  }
  const head = await new Promise<number>((resolve) => journal.afterCommit(resolve));
  expect(head).toBe(5000);
  const all = await readAll(journal, 'cloud', 'normal', 100_000);
  expect(all.map(({ topic }) => topic)).toEqual(Array.from({ length: 5000 }, (_, index) => `t/${index + 1}`));
  journal.append(messageOf('last'), [route], 1, false);
  await journal.stop();
  await journal.stop();
  for (const suffix of ['-wal', '.pid']) expect(existsSync(path + suffix)).toBe(false);
  const { journal: again } = await heldJournal({ path });
  expect(again.head).toBe(5001);
});

test('a journal that cannot be opened refuses the start with its code, and nothing is left running', async () => {
  const path = journalPath();
  const journal = worker(join(path, '..'));
  await expect(journal.start()).rejects.toMatchObject({ code: 'JOURNAL_PATH' });
});

test('every append that was acknowledged survives a SIGKILL', async () => {
  const path = journalPath();
  let next = 1;
  for (let round = 1; round <= 4; round += 1) {
    const { child, acknowledged } = await appending(path, next);
    while (acknowledged.length < 300 * round) await once(child.stdout!, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { journal } = await heldJournal({ path });
    const kept = await readAll(journal, 'cloud', 'normal', 100_000);
    expect(kept.map(({ offset }) => offset)).toEqual(kept.map((_, index) => index + 1));
    const topics = new Set(kept.map(({ topic }) => topic));
    expect(acknowledged.filter((each) => !topics.has(`t/${each}`))).toEqual([]);
    expect(journal.ledger('cloud').produced).toBe(kept.length);
    next = Number(kept.at(-1)?.topic.slice(2)) + 1;
    await journal.stop();
  }
});

test('a second gateway on the same journal is told which process holds it', async () => {
  const path = journalPath();
  const { child } = await appending(path, 1);
  const second = new InlineStorage({ path, clock: new FakeClock() });
  await expect(second.start()).rejects.toMatchObject({
    code: 'JOURNAL_IN_USE',
    message: `The journal ${path} is in use by process ${child.pid}; one gateway per journal`,
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await heldJournal({ path });
});

test('a worker that dies ends the process, and calls nobody back', async () => {
  // Opens, and dies of the first commit.
  const dying = new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { parentPort } from 'node:worker_threads';
      const news = { bytes: 0, records: 0, oldestMs: null, newestMs: null, full: false, evicted: [] };
      parentPort.on('message', () => { throw new Error('the disk controller is gone'); });
      parentPort.postMessage({ kind: 'opened', opened: { journalId: 'abcdefgh', head: 0, texts: [], routes: [],
        lanes: [], ledgers: [], bridges: [], pairs: [], retained: [], news, notes: [],
        sessions: { rows: [], subscriptions: [], wills: [], spool: [], spoolHead: 0 } } });
    `)}`,
  );
  const fatal = await new Promise<Error>((resolve, reject) => {
    const journal = worker(journalPath(), dying, resolve);
    journal.start().then(() => {
      journal.append(messageOf('a'), [], 1, true);
      journal.afterCommit(() => reject(new Error('called back')));
    }, reject);
  });
  expect(fatal).toMatchObject({
    code: 'STORAGE_WORKER_DIED',
    message: 'The storage worker died: the disk controller is gone',
  });
});
