/** The whole gateway on a disk that hangs, fails or refuses, and recovers: with a library between it and its files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DiskShim } from '../../scripts/lib/disk-shim.mjs';
import { NO_SHIM, shimFor } from '../support/disk-shim.js';
import { freePort, godwit, type Running, runningGateway, scratch, subscribed } from '../support/process.js';

let folder: string;
let remove: () => void;
let running: Running[];
let clients: MqttClient[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  running = [];
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.end(true);
  await Promise.all(running.map((child) => child.kill()));
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  running.push(child);
  return child;
}

async function command(...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = keep(godwit(args));
  return { code: await child.exit(), text: child.lines.join('\n') };
}

async function configuration(): Promise<{ file: string; port: number }> {
  const port = await freePort();
  const file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    [
      'gateway: { id: mast-1 }',
      'journal: { path: state/journal.db }',
      `broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }`,
      'buses: { demo: { driver: simulator } }',
      'devices: { ramp: { bus: demo, poll: 50ms, points: { a: { simulate: { wave: ramp } } } } }',
      'mappings: [ { from: "*/*", topic: "site/{device}/{point}", qos: 1 } ]',
      'bridges: { cloud: { servers: [ "mqtt://127.0.0.1:1" ], forward: [ { filter: "#", qos: 1 } ] } }',
      '',
    ].join('\n'),
  );
  return { file, port };
}

interface Fault {
  readonly begin: (disk: DiskShim) => void;
  readonly end: (disk: DiskShim) => void;
  readonly begun: string;
  readonly over: string;
  readonly reason: RegExp;
}

const failing = {
  begun: 'Journal cannot be written',
  over: 'Journal can be written again',
};

const FAULTS: readonly (readonly [string, Fault])[] = [
  [
    'that answers no sync for minutes',
    {
      begin: (disk) => disk.slowSyncs(600_000),
      end: (disk) => disk.slowSyncs(0),
      begun: 'Journal disk is slow',
      over: 'Journal disk keeps up again',
      reason: /slow/,
    },
  ],
  [
    'whose writes fail with EIO',
    { ...failing, begin: (disk) => disk.failWrites('EIO'), end: (disk) => disk.failWrites(), reason: /I\/O/ },
  ],
  [
    'whose syncs fail with EIO',
    { ...failing, begin: (disk) => disk.failSyncs('EIO'), end: (disk) => disk.failSyncs(), reason: /I\/O/ },
  ],
  [
    'that is full',
    {
      ...failing,
      begin: (disk) => disk.failWrites('ENOSPC'),
      end: (disk) => disk.failWrites(),
      reason: /full/,
    },
  ],
  [
    'that became read-only',
    {
      ...failing,
      begin: (disk) => {
        disk.failWrites('EROFS');
        disk.failOpens('EROFS');
      },
      end: (disk) => {
        disk.failWrites();
        disk.failOpens();
      },
      reason: /read.?only|I\/O/,
    },
  ],
];

// Skipped where there is no C compiler: the faults are made by a library that is preloaded into the gateway.
describe.skipIf(NO_SHIM !== undefined)('on a disk', () => {
  test.each(FAULTS)(
    '%s nothing is acknowledged, local service goes on, it is said once, and all is well again by itself',
    async (_what, fault) => {
      const { file, port } = await configuration();
      const disk = shimFor(folder);
      const gateway = keep(await runningGateway(file, disk.env));
      const local = keep(await subscribed(port, ['-t', 'site/#']));
      const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: 'p', clean: true });
      clients.push(publisher);
      const acknowledged: number[] = [];
      const publish = (number: number): Promise<void> =>
        publisher
          .publishAsync(`event/${number}`, 'x', { qos: number % 2 === 0 ? 1 : 2 })
          .then(() => void acknowledged.push(number));
      for (let number = 0; number < 20; number += 1) await publish(number);

      fault.begin(disk);
      const pending: Promise<void>[] = [];
      for (let number = 20; number < 40; number += 1) pending.push(publish(number));
      await gateway.line((line) => line.includes(fault.begun));
      // Twice the time in which all of them would have been polled, delivered and acknowledged.
      const seen = local.lines.length;
      await local.until(() => local.lines.length > seen + 40);
      expect(acknowledged).toHaveLength(20);
      const { code, text } = await command('status', '--json', '-c', file);
      expect(code).toBe(0);
      const { journal } = JSON.parse(text) as { journal: { state: string; reason: string } };
      expect(journal.state).toBe('failing');
      expect(journal.reason).toMatch(fault.reason);

      fault.end(disk);
      await Promise.all(pending);
      await gateway.line((line) => line.includes(fault.over));
      expect(JSON.parse((await command('status', '--json', '-c', file)).text)).toMatchObject({
        journal: { state: 'ok' },
      });
      for (const sentence of [fault.begun, fault.over]) {
        expect(gateway.lines.filter((line) => line.includes(sentence))).toHaveLength(1);
      }

      await gateway.kill('SIGKILL');
      const exported = await command('export', '--since', '1h', '--filter', 'event/#', '-c', file);
      const kept = exported.text.split('\n').map((line) => (JSON.parse(line) as { topic: string }).topic);
      expect(kept.sort()).toEqual(Array.from({ length: 40 }, (_, number) => `event/${number}`).sort());
      expect((await command('journal', '--audit', '-c', file)).code).toBe(0);
    },
    60_000,
  );
});
