#!/usr/bin/env node
/**
 * What mapping costs per reading on one core, and how long a gateway with 20,000 points takes to start.
 *
 *   node scripts/bench/mapping.mjs [--seconds 3] [--dist FOLDER]      FOLDER: another build to compare with
 *
 * Each case takes polls of 100 points, every reading is published and encoded. CPU time counts, not the clock: other
 * processes may be busy. Prints one line of JSON, and MISSED for what is beyond its limit.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? otherwise : process.argv[at + 1];
};
const seconds = Number(option('seconds', 3));
const dist = resolve(option('dist', join(import.meta.dirname, '..', '..', 'dist')));
const load = (path) => import(pathToFileURL(join(dist, path)).href);

const { parseConfig } = await load('config/parse.js');
const { Mapper } = await load('mapping/rule-mapper.js');
const { encodePayload } = await load('mapping/payload.js');

const POINTS = 100;
/** USER_HZ, the same on every Linux that Node.js runs on. */
const MS_PER_TICK = 10;
const START_DEVICES = 200;

/** Microseconds per reading that is taken; `derived` adds one expression per reading, told like the rest. */
const CASES = {
  plain: { rule: '', point: '' },
  'scale, deadband, template, JSON': {
    rule: ', report: { on: change, deadband: 0.2 }',
    point: ', scale: 0.1, unit: V',
    limitUs: 5,
  },
  'the same, of float32 values': {
    rule: ', report: { on: change, deadband: 0.2 }',
    point: ', scale: 0.1, unit: V',
    float: true,
  },
  'grouped, 100 points a message': { topic: '{device}', rule: ', group: device', point: ', scale: 0.1' },
  'every transform': {
    rule: '',
    point:
      ', scale: 0.1, table: { points: [[0, 0], [1000, 500], [9000, 1000]] }, raw_unit: psi, unit: bar, clamp: { max: 900 }, smooth: { median: 5 }, resolution: 0.01',
  },
  'with an alarm that is quiet': { rule: '', point: ', scale: 0.1, alarm: { high: 1000000, clear: 5 }' },
  'aggregated by the minute': { rule: ', aggregate: { window: 1m }', point: ', scale: 0.1' },
  'one derived expression each': { rule: '', point: ', scale: 0.1', derived: true, limitUs: 10 },
};

const results = [];
for (const [name, of] of Object.entries(CASES)) {
  const us = measure(of);
  if (us === undefined) continue;
  results.push({ case: name, us: Number(us.toFixed(2)), perSecond: Math.round(1e6 / us), limitUs: of.limitUs });
}
const starts = [await start(), await start(), await start()].sort((a, b) => a.cpuMs - b.cpuMs);
results.push({ case: '20,000 points, from exec to running', ...starts[1], limitMs: 2000 });

console.log(JSON.stringify({ node: process.version, dist: option('dist') ? dist : undefined, results }));
for (const { case: name, us, cpuMs, limitUs, limitMs } of results) {
  if (limitUs !== undefined && us > limitUs) console.log(`MISSED ${name}: ${us} µs per reading, limit ${limitUs} µs`);
  if (limitMs !== undefined && cpuMs > limitMs) console.log(`MISSED ${name}: ${cpuMs} ms, limit ${limitMs} ms`);
}

function yamlOf({ rule, point, derived, topic = '{device}/{point}' }, devices, poll) {
  const names = Array.from({ length: POINTS }, (_, index) => `p${index}`);
  return [
    'gateway: { id: bench, tags: { site: north } }',
    'buses: { s: { driver: simulator } }',
    'devices:',
    ...Array.from(
      { length: devices },
      (_, index) =>
        `  d${index}: { bus: s, poll: ${poll}, points: { ${names.map((name) => `${name}: { simulate: {}${point} }`).join(', ')} } }`,
    ),
    ...(derived ? ['derived:', ...names.map((name) => `  ${name}: "d0/${name} * 1.5 + 32 - d0/p0 / 10"`)] : []),
    'mappings:',
    `  - { from: "*/*", topic: "site/{tags.site}/${topic}", retain: true${rule} }`,
    '',
  ].join('\n');
}

function measure(of) {
  const { config, errors } = parseConfig(yamlOf(of, 1, '1s'), 'bench.yaml', {});
  // An older build that does not know the keys is compared in what it knows.
  if (config === undefined) {
    console.error(`skipped: ${errors[0].line}`);
    return undefined;
  }
  const mapper = new Mapper({
    gatewayId: 'bench',
    tags: config.gateway.tags,
    devices: config.devices,
    derived: config.derived,
    mappings: config.mappings,
    keyValue: pairs(),
  });
  let atMs = 0;
  let bytes = 0;
  // An odd step, so that deadbands are always left and numbers have many forms.
  const poll = () => {
    atMs += 1000;
    const stamp = { wallMs: 1.7e12 + atMs, monotonicMs: atMs, bootId: 'boot', trusted: true };
    const readings = [];
    for (let index = 0; index < POINTS; index += 1) {
      const raw = ((atMs / 1000) * 37 + index * 11) % 9001;
      const value = of.float ? Number(Math.fround(raw / 7).toPrecision(7)) : raw;
      readings.push({ device: 'd0', point: `p${index}`, stamp, value, quality: 'good' });
    }
    for (const set of mapper.readings('d0', readings, atMs)) bytes += encodePayload(set).length;
  };
  for (let warm = 0; warm < 2000; warm += 1) poll();
  const before = process.cpuUsage();
  const endsAt = performance.now() + seconds * 1000;
  let polls = 0;
  while (performance.now() < endsAt) {
    for (let count = 0; count < 20; count += 1) poll();
    polls += 20;
  }
  const { user, system } = process.cpuUsage(before);
  if (bytes === 0) throw new Error('nothing was told');
  return (user + system) / (polls * POINTS);
}

function pairs() {
  const map = new Map();
  return {
    get: (key) => map.get(key),
    put: (key, value) => void map.set(key, new Uint8Array(value)),
    remove: (key) => void map.delete(key),
    entries: () => map.entries(),
  };
}

async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-'));
  const file = join(folder, 'godwit.yaml');
  const more = 'broker: { listeners: [ { url: "mqtt://127.0.0.1:0" } ] }\njournal: { path: journal.db }\n';
  writeFileSync(file, more + yamlOf({ rule: '', point: ', scale: 0.1, unit: V' }, START_DEVICES, '1h'));
  const startedAt = performance.now();
  const child = spawn(process.execPath, [join(dist, 'main.js'), 'run', '-c', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise((done, failed) => {
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += chunk;
        if (text.includes('Gateway is running')) done();
      });
      child.once('exit', (code) => failed(new Error(`godwit run ended with ${code}`)));
    });
    return { cpuMs: cpuMsOf(child.pid), wallMs: Math.round(performance.now() - startedAt) };
  } finally {
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    await new Promise((done) => child.once('exit', done));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of all its threads. */
function cpuMsOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}
