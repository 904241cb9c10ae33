import { expect, test } from 'vitest';
import type { Message } from '../../../src/core/message.js';
import type { InlineStorage } from '../../../src/storage/inline-storage.js';
import type { Recipient, SpoolEntry } from '../../../src/storage/session-store.js';
import { heldJournal, journalPath, messageOf, readAll, routeOf } from './fixtures.js';

function to(number: number, more: Partial<Recipient> = {}): Recipient {
  return {
    number,
    qos: 1,
    retain: false,
    subscriptionIdentifiers: undefined,
    sharedFilter: undefined,
    ...more,
  };
}

function message(payload: string | Uint8Array): Message {
  return messageOf('t', payload).message;
}

async function payloads(journal: InlineStorage, entries: readonly SpoolEntry[]): Promise<string[]> {
  const read = await journal.sessions.read(entries, 1_000_000);
  return read.map((each) => (each === null ? 'damaged' : Buffer.from(each.payload).toString()));
}

/** What is in the spool after a restart: offset and recipients; all of it is still needed. */
function open(journal: InlineStorage): { entries: SpoolEntry[]; found: [number, number][] } {
  const entries: SpoolEntry[] = [];
  const found: [number, number][] = [];
  journal.sessions.load().spool((entry, { number }) => {
    if (entries.at(-1) !== entry) entries.push(entry);
    found.push([entry.offset, number]);
    return true;
  });
  return { entries, found };
}

test('rows, subscriptions, Wills and messages of sessions come back after a crash, and only what was committed', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path });
  const { sessions } = journal;
  sessions.save(1, 'one', () => Buffer.from('state'));
  sessions.putSubscription(1, 'a/#', { options: 7, subscriptionIdentifier: undefined }, true);
  sessions.putSubscription(1, 'b', { options: 2, subscriptionIdentifier: 9 }, true);
  sessions.putSubscription(1, 'c', { options: 2, subscriptionIdentifier: 9 }, true);
  sessions.removeSubscription(1, 'c');
  const will = { message: message('will'), delaySeconds: 30 };
  sessions.putWill(1, will);
  sessions.save(2, 'two', () => Buffer.from('x'));
  sessions.putSubscription(2, 'a', { options: 1, subscriptionIdentifier: undefined }, true);
  sessions.remove(2);
  const expiry = { atMs: 5, seconds: 60 };
  const shared = to(3, { qos: 2, retain: true, subscriptionIdentifiers: [4, 5], sharedFilter: '$share/g/t' });
  sessions.append(message('kept'), expiry, [to(1), shared]);
  journal.commitNow();
  sessions.append(message('lost'), undefined, [to(1)]);
  sessions.save(1, 'one', () => Buffer.from('later'));
  journal.crash();

  const { journal: again } = await heldJournal({ path });
  const loaded = again.sessions.load();
  expect(loaded.sessions).toEqual([
    {
      number: 1,
      clientId: 'one',
      state: Buffer.from('state'),
      will,
      subscriptions: [
        ['a/#', { options: 7, subscriptionIdentifier: undefined }],
        ['b', { options: 2, subscriptionIdentifier: 9 }],
      ],
    },
  ]);
  const seen: unknown[] = [];
  const entries: SpoolEntry[] = [];
  loaded.spool((entry, recipient, at) => {
    entries.push(entry);
    seen.push([entry.offset, recipient, at]);
    return true;
  });
  expect(seen).toEqual([
    [1, to(1), expiry],
    [1, shared, expiry],
  ]);
  expect(await payloads(again, entries.slice(0, 1))).toEqual(['kept']);
  // The number of a session that is no more is not given again while a message still names it.
  expect(again.sessions.newNumber()).toBe(4);
});

test('a state is asked for once per batch, when it is sealed', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path });
  let value = 0;
  let asked = 0;
  const state = (): Uint8Array => {
    asked += 1;
    return Buffer.from(`${value}`);
  };
  for (; value < 5; value += 1) journal.sessions.save(1, 'one', state);
  expect(asked).toBe(0);
  journal.commitNow();
  expect(asked).toBe(1);
  journal.crash();
  const { journal: again } = await heldJournal({ path });
  expect(Buffer.from(again.sessions.load().sessions[0]!.state).toString()).toBe('5');
});

