/** Replays are a stream of the bridge's session: each promise of its rule holds for them too. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ReplayJob, ReplayJobs, type ReplayRequest } from '../../../src/bridge/replay-job.js';
import type { PublishPacket } from '../../../src/mqtt/packet.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { BridgeBench } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ScriptedServer } from '../../support/scripted-server.js';

let folder: string;
let clock: FakeClock;
let server: ScriptedServer;
let open: Life[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-replay-'));
  clock = new FakeClock({ monotonicMs: 1000 });
  server = new ScriptedServer();
  open = [];
});

afterEach(async () => {
  for (const life of open) await life.stop();
  expect(clock.waiting).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});

async function settle(turns = 40): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The bridge from one start to one end, on a journal that outlives it. */
class Life {
  readonly storage: InlineStorage;
  readonly jobs: ReplayJobs;
  readonly made: BridgeBench;
  #isOver = false;

  constructor(storage: InlineStorage, config: object) {
    this.storage = storage;
    this.jobs = new ReplayJobs(storage.keyValue('replay'));
    this.made = new BridgeBench(storage, config, { clock, dial: server.dial, replays: this.jobs });
  }

  static async begin(config: object = {}, file = 'journal.db'): Promise<Life> {
    const storage = new InlineStorage({ path: join(folder, file), clock });
    await storage.start();
    const life = new Life(storage, config);
    open.push(life);
    await life.made.bridge.start();
    await settle();
    return life;
  }

  accept(count: number, topic = 'site/pump'): void {
    for (let n = 1; n <= count; n += 1) {
      this.made.accept({ topic, payload: Buffer.from(String(n)), retain: true }, clock);
    }
  }

  replay(request: Partial<ReplayRequest> = {}): void {
    const whole = { fromMs: 0, toMs: null, filter: null, rate: null, ...request };
    this.jobs.add('cloud', whole, this.storage.head, clock.wallMs());
    this.made.bridge.replaysChanged();
  }

  job(id = '1'): ReplayJob {
    const job = this.jobs.get(id);
    if (job === undefined) throw new Error(`there is no job ${id}`);
    return job;
  }

  die(): void {
    this.storage.crash();
    server.last.close();
  }

  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const stopped = this.made.bridge.stop();
    await clock.advanceAsync(6000);
    await stopped;
    await this.storage.stop();
  }
}

const userOf = (packet: PublishPacket, key: string): string | undefined =>
  new Map(packet.properties?.userProperties ?? []).get(key);
const replayed = (job = '1'): PublishPacket[] =>
  server.delivered.filter((packet) => userOf(packet, 'replay') === job);
const payloads = (packets: readonly PublishPacket[]): string[] =>
  packets.map((packet) => Buffer.from(packet.payload).toString());
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index + 1));

test.each([0, 1, 2] as const)(
  'at QoS %i history goes again at the QoS of its rule, marked, under its own seq, with RETAIN 0',
  async (qos) => {
    const life = await Life.begin({ forward: [{ filter: 'site/#', qos }] });
    life.accept(30);
    await settle();
    const before = server.delivered.filter(({ topic }) => topic === 'site/pump');
    expect(payloads(before)).toEqual(numbers(30));
    life.replay();
    await settle();
    await clock.advanceAsync(300);
    await settle();
    expect(payloads(replayed())).toEqual(numbers(30));
    expect(replayed().every((packet) => packet.qos === qos && !packet.retain)).toBe(true);
    for (const key of ['gw', 'j', 'seq', 'ts']) {
      const of = (packets: readonly PublishPacket[]) => packets.map((packet) => userOf(packet, key));
      expect(of(replayed())).toEqual(of(before));
    }
    expect(life.job()).toMatchObject({ state: 'done', sent: 30, skipped: 0 });
    life.accept(5);
    await settle();
    await clock.advanceAsync(300);
    expect(life.job()).toMatchObject({ state: 'done', sent: 30 });
    // The ledger has them once.
    expect(life.made.bridge.snapshot()).toMatchObject({ delivered: 35, waiting: 0, inFlight: 0 });
  },
);

