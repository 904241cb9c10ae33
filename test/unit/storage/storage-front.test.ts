import { statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Engine } from '../../../src/storage/engine.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { FakeClock } from '../../support/fake-clock.js';
import { heldJournal, journalPath, listLog, messageOf, readAll, routeOf } from './fixtures.js';

const turnOver = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what waits for a commit runs after it, in order, with the newest durable offset', async () => {
  const { journal } = await heldJournal({ path: journalPath() });
  const seen: string[] = [];
  journal.onCommitted((head) => seen.push(`committed ${head}`));
  journal.append(messageOf('a'), [], 1, true);
  journal.afterCommit((head) => seen.push(`first ${head}`));
  journal.append(messageOf('b'), [], 2, true);
  journal.afterCommit((head) => seen.push(`second ${head}`));
  expect(seen).toEqual([]);
  expect(journal.head).toBe(0);
  journal.commitNow();
  expect(seen).toEqual(['first 2', 'second 2', 'committed 2']);
  expect(journal.head).toBe(2);
});

test('a commit without Records calls back and tells no listener', async () => {
  const { journal } = await heldJournal({ path: journalPath() });
  const seen: string[] = [];
  journal.onCommitted(() => seen.push('committed'));
  journal.afterCommit((head) => seen.push(`then ${head}`));
  journal.commitNow();
  expect(seen).toEqual(['then 0']);
});

test('what an urgent caller gives in one turn is committed when the turn is over', async () => {
  const journal = new InlineStorage({ path: journalPath(), clock: new FakeClock() });
  await journal.start();
  const heads: number[] = [];
  journal.append(messageOf('a'), [], 1, true);
  journal.afterCommit((head) => heads.push(head));
  journal.append(messageOf('b'), [], 1, true);
  expect(heads).toEqual([]);
  await turnOver();
  expect(heads).toEqual([2]);
  expect(journal.snapshot().commits).toBe(1);
  await journal.stop();
});

test('readings wait for company up to max_commit_delay, and no longer', async () => {
  const clock = new FakeClock();
  const journal = new InlineStorage({ path: journalPath(), clock, config: { max_commit_delay: 250 } });
  await journal.start();
  journal.append(messageOf('a'), [], 1, false);
  clock.advance(200);
  journal.append(messageOf('b'), [], 1, false);
  await turnOver();
  expect(journal.head).toBe(0);
  clock.advance(50);
  expect(journal.head).toBe(2);
  await journal.stop();
});

test('what was not committed is gone after a crash, what was committed is not', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const route = first.journal.routeId(routeOf());
  first.journal.append(messageOf('kept'), [route], 1, true);
  first.journal.saveBridge('cloud', Buffer.from('state 1'), { delivered: 0, lost: 0 });
  first.journal.commitNow();
  first.journal.append(messageOf('gone'), [route], 2, true);
  first.journal.saveBridge('cloud', Buffer.from('state 2'), { delivered: 1, lost: 0 });
  first.journal.afterCommit(() => expect.unreachable('nothing is called back after a crash'));
  const { journalId } = first.journal;
  first.journal.crash();

  const { journal } = await heldJournal({ path });
  expect(journal.journalId).toBe(journalId);
  expect(journal.journalId).toMatch(/^[a-z0-9]{8}$/);
  expect(await readAll(journal)).toEqual([{ offset: 1, topic: 'kept' }]);
  expect(Buffer.from(journal.bridge('cloud')!.bytes).toString()).toBe('state 1');
  expect(journal.ledger('cloud')).toEqual({ produced: 1, delivered: 0, lost: 0 });
});

test('offsets are dense from 1 and go on after a restart', async () => {
  const path = journalPath();
  for (let run = 0; run < 3; run += 1) {
    const { journal } = await heldJournal({ path });
    const route = journal.routeId(routeOf());
    journal.append(messageOf(`a${run}`), [route], 1, true);
    journal.append(messageOf(`b${run}`), [route], 1, true);
    journal.commitNow();
    expect((await readAll(journal)).map(({ offset }) => offset)).toEqual(
      Array.from({ length: 2 * run + 2 }, (_, index) => index + 1),
    );
    await journal.stop();
  }
});

