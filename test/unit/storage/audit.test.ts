import { statSync, writeFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClosedJournal } from '../../../src/storage/closed-journal.js';
import type { InlineStorage } from '../../../src/storage/inline-storage.js';
import { heldJournal, journalPath, messageOf, routeOf } from './fixtures.js';

const MIB = 2 ** 20;

/** A bridge that takes what it has out of order, and says so as the real one does. */
class Taker {
  #next = 1;
  readonly #open = new Set<number>();
  readonly #journal: InlineStorage;

  constructor(journal: InlineStorage) {
    this.#journal = journal;
  }

  take(count: number): void {
    for (let taken = 0; taken < count && this.#next <= this.#journal.head; taken += 1) {
      this.#open.add(this.#next);
      this.#next += 1;
    }
  }

  /** Completes some of what is under way, the newest first. */
  complete(count: number, lost: number): void {
    const done = [...this.#open].reverse().slice(0, count);
    for (const offset of done) this.#open.delete(offset);
    this.#journal.saveBridge('cloud', Buffer.from('s'), {
      delivered: done.length - Math.min(lost, done.length),
      lost: Math.min(lost, done.length),
    });
    this.#journal.keepFrom('cloud', 'normal', { offset: this.#next, held: [...this.#open] });
  }
}

test('a journal adds up at every moment, whatever is written, delivered out of order and killed', async () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 40 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('complete' as const),
        count: fc.integer({ min: 1, max: 20 }),
        lost: fc.nat(3),
      }),
    },
    { weight: 3, arbitrary: fc.constant({ do: 'commit' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const path = journalPath();
      let { journal } = await heldJournal({ path });
      let taker: Taker | undefined = new Taker(journal);
      for (const each of steps) {
        if (each.do === 'append') {
          const route = journal.routeId(routeOf());
          for (let n = 0; n < each.count; n += 1) journal.append(messageOf('t'), [route], n, true);
        } else if (each.do === 'take') taker?.take(each.count);
        else if (each.do === 'complete') taker?.complete(each.count, each.lost);
        else if (each.do === 'commit') journal.commitNow();
        else {
          journal.crash();
          const closed = new ClosedJournal(path);
          expect(closed.audit().differences).toEqual([]);
          closed.close();
          ({ journal } = await heldJournal({ path }));
          // What it had in flight is known to nobody here any more: it takes no further part.
          taker = undefined;
        }
        expect((await journal.audit()).differences).toEqual([]);
      }
      journal.crash();
    }),
    { numRuns: 60 },
  );
});

test('a count goes on while the journal is written, trimmed and thinned', async () => {
  const { journal } = await heldJournal({ path: journalPath(), config: { max_size: 8 * MIB } });
  const route = journal.routeId(routeOf());
  const fill = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      journal.append(messageOf(`t/${index}`, 'x'.repeat(1000)), [route], index, true);
      if (index % 100 === 99) journal.commitNow();
    }
  };
  fill(7000);
  const counting = journal.audit();
  // It has begun, and the next slice comes after what is done here: the oldest Records go meanwhile.
  fill(4000);
  const { bridges, differences, records } = await counting;
  expect(differences).toEqual([]);
  expect(records).toBe(bridges.cloud?.waiting);
  expect(journal.ledger('cloud').lost).toBeGreaterThan(0);
});