test.each(['before', 'after'] as const)(
  'killed %s any packet of it is handled, a replay at QoS 2 arrives exactly once, and its numbers add up',
  async (when) => {
    const TOTAL = 8;
    for (let crashAt = 1; crashAt <= 2 * TOTAL + 1; crashAt += 1) {
      server = new ScriptedServer();
      const config = { inflight: 12, forward: [{ filter: 'site/#', qos: 2 }] };
      const first = await Life.begin(config, `${when}-${crashAt}.db`);
      first.accept(TOTAL);
      await settle();
      await clock.advanceAsync(300);
      let seen = 0;
      let isDead = false;
      const die = (): void => {
        isDead = true;
        first.die();
      };
      server.intercept = (packet) => {
        if (isDead) return true;
        seen += packet.type === 'publish' || packet.type === 'pubrel' ? 1 : 0;
        if (seen < crashAt) return false;
        if (when === 'before') die();
        else queueMicrotask(die);
        return when === 'before';
      };
      first.replay();
      await settle();
      if (!isDead) die();
      await settle(3);
      await first.stop();
      server.intercept = () => false;
      const second = await Life.begin(config, `${when}-${crashAt}.db`);
      // One that was asked for and died with its process was never promised.
      if (second.jobs.all.length === 0) second.replay();
      await settle();
      await clock.advanceAsync(300);
      await settle();
      expect(payloads(replayed()).sort(), `crash at packet ${crashAt}`).toEqual(numbers(TOTAL));
      expect(second.job(), `crash at packet ${crashAt}`).toMatchObject({ state: 'done', sent: TOTAL });
      await second.stop();
    }
  },
);

test('it takes no more than its share of the window, and what is new does not wait for it', async () => {
  const life = await Life.begin({ inflight: 20 });
  life.accept(100);
  await settle(100);
  const held: (() => void)[] = [];
  server.intercept = (packet, connection) => {
    if (packet.type !== 'publish' || userOf(packet, 'replay') === undefined) return false;
    const { packetIdentifier = 0 } = packet;
    held.push(() => connection.send({ type: 'puback', packetIdentifier, reasonCode: 0 }));
    return true;
  };
  life.replay();
  await settle();
  expect(held).toHaveLength(5);
  const before = server.delivered.length;
  life.accept(200);
  await settle(100);
  expect(server.delivered.length - before).toBe(200);
  expect(held).toHaveLength(5);
});

test('rate says how many a second', async () => {
  const life = await Life.begin();
  life.accept(100);
  await settle();
  life.replay({ rate: 10 });
  await settle();
  await clock.advanceAsync(2000);
  await settle();
  expect(replayed().length).toBeGreaterThan(15);
  expect(replayed().length).toBeLessThan(25);
});

test('a cancelled one ends with what is under way, and the next begins', async () => {
  const life = await Life.begin({ inflight: 20, forward: [{ filter: 'site/#', qos: 2 }] });
  life.accept(50);
  await settle(100);
  await clock.advanceAsync(300);
  server.intercept = (packet) => packet.type === 'pubrel';
  life.replay();
  await settle();
  life.jobs.save({ ...life.job(), state: 'cancelled' });
  life.made.bridge.replaysChanged();
  life.replay({ filter: 'site/pump', toMs: null });
  server.intercept = () => false;
  server.last.close();
  await clock.advanceAsync(2000);
  await settle(100);
  await clock.advanceAsync(300);
  await settle();
  await clock.advanceAsync(300);
  await settle();
  expect(payloads(replayed('1'))).toEqual(numbers(5));
  expect(payloads(replayed('2'))).toEqual(numbers(50));
  expect(life.job('1')).toMatchObject({ state: 'cancelled', sent: 5 });
  expect(life.job('2')).toMatchObject({ state: 'done', sent: 50 });
});

test('what is open of a job that nobody remembers is let go, and holds up nothing', async () => {
  const config = { inflight: 20, forward: [{ filter: 'site/#', qos: 2 }] };
  const first = await Life.begin(config);
  first.accept(20);
  await settle(100);
  await clock.advanceAsync(300);
  server.intercept = (packet) => packet.type === 'publish' && userOf(packet, 'replay') !== undefined;
  first.replay();
  first.replay();
  await settle();
  first.storage.keyValue('replay').remove('1');
  await settle();
  await first.stop();
  server.intercept = () => false;
  const second = await Life.begin(config);
  await settle(100);
  await clock.advanceAsync(300);
  await settle();
  expect(second.job('2')).toMatchObject({ state: 'done', sent: 20 });
  expect(payloads(replayed('2'))).toEqual(numbers(20));
  expect(replayed('1')).toEqual([]);
});
