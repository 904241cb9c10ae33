/** Bridges come and go over a journal's life: how many there ever were is no limit, only how many have something waiting. */
import { expect, test } from 'vitest';
import type { Lane } from '../../../src/core/route.js';
import type { InlineStorage } from '../../../src/storage/inline-storage.js';
import { FakeClock } from '../../support/fake-clock.js';
import { heldJournal, journalPath, messageOf, readAll, routeOf } from './fixtures.js';

const LANES: readonly Lane[] = ['high', 'normal', 'history'];

const NOW_MS = Date.UTC(2026, 10, 20);

async function opened(path: string): Promise<InlineStorage> {
  return (await heldJournal({ path, clock: new FakeClock({ wallMs: NOW_MS }) })).journal;
}

/** One Record for each lane of a bridge. */
function produce(journal: InlineStorage, bridge: string, lanes: readonly Lane[] = LANES): void {
  for (const lane of lanes) {
    journal.append(messageOf(`${bridge}/${lane}`), [journal.routeId(routeOf(bridge, lane))], NOW_MS, true);
  }
  journal.commitNow();
}

function deliver(journal: InlineStorage, bridge: string, delivered: number): void {
  journal.saveBridge(bridge, Buffer.from('s'), { delivered, lost: 0 });
  for (const lane of LANES) journal.keepFrom(bridge, lane, { offset: journal.head + 1 });
  journal.commitNow();
}

async function topics(journal: InlineStorage, bridge: string, lane: Lane): Promise<string[]> {
  return (await readAll(journal, bridge, lane)).map(({ topic }) => topic);
}

test('a hundred bridges, each with all lanes, one after the other: none is refused, and what waits is kept', async () => {
  const path = journalPath();
  const first = await opened(path);
  produce(first, 'stays', ['normal', 'high']);
  await first.stop();
  for (let n = 1; n <= 100; n += 1) {
    const journal = await opened(path);
    produce(journal, `b${n}`);
    expect(await topics(journal, `b${n}`, 'normal')).toEqual([`b${n}/normal`]);
    deliver(journal, `b${n}`, 3);
    await journal.stop();
  }
  const last = await opened(path);
  expect(await topics(last, 'stays', 'normal')).toEqual(['stays/normal']);
  expect(await topics(last, 'stays', 'high')).toEqual(['stays/high']);
  const audit = await last.audit();
  expect(audit.differences).toEqual([]);
  expect(audit.bridges.stays).toEqual({ inFlight: 0, waiting: 2 });
  // One whose bit was given away long ago comes back.
  produce(last, 'b1');
  expect((await topics(last, 'b1', 'history')).at(-1)).toBe('b1/history');
  expect((await last.audit()).differences).toEqual([]);
  expect((await last.audit()).bridges.b1).toEqual({ inFlight: 0, waiting: 3 });
  await last.stop();
  const again = await opened(path);
  expect((await topics(again, 'b1', 'history')).at(-1)).toBe('b1/history');
  expect((await again.audit()).differences).toEqual([]);
});

test('a bit is not taken from a lane that is in use, nor from a bridge that has something waiting', async () => {
  const path = journalPath();
  const journal = await opened(path);
  for (let n = 1; n <= 20; n += 1) produce(journal, `b${n}`);
  for (let n = 1; n <= 20; n += 1) deliver(journal, `b${n}`, 3);
  produce(journal, 'b21', ['normal', 'high']);
  // All are in use since this start.
  expect(() => journal.routeId(routeOf('b22'))).toThrow('62 lanes of bridges that are in use');
  await journal.stop();
  const later = await opened(path);
  produce(later, 'b22');
  expect(await topics(later, 'b22', 'normal')).toEqual(['b22/normal']);
  expect(await topics(later, 'b21', 'normal')).toEqual(['b21/normal']);
  expect((await later.audit()).differences).toEqual([]);
});

test('what a retired lane had is history still', async () => {
  const path = journalPath();
  let journal = await opened(path);
  for (let n = 1; n <= 21; n += 1) {
    produce(journal, `b${n}`);
    deliver(journal, `b${n}`, 3);
    await journal.stop();
    journal = await opened(path);
  }
  const { records } = await journal.history({ fromMs: 0, toMs: NOW_MS + 1 }, 1, 1_000_000);
  expect(records).toHaveLength(63);
  expect(records[0]?.content).toMatchObject({ message: { topic: 'b1/high' } });
  expect(journal.route(records[0]?.routes[0] as number)).toMatchObject({ bridge: 'b1', lane: 'high' });
});
