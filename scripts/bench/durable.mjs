#!/usr/bin/env node
/**
 * What durability costs: acknowledgements per second with `durability: power-loss`, beside mosquitto, which acknowledges
 * from memory, in the same run; and what a large journal costs at start and in memory.
 *
 *   scripts/bench/durable [--runs 3] [--seconds 2] [--folder DIR] [--cases 10x20,start] [--json]
 *
 * Prints the file system and the rate at which it syncs 4 KiB that is written over. That rate is taken anew around every run
 * and each figure is held against its own, since a disk that others use too changes from one second to the next. Sides
 * alternate; figures are medians. Refuses a tmpfs, where a sync costs nothing.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { compileShim, DiskShim } from '../lib/disk-shim.mjs';
import { refuseTmpfs, syncsPerSecond } from './lib/sync-rate.mjs';

const { values: given } = parseArgs({
  options: {
    folder: { type: 'string', default: '.' },
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    cases: { type: 'string' },
    json: { type: 'boolean', default: false },
    dist: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist') },
  },
});
const runs = Number(given.runs);
const seconds = Number(given.seconds);
const dist = resolve(given.dist);
const PAYLOAD_BYTES = 200;
const SLOW_MS = 5;
const LOAD = join(import.meta.dirname, 'lib', 'ack-load.mjs');
const run = promisify(execFile);
const folder = mkdtempSync(join(resolve(given.folder), 'durable-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

/** Limits are ratios: of one figure to another of the same run. */
const ACK_CASES = [
  { name: '10x20', publishers: 10, window: 20, against: ['mosquitto', 'syncs'], mosquitto: 0.94, syncs: 0.8 },
  { name: '10x1000', publishers: 10, window: 1000, against: ['mosquitto'], mosquitto: 1.8 },
  { name: '10x1', publishers: 10, window: 1, against: ['rate'], rate: 2.5 },
  { name: '1x1', publishers: 1, window: 1, against: ['rate'], rate: 0.6 },
  ...[
    [10, 1000],
    [10, 20],
    [10, 1],
    [1, 1],
  ].map(([publishers, window]) => ({
    name: `slow-${publishers}x${window}`,
    publishers,
    window,
    slow: true,
    against: ['syncs'],
    syncs: 0.45,
  })),
];
const SCALE_CASES = ['start', 'memory'];

const wanted = given.cases?.split(',');
const isWanted = (name) => wanted === undefined || wanted.includes(name);
const all = [...ACK_CASES.map(({ name }) => name), ...SCALE_CASES];
const unknown = wanted?.filter((name) => !all.includes(name)) ?? [];
if (unknown.length > 0) {
  console.error(`Unknown case ${unknown.join(', ')}; there are: ${all.join(', ')}`);
  process.exit(2);
}

let missed = 0;
const fileSystem = refuseTmpfs(folder);
say({ case: 'disk', fileSystem, syncsPerSecond: Math.round(syncsPerSecond(folder)) });
const library = compileShim();
for (const one of ACK_CASES) {
  if (!isWanted(one.name)) continue;
  if (one.slow && library === undefined) say({ case: one.name, skipped: 'there is no C compiler' });
  else await acknowledgements(one);
}
if (isWanted('start')) await start();
if (isWanted('memory')) await memory();
say({ case: 'summary', missed });

function say(line) {
  if (given.json) console.log(JSON.stringify(line));
  else console.log(Object.entries(line).map(([key, value]) => (key === 'case' ? `${value}:` : `${key} ${value}`)).join('  '));
}

function verdict(value, limit, isMet) {
  if (!isMet) missed += 1;
  return `${value} (${limit}${isMet ? '' : ': MISSED'})`;
}

async function acknowledgements({ name, publishers, window, slow = false, ...limits }) {
  const needed = limits.against;
  const samples = [];
  for (let turn = 0; turn < runs; turn += 1) {
    const mosquitto = needed.includes('mosquitto') ? await measure('mosquitto', publishers, window) : undefined;
    const before = syncsPerSecond(folder, 500);
    const godwit = await measure('godwit', publishers, window, slow);
    const rate = (before + syncsPerSecond(folder, 500)) / 2;
    const syncMs = 1000 / rate + (slow ? SLOW_MS : 0);
    samples.push({
      godwit,
      mosquittoPerSecond: mosquitto,
      rate,
      ofMosquitto: mosquitto && godwit / mosquitto,
      ofRate: godwit / rate,
      ofSyncs: (godwit * syncMs) / 1000 / (publishers * window),
    });
  }
  const middle = (key) => median(samples.map((one) => one[key]));
  const line = { case: name, perSecond: Math.round(middle('godwit')), syncsPerSecond: Math.round(middle('rate')) };
  if (limits.mosquitto !== undefined) {
    line.mosquitto = Math.round(middle('mosquittoPerSecond'));
    const ratio = middle('ofMosquitto');
    // Where the disk is slower than mosquitto's memory, it is the disk that sets the limit.
    const byDisk = limits.syncs !== undefined && middle('ofSyncs') >= limits.syncs;
    line.ofMosquitto = verdict(ratio.toFixed(2), `at least ${limits.mosquitto}`, ratio >= limits.mosquitto || byDisk);
  }
  if (limits.rate !== undefined) {
    const ratio = middle('ofRate');
    line.ofSyncRate = verdict(ratio.toFixed(2), `at least ${limits.rate}`, ratio >= limits.rate);
  }
  if (limits.syncs !== undefined) {
    const share = middle('ofSyncs');
    const text = share.toFixed(2);
    line.ofInFlightPerSync = limits.mosquitto === undefined ? verdict(text, `at least ${limits.syncs}`, share >= limits.syncs) : text;
  }
  say(line);
}

