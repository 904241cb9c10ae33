/** Lanes and live-first over the whole bridge: the real journal, a fake clock, a server that does as it is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { BridgeBench } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ScriptedServer } from '../../support/scripted-server.js';

let folder: string;
let clock: FakeClock;
let server: ScriptedServer;
let benches: BridgeBench[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-lanes-'));
  clock = new FakeClock({ monotonicMs: 1000 });
  server = new ScriptedServer();
  benches = [];
});

afterEach(async () => {
  for (const made of benches) await end(made);
  rmSync(folder, { recursive: true, force: true });
});

async function end({ bridge, storage }: BridgeBench): Promise<void> {
  const stopped = bridge.stop();
  await clock.advanceAsync(6000);
  await stopped;
  await storage.stop();
}

async function settle(turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function bench(config: object): Promise<BridgeBench> {
  const storage = new InlineStorage({ path: join(folder, 'journal.db'), clock });
  await storage.start();
  const made = new BridgeBench(storage, config, { clock, dial: server.dial });
  benches.push(made);
  await made.bridge.start();
  await settle();
  return made;
}

function accept(made: BridgeBench, texts: readonly string[], topic = 'site/pump', retain = false): void {
  for (const text of texts) made.accept({ topic, payload: Buffer.from(text), retain }, clock);
}

const named = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name}${index + 1}`);

/** The link is down until what comes back is called. */
async function outage(): Promise<() => Promise<void>> {
  server.dialFault = () => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  server.last.close();
  await settle();
  return async () => {
    server.dialFault = undefined;
    await clock.advanceAsync(300_000);
    await settle(100);
  };
}

const HIGH_FIRST = {
  forward: [{ filter: 'site/alarm', qos: 1, priority: 'high' }, { filter: 'site/#' }],
};

describe('priority: high', () => {
  test('overtakes what waited before it', async () => {
    const made = await bench(HIGH_FIRST);
    const over = await outage();
    accept(made, named('n', 300));
    accept(made, named('alarm', 3), 'site/alarm');
    await over();
    expect(server.payloads.slice(0, 3)).toEqual(named('alarm', 3));
    expect(server.payloads.slice(3)).toEqual(named('n', 300));
  });

  test('has a part of the window that others do not fill', async () => {
    server.connackProperties = { receiveMaximum: 20 };
    server.intercept = (packet) => packet.type === 'publish' && packet.topic === 'site/pump';
    const made = await bench(HIGH_FIRST);
    accept(made, named('n', 100));
    await settle();
    expect(server.packets('publish').filter((one) => one.topic === 'site/pump')).toHaveLength(18);
    accept(made, ['alarm'], 'site/alarm');
    await settle();
    expect(server.payloads).toEqual(['alarm']);
  });
});

const LIVE_FIRST = {
  forward: [{ filter: 'site/#', qos: 2, order: 'live-first' }],
  inflight: 40,
  ack_timeout: '1h',
};

