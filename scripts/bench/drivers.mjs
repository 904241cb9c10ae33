/**
 * How well Modbus buses keep time, on the whole gateway: `scripts/bench/drivers` builds and runs it.
 *
 *   node scripts/bench/drivers.mjs [--seconds 30] [--only tcp|serial|dead|memory]
 *
 * Slaves run in a process of their own (lib/modbus-slaves.mjs); what a limit is held against was seen by them or by
 * the kernel, lateness alone is what the gateway itself measures. Prints each figure with its limit, MISSED where it
 * does not hold.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { processUsage } from './lib/process-usage.mjs';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, only: { type: 'string' } },
});
const seconds = Number(values.seconds);
const main = join(import.meta.dirname, '..', '..', 'dist', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'godwit-drivers-'));
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
process.on('SIGINT', () => process.exit(1));

const BAUD = 9600;
const CHARACTER_MS = 10_000 / BAUD;
const THINK_MS = 5;
let missed = 0;

console.log(`Node.js ${process.version}, ${cpus().length} cores, load ${loadavg()[0].toFixed(1)} before, ${seconds} s each`);
for (const [name, run] of Object.entries({ tcp, serial, dead, memory })) {
  if (values.only === undefined || values.only === name) await run();
}
console.log(`load ${loadavg()[0].toFixed(1)} after; ${missed === 0 ? 'all limits held' : `${missed} limits MISSED`}`);
process.exit(missed === 0 ? 0 : 1);

/** 50 units of 40 float32 each second: 80 registers, so one request a poll. */
async function tcp() {
  console.log('\n50 Modbus TCP units of 40 points at 1 s');
  const slaves = await start([join(import.meta.dirname, 'lib/modbus-slaves.mjs'), 'tcp', '50']);
  const ports = JSON.parse(await slaves.line());
  const points = pointsOf(40, (index) => `{ register: holding/${index * 2}, type: float32 }`);
  const gateway = await run([
    'buses:',
    ...ports.map((port, index) => `  b${index}: { driver: modbus-tcp, host: 127.0.0.1, port: ${port} }`),
    'devices:',
    ...ports.map((_, index) => `  d${index}: { bus: b${index}, unit: 1, poll: 1s, points: ${points} }`),
  ]);
  await pause(3000);
  const before = await status(gateway);
  await ask(slaves);
  const usage = processUsage(gateway.pid);
  await pause(seconds * 1000);
  const cpuMs = processUsage(gateway.pid).cpuMs - usage.cpuMs;
  const { requests } = await ask(slaves);
  const after = await status(gateway);
  const polls = sum(after, (device) => device.polls) - sum(before, (device) => device.polls);
  const lateness = Object.values(after.buses).map((bus) => bus.lateness.p99Ms);
  tell('p99 lateness of a poll, worst bus', Math.max(...lateness), 'ms', 10);
  tell('p99 lateness of a poll, median bus', median(lateness), 'ms', 10);
  tell('CPU of one core, whole gateway', (cpuMs / (seconds * 1000)) * 100, '%', 10);
  tell('requests a poll (the least is 1)', requests / polls, '', 1.02);
  tell('polls left out', sum(after, (device) => device.skipped) - sum(before, (device) => device.skipped), '', 0);
  await stop(gateway, slaves);
}

/** Ten units that want far more than 9,600 baud give. */
async function serial() {
  console.log('\nTen RTU units at 9,600 baud, asked for more than the line gives');
  const { gateway, slaves } = await line('100ms');
  await pause(3000);
  await ask(slaves);
  await pause(seconds * 1000);
  const { seen } = await ask(slaves);
  const spans = seen.slice(1).map(({ atMs }, index) => ({ ms: atMs - seen[index].atMs, lineMs: seen[index].lineMs }));
  const lineMs = spans.reduce((total, span) => total + span.lineMs, 0);
  const allMs = spans.reduce((total, span) => total + span.ms, 0);
  const share = counts(seen);
  tell('of the line is frames, gaps and turnaround', (lineMs / allMs) * 100, '%', 95, 'at least');
  tell('time for a request over the arithmetic, median', (median(spans.map(({ ms, lineMs: by }) => ms / by)) - 1) * 100, '%', 5);
  tell('share of the best served unit over that of the worst', Math.max(...share) / Math.min(...share), '', 1.05);
  await stop(gateway, slaves);
}

/** What the others lose by it: only its own time-outs and the quiet after them. */
async function dead() {
  console.log('\nOne dead unit among ten at 9,600 baud, polled every 2 s');
  const timeoutMs = 300;
  const { gateway, slaves } = await line('2s', { dead: 10, timeoutMs });
  await pause(1000);
  await ask(slaves);
  await pause(seconds * 1000);
  const { seen } = await ask(slaves);
  let longestMs = 0;
  const last = new Map();
  for (const { unit, atMs } of seen) {
    if (unit !== 10) longestMs = Math.max(longestMs, atMs - (last.get(unit) ?? atMs));
    last.set(unit, atMs);
  }
  const asked = seen.filter(({ unit }) => unit === 10).map(({ atMs }) => atMs);
  const half = seen[0].atMs + seconds * 500;
  // A poll of two requests: each its own time on the line, its time-out, and as long quiet.
  const ownMs = 2 * (2 * timeoutMs + 40);
  tell('longest wait of another unit beyond its 2 s', longestMs - 2000, 'ms', ownMs + 100);
  tell('requests to the dead unit, first half', asked.filter((atMs) => atMs < half).length, '', 12);
  tell('requests to the dead unit, second half', asked.filter((atMs) => atMs >= half).length, '', 3);
  await stop(gateway, slaves);
}