test('an equal Route has the same number for ever, a different one another', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const route = routeOf('cloud', 'high', { prefix: 'p/' });
  const id = first.journal.routeId(route);
  const swapped = Object.fromEntries(Object.entries(route).reverse()) as unknown;
  expect(first.journal.routeId(swapped as typeof route)).toBe(id);
  expect(first.journal.routeId({ ...route, qos: 2 })).not.toBe(id);
  first.journal.commitNow();
  await first.journal.stop();
  const { journal } = await heldJournal({ path });
  expect(journal.route(id)).toEqual(route);
  expect(journal.routeId(route)).toBe(id);
  expect(journal.route(999)).toBeUndefined();
});

test('a lane reads its own Records only, in slices, and learns where nothing more waits', async () => {
  const { journal } = await heldJournal({ path: journalPath() });
  const high = journal.routeId(routeOf('cloud', 'high'));
  const normal = journal.routeId(routeOf('cloud', 'normal'));
  const other = journal.routeId(routeOf('other', 'normal'));
  const big = 'x'.repeat(500);
  for (let index = 1; index <= 600; index += 1) {
    const routes = index % 3 === 0 ? [high, other] : index % 3 === 1 ? [normal] : [];
    journal.append(messageOf(`t/${index}`, big), routes, index, true);
    if (index % 50 === 0) journal.commitNow();
  }
  const offsets = async (bridge: string, lane: 'high' | 'normal' | 'history'): Promise<number[]> =>
    (await readAll(journal, bridge, lane)).map(({ offset }) => offset);
  const every = (rest: number): number[] =>
    Array.from({ length: 600 }, (_, index) => index + 1).filter((index) => index % 3 === rest);
  expect(await offsets('cloud', 'high')).toEqual(every(0));
  expect(await offsets('cloud', 'normal')).toEqual(every(1));
  expect(await offsets('other', 'normal')).toEqual(every(0));
  expect(await offsets('other', 'history')).toEqual([]);
  expect(await journal.read('cloud', 'high', 601, 1000)).toEqual({ records: [], next: 601 });
  expect(await journal.read('nobody', 'high', 1, 1000)).toEqual({ records: [], next: 601 });
  const slice = await journal.read('cloud', 'normal', 1, 1000);
  expect(slice.records.length).toBe(2);
  expect(slice.next).toBe(5);
});

test('a Record larger than a slice is read nevertheless', async () => {
  const { journal } = await heldJournal({ path: journalPath() });
  const route = journal.routeId(routeOf());
  journal.append(messageOf('big', 'x'.repeat(200_000)), [route], 1, true);
  journal.append(messageOf('small'), [route], 1, true);
  journal.commitNow();
  expect((await readAll(journal)).map(({ topic }) => topic)).toEqual(['big', 'small']);
});

test('samples keep their series, stamps and values over a restart', async () => {
  const path = journalPath();
  const stamp = { wallMs: 1, monotonicMs: 2, bootId: 'b', trusted: false };
  const set = {
    topic: 'site/tank',
    qos: 1 as const,
    retain: true,
    format: { kind: 'json' as const },
    grouped: true,
    samples: [
      { device: 'tank', point: 'level', unit: '%', value: 71.2, quality: 'good' as const, stamp },
      { device: 'tank', point: 'total', value: 2n ** 60n, quality: 'stale' as const, stamp },
    ],
  };
  const first = await heldJournal({ path });
  const route = first.journal.routeId(routeOf());
  for (let run = 0; run < 2; run += 1) {
    first.journal.append({ kind: 'samples', set }, [route], 5, false);
    first.journal.commitNow();
  }
  await first.journal.stop();
  const { journal } = await heldJournal({ path });
  const { records } = await journal.read('cloud', 'normal', 1, 10_000);
  expect(records).toEqual([
    { offset: 1, acceptedAtMs: 5, routes: [route], content: { kind: 'samples', set } },
    { offset: 2, acceptedAtMs: 5, routes: [route], content: { kind: 'samples', set } },
  ]);
});

