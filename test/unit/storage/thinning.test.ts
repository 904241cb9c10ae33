import { expect, test } from 'vitest';
import type { Content } from '../../../src/core/record.js';
import type { InlineStorage } from '../../../src/storage/inline-storage.js';
import { heldJournal, journalPath, messageOf, readAll, routeOf } from './fixtures.js';

const MIB = 2 ** 20;
const TOPICS = 10;

function reading(topic: string, atMs: number, bytes = 200): Content {
  const stamp = { wallMs: atMs, monotonicMs: atMs, bootId: 'b', trusted: true };
  const sample = { device: 'd', point: topic, value: 'x'.repeat(bytes), quality: 'good', stamp } as const;
  return {
    kind: 'samples',
    set: { topic, qos: 1, retain: false, format: { kind: 'json' }, grouped: false, samples: [sample] },
  };
}

/** One reading of each topic at each tick, in commits of 100 Records. */
function fill(journal: InlineStorage, ticks: number, from = 0): void {
  const route = journal.routeId(routeOf());
  for (let tick = from; tick < from + ticks; tick += 1) {
    for (let topic = 0; topic < TOPICS; topic += 1) {
      if (!journal.append(reading(`t/${topic}`, tick), [route], tick, true)) throw new Error('refused');
    }
    if (tick % 10 === 9) journal.commitNow();
  }
  journal.commitNow();
}

async function thinning(more: object = {}, path = journalPath()) {
  return heldJournal({ path, config: { max_size: 4 * MIB, when_full: 'thin', ...more } });
}

/** The ticks that each topic still has. */
async function ticks(journal: InlineStorage): Promise<Map<string, number[]>> {
  const all = new Map<string, number[]>();
  for (const { offset, topic } of await readAll(journal, 'cloud', 'normal', 100_000)) {
    const found = all.get(topic) ?? [];
    all.set(topic, found);
    found.push(Math.floor((offset - 1) / TOPICS));
  }
  return all;
}

function gaps(of: readonly number[]): number[] {
  return of.slice(1).map((tick, index) => tick - (of[index] as number));
}

test('with thin, the oldest span keeps every second reading of each topic, and the newest all', async () => {
  const { journal } = await thinning();
  fill(journal, 1500);
  const kept = await ticks(journal);
  expect(kept.size).toBe(TOPICS);
  for (const each of kept.values()) {
    expect(each[0]).toBe(0);
    expect(each.at(-1)).toBe(1499);
    const steps = gaps(each);
    expect(new Set(steps)).toEqual(new Set([1, 2]));
    // First the thinned span, then the whole one.
    expect(steps).toEqual([...steps].sort((a, b) => b - a));
  }
});

test.each([3, 20, 60])('%i times what fits leaves the whole curve, evenly coarser', async (times) => {
  const { journal } = await thinning();
  const total = 1000 * times;
  fill(journal, total);
  for (const each of (await ticks(journal)).values()) {
    expect(each[0]).toBe(0);
    expect(each.at(-1)).toBe(total - 1);
    const steps = gaps(each);
    // What one reading stands for is never more than twice what it must be, and a share of it all.
    const widest = Math.max(...steps);
    expect(widest).toBeLessThanOrEqual(total / 50);
    expect(each.length).toBeGreaterThan(300);
    expect(steps.slice(-100).every((step) => step === 1)).toBe(true);
  }
  const { produced, lost } = journal.ledger('cloud');
  const left = [...(await ticks(journal)).values()].flat().length;
  expect(produced).toBe(total * TOPICS);
  expect(lost).toBe(produced - left);
  expect(journal.snapshot().records).toBe(left);
  expect(journal.snapshot().losses).toMatchObject([{ reason: 'thinned', bridge: 'cloud' }]);
});

test('a sweep that goes on after a restart starts no second one', async () => {
  const path = journalPath();
  const first = await thinning({}, path);
  fill(first.journal, 1500);
  await first.journal.stop();
  const { journal } = await thinning({}, path);
  fill(journal, 100, 1500);
  for (const each of (await ticks(journal)).values()) {
    expect(Math.max(...gaps(each))).toBeLessThanOrEqual(3);
    expect(each[0]).toBe(0);
  }
});

