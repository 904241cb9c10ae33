/**
 * How fast a bridge drains its journal, from disk:
 *
 *   receiver   to a server that only acknowledges, QoS 0, 1 and 2, the last also with a million queued
 *   mosquitto  100,000 to a mosquitto with a subscriber, beside mosquitto's own bridge, which has them in memory; each
 *              a process of its own, taking turns
 *
 *   node scripts/bench/drain.mjs [--folder DIR] [--cases receiver,mosquitto] [--records 200000] [--bytes 200] [--runs 3]
 *
 * After a build. Prints one line of JSON per case; `missed` says which limit it misses, and the exit status is then 1.
 * Refuses a tmpfs, where a sync costs nothing.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../lib/ports.mjs';
import { acknowledgingReceiver } from './lib/acknowledging-receiver.mjs';
import { countingClient } from './lib/counting-client.mjs';
import { processUsage } from './lib/process-usage.mjs';
import { fill, godwitBridge, mosquittoBridge, mosquittoServer } from './lib/upstream-processes.mjs';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: '.' },
    cases: { type: 'string', default: 'receiver,mosquitto' },
    records: { type: 'string', default: '200000' },
    bytes: { type: 'string', default: '200' },
    inflight: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '3' },
    dist: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist') },
  },
});
const records = Number(values.records);
/** What is asked of a drain to a receiver that only acknowledges, by QoS. */
const PER_SECOND_LEAST = { 1: 200_000, 2: 50_000 };
const RATIO_LEAST = 0.9;
/** As baselines are measured: a reading's JSON. */
const MOSQUITTO_RECORDS = 100_000;
const MOSQUITTO_TOPIC = 'site/pump/reading';

const folder = mkdtempSync(join(resolve(values.folder), 'drain-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const fileSystem = execFileSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' }).trim();
if (fileSystem === 'tmpfs') {
  console.error('This folder is a tmpfs, where a sync costs nothing: name another with --folder.');
  process.exit(1);
}

let isMissed = false;
if (values.cases.includes('receiver')) {
  for (const [qos, count] of [[1, records], [2, 20_000], [2, 1_000_000], [0, records]]) tell(await toReceiver(qos, count));
}
if (values.cases.includes('mosquitto')) tell(await besideMosquitto());
process.exit(isMissed ? 1 : 0);

function tell(result) {
  isMissed ||= result.missed !== undefined;
  console.log(JSON.stringify(result));
}

/** The bridge in this process, with its storage thread. */
async function toReceiver(qos, count) {
  const from = (file) => import(join(resolve(values.dist), file));
  const { WorkerStorage } = await from('storage/worker-storage.js');
  const { SystemClock } = await from('core/clock.js');
  const { silentLog } = await from('core/log.js');
  const { Bridge } = await from('bridge/bridge.js');
  const { routeFor } = await from('bridge/forward.js');
  const { bridgeSchema, journalSchema } = await from('config/schema.js');

  const receiver = await acknowledgingReceiver();
  const clock = new SystemClock();
  const path = join(folder, `drain-${qos}-${count}.db`);
  const storage = new WorkerStorage({
    path,
    config: journalSchema.parse({}),
    log: silentLog,
    clock,
    onFatal: (fault) => {
      throw fault;
    },
  });
  await storage.start();
  const config = bridgeSchema.parse({
    servers: [`mqtt://127.0.0.1:${receiver.port}`],
    inflight: Number(values.inflight),
    forward: [{ filter: '#', qos }],
  });
  const payload = Buffer.alloc(Number(values.bytes), 'x');
  const topics = Array.from({ length: 100 }, (_, n) => `site/plant/device-${n}/value`);
  const routes = topics.map((topic) => [storage.routeId(routeFor('cloud', config, { id: 'bench' }, topic))]);
  for (let n = 0; n < count; n += 1) {
    const topic = topics[n % 100];
    const message = { topic, payload, qos: 1, retain: false };
    while (!storage.append({ kind: 'message', message }, routes[n % 100], clock.wallMs(), false)) {
      await new Promise((done) => storage.afterCommit(done));
    }
    if (n % 10_000 === 0) await new Promise((done) => storage.afterCommit(done));
  }
  await new Promise((done) => storage.afterCommit(done));

  const bridge = new Bridge({
    name: 'cloud',
    config,
    secrets: {},
    gateway: { id: 'bench', version: '0', since: 0, statusTopic: 'godwit/bench/status' },
    storage,
    publish: () => undefined,
    clock,
    log: silentLog,
    random: Math.random,
  });
  const cpu = process.cpuUsage();
  const begunMs = clock.monotonicMs();
  await bridge.start();
  while (bridge.snapshot().delivered < count) await new Promise((done) => setTimeout(done, 5));
  const perSecond = Math.round((count * 1000) / (clock.monotonicMs() - begunMs));
  const { user, system } = process.cpuUsage(cpu);
  await bridge.stop();
  await storage.stop();
  receiver.stop();
  rmSync(path);
  const least = PER_SECOND_LEAST[qos];
  return {
    case: 'receiver',
    qos,
    records: count,
    perSecond,
    cpuMicrosPerRecord: Number(((user + system) / count).toFixed(2)),
    rssMB: Math.round(process.memoryUsage.rss() / 1e6),
    ...(perSecond < least && { missed: `at least ${least}` }),
  };
}