describe('order: live-first', () => {
  test('without an outage is in order', async () => {
    const made = await bench(LIVE_FIRST);
    accept(made, named('n', 500));
    await settle(200);
    expect(server.payloads).toEqual(named('n', 500));
  });

  test('sends what is new at once, and history beside it, each exactly once and in its own order', async () => {
    const made = await bench(LIVE_FIRST);
    const over = await outage();
    accept(made, named('old', 500));
    await over();
    accept(made, named('new', 5));
    await settle(300);
    await clock.advanceAsync(1000);
    await settle(300);
    expect(server.payloads.filter((one) => one.startsWith('old'))).toEqual(named('old', 500));
    expect(server.payloads.filter((one) => one.startsWith('new'))).toEqual(named('new', 5));
    expect(made.bridge.snapshot()).toMatchObject({ delivered: 505, waiting: 0, inFlight: 0, lost: 0 });
  });

  test('history takes no more than its share of the window', async () => {
    const made = await bench({ ...LIVE_FIRST, history_share: '25%' });
    const over = await outage();
    accept(made, named('old', 500));
    server.intercept = (packet) => packet.type === 'publish' && packet.qos === 2;
    await over();
    const sent = (): string[] =>
      server
        .packets('publish')
        .flatMap((one) => (one.qos === 2 ? [Buffer.from(one.payload).toString()] : []));
    expect(sent()).toEqual(named('old', 10));
    accept(made, named('new', 100));
    await settle();
    expect(sent().slice(10)).toEqual(named('new', 30));
  });

  test('what is new overtakes what waited', async () => {
    const made = await bench(LIVE_FIRST);
    const over = await outage();
    accept(made, named('old', 500));
    server.intercept = (packet) => packet.type === 'pubrel';
    await over();
    accept(made, ['new']);
    await settle();
    const sent = server
      .packets('publish')
      .flatMap((one) => (one.qos === 2 ? [Buffer.from(one.payload).toString()] : []));
    expect(sent.indexOf('new')).toBe(20);
  });

  test('newest-first goes back block by block', async () => {
    const made = await bench({ ...LIVE_FIRST, inflight: 1000, history: 'newest-first' });
    const over = await outage();
    accept(made, named('n', 9000));
    await over();
    await settle(2000);
    await clock.advanceAsync(1000);
    await settle(500);
    expect(server.payloads).toHaveLength(9000);
    expect(new Set(server.payloads).size).toBe(9000);
    expect(server.payloads[0]).toBe(`n${9000 - 4096 + 1}`);
    expect(server.payloads.slice(0, 4096)).toEqual(named('n', 9000).slice(-4096));
    expect(server.payloads.at(-1)).toBe(`n${9000 - 2 * 4096}`);
  });

  test('history keeps RETAIN where it is the newest of its topic, and loses it behind a newer one', async () => {
    const made = await bench({ ...LIVE_FIRST, inflight: 200 });
    const over = await outage();
    accept(made, named('a', 200), 'site/a', true);
    accept(made, named('b', 200), 'site/b', true);
    server.intercept = (packet) =>
      packet.type === 'publish' && packet.qos === 2 && server.payloads.length === 0;
    await over();
    // The first of `a` is under way with RETAIN; now a newer one of it is sent.
    accept(made, ['newest'], 'site/a', true);
    await settle();
    server.intercept = () => false;
    server.last.close();
    await clock.advanceAsync(5000);
    await settle(500);
    expect(server.payloads).toHaveLength(401);
    const kept = new Map<string, string>();
    for (const packet of server.delivered) {
      if (packet.retain) kept.set(packet.topic, Buffer.from(packet.payload).toString());
    }
    expect(kept.get('site/a')).toBe('newest');
    expect(kept.get('site/b')).toBe('b200');
  });

  test('a restart goes on with history where it was, nothing twice and nothing missing', async () => {
    const made = await bench(LIVE_FIRST);
    const over = await outage();
    accept(made, named('old', 1000), 'site/pump', true);
    let left = 300;
    server.intercept = (packet) => {
      if (packet.type === 'pubrel') left -= 1;
      return packet.type === 'pubrel' && left < 0;
    };
    await over();
    accept(made, ['new'], 'site/pump', true);
    await settle(200);
    benches = [];
    await end(made);
    expect(server.payloads.length).toBeLessThan(400);
    server.intercept = () => false;
    const after = await bench(LIVE_FIRST);
    accept(after, ['newer'], 'site/other', true);
    await clock.advanceAsync(2000);
    await settle(1000);
    expect(server.payloads).toHaveLength(1002);
    expect(new Set(server.payloads).size).toBe(1002);
    const retained = server.delivered.filter((one) => one.topic === 'site/pump' && one.retain);
    expect(Buffer.from(retained.at(-1)?.payload ?? []).toString()).toBe('new');
    await clock.advanceAsync(1000);
    expect(after.bridge.snapshot()).toMatchObject({ waiting: 0, inFlight: 0, lost: 0 });
  });
});
