import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { InlineStorage } from '../../../src/storage/inline-storage.js';
import type { JournalSettings } from '../../../src/storage/limits.js';
import { heldJournal, journalPath, messageOf, readAll, routeOf } from './fixtures.js';

const MIB = 2 ** 20;
const payload = 'x'.repeat(1000);

/** Appends Records of 1 KB in commits of 100; every `highEvery`-th goes over the high lane. */
function fill(journal: InlineStorage, count: number, highEvery = 0): number {
  const normal = journal.routeId(routeOf('cloud', 'normal'));
  const high = journal.routeId(routeOf('cloud', 'high'));
  let taken = 0;
  for (let index = 1; index <= count; index += 1) {
    const route = highEvery > 0 && index % highEvery === 0 ? high : normal;
    if (journal.append(messageOf(`t/${index}`, payload), [route], index, true)) taken += 1;
    if (index % 100 === 0) journal.commitNow();
  }
  journal.commitNow();
  return taken;
}

async function small(path: string, more: Partial<JournalSettings> = {}): ReturnType<typeof heldJournal> {
  return heldJournal({ path, config: { max_size: 4 * MIB, ...more } });
}

function sizeOnDisk(path: string): number {
  return ['', '-wal', '-shm'].reduce(
    (sum, suffix) => sum + (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

test('the whole journal on disk, WAL included, stays within max_size', async () => {
  const path = journalPath();
  const { journal } = await small(path);
  for (let round = 0; round < 10; round += 1) {
    fill(journal, 2000);
    expect(sizeOnDisk(path)).toBeLessThanOrEqual(4 * MIB);
    const { bytes } = journal.snapshot();
    expect(bytes).toBeLessThanOrEqual(4 * MIB);
    expect(bytes).toBeGreaterThan(2 * MIB);
  }
});

test('what waited and had to go is counted as lost, oldest first, with its topics and span', async () => {
  const { journal } = await small(journalPath());
  fill(journal, 10_000);
  const waiting = (await readAll(journal, 'cloud', 'normal', 100_000)).map(({ offset }) => offset);
  const lost = 10_000 - waiting.length;
  expect(waiting).toEqual(Array.from({ length: waiting.length }, (_, index) => lost + 1 + index));
  expect(waiting.length).toBeGreaterThan(1500);
  expect(journal.ledger('cloud')).toEqual({ produced: 10_000, delivered: 0, lost });
  const topics = Array.from({ length: 16 }, (_, index) => `t/${index + 1}`);
  expect(journal.snapshot().losses).toEqual([
    {
      lost: expect.any(Number) as number,
      reason: 'evicted',
      bridge: 'cloud',
      from: 1,
      to: expect.any(Number) as number,
      topics,
    },
  ]);
  expect(journal.snapshot().records).toBe(waiting.length);
  expect(journal.snapshot().state).toBe('ok');
});

test('what is durable of the losses adds up after a restart', async () => {
  const path = journalPath();
  const first = await small(path);
  fill(first.journal, 10_000);
  await first.journal.stop();
  const { journal } = await small(path);
  const waiting = (await readAll(journal, 'cloud', 'normal', 100_000)).length;
  expect(journal.ledger('cloud')).toEqual({ produced: 10_000, delivered: 0, lost: 10_000 - waiting });
  expect(journal.snapshot().losses).toMatchObject([{ lost: 10_000 - waiting, reason: 'evicted' }]);
});

test('delivered Records go first, and cost nothing', async () => {
  const { journal } = await small(journalPath());
  for (let round = 1; round <= 20; round += 1) {
    fill(journal, 1000);
    journal.keepFrom('cloud', 'normal', { offset: journal.head - 500 });
    journal.saveBridge('cloud', Buffer.from('s'), { delivered: 0, lost: 0 });
    journal.commitNow();
  }
  expect(journal.ledger('cloud').lost).toBe(0);
  expect(journal.snapshot().losses).toEqual([]);
  const { oldest } = journal.snapshot();
  expect(oldest).not.toBeNull();
});

test('Records of the high lane stay while others of the same chunks go', async () => {
  const { journal } = await small(journalPath());
  fill(journal, 10_000, 10);
  const high = await readAll(journal, 'cloud', 'high', 100_000);
  expect(high.map(({ offset }) => offset)).toEqual(
    Array.from({ length: 1000 }, (_, index) => 10 * (index + 1)),
  );
  const normal = await readAll(journal, 'cloud', 'normal', 100_000);
  expect(journal.ledger('cloud').lost).toBe(10_000 - high.length - normal.length);
  expect(journal.snapshot().records).toBe(high.length + normal.length);
});

test('the high lane goes too once there is nothing else', async () => {
  const path = journalPath();
  const { journal } = await small(path);
  fill(journal, 10_000, 1);
  const high = await readAll(journal, 'cloud', 'high', 100_000);
  expect(high.length).toBeGreaterThan(1500);
  expect(high.at(-1)?.offset).toBe(10_000);
  expect(journal.ledger('cloud').lost).toBe(10_000 - high.length);
  expect(sizeOnDisk(path)).toBeLessThanOrEqual(4 * MIB);
});

test('Records under way are never taken, however old', async () => {
  const { journal } = await small(journalPath());
  fill(journal, 500);
  journal.keepFrom('cloud', 'normal', { offset: 501, held: [7, 300] });
  fill(journal, 10_000);
  const offsets = (await readAll(journal, 'cloud', 'normal', 100_000)).map(({ offset }) => offset);
  expect(offsets.slice(0, 2)).toEqual([7, 300]);
  expect(offsets[2]).toBeGreaterThan(500);
});

test('what a bridge has read is not taken before it says what became of it, or that it is idle', async () => {
  const { journal } = await small(journalPath());
  fill(journal, 500);
  const { next } = await journal.read('cloud', 'normal', 1, 50_000);
  expect(next).toBeGreaterThan(40);
  fill(journal, 10_000);
  // All that was read has been delivered meanwhile: none of it may have been counted as lost.
  const { lost } = journal.ledger('cloud');
  journal.saveBridge('cloud', Buffer.from('s'), { delivered: next - 1, lost: 0 });
  journal.keepFrom('cloud', 'normal', { offset: next });
  journal.commitNow();
  expect((await journal.audit()).differences).toEqual([]);
  expect(journal.ledger('cloud').lost).toBe(lost);

  const again = (await readAll(journal)).map(({ offset }) => offset);
  journal.keepFrom('cloud', 'normal', { offset: next }, true);
  fill(journal, 10_000);
  const left = (await readAll(journal)).map(({ offset }) => offset);
  expect(left[0]).toBeGreaterThan(again.at(-1) ?? Infinity);
  expect((await journal.audit()).differences).toEqual([]);
});

test('a bridge that is idle lets go of what it read before, not of what it reads after', async () => {
  const { journal } = await small(journalPath());
  fill(journal, 500);
  await journal.read('cloud', 'normal', 1, 10_000);
  journal.keepFrom('cloud', 'normal', { offset: 1 }, true);
  // Before that is on disk it has connected again.
  const { next } = await journal.read('cloud', 'normal', 1, 50_000);
  fill(journal, 10_000);
  const offsets = (await readAll(journal)).map(({ offset }) => offset);
  expect(offsets.slice(0, next - 1)).toEqual(Array.from({ length: next - 1 }, (_, index) => index + 1));
});

test('what live-first has delivered beyond its history is neither kept nor counted as lost', async () => {
  const { journal } = await small(journalPath());
  const history = journal.routeId(routeOf('cloud', 'history'));
  const add = (count: number): void => {
    for (let n = 1; n <= count; n += 1) {
      journal.append(messageOf('t', payload), [history], n, true);
      if (n % 100 === 0) journal.commitNow();
    }
  };
  add(1000);
  journal.saveBridge('cloud', Buffer.from('s'), { delivered: 700, lost: 0 });
  journal.keepFrom('cloud', 'history', {
    offset: 1001,
    held: [300],
    waiting: [
      [1, 200],
      [800, 900],
    ],
  });
  journal.commitNow();
  expect((await journal.audit()).bridges).toEqual({ cloud: { inFlight: 1, waiting: 299 } });
  expect((await journal.audit()).differences).toEqual([]);
  add(10_000);
  expect((await journal.audit()).differences).toEqual([]);
  expect((await readAll(journal, 'cloud', 'history', 100_000))[0]?.offset).toBe(300);
});

test('with drop-newest nothing waiting is dropped: append says false until something was delivered', async () => {
  const path = journalPath();
  const { journal } = await small(path, { when_full: 'drop-newest' });
  const taken = fill(journal, 10_000);
  expect(taken).toBeLessThan(10_000);
  expect(taken).toBeGreaterThan(1500);
  expect(journal.snapshot().state).toBe('full');
  expect(journal.ledger('cloud')).toEqual({ produced: taken, delivered: 0, lost: 0 });
  expect(sizeOnDisk(path)).toBeLessThanOrEqual(4 * MIB);
  expect(await readAll(journal, 'cloud', 'normal', 100_000)).toHaveLength(taken);

  journal.lose({ lost: 10_000 - taken, reason: 'full', bridge: 'cloud', from: 1, to: 2, topics: ['t/9999'] });
  journal.saveBridge('cloud', Buffer.from('s'), { delivered: 1000, lost: 0 });
  journal.keepFrom('cloud', 'normal', { offset: 1001 });
  journal.commitNow();
  expect(journal.snapshot()).toMatchObject({
    state: 'ok',
    losses: [{ reason: 'full', lost: 10_000 - taken }],
  });
  expect(journal.append(messageOf('again'), [], 1, true)).toBe(true);
});

test('delivered history older than max_age goes, younger stays', async () => {
  const hour = 3_600_000;
  const { journal, clock } = await heldJournal({ path: journalPath(), config: { max_age: hour } });
  const route = journal.routeId(routeOf());
  const at = (): void => {
    journal.append(messageOf('t'), [route], clock.wallMs(), true);
    journal.commitNow();
  };
  for (let minute = 0; minute < 90; minute += 1) {
    at();
    clock.advance(60_000);
  }
  expect(journal.snapshot().records).toBe(90);
  journal.keepFrom('cloud', 'normal', { offset: 81 });
  journal.saveBridge('cloud', Buffer.from('s'), { delivered: 80, lost: 0 });
  journal.commitNow();
  clock.advance(60_000);
  at();
  const left = await readAll(journal);
  expect(left[0]?.offset).toBeGreaterThan(28);
  expect(left[0]?.offset).toBeLessThan(36);
  clock.advance(10 * hour);
  at();
  expect((await readAll(journal))[0]?.offset).toBe(81);
  expect(journal.ledger('cloud').lost).toBe(0);
});

test('a lower max_size shrinks the file', async () => {
  const path = journalPath();
  const first = await heldJournal({ path, config: { max_size: 64 * MIB } });
  fill(first.journal, 20_000);
  await first.journal.stop();
  expect(sizeOnDisk(path)).toBeGreaterThan(20 * MIB);
  const { journal } = await small(path);
  fill(journal, 100);
  expect(journal.ledger('cloud').lost).toBeGreaterThan(15_000);
  await journal.stop();
  expect(sizeOnDisk(path)).toBeLessThanOrEqual(4 * MIB);
});

test('after a lower max_size a commit takes only what it needs: the rest goes in slices behind it', async () => {
  const path = journalPath();
  const first = await heldJournal({ path, config: { max_size: 64 * MIB } });
  fill(first.journal, 20_000);
  await first.journal.stop();
  const { journal } = await small(path);
  let lostAtCommit = -1;
  const route = journal.routeId(routeOf());
  journal.append(messageOf('t/last', payload), [route], 20_001, true);
  journal.afterCommit(() => {
    lostAtCommit = journal.ledger('cloud').lost;
  });
  journal.commitNow();
  expect(lostAtCommit).toBeGreaterThan(0);
  expect(lostAtCommit).toBeLessThan(2500);
  expect(journal.ledger('cloud').lost).toBeGreaterThan(15_000);
  expect((await journal.audit()).differences).toEqual([]);
});

test('after a lower max_size what waits stays, however old, while there are delivered Records to take', async () => {
  const path = journalPath();
  const first = await heldJournal({ path, config: { max_size: 64 * MIB } });
  const slow = first.journal.routeId(routeOf('slow'));
  for (let index = 1; index <= 500; index += 1)
    first.journal.append(messageOf(`slow/${index}`, payload), [slow], index, true);
  fill(first.journal, 20_000);
  first.journal.keepFrom('cloud', 'normal', { offset: first.journal.head + 1 });
  first.journal.saveBridge('cloud', Buffer.from('s'), { delivered: 20_000, lost: 0 });
  first.journal.commitNow();
  await first.journal.stop();
  const { journal } = await small(path);
  fill(journal, 100);
  expect(journal.ledger('slow')).toEqual({ produced: 500, delivered: 0, lost: 0 });
  expect(await readAll(journal, 'slow', 'normal', 100_000)).toHaveLength(500);
  await journal.stop();
  expect(sizeOnDisk(path)).toBeLessThanOrEqual(4 * MIB);
});

test('a chunk whose bytes changed on the disk is not read, and counted as lost once found', async () => {
  const path = journalPath();
  const first = await heldJournal({ path });
  fill(first.journal, 3000);
  await first.journal.stop();
  const bytes = readFileSync(path);
  const at = bytes.indexOf('t/1050');
  bytes.write('T', at);
  writeFileSync(path, bytes);
  const { journal } = await heldJournal({ path });
  const topics = (await readAll(journal, 'cloud', 'normal', 100_000)).map(({ topic }) => topic);
  const lost = 3000 - topics.length;
  expect(topics).not.toContain('t/1050');
  expect(lost).toBeGreaterThan(0);
  journal.afterCommit(() => undefined);
  journal.commitNow();
  expect(journal.ledger('cloud')).toEqual({ produced: 3000, delivered: 0, lost });
  expect(journal.snapshot().losses).toMatchObject([{ reason: 'damaged', bridge: 'cloud', lost }]);
});

test('one turn that gives more than a small journal can hold is refused in part, and never blocks it', async () => {
  const path = journalPath();
  const { journal } = await small(path);
  const route = journal.routeId(routeOf());
  for (let turn = 0; turn < 5; turn += 1) {
    let taken = 0;
    while (taken < 5000 && journal.append(messageOf('t', payload), [route], 1, true)) taken += 1;
    expect(taken).toBeGreaterThan(100);
    expect(taken).toBeLessThan(5000);
    journal.commitNow();
    expect(journal.snapshot().state).toBe('ok');
    expect(sizeOnDisk(path)).toBeLessThanOrEqual(4 * MIB);
  }
  expect(journal.append(messageOf('huge', 'x'.repeat(2 * MIB)), [route], 1, true)).toBe(false);
});

test('what does not fit at all is a state, and takes nothing with it', async () => {
  const { journal } = await small(journalPath());
  fill(journal, 100);
  journal.keyValue('part').put('huge', Buffer.alloc(8 * MIB));
  const heads: number[] = [];
  journal.append(messageOf('waits'), [], 1, true);
  journal.afterCommit((head) => heads.push(head));
  journal.commitNow();
  expect(journal.snapshot()).toMatchObject({ state: 'failing', reason: 'database or disk is full' });
  expect(heads).toEqual([]);
  expect(journal.head).toBe(100);
  expect(await readAll(journal, 'cloud', 'normal', 100_000)).toHaveLength(100);
  expect(journal.ledger('cloud').lost).toBe(0);
  journal.crash();
});

test('delivered Records are found behind a long stretch of waiting ones, before any of those is given up', async () => {
  const { journal } = await heldJournal({ path: journalPath(), config: { max_size: 8 * MIB } });
  const stuck = journal.routeId(routeOf('stuck'));
  const cloud = journal.routeId(routeOf('cloud'));
  // One small chunk each: more rows than one slice looks at.
  for (let index = 1; index <= 1500; index += 1) {
    journal.append(messageOf(`s/${index}`), [stuck], index, true);
    journal.commitNow();
  }
  for (let round = 0; round < 15; round += 1) {
    for (let index = 1; index <= 1000; index += 1) {
      journal.append(messageOf(`c/${index}`, payload), [cloud], index, true);
      if (index % 100 === 0) journal.commitNow();
    }
    journal.keepFrom('cloud', 'normal', { offset: journal.head + 1 });
    journal.saveBridge('cloud', Buffer.from('s'), { delivered: 1000, lost: 0 });
    journal.commitNow();
  }
  expect(journal.ledger('stuck').lost).toBe(0);
  expect(journal.ledger('cloud')).toEqual({ produced: 15_000, delivered: 15_000, lost: 0 });
});