test('the ledger counts per bridge what was produced, delivered and lost, over restarts', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const cloud = first.journal.routeId(routeOf('cloud'));
  const other = first.journal.routeId(routeOf('other'));
  for (let index = 0; index < 5; index += 1) first.journal.append(messageOf('a'), [cloud, other], 1, true);
  first.journal.append(messageOf('a'), [other], 1, true);
  first.journal.saveBridge('cloud', Buffer.from('s'), { delivered: 2, lost: 0 });
  first.journal.saveBridge('cloud', Buffer.from('t'), { delivered: 1, lost: 1 });
  const expected = { produced: 5, delivered: 3, lost: 1 };
  expect(first.journal.ledger('cloud')).toEqual(expected);
  first.journal.commitNow();
  await first.journal.stop();
  const { journal } = await heldJournal({ path });
  expect(journal.ledger('cloud')).toEqual(expected);
  expect(journal.ledger('other')).toEqual({ produced: 6, delivered: 0, lost: 0 });
  expect(journal.ledger('nobody')).toEqual({ produced: 0, delivered: 0, lost: 0 });
});

test('retained messages come back after a restart; an empty payload removes one [MQTT5-3.3.1-6]', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const message = {
    ...messageOf('a', 'one').message,
    retain: true,
    properties: { contentType: 'text/plain' },
  };
  first.journal.putRetained(message, 1);
  first.journal.putRetained({ ...message, topic: 'b' }, 1);
  first.journal.putRetained({ ...message, payload: Buffer.from('two') }, 2);
  first.journal.commitNow();
  first.journal.putRetained({ ...message, topic: 'b', payload: new Uint8Array() }, 3);
  await first.journal.stop();
  const { journal } = await heldJournal({ path });
  const retained = [...journal.retained()];
  expect(retained).toEqual([
    { kind: 'message', message: { ...message, payload: Buffer.from('two') }, storedAtMs: 2 },
  ]);
});

test('pairs of a part are its own, and come back after a restart', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  const pulses = first.journal.keyValue('pulses');
  const value = Buffer.from('41');
  pulses.put('flow', value);
  value.write('99');
  first.journal.keyValue('windows').put('flow', Buffer.from('other'));
  pulses.put('old', Buffer.from('x'));
  first.journal.commitNow();
  pulses.remove('old');
  await first.journal.stop();
  const { journal } = await heldJournal({ path });
  const entries = [...journal.keyValue('pulses').entries()].map(([key, each]) => [
    key,
    Buffer.from(each).toString(),
  ]);
  expect(entries).toEqual([['flow', '41']]);
  expect(Buffer.from(journal.keyValue('windows').get('flow')!).toString()).toBe('other');
});

test('a stop commits what waits and runs what waited for it', async () => {
  const path = journalPath();
  const journal = new InlineStorage({ path, clock: new FakeClock() });
  await journal.start();
  const route = journal.routeId(routeOf());
  journal.append(messageOf('last'), [route], 1, false);
  const heads: number[] = [];
  journal.afterCommit((head) => heads.push(head));
  await journal.stop();
  await journal.stop();
  expect(heads).toEqual([1]);
});

test('a disk that fails keeps everything, is told once, and is tried again until it works', async () => {
  const log = listLog();
  let full = true;
  const { journal, clock } = await heldJournal({
    path: journalPath(),
    hold: false,
    log,
    fault: () => (full ? { code: 'SQLITE_FULL', reason: 'database or disk is full' } : undefined),
  });
  const route = journal.routeId(routeOf());
  const heads: number[] = [];
  journal.append(messageOf('a'), [route], 1, true);
  journal.afterCommit((head) => heads.push(head));
  await turnOver();
  for (let second = 0; second < 60; second += 1) {
    journal.append(messageOf(`b${second}`), [route], 1, false);
    clock.advance(1000);
  }
  expect(heads).toEqual([]);
  expect(journal.snapshot()).toMatchObject({ state: 'failing', reason: 'database or disk is full' });
  full = false;
  clock.advance(5000);
  clock.advance(5000);
  expect(heads).toEqual([1]);
  expect(journal.head).toBe(61);
  expect(journal.snapshot().state).toBe('ok');
  const told = log.lines.filter(({ sentence }) => /written/.test(sentence));
  expect(told.map(({ level }) => level)).toEqual(['error', 'info']);
});

test('a disk that fails for long makes append say false, once the buffer is full, and true again after', async () => {
  let fails = true;
  const { journal, clock } = await heldJournal({
    path: journalPath(),
    hold: false,
    fault: () => (fails ? { code: 'SQLITE_IOERR', reason: 'disk I/O error' } : undefined),
  });
  const big = messageOf('a', Buffer.alloc(1024 * 1024));
  let taken = 0;
  while (taken < 100 && journal.append(big, [], 1, true)) taken += 1;
  expect(taken).toBe(32);
  await turnOver();
  expect(journal.append(big, [], 1, true)).toBe(false);
  fails = false;
  clock.advance(5000);
  expect(journal.head).toBe(32);
  expect(journal.append(big, [], 1, true)).toBe(true);
});