/** 200 devices of 100 points each, polled, in the resident memory of the whole gateway. */
async function memory() {
  console.log('\n20,000 points on 200 Modbus TCP devices at 10 s');
  const slaves = await start([join(import.meta.dirname, 'lib/modbus-slaves.mjs'), 'tcp', '20']);
  const ports = JSON.parse(await slaves.line());
  const points = pointsOf(100, (index) => `{ register: holding/${index * 2}, type: float32 }`);
  const gateway = await run([
    'buses:',
    ...ports.map((port, index) => `  b${index}: { driver: modbus-tcp, host: 127.0.0.1, port: ${port} }`),
    'devices:',
    ...Array.from({ length: 200 }, (_, index) => `  d${index}: { bus: b${index % 20}, unit: ${1 + (index % 200)}, poll: 10s, points: ${points} }`),
  ]);
  await pause(Math.max(20, seconds) * 1000);
  // Before the status is asked for, which with so many points is megabytes itself.
  const { rssKiB } = processUsage(gateway.pid);
  const after = await status(gateway);
  console.log(`  heap ${Math.round(after.memory.heapUsed / 1e6)} MB used with the status, external ${Math.round(after.memory.external / 1e6)} MB`);
  tell('devices online', Object.values(after.devices).filter(({ state }) => state === 'online').length, '', 200, 'at least');
  tell('resident memory of the gateway', (rssKiB * 1024) / 1e6, 'MB', 150);
  await stop(gateway, slaves);
}

/** A serial line of ten units behind a pair of ptys. */
async function line(poll, { dead: deadUnit = 0, timeoutMs = 300 } = {}) {
  const [ours, theirs] = ['ours', 'theirs'].map((end) => join(folder, `${end}-${poll}-${deadUnit}`));
  const socat = spawn('socat', [`pty,raw,echo=0,link=${ours}`, `pty,raw,echo=0,link=${theirs}`], { stdio: 'ignore' });
  children.add(socat);
  while (!(existsSync(ours) && existsSync(theirs))) await pause(20);
  const slaves = await start([
    join(import.meta.dirname, 'lib/modbus-slaves.mjs'), 'serial', theirs, String(BAUD), String(THINK_MS), String(deadUnit),
  ]);
  await slaves.line();
  const points = pointsOf(10, (index) => `{ register: holding/${index} }`);
  const gateway = await run([
    `buses: { b: { driver: modbus-rtu, path: ${ours}, baud_rate: ${BAUD}, timeout: ${timeoutMs}ms } }`,
    'devices:',
    ...Array.from({ length: 10 }, (_, index) => `  d${index}: { bus: b, unit: ${index + 1}, poll: ${poll}, points: ${points} }`),
  ]);
  return { gateway, slaves };
}

function pointsOf(count, one) {
  return `{ ${Array.from({ length: count }, (_, index) => `p${index}: ${one(index)}`).join(', ')} }`;
}

async function run(lines) {
  const home = mkdtempSync(join(folder, 'gateway-'));
  const file = join(home, 'godwit.yaml');
  const own = [
    'gateway: { id: bench }',
    'broker: { listeners: [{ url: "mqtt://127.0.0.1:0" }] }',
    'journal: { path: journal.db, record: none }',
    'log: { level: error }',
  ];
  writeFileSync(file, `${[...own, ...lines].join('\n')}\n`);
  const gateway = await start([main, 'run', '-c', file]);
  gateway.socket = join(home, 'godwit.sock');
  while (!existsSync(gateway.socket)) {
    if (gateway.exitCode !== null) throw new Error(`the gateway ended with ${gateway.exitCode}`);
    await pause(50);
  }
  return gateway;
}

async function start(args) {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.line = async () => (await lines.next()).value;
  return child;
}

async function ask(slaves) {
  slaves.stdin.write('report\n');
  return JSON.parse(await slaves.line());
}

function status(gateway) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: gateway.socket, path: '/api/status' }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(JSON.parse(text)));
    });
    asked.on('error', reject);
    asked.end();
  });
}

async function stop(...stopping) {
  for (const child of stopping) {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
    children.delete(child);
  }
}

function sum(snapshot, of) {
  return Object.values(snapshot.devices).reduce((total, device) => total + of(device), 0);
}

function counts(seen) {
  const byUnit = new Map();
  for (const { unit } of seen) byUnit.set(unit, (byUnit.get(unit) ?? 0) + 1);
  return [...byUnit.values()];
}

function median(figures) {
  return [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)];
}

function tell(what, figure, unit, limit, bound = 'at most') {
  const holds = bound === 'at most' ? figure <= limit : figure >= limit;
  if (!holds) missed += 1;
  const shown = `${Math.round(figure * 1000) / 1000}${unit === '' ? '' : ` ${unit}`}`;
  console.log(`  ${what}: ${shown}, ${bound} ${limit}${unit === '' ? '' : ` ${unit}`}${holds ? '' : ': MISSED'}`);
}