async function besideMosquitto() {
  const sides = { godwit: [], mosquitto: [] };
  for (let run = 0; run < Number(values.runs); run += 1) {
    for (const by of ['godwit', 'mosquitto']) sides[by].push(await toMosquitto(by));
  }
  const ratio = median(sides.godwit.map(({ perSecond }, run) => perSecond / sides.mosquitto[run].perSecond));
  return {
    case: 'mosquitto',
    qos: 1,
    records: MOSQUITTO_RECORDS,
    godwit: medians(sides.godwit),
    mosquitto: medians(sides.mosquitto),
    ratio: Number(ratio.toFixed(3)),
    ...(ratio < RATIO_LEAST && { missed: `at least ${RATIO_LEAST} × mosquitto's own bridge` }),
  };
}

/** From the first to the last message at the subscriber, after an outage in which they were accepted. */
async function toMosquitto(by) {
  const [serverPort, localPort] = [await freePort(), await freePort()];
  const server = await mosquittoServer(folder, serverPort, 1000);
  const subscriber = await countingClient(serverPort, { topicFilter: 'site/#', qos: 1 });
  await server.stop();
  const source =
    by === 'godwit'
      ? await godwitBridge(
          folder,
          localPort,
          serverPort,
          'backoff: { min: 1s, max: 1s }, forward: [ { filter: "site/#", qos: 1 } ]',
          join(values.dist, 'main.js'),
        )
      : await mosquittoBridge(folder, localPort, serverPort, 1);
  const payload = (n) => JSON.stringify({ ts: 1_732_147_200_000 + n, value: n / 100, unit: 'C' }).padEnd(100);
  await fill(localPort, MOSQUITTO_RECORDS, { topic: MOSQUITTO_TOPIC, payload, qos: 1 });
  const before = processUsage(source.pid).cpuMs;
  await server.restart();
  const { firstAtMs, lastAtMs } = await subscriber.arrived(MOSQUITTO_RECORDS);
  const sourceMs = processUsage(source.pid).cpuMs - before;
  const serverMs = processUsage(server.pid).cpuMs;
  await source.stop();
  subscriber.stop();
  await server.stop();
  return {
    perSecond: (MOSQUITTO_RECORDS * 1000) / (lastAtMs - firstAtMs),
    cpuMicrosPerRecord: (sourceMs * 1000) / MOSQUITTO_RECORDS,
    serverCpuMicrosPerRecord: (serverMs * 1000) / MOSQUITTO_RECORDS,
  };
}

function medians(runs) {
  const of = (key, digits) => Number(median(runs.map((run) => run[key])).toFixed(digits));
  return {
    perSecond: of('perSecond', 0),
    cpuMicrosPerRecord: of('cpuMicrosPerRecord', 2),
    serverCpuMicrosPerRecord: of('serverCpuMicrosPerRecord', 2),
  };
}

function median(numbers) {
  const sorted = [...numbers].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}
