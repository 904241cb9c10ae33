import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { SCHEMA_VERSION } from '../../../src/storage/migrations.js';
import { FakeClock } from '../../support/fake-clock.js';
import { heldJournal, journalPath, listLog, messageOf, readAll, routeOf } from './fixtures.js';

/** A journal of 200 Records of 1,000 bytes for bridge cloud, the first 50 of them delivered. */
async function filled(path: string): Promise<string> {
  const { journal } = await heldJournal({ path });
  const route = journal.routeId(routeOf());
  for (let index = 1; index <= 200; index += 1) {
    journal.append(messageOf(`t/${index}`, 'x'.repeat(1000)), [route], index, true);
    if (index % 10 === 0) journal.commitNow();
  }
  journal.saveBridge('cloud', Buffer.from('state'), { delivered: 50, lost: 0 });
  journal.keepFrom('cloud', 'normal', { offset: 51 });
  journal.putRetained({ ...messageOf('r', 'kept').message, retain: true }, 1);
  journal.keyValue('pulses').put('flow', Buffer.from('41'));
  journal.commitNow();
  const { journalId } = journal;
  await journal.stop();
  return journalId;
}

const refused = (path: string): Promise<unknown> =>
  new InlineStorage({ path, clock: new FakeClock() }).start().then(
    () => expect.unreachable('it was opened'),
    (fault: unknown) => fault,
  );

