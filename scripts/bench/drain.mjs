// How fast a bridge drains its journal: `node scripts/bench/drain.mjs [--folder DIR] [--records 200000] [--bytes 200]`
// after a build. The receiver runs in a process of its own and only acknowledges, so that the figure is the
// bridge's. Prints one line of JSON per QoS. Refuses a tmpfs, where a sync costs nothing.
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

if (process.argv[2] === 'receiver') receiver();
else await main();

/** Just enough MQTT 5.0 to acknowledge: first bytes and lengths, nothing else is looked at. */
function receiver() {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    let rest = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const answers = [];
      let at = 0;
      for (;;) {
        let length = 0;
        let shift = 0;
        let from = at + 1;
        let whole = false;
        while (from < bytes.length) {
          const byte = bytes[from++];
          length |= (byte & 127) << shift;
          shift += 7;
          if (byte < 128) {
            whole = true;
            break;
          }
        }
        if (!whole || from + length > bytes.length) break;
        answer(bytes[at], bytes, from, answers);
        at = from + length;
      }
      rest = bytes.subarray(at);
      if (answers.length > 0) socket.write(Buffer.from(answers));
    });
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit());
}

function answer(first, bytes, from, answers) {
  switch (first >> 4) {
    case 1:
      answers.push(0x20, 3, 0, 0, 0);
      return;
    case 3: {
      const qos = (first >> 1) & 3;
      if (qos === 0) return;
      const id = from + 2 + bytes.readUInt16BE(from);
      answers.push(qos === 1 ? 0x40 : 0x50, 2, bytes[id], bytes[id + 1]);
      return;
    }
    case 6:
      answers.push(0x70, 2, bytes[from], bytes[from + 1]);
      return;
    case 8:
      answers.push(0x90, 4, bytes[from], bytes[from + 1], 0, 1);
      return;
    case 12:
      answers.push(0xd0, 0);
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: '.' },
      records: { type: 'string', default: '200000' },
      bytes: { type: 'string', default: '200' },
      inflight: { type: 'string', default: '1000' },
      dist: { type: 'string', default: new URL('../../dist', import.meta.url).pathname },
    },
  });
  const from = (file) => import(join(resolve(values.dist), file));
  const { WorkerStorage } = await from('storage/worker-storage.js');
  const { SystemClock } = await from('core/clock.js');
  const { silentLog } = await from('core/log.js');
  const { Bridge } = await from('bridge/bridge.js');
  const { routeFor } = await from('bridge/forward.js');
  const { bridgeSchema, journalSchema } = await from('config/schema.js');

  const folder = mkdtempSync(join(resolve(values.folder), 'drain-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const fileSystem = execFileSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' }).trim();
  if (fileSystem === 'tmpfs') {
    console.error('This folder is a tmpfs, where a sync costs nothing: name another with --folder.');
    process.exit(1);
  }
  const child = fork(process.argv[1], ['receiver']);
  const [port] = await once(child, 'message');
  const records = Number(values.records);

  for (const qos of [1, 2, 0]) {
    const clock = new SystemClock();
    const storage = new WorkerStorage({
      path: join(folder, `drain-${qos}.db`),
      config: journalSchema.parse({}),
      log: silentLog,
      clock,
      onFatal: (fault) => {
        throw fault;
      },
    });
    await storage.start();
    const config = bridgeSchema.parse({
      servers: [`mqtt://127.0.0.1:${port}`],
      inflight: Number(values.inflight),
      forward: [{ filter: '#', qos }],
    });
    const payload = Buffer.alloc(Number(values.bytes), 'x');
    const topics = Array.from({ length: 100 }, (_, n) => `site/plant/device-${n}/value`);
    const routes = topics.map((topic) => [
      storage.routeId(routeFor('cloud', config, { id: 'bench' }, topic)),
    ]);
    for (let n = 0; n < records; n += 1) {
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
    while (bridge.snapshot().delivered < records) await new Promise((done) => setTimeout(done, 5));
    const tookMs = clock.monotonicMs() - begunMs;
    const { user, system } = process.cpuUsage(cpu);
    console.log(
      JSON.stringify({
        case: 'drain',
        qos,
        records,
        perSecond: Math.round((records * 1000) / tookMs),
        cpuMicrosPerRecord: Number(((user + system) / records).toFixed(2)),
        rssMB: Math.round(process.memoryUsage.rss() / 1e6),
      }),
    );
    await bridge.stop();
    await storage.stop();
  }
  child.disconnect();
}