test('a commit that waits long for the disk is a state, told once, and over with the first that is quick', async () => {
  const log = listLog();
  const finish: (() => void)[] = [];
  const { journal, clock } = await heldJournal({
    path: journalPath(),
    hold: (carryOut) => void finish.push(carryOut),
    log,
  });
  const acknowledged: string[] = [];
  const publish = async (topic: string): Promise<void> => {
    journal.append(messageOf(topic), [], 1, true);
    journal.afterCommit(() => acknowledged.push(topic));
    await turnOver();
  };
  const told = (): string[] =>
    log.lines.filter(({ sentence }) => /disk/.test(sentence)).map(({ level }) => level);

  for (const topic of ['a', 'b', 'c']) {
    await publish(topic);
    clock.advance(1900);
    if (topic === 'a') expect(journal.snapshot().state).toBe('ok');
    clock.advance(3100);
    expect(journal.snapshot()).toMatchObject({
      state: 'failing',
      reason: expect.stringContaining('for 5 s'),
    });
    expect(acknowledged).not.toContain(topic);
    finish.shift()?.();
    expect(acknowledged).toContain(topic);
    expect(journal.snapshot()).toMatchObject({ state: 'failing', reason: 'the disk is slow' });
  }
  expect(told()).toEqual(['warn']);
  await publish('d');
  clock.advance(10);
  finish.shift()?.();
  expect(journal.snapshot().state).toBe('ok');
  expect(told()).toEqual(['warn', 'info']);
  expect(log.lines.at(-1)?.fields).toMatchObject({ slowMs: 15_010, commits: 4 });
});

test('a slow disk that nothing is asked of any more is no state for ever', async () => {
  const finish: (() => void)[] = [];
  const { journal, clock } = await heldJournal({
    path: journalPath(),
    hold: (carryOut) => void finish.push(carryOut),
  });
  journal.append(messageOf('a'), [], 1, true);
  await turnOver();
  clock.advance(5000);
  finish.shift()?.();
  expect(journal.snapshot().state).toBe('failing');
  clock.advance(70_000);
  expect(journal.snapshot().state).toBe('ok');
});

test('a commit that is durable is acknowledged once, though its figures cannot be read afterwards', async () => {
  const log = listLog();
  const { journal } = await heldJournal({ path: journalPath(), log });
  const route = journal.routeId(routeOf());
  const news = vi.spyOn(Engine.prototype, 'news').mockImplementationOnce(() => {
    throw new Sqlite.SqliteError('disk I/O error', 'SQLITE_IOERR_READ');
  });
  onTestFinished(() => news.mockRestore());
  journal.append(messageOf('a'), [route], 1, true);
  const heads: number[] = [];
  journal.afterCommit((head) => heads.push(head));
  journal.commitNow();
  expect(heads).toEqual([1]);
  expect(await readAll(journal)).toEqual([{ offset: 1, topic: 'a' }]);
  expect(journal.snapshot().state).toBe('ok');
});

test('a database whose WAL cannot be moved into it takes no more than a few times what the WAL may have', async () => {
  const path = journalPath();
  const { journal, clock } = await heldJournal({ path, hold: false, config: { max_size: 4 * 2 ** 20 } });
  const { pragma } = Sqlite.prototype;
  const checkpoint = vi.spyOn(Sqlite.prototype, 'pragma').mockImplementation(function (
    this: Sqlite.Database,
    sql,
  ) {
    if (sql.startsWith('wal_checkpoint'))
      throw new Sqlite.SqliteError('disk I/O error', 'SQLITE_IOERR_WRITE');
    return pragma.call(this, sql);
  });
  onTestFinished(() => checkpoint.mockRestore());
  const route = journal.routeId(routeOf());
  for (let commit = 0; commit < 100; commit += 1) {
    journal.append(messageOf('a', Buffer.alloc(100_000)), [route], 1, true);
    await turnOver();
  }
  expect(statSync(`${path}-wal`).size).toBeLessThan(4 * 2 ** 20);
  expect(journal.snapshot().state).toBe('failing');
  checkpoint.mockRestore();
  clock.advance(5000);
  expect(journal.snapshot().state).toBe('ok');
});