test('messages that are no readings go where the sweep passes, oldest first, as evicted', async () => {
  const { journal, clock } = await thinning();
  const route = journal.routeId(routeOf());
  for (let tick = 0; tick < 6000; tick += 1) {
    const content = tick % 2 === 0 ? reading('t/0', tick) : messageOf(`event/${tick}`, 'x'.repeat(500));
    journal.append(content, [route], tick, true);
    if (tick % 100 === 99) journal.commitNow();
  }
  fill(journal, 500, 6000);
  // News of losses while they go on come once a second.
  clock.advance(2000);
  fill(journal, 1, 6500);
  const left = await readAll(journal, 'cloud', 'normal', 100_000);
  const events = left.filter(({ topic }) => topic.startsWith('event/')).map(({ offset }) => offset - 1);
  const newest = Array.from({ length: 3000 }, (_, index) => 2 * index + 1).slice(-events.length);
  expect(events.length).toBeGreaterThan(100);
  expect(events.length).toBeLessThan(3000);
  expect(events).toEqual(newest);
  const { losses = [] } = journal.snapshot();
  expect(losses.find(({ reason }) => reason === 'evicted')?.lost).toBe(3000 - events.length);
  expect(losses.find(({ reason }) => reason === 'thinned')?.lost).toBeGreaterThan(0);
  expect(left[0]).toEqual({ offset: 1, topic: 't/0' });
});

test('what is under way is never thinned, and the high lane only once nothing else is left', async () => {
  const { journal } = await thinning();
  const high = journal.routeId(routeOf('cloud', 'high'));
  for (let tick = 0; tick < 100; tick += 1) journal.append(reading('alarm', tick), [high], tick, true);
  const normal = journal.routeId(routeOf());
  for (let tick = 0; tick < 20; tick += 1) journal.append(reading('t/0', tick), [normal], tick, true);
  journal.commitNow();
  journal.keepFrom('cloud', 'normal', { offset: 121, held: [102, 104, 106] });
  fill(journal, 3000);
  expect(await readAll(journal, 'cloud', 'high', 100_000)).toHaveLength(100);
  const offsets = (await readAll(journal, 'cloud', 'normal', 100_000)).map(({ offset }) => offset);
  expect(offsets.slice(0, 3)).toEqual([102, 104, 106]);
});

test('once the backlog has been delivered, the next one is whole again', async () => {
  const { journal } = await thinning();
  fill(journal, 8000);
  journal.keepFrom('cloud', 'normal', { offset: journal.head + 1 });
  const { produced, lost } = journal.ledger('cloud');
  journal.saveBridge('cloud', Buffer.from('s'), { delivered: produced - lost, lost: 0 });
  journal.commitNow();
  const head = journal.head;
  fill(journal, 1500, 8000);
  const kept = (await readAll(journal, 'cloud', 'normal', 100_000)).filter(
    ({ offset, topic }) => offset > head && topic === 't/0',
  );
  expect(Math.max(...gaps(kept.map(({ offset }) => (offset - 1) / TOPICS)))).toBeLessThanOrEqual(2);
});

test('Records that leave nothing to halve go oldest first', async () => {
  const { journal } = await thinning();
  const route = journal.routeId(routeOf());
  for (let index = 0; index < 5000; index += 1) {
    journal.append(reading(`only/${index}`, index, 1000), [route], index, true);
    if (index % 50 === 49) journal.commitNow();
  }
  const offsets = (await readAll(journal, 'cloud', 'normal', 100_000)).map(({ offset }) => offset);
  expect(offsets.at(-1)).toBe(5000);
  expect(offsets).toEqual(offsets.map((_, index) => 5001 - offsets.length + index));
  expect(journal.snapshot().losses).toMatchObject([{ reason: 'evicted' }]);
});
