/** godwit journal and export beside a running gateway, and alone after it was killed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort, godwit, type Running, runningGateway, scratch } from '../support/process.js';

let folder: string;
let remove: () => void;
let running: Running[];
let file: string;

beforeEach(async () => {
  ({ folder, remove } = scratch());
  running = [];
  file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    [
      'gateway: { id: mast-1 }',
      'journal: { path: state/journal.db }',
      `broker: { listeners: [ { url: "mqtt://127.0.0.1:${await freePort()}" } ] }`,
      'buses: { demo: { driver: simulator } }',
      'devices:',
      '  ramp: { bus: demo, poll: 20ms, points: { a: { simulate: { wave: ramp } }, b: { simulate: { wave: sine } } } }',
      'mappings: [ { from: "*/*", topic: "site/{device}/{point}", qos: 1 } ]',
      // Nobody listens there: everything waits.
      `bridges: { cloud: { servers: [ "mqtt://127.0.0.1:1" ], forward: [ { filter: "site/#", qos: 1 } ] } }`,
      '',
    ].join('\n'),
  );
});

afterEach(async () => {
  await Promise.all(running.map((child) => child.kill()));
  remove();
});

async function run(
  ...args: string[]
): Promise<{ code: number | null; lines: readonly string[]; errors: string }> {
  const child = godwit([...args, '-c', file]);
  running.push(child);
  return { code: await child.exit(), lines: child.lines, errors: child.errors };
}

interface Report {
  readonly records: number;
  readonly bridges: { readonly cloud: Record<string, number> };
  readonly audit: { readonly ok: boolean };
}

async function report(): Promise<Report> {
  const { code, lines, errors } = await run('journal', '--json', '--audit');
  expect(code, errors).toBe(0);
  const found = JSON.parse(lines.join('\n')) as Report;
  const { produced, delivered, inFlight, waiting, lost } = found.bridges.cloud as Record<string, number>;
  expect(produced).toBe(delivered! + inFlight! + waiting! + lost!);
  expect(found.audit.ok).toBe(true);
  return found;
}

async function exported(...args: string[]): Promise<{ seq: number; ts: number; topic: string }[]> {
  const { code, lines, errors } = await run('export', ...args);
  expect(code, errors).toBe(0);
  return lines.map((line) => JSON.parse(line) as { seq: number; ts: number; topic: string });
}

test('journal and export tell the same of a running gateway and of what it leaves behind', async () => {
  const gateway = await runningGateway(file);
  running.push(gateway);
  while ((await report()).records < 100);
  const all = await exported('--since', '1h');
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
  const [middle] = all.slice(50);
  const later = await exported(
    '--since',
    `${middle!.ts}`,
    '--until',
    `${all.at(-1)!.ts}`,
    '--filter',
    'site/+/a',
  );
  const wanted = all.filter(
    ({ ts, topic }) => ts >= middle!.ts && ts < all.at(-1)!.ts && topic === 'site/ramp/a',
  );
  expect(later).toEqual(wanted);
  const csv = await run('export', '--since', '1h', '--format', 'csv');
  expect(csv.lines[0]?.trim()).toBe('seq,ts,topic,qos,retain,payload,payload_base64');
  expect(csv.lines.length).toBeGreaterThan(all.length);

  await gateway.kill('SIGKILL');
  const alone = await report();
  expect(alone.bridges.cloud.produced).toBeGreaterThanOrEqual(all.length);
  const left = await exported('--since', '1h');
  expect(left).toHaveLength(alone.records);
  expect(left.slice(0, all.length)).toEqual(all);

  // And a gateway starts on it again.
  running.push(await runningGateway(file));
  expect((await report()).bridges.cloud.produced).toBeGreaterThanOrEqual(alone.records);
}, 60_000);

test('wrong usage ends with 2, a journal that does not exist with 1 and a sentence', async () => {
  expect((await run('export')).code).toBe(2);
  expect((await run('export', '--since', 'yesterday')).code).toBe(2);
  expect((await run('export', '--since', '1h', '--format', 'xml')).code).toBe(2);
  expect((await run('export', '--since', '1h', '--filter', 'a/#/b')).code).toBe(2);
  const missing = await run('journal');
  expect(missing.code).toBe(1);
  expect(missing.errors).toMatch(/^godwit: There is no journal at .*\n$/);
});