test('a message goes when its last recipient has settled it, and its offset is never given again', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const entries = ['a', 'b'].map((text) => {
    const entry = first.journal.sessions.append(message(text), undefined, [to(1), to(2)])!;
    first.journal.commitNow();
    return entry;
  });
  const before = first.journal.sessions.bytes;
  first.journal.sessions.settle(entries[0]!);
  expect(first.journal.sessions.bytes).toBe(before);
  first.journal.sessions.settle(entries[0]!);
  first.journal.sessions.settle(entries[1]!);
  first.journal.sessions.settle(entries[1]!);
  expect(first.journal.sessions.bytes).toBe(0);
  first.journal.commitNow();
  first.journal.crash();
  const { journal } = await heldJournal({ path });
  expect(open(journal).found).toEqual([]);
  expect(journal.sessions.append(message('c'), undefined, [to(1)])?.offset).toBe(3);
});

test('what nobody needs at start is forgotten', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  for (const text of ['a', 'b']) {
    first.journal.sessions.append(message(text), undefined, [to(1)]);
    first.journal.commitNow();
  }
  first.journal.crash();
  const second = await heldJournal({ path });
  second.journal.sessions.load().spool((entry) => entry.offset === 2);
  second.journal.commitNow();
  second.journal.crash();
  const { journal } = await heldJournal({ path });
  expect(open(journal).found).toEqual([[2, 1]]);
});

test('one session that is away does not pin what all others have had: chunks are rewritten without it', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path });
  const entries = Array.from({ length: 100 }, (_, index) =>
    journal.sessions.append(message(`${index} ${'x'.repeat(500)}`), undefined, [to(index === 40 ? 1 : 2)]),
  ) as SpoolEntry[];
  journal.commitNow();
  const full = journal.sessions.bytes;
  for (const [index, entry] of entries.entries()) if (index !== 40) journal.sessions.settle(entry);
  expect(journal.sessions.bytes).toBeLessThan(full / 3);
  journal.commitNow();
  expect((await payloads(journal, [entries[40]!]))[0]).toMatch(/^40 x/);
  journal.crash();
  const { journal: again } = await heldJournal({ path });
  const { entries: left, found } = open(again);
  // Some settled ones may still be there: only the session's own state says what it has had.
  expect(found).toContainEqual([41, 1]);
  expect(found.length).toBeLessThan(30);
  const mine = left.find((entry) => entry.offset === 41)!;
  expect((await payloads(again, [mine]))[0]).toMatch(/^40 x/);
});

test('a chunk that was settled while it formed takes nothing with it that came later', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path });
  journal.sessions.settle(journal.sessions.append(message('gone'), undefined, [to(1)])!);
  journal.sessions.append(message('kept'), undefined, [to(1)]);
  journal.commitNow();
  journal.crash();
  const { journal: again } = await heldJournal({ path });
  const { entries, found } = open(again);
  expect(found).toEqual([[2, 1]]);
  expect(await payloads(again, entries)).toEqual(['kept']);
});

test('messages are read in slices, at least one at a time', async () => {
  const { journal } = await heldJournal({ path: journalPath() });
  const entries = Array.from(
    { length: 10 },
    (_, index) => journal.sessions.append(message(`${index}`.repeat(40_000)), undefined, [to(1)])!,
  );
  journal.commitNow();
  expect(await journal.sessions.read(entries, 1)).toHaveLength(1);
  expect(await journal.sessions.read(entries, 100_000)).toHaveLength(3);
  const some = [entries[2]!, entries[7]!];
  const read = await journal.sessions.read(some, 1_000_000);
  expect(read.map((each) => String.fromCharCode(each!.payload[0]!))).toEqual(['2', '7']);
});

test('the journal and the sessions never starve each other', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path, config: { max_size: 4 * 2 ** 20 } });
  const route = journal.routeId(routeOf());
  // Three times what the whole journal may have.
  for (let index = 0; index < 12; index += 1) {
    expect(journal.sessions.append(message(Buffer.alloc(2 ** 20)), undefined, [to(1)])).toBeDefined();
    for (let more = 0; more < 10; more += 1) {
      journal.append(messageOf('t', Buffer.alloc(10_000)), [route], 1, true);
    }
    journal.commitNow();
    expect(journal.snapshot().state).toBe('ok');
  }
  expect(journal.ledger('cloud').lost).toBe(0);
  expect(await readAll(journal, 'cloud', 'normal', 100_000)).toHaveLength(120);
});

