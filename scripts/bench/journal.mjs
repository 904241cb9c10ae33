// How fast the journal takes and gives: `node scripts/bench/journal.mjs [--folder DIR] [--seconds 2] [--bytes 200]`
// after a build. Prints the file system with its own fdatasync rate, then one line of JSON per case, medians of
// nothing: run it again to see the spread. Refuses a tmpfs, where a sync costs nothing.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { refuseTmpfs, syncsPerSecond } from './lib/sync-rate.mjs';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: '.' },
    seconds: { type: 'string', default: '2' },
    bytes: { type: 'string', default: '200' },
    dist: { type: 'string', default: new URL('../../dist', import.meta.url).pathname },
  },
});
const { WorkerStorage } = await import(join(resolve(values.dist), 'storage/worker-storage.js'));
const { SystemClock } = await import(join(resolve(values.dist), 'core/clock.js'));
const { silentLog } = await import(join(resolve(values.dist), 'core/log.js'));

const seconds = Number(values.seconds);
const payload = Buffer.alloc(Number(values.bytes), 'x');
const topicOf = (n) => `site/north/device-${String(n % 50).padStart(2, '0')}/level`;
const TOPIC_BYTES = topicOf(0).length;
const folder = mkdtempSync(join(resolve(values.folder), 'journal-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const fileSystem = refuseTmpfs(folder);
console.log(JSON.stringify({ case: 'disk', fileSystem, fdatasyncPerSecond: Math.round(syncsPerSecond(folder)) }));

for (const inFlight of [1, 10, 200, 10_000]) await append(inFlight);
// A card wears out by bytes: one message costs pages, many share them. Checkpoints are counted, the last one too.
await paced(1, 60, 13 * 1024);
await paced(100, 10);
await paced(10_000, 5, 3 * (TOPIC_BYTES + payload.length + 20));
await drain(1_000_000);

async function open(name) {
  const storage = new WorkerStorage({
    path: join(folder, `${name}.db`),
    config: {
      durability: 'power-loss',
      max_size: 4 * 2 ** 30,
      max_age: 30 * 86_400_000,
      when_full: 'drop-oldest',
      max_commit_delay: 250,
    },
    log: silentLog,
    clock: new SystemClock(),
    onFatal: (fault) => {
      throw fault;
    },
  });
  await storage.start();
  const route = storage.routeId({
    bridge: 'cloud',
    lane: 'normal',
    qos: 1,
    retain: 'keep',
    strip: '',
    prefix: '',
    properties: 'all',
  });
  return { storage, routes: [route] };
}

function bytesWritten() {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
}

/** A fixed number of messages in flight; each acknowledgement brings the next one, as a publisher would. */
async function append(inFlight) {
  const { storage, routes } = await open(`append-${inFlight}`);
  const writtenBefore = bytesWritten();
  const cpuBefore = process.cpuUsage();
  let acknowledged = 0;
  const began = performance.now();
  await new Promise((done) => {
    let open = 0;
    const publish = (n) => {
      const message = { topic: topicOf(n), payload, qos: 1, retain: false };
      if (!storage.append({ kind: 'message', message }, routes, Date.now(), true)) throw new Error('refused');
      open += 1;
      storage.afterCommit(() => {
        acknowledged += 1;
        open -= 1;
        if (performance.now() - began < seconds * 1000) publish(n);
        else if (open === 0) done();
      });
    };
    for (let n = 0; n < inFlight; n += 1) publish(n);
  });
  const tookMs = performance.now() - began;
  const cpu = process.cpuUsage(cpuBefore);
  const { commits } = storage.snapshot();
  await storage.stop();
  console.log(
    JSON.stringify({
      case: 'append',
      inFlight,
      perSecond: Math.round((acknowledged * 1000) / tookMs),
      commitsPerSecond: Math.round((commits * 1000) / tookMs),
      cpuMicrosPerMessage: Number(((cpu.user + cpu.system) / acknowledged).toFixed(2)),
      bytesWrittenPerMessage: Math.round((bytesWritten() - writtenBefore) / acknowledged),
    }),
  );
}

/** So many messages a second, whoever has been acknowledged. */
async function paced(rate, seconds, bytesMax) {
  const { storage, routes } = await open(`paced-${rate}`);
  await new Promise((done) => storage.afterCommit(done));
  const writtenBefore = bytesWritten();
  const total = rate * seconds;
  const latencies = [];
  let sent = 0;
  const began = performance.now();
  await new Promise((done) => {
    const ticks = setInterval(() => {
      const now = performance.now();
      for (const due = Math.min(total, Math.floor(((now - began) * rate) / 1000)); sent < due; sent += 1) {
        const message = { topic: topicOf(sent), payload, qos: 1, retain: false };
        if (!storage.append({ kind: 'message', message }, routes, Date.now(), true)) throw new Error('refused');
        storage.afterCommit(() => {
          latencies.push(performance.now() - now);
          if (latencies.length < total) return;
          clearInterval(ticks);
          done();
        });
      }
    }, 1);
  });
  const { commits } = storage.snapshot();
  await storage.stop();
  const bytesWrittenPerMessage = Math.round((bytesWritten() - writtenBefore) / total);
  latencies.sort((a, b) => a - b);
  console.log(
    JSON.stringify({
      case: 'paced',
      perSecond: rate,
      commits,
      bytesWrittenPerMessage,
      ...(bytesMax !== undefined && { atMost: bytesMax, ...(bytesWrittenPerMessage > bytesMax && { verdict: 'MISSED' }) }),
      p50Ms: Number(latencies[Math.floor(latencies.length / 2)].toFixed(2)),
      p99Ms: Number(latencies[Math.floor(latencies.length * 0.99)].toFixed(2)),
    }),
  );
}

async function drain(count) {
  const { storage, routes } = await open('drain');
  for (let written = 0; written < count; ) {
    for (let n = 0; n < 1000; n += 1, written += 1) {
      const message = { topic: topicOf(n), payload, qos: 1, retain: false };
      storage.append({ kind: 'message', message }, routes, Date.now(), true);
    }
    await new Promise((done) => storage.afterCommit(done));
  }
  const began = performance.now();
  let read = 0;
  let longestMs = 0;
  for (let from = 1; from <= storage.head; ) {
    const asked = performance.now();
    const { records, next } = await storage.read('cloud', 'normal', from, 256 * 1024);
    longestMs = Math.max(longestMs, performance.now() - asked);
    read += records.length;
    from = next;
  }
  const tookMs = performance.now() - began;
  const { rss } = process.memoryUsage();
  await storage.stop();
  console.log(
    JSON.stringify({
      case: 'drain',
      records: read,
      perSecond: Math.round((read * 1000) / tookMs),
      longestReadMs: Math.round(longestMs),
      rssMiB: Math.round(rss / 2 ** 20),
    }),
  );
}
