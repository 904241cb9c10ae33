/** The whole gateway on a disk that fills up, or gives back what was not written. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort, godwit, type Running, runningGateway, scratch, subscribed } from '../support/process.js';

let folder: string;
let remove: () => void;
let running: Running[];
let mounted: string[];
let clients: MqttClient[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  running = [];
  mounted = [];
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.end(true);
  await Promise.all(running.map((child) => child.kill()));
  for (const path of mounted) execFileSync('umount', ['-l', path]);
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  running.push(child);
  return child;
}

/** Whether this user may mount a small file system; most may not, and then there is no disk to fill. */
function mount(path: string, bytes: number): boolean {
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', path], { stdio: 'pipe' });
    mounted.push(path);
    return true;
  } catch {
    return false;
  }
}

const MAY_MOUNT = process.getuid?.() === 0 && canMount();

function canMount(): boolean {
  const { folder: trial, remove: away } = scratch();
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', trial], { stdio: 'pipe' });
    execFileSync('umount', [trial], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  } finally {
    away();
  }
}

async function configuration(journal: string): Promise<{ file: string; port: number }> {
  const port = await freePort();
  const file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    [
      'gateway: { id: mast-1 }',
      `journal: { path: "${journal}" }`,
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

async function command(...args: string[]): Promise<{ code: number | null; text: string; errors: string }> {
  const child = keep(godwit(args));
  return { code: await child.exit(), text: child.lines.join('\n'), errors: child.errors };
}

async function journalState(file: string): Promise<string> {
  const { text } = await command('status', '--json', '-c', file);
  return (JSON.parse(text) as { journal: { state: string } }).journal.state;
}

test.skipIf(!MAY_MOUNT)(
  'on a full disk nothing is acknowledged that is not kept, local service goes on, and it recovers by itself',
  async () => {
    const disk = join(folder, 'disk');
    expect(mount(disk, 6 * 2 ** 20)).toBe(true);
    const { file, port } = await configuration(join(disk, 'journal.db'));
    const gateway = keep(await runningGateway(file));
    const local = keep(await subscribed(port, ['-t', 'site/#']));
    const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: 'p', clean: true });
    clients.push(publisher);
    const acknowledged: number[] = [];
    const publish = (number: number): Promise<void> =>
      publisher
        .publishAsync(`event/${number}`, 'x'.repeat(1000), { qos: 1 })
        .then(() => void acknowledged.push(number));
    for (let number = 0; number < 200; number += 1) await publish(number);

    // Somebody else fills the disk to the last byte.
    const ballast = join(disk, 'ballast');
    try {
      for (let file = 0; ; file += 1) writeFileSync(`${ballast}${file}`, Buffer.alloc(64 * 1024));
    } catch (fault) {
      expect((fault as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
    try {
      for (let file = 0; ; file += 1) writeFileSync(`${ballast}-small${file}`, Buffer.alloc(4096));
    } catch (fault) {
      expect((fault as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
    const pending: Promise<void>[] = [];
    for (let number = 200; number < 400; number += 1) pending.push(publish(number));
    await gateway.line((line) => line.includes('Journal cannot be written'));
    const before = acknowledged.length;
    expect(await journalState(file)).toBe('failing');
    const seen = local.lines.length;
    await local.until(() => local.lines.length > seen + 40);
    expect(acknowledged.length).toBe(before);
    expect(acknowledged.length).toBeLessThan(400);

    for (const name of readdirSync(disk)) if (name.startsWith('ballast')) rmSync(join(disk, name));
    await Promise.all(pending);
    await gateway.line((line) => line.includes('Journal can be written again'));
    expect(await journalState(file)).toBe('ok');
    expect(gateway.lines.filter((line) => line.includes('Journal cannot be written'))).toHaveLength(1);

    await gateway.kill('SIGKILL');
    const { text } = await command('export', '--since', '1h', '--filter', 'event/#', '-c', file);
    const kept = new Set(text.split('\n').map((line) => (JSON.parse(line) as { topic: string }).topic));
    expect(acknowledged.filter((number) => !kept.has(`event/${number}`))).toEqual([]);
    expect((await command('journal', '--audit', '-c', file)).code).toBe(0);
  },
  90_000,
);

function flip(path: string, from: number, count: number): void {
  const bytes = readFileSync(path);
  for (let at = from; at < Math.min(bytes.length, from + count); at += 1)
    bytes[at] = (bytes[at] as number) ^ 0x5a;
  writeFileSync(path, bytes);
}

test.each<[string, (path: string) => void]>([
  ['truncated in the middle', (path) => truncateSync(path, Math.floor(statSync(path).size / 2))],
  ['cut to nothing', (path) => truncateSync(path, 0)],
  [
    'with a header of zeros',
    (path) => writeFileSync(path, Buffer.concat([Buffer.alloc(100), readFileSync(path).subarray(100)])),
  ],
  ['all zeros', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
  ['with bits flipped at its end', (path) => flip(path, statSync(path).size - 40_000, 40_000)],
])(
  'a journal %s is set aside, reported, and the gateway runs within seconds',
  async (what, spoil) => {
    const { file, port } = await configuration('state/journal.db');
    const path = join(folder, 'state', 'journal.db');
    const first = keep(await runningGateway(file));
    const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: 'p' });
    clients.push(publisher);
    await Promise.all(
      Array.from({ length: 300 }, (_, number) =>
        publisher.publishAsync(`event/${number}`, 'x'.repeat(1000), { qos: 1 }),
      ),
    );
    publisher.end(true);
    // A gateway that has ended in order leaves nothing by which an empty file differs from a new one.
    await first.kill(what === 'cut to nothing' ? 'SIGKILL' : 'SIGTERM');
    spoil(path);

    const second = keep(await runningGateway(file));
    const { code, text } = await command('journal', '--json', '--audit', '-c', file);
    const report = JSON.parse(text) as { damage: { at: number; file: string; salvaged: number }[] };
    expect(report.damage).toHaveLength(1);
    const [damage] = report.damage;
    expect(damage).toMatchObject({ at: expect.any(Number), salvaged: expect.any(Number) });
    expect(damage?.file).toMatch(/journal\.db\.damaged-\d{8}T\d{6}Z/);
    expect(statSync(damage!.file).isFile()).toBe(true);
    expect(code).toBe(0);
    expect(second.lines.filter((line) => line.includes('Journal was repaired'))).toHaveLength(1);
    await second.kill('SIGTERM');
    const third = keep(await runningGateway(file));
    expect(third.lines.some((line) => line.includes('Journal was repaired'))).toBe(false);
  },
  60_000,
);

test.each<[string, (wal: string) => void]>([
  ['torn', (wal) => truncateSync(wal, Math.max(0, statSync(wal).size - 2000))],
  ['with bits flipped', (wal) => flip(wal, Math.floor(statSync(wal).size / 2), 500)],
  ['of zeros', (wal) => writeFileSync(wal, Buffer.alloc(statSync(wal).size))],
])(
  'a WAL %s after SIGKILL leaves a gateway that runs and adds up',
  async (_what, spoil) => {
    const { file, port } = await configuration('state/journal.db');
    const first = keep(await runningGateway(file));
    const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: 'p' });
    clients.push(publisher);
    await Promise.all(
      Array.from({ length: 100 }, (_, number) =>
        publisher.publishAsync(`event/${number}`, 'x'.repeat(1000), { qos: 1 }),
      ),
    );
    await first.kill('SIGKILL');
    spoil(join(folder, 'state', 'journal.db-wal'));
    keep(await runningGateway(file));
    expect((await command('journal', '--audit', '-c', file)).code).toBe(0);
  },
  60_000,
);