test('a commit of one message costs one page, and its bridge is credited over a crash and a damage all the same', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const route = first.journal.routeId(routeOf());
  const publish = (index: number): void => {
    first.journal.append(messageOf('t', Buffer.alloc(100)), [route], index, true);
    first.journal.commitNow();
  };
  publish(0);
  const walBytes = (): number => statSync(`${path}-wal`).size;
  const before = walBytes();
  for (let index = 1; index <= 100; index += 1) publish(index);
  // A page each, a few for every leaf that is full, and two for the ledger now and then.
  expect((walBytes() - before) / 4120).toBeLessThan(150);
  for (let more = 0; more < 5; more += 1) {
    expect((await first.journal.audit()).differences).toEqual([]);
    publish(more);
  }
  first.journal.crash();

  const second = await heldJournal({ path });
  expect(second.journal.ledger('cloud').produced).toBe(106);
  expect((await second.journal.audit()).differences).toEqual([]);
  second.journal.append(messageOf('t'), [route], 1, true);
  second.journal.commitNow();
  second.journal.append(messageOf('t'), [route], 1, true);
  second.journal.commitNow();
  second.journal.crash();
  writeFileSync(`${path}.damaged`, '');

  const third = await heldJournal({ path });
  expect(third.journal.snapshot().damage).toHaveLength(1);
  expect(third.journal.ledger('cloud')).toEqual({ produced: 108, delivered: 0, lost: 0 });
  expect((await third.journal.audit()).differences).toEqual([]);
});

test('what is wrong is named: a counter, a chunk that is gone, bytes that are not what was written', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const route = first.journal.routeId(routeOf());
  for (let index = 0; index < 30; index += 1) {
    first.journal.append(messageOf('t'), [route], index, true);
    if (index % 10 === 9) first.journal.commitNow();
  }
  await first.journal.stop();
  const spoil = (sql: string): readonly string[] => {
    const database = new Sqlite(path);
    database.exec(sql);
    database.close();
    const closed = new ClosedJournal(path);
    const { differences } = closed.audit();
    closed.close();
    return differences;
  };
  expect(spoil("UPDATE ledger SET produced = produced + 2 WHERE bridge = 'cloud'")).toEqual([
    'bridge cloud: produced 32, but delivered 0 + in flight 0 + waiting 30 + lost 0 = 30: 2 missing',
  ]);
  expect(spoil("UPDATE ledger SET produced = produced - 2 WHERE bridge = 'cloud'")).toEqual([]);
  expect(spoil('UPDATE chunk SET crc = crc + 1 WHERE first = 11')).toEqual([
    'the Records from 11 on are not what was written',
    'records: 30 should be there, 20 are',
    'bridge cloud: produced 30, but delivered 0 + in flight 0 + waiting 20 + lost 0 = 20: 10 missing',
  ]);
  expect(spoil('DELETE FROM chunk WHERE first = 11')).toEqual([
    'records: 30 should be there, 20 are',
    'bridge cloud: produced 30, but delivered 0 + in flight 0 + waiting 20 + lost 0 = 20: 10 missing',
  ]);
});

test('a journal alone tells what a running one does, a WAL of a killed process included', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path });
  const route = journal.routeId(routeOf());
  for (let index = 0; index < 10; index += 1)
    journal.append(messageOf(`t/${index}`), [route], 1000 + index, true);
  journal.commitNow();
  journal.saveBridge('cloud', Buffer.from('s'), { delivered: 3, lost: 1 });
  journal.keepFrom('cloud', 'normal', { offset: 7, held: [2, 5] });
  journal.lose({ lost: 1, reason: 'refused', bridge: 'cloud', from: 1, to: 2, topics: ['t/1'] });
  journal.commitNow();
  const running = (await journal.accounts()).get('cloud');
  journal.crash();
  const closed = new ClosedJournal(path);
  const summary = closed.summary();
  const { records, next } = closed.history(
    { fromMs: 1003, toMs: 1006, wants: (topic) => topic !== 't/4' },
    1,
    1000,
  );
  closed.close();
  expect(running).toEqual({
    produced: 10,
    delivered: 3,
    inFlight: 2,
    waiting: 4,
    lost: 1,
    oldestWaiting: 1006,
  });
  expect(summary.accounts.get('cloud')).toEqual(running);
  expect(summary).toMatchObject({
    records: 10,
    oldest: 1000,
    newest: 1009,
    losses: [{ reason: 'refused', lost: 1 }],
  });
  expect(records.map(({ offset }) => offset)).toEqual([4, 6]);
  expect(next).toBe(11);
});

test('where there is no journal, that is said', () => {
  expect(() => new ClosedJournal('/nowhere/journal.db')).toThrow(/There is no journal at/);
});