test('what waits for a failing disk is bounded', async () => {
  const { journal } = await heldJournal({
    path: journalPath(),
    fault: () => ({ code: 'SQLITE_IOERR', reason: 'disk I/O error' }),
  });
  const large = message(Buffer.alloc(2 ** 20));
  let taken = 0;
  while (taken < 100 && journal.sessions.append(large, undefined, [to(1)]) !== undefined) {
    taken += 1;
    journal.commitNow();
  }
  expect(taken).toBeGreaterThan(10);
  expect(taken).toBeLessThan(100);
  expect(journal.sessions.accepting).toBe(false);
  expect(journal.sessions.failing).toBe(true);
  journal.crash();
});

test.each(['bytes', 'recipients'])(
  'a spool row whose %s are damaged is told and counted, not served',
  async (column) => {
    const { default: Sqlite } = await import('better-sqlite3');
    const path = journalPath();
    const first = await heldJournal({ path });
    // Ten rows: the last eight are looked at before the journal is trusted at all.
    for (let index = 0; index < 10; index += 1) {
      first.journal.sessions.append(message(`${index}`), undefined, [to(1)]);
      first.journal.commitNow();
    }
    first.journal.crash();
    const database = new Sqlite(path);
    database.exec(`UPDATE spool SET ${column} = zeroblob(length(${column})) WHERE first = 1`);
    database.close();
    const { journal } = await heldJournal({ path });
    const { entries } = open(journal);
    if (column === 'bytes') {
      expect((await payloads(journal, entries)).slice(0, 3)).toEqual(['damaged', '1', '2']);
    } else {
      expect(entries.map((entry) => entry.offset)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
      expect(journal.snapshot().losses).toMatchObject([{ lost: 1, reason: 'damaged', bridge: null }]);
    }
  },
);

test('after damage the spool goes on behind every offset that a session may have had', async () => {
  const { default: Sqlite } = await import('better-sqlite3');
  const path = journalPath();
  const first = await heldJournal({ path });
  first.journal.sessions.save(1, 'one', () => Buffer.from('state'));
  for (let index = 0; index < 3; index += 1) {
    first.journal.sessions.append(message(`${index}`), undefined, [to(1)]);
    first.journal.commitNow();
  }
  first.journal.crash();
  const database = new Sqlite(path);
  database.exec('UPDATE spool SET bytes = zeroblob(3) WHERE first = 3');
  database.close();
  const { journal } = await heldJournal({ path });
  expect(journal.snapshot().damage).toHaveLength(1);
  const { sessions, spool } = journal.sessions.load();
  expect(sessions).toHaveLength(1);
  const left: number[] = [];
  spool((entry) => left.push(entry.offset) > 0);
  expect(left).toEqual([1, 2]);
  expect(journal.sessions.append(message('new'), undefined, [to(1)])!.offset).toBeGreaterThan(1e12);
});

test('a row that waits behind another commit is as it was with its own batch, whatever its session has become since', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path, config: { max_size: 4 * 1024 * 1024 } });
  const { sessions } = journal;
  const route = journal.routeId(routeOf('cloud'));
  const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  let state = 'first';
  journal.append(messageOf('t', 'small'), [route], 1, true);
  await endOfTurn();
  // Larger than one commit should be: it is closed and waits for the one under way.
  journal.append(messageOf('t', Buffer.alloc(400_000)), [route], 1, true);
  sessions.save(1, 'one', () => Buffer.from(state));
  await endOfTurn();
  state = 'second, with what the next batch holds';
  journal.append(messageOf('t', 'later'), [route], 1, true);
  sessions.save(1, 'one', () => Buffer.from(state));
  journal.commitNow();
  journal.commitNow();
  journal.crash();

  const { journal: again } = await heldJournal({ path });
  expect(again.head).toBe(2);
  expect(again.sessions.load().sessions.map((row) => Buffer.from(row.state).toString())).toEqual(['first']);
});
