import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { Message } from '../../../src/core/message.js';
import { LossTeller } from '../../../src/gateway/loss-teller.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import type { Loss } from '../../../src/storage/storage.js';
import { FakeClock } from '../../support/fake-clock.js';
import { listLog, routeOf } from '../storage/fixtures.js';

const TOPIC = 'godwit/g/losses';

function loss(more: Partial<Loss> = {}): Loss {
  return { lost: 1, reason: 'full', bridge: 'cloud', from: 1000, to: 1000, topics: ['a'], ...more };
}

/** A gateway's journal and teller, which can crash and start again. */
class Bench {
  readonly clock = new FakeClock();
  readonly log = listLog();
  readonly path: string;
  journal!: InlineStorage;
  teller!: LossTeller;
  refuses = false;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-losses-'));
    this.path = join(folder, 'journal.db');
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  }

  async start(): Promise<void> {
    this.journal = new InlineStorage({ path: this.path, clock: this.clock, hold: true });
    await this.journal.start();
    const route = this.journal.routeId(routeOf());
    this.teller = new LossTeller({
      topic: TOPIC,
      storage: this.journal,
      publish: (message) =>
        !this.refuses && this.journal.append({ kind: 'message', message }, [route], 1, false),
      clock: this.clock,
      log: this.log,
    });
    await this.teller.start();
  }

  /** Lets time pass with commits in between, as a gateway that polls has them. */
  pass(seconds: number): void {
    for (let second = 0; second < seconds; second += 1) {
      this.clock.advance(1000);
      this.journal.keyValue('tick').put('at', Buffer.from(`${second}`));
      this.journal.commitNow();
    }
  }

  async crash(): Promise<void> {
    await this.teller.stop();
    this.journal.crash();
  }

  async told(): Promise<Loss[]> {
    const slice = await this.journal.read('cloud', 'normal', 1, 1_000_000);
    return slice.records.map(
      ({ content }) =>
        JSON.parse(Buffer.from((content as { message: Message }).message.payload).toString()) as Loss,
    );
  }
}

test('a span is told once it has ended, in the JSON of the contract, with one line in the log', async () => {
  const bench = new Bench();
  await bench.start();
  bench.journal.lose(loss({ lost: 3, from: 1000, to: 2000, topics: ['a', 'b'] }));
  bench.pass(1);
  bench.journal.lose(loss({ lost: 4, from: 3000, to: 4000, topics: ['c'] }));
  bench.pass(4);
  expect(await bench.told()).toEqual([]);
  bench.pass(5);
  const whole = { lost: 7, reason: 'full', bridge: 'cloud', from: 1000, to: 4000, topics: ['a', 'b', 'c'] };
  expect(await bench.told()).toEqual([whole]);
  expect(bench.log.lines).toEqual([{ level: 'warn', fields: whole, sentence: 'Messages were lost' }]);
  bench.pass(200);
  expect(await bench.told()).toHaveLength(1);
  expect(bench.log.lines).toHaveLength(1);
  await bench.crash();
});

test('a span that goes on is told at most once a minute, each time what is new', async () => {
  const bench = new Bench();
  await bench.start();
  for (let second = 0; second < 600; second += 1) {
    bench.journal.lose(loss({ lost: 2, from: second * 1000, to: second * 1000 }));
    bench.pass(1);
  }
  bench.pass(100);
  const told = await bench.told();
  expect(told.length).toBeGreaterThanOrEqual(8);
  expect(told.length).toBeLessThanOrEqual(12);
  expect(told.reduce((sum, { lost }) => sum + lost, 0)).toBe(1200);
  expect(bench.log.lines).toHaveLength(told.length);
  expect(bench.journal.snapshot().lost).toEqual([{ reason: 'full', bridge: 'cloud', lost: 1200 }]);
  await bench.crash();
});

test('each reason and bridge has a span of its own', async () => {
  const bench = new Bench();
  await bench.start();
  bench.journal.lose(loss({ bridge: null }));
  bench.journal.lose(loss({ reason: 'expired' }));
  bench.journal.lose(loss({ reason: 'refused', bridge: 'other' }));
  bench.pass(10);
  expect((await bench.told()).map(({ reason, bridge }) => [reason, bridge])).toEqual([
    ['full', null],
    ['expired', 'cloud'],
    ['refused', 'other'],
  ]);
  await bench.crash();
});

test('where the journal has no room for it, a span stays untold until it has', async () => {
  const bench = new Bench();
  await bench.start();
  bench.refuses = true;
  bench.journal.lose(loss());
  bench.pass(300);
  expect(await bench.told()).toEqual([]);
  expect(bench.log.lines).toHaveLength(1);
  bench.refuses = false;
  bench.pass(100);
  expect(await bench.told()).toEqual([loss()]);
  expect(bench.log.lines).toHaveLength(1);
  await bench.crash();
});

test('whatever the crashes, every loss that became durable is told exactly once', async () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant('lose' as const), lost: fc.integer({ min: 1, max: 9 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 90 }) }),
    },
    { weight: 2, arbitrary: fc.constant({ do: 'uncommitted' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const bench = new Bench();
      await bench.start();
      for (const each of steps) {
        if (each.do === 'lose') bench.journal.lose(loss({ lost: each.lost, from: bench.clock.wallMs() }));
        else if (each.do === 'pass') bench.pass(each.seconds);
        // The teller acts, and the process dies before the commit.
        else if (each.do === 'uncommitted') bench.clock.advance(61_000);
        else {
          await bench.crash();
          await bench.start();
        }
      }
      bench.pass(150);
      const lost = (bench.journal.snapshot().lost ?? []).reduce((sum, one) => sum + one.lost, 0);
      const told = (await bench.told()).reduce((sum, one) => sum + one.lost, 0);
      await bench.crash();
      expect(told).toBe(lost);
    }),
    { numRuns: 30 },
  );
});
