#!/usr/bin/env node
/**
 * The broker against mosquitto and aedes under the same load, from a generator in a process of its own.
 *
 *   scripts/bench/broker [--quick] [--cases fan-in-q0,paced-q1] [--runs 5] [--json] [--dist FOLDER]
 *
 * Every run of a side starts a fresh broker; sides alternate, so that a noisy minute meets all of them. Figures are
 * medians; a ratio is the median of the runs' ratios, each of neighbours in time. CPU time per delivered message is the
 * figure to compare: messages/s depend on who else uses the machine.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { makeAccess } from './lib/access.mjs';
import { CASES } from './lib/cases.mjs';
import { start, versionOf } from './lib/peers.mjs';
import { printCase, printSummary } from './lib/report.mjs';

const { values: given } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    cases: { type: 'string' },
    runs: { type: 'string' },
    json: { type: 'boolean', default: false },
    dist: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist') },
  },
});
const runs = Number(given.runs ?? (given.quick ? 1 : 5));
const seconds = given.quick ? 1 : 2;
const dist = resolve(given.dist);
const names = given.cases?.split(',');
const unknown = names?.filter((name) => !CASES.some((one) => one.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`Unknown case ${unknown.join(', ')}; there are: ${CASES.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const present = new Map(['godwit', 'gateway', 'mosquitto', 'aedes', 'bare'].map((kind) => [kind, versionOf(kind)]));
for (const [kind, version] of present) {
  if (version === undefined) console.error(`${kind} is not installed: its figures and the ratios to it are left out`);
}

const LOAD = join(import.meta.dirname, 'load.mjs');
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-'));
const results = [];
try {
  const access = makeAccess(folder);
  for (const one of CASES) {
    if (names !== undefined && !names.includes(one.name)) continue;
    const result = await measure(one, access);
    results.push(result);
    if (!given.json) printCase(result);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (given.json) {
  console.log(
    JSON.stringify({ node: process.version, versions: Object.fromEntries(present), load: loadavg(), results }),
  );
} else {
  printSummary(results, Object.fromEntries(present));
}

async function measure(one, access) {
  const sides = one.sides.filter(({ broker }) => present.get(broker) !== undefined);
  const samples = new Map(sides.map(({ name }) => [name, []]));
  for (let count = 0; count < runs; count += 1) {
    // Backwards every other time: nobody is always first after a pause.
    const order = count % 2 === 0 ? sides : [...sides].reverse();
    for (const side of order) {
      try {
        samples.get(side.name).push(await sample(side, access));
      } catch (fault) {
        console.error(`${one.name}, ${side.name}: ${fault.message.trim()}`);
      }
    }
  }
  return summarise(one, samples);
}

async function sample(side, access) {
  const { broker: kind, auth, tls } = side;
  const broker = await start(kind, { folder, dist, access, auth, tls });
  try {
    const idle = side.load.layout === 'idle';
    // What a start leaves behind is collected first.
    if (idle) await new Promise((done) => setTimeout(done, 2000));
    const load = { warmup: 1, seconds, ...side.load, port: broker.port, pid: broker.pid };
    if (auth) Object.assign(load, { username: access.username, password: access.password });
    if (tls) load.ca = access.caFile;
    const options = Object.entries(load).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const { stdout } = await run(process.execPath, [LOAD, ...options]);
    const measured = JSON.parse(stdout);
    if (!idle) return measured;
    const { connections, rssBeforeKiB, rssKiB } = measured;
    return {
      firstConnectMs: Math.round(broker.firstConnectMs),
      idleMB: Math.round((rssBeforeKiB * 1024) / 1e5) / 10,
      kibPerConnection: Math.round(((rssKiB - rssBeforeKiB) / connections) * 10) / 10,
      rssKiB,
    };
  } finally {
    await broker.stop();
  }
}

function summarise(one, samples) {
  const sides = {};
  for (const [name, measured] of samples) {
    if (measured.length === 0) continue;
    const keys = Object.keys(measured[0]).filter((key) => typeof measured[0][key] === 'number');
    sides[name] = Object.fromEntries(keys.map((key) => [key, middle(measured.map((each) => each[key]))]));
    // A fault in one run is a fault.
    for (const key of ['lost', 'duplicates', 'reordered', 'foreign']) {
      if (key in sides[name]) sides[name][key] = measured.reduce((sum, each) => sum + each[key], 0);
    }
  }
  const ratios = one.ratios
    .filter(({ of, to }) => sides[of] !== undefined && sides[to] !== undefined)
    .map(({ of, to, limit }) => {
      const [over, under] = [samples.get(of), samples.get(to)];
      const each = over.slice(0, under.length).map((own, at) => own.cpuUsPerMessage / under[at].cpuUsPerMessage);
      return { of, to, limit, ratio: middle(each), lowest: Math.min(...each), highest: Math.max(...each) };
    });
  const bounds = (one.bounds ?? [])
    .filter(({ of }) => sides[of] !== undefined)
    .map(({ of, key, limit }) => ({ of, key, limit, value: sides[of][key] }));
  const { p99 } = one;
  if (p99 !== undefined && sides[p99.of] !== undefined && sides[p99.to] !== undefined) {
    bounds.push({ of: p99.of, key: 'p99Us', limit: sides[p99.to].p99Us, value: sides[p99.of].p99Us });
  }
  return { name: one.name, what: one.what, runs, sides, ratios, bounds };
}

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