test('to open a journal that was closed writes nothing, so that no sync stands before the first client', async () => {
  const path = journalPath();
  await filled(path);
  const before = readFileSync(path);
  await heldJournal({ path });
  expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('the folder is made where it is missing, for this user and group alone', async () => {
  const path = join(dirname(journalPath()), 'deep', 'er', 'journal.db');
  await heldJournal({ path });
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o750);
});

test('a path that is a folder is refused in one sentence', async () => {
  const path = journalPath();
  mkdirSync(path);
  expect(await refused(path)).toMatchObject({
    code: 'JOURNAL_PATH',
    message: `journal.path ${path} is a folder; name a file in it`,
  });
});

test('a folder that cannot be made is refused in one sentence', async () => {
  const file = journalPath();
  writeFileSync(file, 'a file');
  const fault = await refused(join(file, 'journal.db'));
  expect(fault).toMatchObject({ code: 'JOURNAL_PATH' });
  expect((fault as Error).message).toMatch(
    /^The folder .* for journal\.path cannot be made: .*; make it, or name another$/,
  );
});

test('a database of another program is refused and left alone', async () => {
  const path = journalPath();
  new Sqlite(path).exec('CREATE TABLE theirs (x)').close();
  const before = readFileSync(path);
  expect(await refused(path)).toMatchObject({ code: 'JOURNAL_PATH' });
  expect(new Sqlite(path).prepare('SELECT count(*) AS n FROM theirs').get()).toEqual({ n: 0 });
  expect(before.length).toBeGreaterThan(0);
});

test('a database of a newer godwit is refused and left alone', async () => {
  const path = journalPath();
  await filled(path);
  const newer = new Sqlite(path);
  newer.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  newer.close();
  const fault = await refused(path);
  expect(fault).toMatchObject({ code: 'JOURNAL_NEWER', fields: { found: SCHEMA_VERSION + 1 } });
  expect(readdirSync(dirname(path))).toEqual(['journal.db']);
});

test('the pragmas that the promise rests on are set, on a new database and on one opened again', async () => {
  const path = journalPath();
  for (const { durability, synchronous } of [
    { durability: 'power-loss', synchronous: 2 },
    { durability: 'power-loss', synchronous: 2 },
    { durability: 'process-crash', synchronous: 1 },
  ] as const) {
    const { openDatabase } = await import('../../../src/storage/database.js');
    const database = openDatabase(path, durability, 2 ** 20);
    database.exec('CREATE TABLE IF NOT EXISTS t (x)');
    const found = (name: string): unknown => database.pragma(name, { simple: true });
    expect(found('synchronous')).toBe(synchronous);
    expect(found('journal_mode')).toBe('wal');
    expect(found('auto_vacuum')).toBe(2);
    expect(found('locking_mode')).toBe('exclusive');
    expect(found('journal_size_limit')).toBe(2 ** 20);
    database.close();
  }
});

test('a file that is no database is set aside, and the gateway starts', async () => {
  const path = journalPath();
  writeFileSync(path, 'this was never a database, and is long enough to look like one'.repeat(100));
  const log = listLog();
  const clock = new FakeClock({ wallMs: Date.UTC(2024, 10, 20, 12) });
  const { journal } = await heldJournal({ path, log, clock });
  expect(readdirSync(dirname(path))).toContain('journal.db.damaged-20241120T120000Z');
  expect(journal.snapshot().damage).toEqual([
    {
      at: clock.wallMs(),
      file: `${path}.damaged-20241120T120000Z`,
      reason: expect.stringMatching(/not a database/) as string,
      salvaged: 0,
    },
  ]);
  expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

test('a journal with a page zeroed in its middle is set aside once found, and the rest is brought over', async () => {
  const path = journalPath();
  const journalId = await filled(path);
  const bytes = readFileSync(path);
  const at = bytes.indexOf('t/198');
  bytes.fill(0, at + 100, at + 200);
  writeFileSync(path, bytes);

  const { journal } = await heldJournal({ path });
  expect(journal.journalId).not.toBe(journalId);
  const topics = (await readAll(journal)).map(({ topic }) => topic);
  expect(topics).toHaveLength(190);
  expect(topics).not.toContain('t/198');
  expect(journal.snapshot().damage).toMatchObject([{ salvaged: 190 }]);
  expect(Buffer.from(journal.bridge('cloud')!.bytes).toString()).toBe('state');
  expect([...journal.retained()].map(({ message }) => message.topic)).toEqual(['r']);
  expect(journal.keyValue('pulses').get('flow')).toBeDefined();
  // 150 waited, 10 of them were in the damaged chunk.
  expect(journal.ledger('cloud')).toEqual({ produced: 200, delivered: 50, lost: 10 });
  expect(journal.snapshot().losses).toMatchObject([{ lost: 10, reason: 'damaged', bridge: 'cloud' }]);
});

test('after a damage new Records are numbered behind every old one, and read after them', async () => {
  const path = journalPath();
  await filled(path);
  truncateSync(path, 100_000);
  const first = await heldJournal({ path });
  const salvaged = (await readAll(first.journal)).length;
  const route = first.journal.routeId(routeOf());
  first.journal.append(messageOf('new'), [route], 300, true);
  first.journal.commitNow();
  expect(first.journal.head).toBe(1e12 + 1);
  await first.journal.stop();
  const { journal } = await heldJournal({ path });
  expect(journal.head).toBe(1e12 + 1);
  const all = await journal.read('cloud', 'normal', 1, 10_000_000);
  expect(all.records).toHaveLength(salvaged + 1);
  expect(all.records.at(-1)).toMatchObject({ offset: 1e12 + 1 });
  expect(journal.snapshot().records).toBe(salvaged + 1);
  const { produced, delivered, lost } = journal.ledger('cloud');
  expect(produced - delivered - lost).toBeGreaterThanOrEqual(0);
});

test('a journal cut to nothing while a gateway held it is told as damage, not taken for a new one', async () => {
  const path = journalPath();
  await filled(path);
  writeFileSync(`${path}.pid`, '1\n');
  truncateSync(path, 0);
  const { journal } = await heldJournal({ path });
  expect(journal.snapshot().damage).toMatchObject([
    { salvaged: 0, reason: expect.stringMatching(/cut to nothing/) as string },
  ]);
});

test('bytes flipped anywhere never keep the gateway from starting, nor make it read what was not written', async () => {
  for (let seed = 1; seed <= 25; seed += 1) {
    const path = journalPath();
    await filled(path);
    const bytes = readFileSync(path);
    // A small generator, so that a failure names its seed and nothing else is needed.
    let state = seed * 2_654_435_761;
    const next = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state;
    };
    for (let flips = 0; flips < 20; flips += 1) bytes[next() % bytes.length] = next() & 0xff;
    writeFileSync(path, bytes);
    let journal: InlineStorage | undefined;
    // What is found while it serves ends the process; the next start sets the database aside.
    for (let starts = 0; starts < 3 && journal === undefined; starts += 1) {
      const opened = new InlineStorage({ path, clock: new FakeClock(), hold: true });
      await opened.start();
      try {
        const topics = (await readAll(opened)).map(({ topic }) => topic);
        expect(
          topics.every((topic) => /^t\/\d+$/.test(topic)),
          `seed ${seed}`,
        ).toBe(true);
        journal = opened;
      } catch (fault) {
        expect(fault, `seed ${seed}`).toMatchObject({ code: 'JOURNAL_DAMAGED' });
        opened.crash();
      }
    }
    expect(journal, `seed ${seed}`).toBeDefined();
    await journal?.stop();
    expect(existsSync(`${path}.damaged`)).toBe(false);
  }
});

describe('a database that is being set aside when the process or the power goes', () => {
  /** One of a process that was killed: what is newest is in the WAL alone. */
  async function killed(): Promise<{ path: string; aside: string }> {
    const path = journalPath();
    const { journal } = await heldJournal({ path });
    const route = journal.routeId(routeOf());
    for (const topic of ['a', 'b', 'c']) {
      journal.append(messageOf(topic), [route], 1, true);
      journal.commitNow();
    }
    // An end in this process, however rough, moves the WAL: the files are those of a moment before.
    const files = [path, `${path}-wal`].map((file) => [file, readFileSync(file)] as const);
    journal.crash();
    for (const [file, bytes] of files) writeFileSync(file, bytes);
    const aside = `${path}.damaged-20260101T000000Z`;
    writeFileSync(`${path}.damaged`, JSON.stringify({ file: aside, reason: 'a test says so' }));
    return { path, aside };
  }

  async function expectSalvaged(path: string, aside: string): Promise<void> {
    const { journal } = await heldJournal({ path });
    expect((await readAll(journal)).map(({ topic }) => topic)).toEqual(['a', 'b', 'c']);
    expect(journal.snapshot().damage).toMatchObject([{ file: aside, reason: 'a test says so', salvaged: 3 }]);
    expect((await journal.audit()).differences).toEqual([]);
    expect(readdirSync(dirname(path)).filter((name) => /\.(new|damaged)/.test(name))).toEqual([
      basename(aside),
    ]);
    await journal.stop();
    const again = await heldJournal({ path });
    expect(again.journal.snapshot().damage).toHaveLength(1);
  }

  test('before anything is renamed: it is set aside', async () => {
    const { path, aside } = await killed();
    await expectSalvaged(path, aside);
  });

  test('with its WAL renamed and itself not: what only the WAL holds is not forgotten', async () => {
    const { path, aside } = await killed();
    renameSync(`${path}-wal`, `${aside}-wal`);
    await expectSalvaged(path, aside);
  });

  test('with all of it renamed and half of a new one there: the new one is made anew', async () => {
    const { path, aside } = await killed();
    renameSync(`${path}-wal`, `${aside}-wal`);
    renameSync(path, aside);
    writeFileSync(`${path}.new`, Buffer.alloc(5000, 1));
    writeFileSync(`${path}.new-wal`, Buffer.alloc(5000, 1));
    await expectSalvaged(path, aside);
  });

  test('with the new one in its place and the marker still there: it is not set aside again', async () => {
    const { path, aside } = await killed();
    const { journal } = await heldJournal({ path });
    await journal.stop();
    writeFileSync(`${path}.damaged`, JSON.stringify({ file: aside, reason: 'a test says so' }));
    await expectSalvaged(path, aside);
  });
});