async function measure(kind, publishers, window, slow = false) {
  const here = mkdtempSync(join(folder, 'run-'));
  const broker = await (kind === 'godwit' ? startGateway(here, { slow }) : startMosquitto(here));
  try {
    const { stdout } = await run(process.execPath, [LOAD, ...[broker.port, publishers, window, PAYLOAD_BYTES, seconds].map(String)]);
    return JSON.parse(stdout).perSecond;
  } finally {
    await broker.stop();
    rmSync(here, { recursive: true, force: true });
  }
}

/** A gateway whose one bridge takes everything and has no server: all of it must be kept. */
async function startGateway(here, { slow = false, maxSize = '8GiB' } = {}) {
  const port = await freePort();
  const state = join(here, 'state');
  mkdirSync(state, { recursive: true });
  const file = join(here, 'godwit.yaml');
  writeFileSync(
    file,
    `gateway: { id: bench }
journal: { path: state/journal.db, max_size: ${maxSize} }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ], limits: { max_inflight: 1000 } }
bridges: { cloud: { servers: [ "mqtt://127.0.0.1:1" ], forward: [ { filter: "#", qos: 1 } ] } }
log: { level: error }
`,
  );
  let env = process.env;
  if (slow) {
    const shim = new DiskShim({ library, folder: state, controlFile: join(here, 'disk-control') });
    shim.slowSyncs(SLOW_MS);
    env = { ...env, ...shim.env };
  }
  return startProcess(process.execPath, [join(dist, 'main.js'), 'run', '-c', file], port, env);
}

/** With a session that is away, for which it keeps everything in memory. */
async function startMosquitto(here) {
  const port = await freePort();
  const file = join(here, 'mosquitto.conf');
  const user = process.getuid() === 0 ? 'user root\n' : '';
  writeFileSync(
    file,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\npersistence false\nlog_dest none\n${user}`,
  );
  const broker = await startProcess('mosquitto', ['-c', file], port);
  const socket = connect(port, '127.0.0.1');
  socket.write(Buffer.from('101000044d515454040000000004617761798206000100012301', 'hex'));
  // CONNACK and SUBACK: nine bytes.
  for (let heard = 0; heard < 9; ) heard += (await once(socket, 'data'))[0].length;
  socket.end(Buffer.from([0xe0, 0]));
  return broker;
}

async function startProcess(command, args, port, env = process.env) {
  const beganMs = performance.now();
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.once('error', (fault) => {
    console.error(`${command} does not start: ${fault.message}`);
    process.exit(1);
  });
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() - beganMs > 60_000) throw new Error(`${command} does not accept connections`);
    await sleep(2);
  }
  return {
    port,
    pid: child.pid,
    startMs: performance.now() - beganMs,
    async stop() {
      child.kill('SIGTERM');
      const limit = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(limit);
    },
  };
}

/** One CONNECT; true once CONNACK 0 came. */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from('100d00044d5154540402000000017a', 'hex')));
    const settle = (value) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('data', (chunk) => settle(chunk[0] === 0x20 && chunk[3] === 0));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

/** From the start of the process to the first CONNACK, with ten million Records on disk. */
async function start() {
  const here = mkdtempSync(join(folder, 'start-'));
  await fill(here, 10_000_000);
  const times = [];
  for (let turn = 0; turn < runs; turn += 1) {
    const gateway = await startGateway(here);
    times.push(gateway.startMs);
    await gateway.stop();
  }
  const startMs = Math.round(median(times));
  const databaseBytes = statSync(join(here, 'state', 'journal.db')).size;
  say({ case: 'start', records: 10_000_000, databaseMB: Math.round(databaseBytes / 1e6), startMs: verdict(startMs, 'at most 1500', startMs <= 1500) });
  rmSync(here, { recursive: true, force: true });
}

/** Of two gateways that differ in what waits, half a minute after their start. */
async function memory() {
  const rss = [];
  for (const records of [0, 5_000_000]) {
    const here = mkdtempSync(join(folder, 'memory-'));
    await fill(here, records);
    const gateway = await startGateway(here);
    await sleep(20_000);
    rss.push(Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))[1]) * 1024);
    await gateway.stop();
    rmSync(here, { recursive: true, force: true });
  }
  const [none, many] = rss.map((bytes) => bytes / 1e6);
  const more = Math.round((many - none) * 10) / 10;
  say({ case: 'memory', waiting: 5_000_000, noneMB: Math.round(none), manyMB: Math.round(many), moreMB: verdict(more, 'at most 20', more <= 20) });
}

/** A journal with so many Records that wait for the bridge, 200 to a chunk. */
async function fill(here, records) {
  const { InlineStorage } = await import(join(dist, 'storage', 'inline-storage.js'));
  mkdirSync(join(here, 'state'));
  const journal = new InlineStorage({ path: join(here, 'state', 'journal.db'), hold: true, config: { max_size: 8 * 2 ** 30 } });
  await journal.start();
  const route = journal.routeId({
    ...{ bridge: 'cloud', lane: 'normal', qos: 1, retain: 'keep', strip: '', prefix: '', properties: 'all' },
  });
  const payload = Buffer.alloc(50, 'x');
  for (let written = 0; written < records; ) {
    for (let n = 0; n < 1000 && written < records; n += 1, written += 1) {
      const message = { topic: `site/north/device-${n % 50}/level`, payload, qos: 1, retain: false };
      if (!journal.append({ kind: 'message', message }, [route], Date.now(), true)) throw new Error('the journal is full');
    }
    journal.commitNow();
  }
  await journal.stop();
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
