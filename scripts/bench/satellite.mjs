/**
 * How much of a satellite link a bridge uses while it drains a backlog: 300 ms each way, 256 kbit/s, 16 KiB of queue in
 * the modem. godwit's default configuration beside mosquitto's own bridge, each with a server and a link of its own.
 *
 *   publisher ─▶ godwit │ mosquitto ─▶ LinkProxy ─▶ mosquitto ─▶ counting client
 *
 *   scripts/bench/satellite [--seconds 30] [--records 10000] [--cases A,B] [--together 3] [--json]
 *
 * `used` is the share of the link's capacity, headers and all (scripts/lib/link-model.mjs), from the first Record on the
 * wire on; `first` the time from the SYN to the first Record on the wire, with a new session and with one that is
 * resumed. Exit status 1 where a limit is missed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LinkProxy } from '../lib/link-proxy.mjs';
import { freePort, sleep } from '../lib/ports.mjs';
import { countingClient } from './lib/counting-client.mjs';
import { fill, godwitBridge, mosquittoBridge, mosquittoServer } from './lib/upstream-processes.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    records: { type: 'string', default: '10000' },
    cases: { type: 'string', default: '' },
    together: { type: 'string', default: '3' },
    folder: { type: 'string', default: '.' },
    dist: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist') },
    json: { type: 'boolean', default: false },
  },
});
const DELAY_MS = 300;
const BYTES_PER_SECOND = 256_000 / 8;
const USED_LEAST = 0.97;
const FIRST_MS_MOST = 2500;
const TOPIC = 'site/pump/reading';
/** As long as a reading's JSON with a few keys. */
const payload = (n) => JSON.stringify({ ts: 1_732_147_200_000 + n, value: n / 100, unit: 'C' }).padEnd(100);

const CASES = [
  { name: 'godwit QoS 1', by: 'godwit', qos: 1, inflight: 1000, limited: true },
  { name: 'godwit QoS 2', by: 'godwit', qos: 2, inflight: 1000, limited: true },
  { name: 'mosquitto QoS 1', by: 'mosquitto', qos: 1, inflight: 1000 },
  { name: 'mosquitto QoS 2', by: 'mosquitto', qos: 2, inflight: 1000 },
  { name: 'godwit QoS 1, server announces 20', by: 'godwit', qos: 1, inflight: 20 },
  { name: 'godwit QoS 2, server announces 20', by: 'godwit', qos: 2, inflight: 20 },
];

const root = mkdtempSync(join(resolve(values.folder), 'satellite-bench-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const wanted = values.cases === '' ? CASES : CASES.filter(({ name }) => values.cases.split(',').some((part) => name.includes(part.trim())));
const results = [];
for (let at = 0; at < wanted.length; at += Number(values.together)) {
  results.push(...(await Promise.all(wanted.slice(at, at + Number(values.together)).map(measure))));
}
if (values.json) console.log(JSON.stringify({ case: 'satellite', results }));
else print(results);
process.exit(results.some(({ missed }) => missed.length > 0) ? 1 : 0);

async function measure({ name, by, qos, inflight, limited = false }) {
  const [serverPort, localPort] = [await freePort(), await freePort()];
  const server = await mosquittoServer(root, serverPort, inflight);
  const subscriber = await countingClient(serverPort, { topicFilter: 'site/#', qos });
  const link = new LinkProxy(serverPort);
  const linkPort = await link.listen();
  link.shape({ refuse: true });
  const source =
    by === 'godwit'
      ? await godwitBridge(root, localPort, linkPort, `forward: [ { filter: "site/#", qos: ${qos} } ]`, join(values.dist, 'main.js'))
      : await mosquittoBridge(root, localPort, linkPort, qos);
  await fill(localPort, Number(values.records), { topic: TOPIC, payload, qos });

  const firstRecord = () =>
    new Promise((found) => {
      link.tap = (direction, chunk, connection, atMs) => {
        if (direction === 'up' && chunk.includes(TOPIC)) found({ atMs, tookMs: atMs - connection.acceptedAtMs });
      };
    });
  let first = firstRecord();
  link.shape({ delayMs: DELAY_MS, bytesPerSecond: BYTES_PER_SECOND });
  const { atMs, tookMs: newMs } = await first;
  const begun = { up: link.up.sent(atMs), down: link.down.sent(atMs), count: subscriber.told.count };
  await sleep(Number(values.seconds) * 1000);
  const nowMs = performance.now();
  const seconds = (nowMs - atMs) / 1000;
  const up = link.up.sent(nowMs) - begun.up;
  const down = link.down.sent(nowMs) - begun.down;
  const { count } = subscriber.told;

  first = firstRecord();
  link.cut();
  const { tookMs: resumedMs } = await first;
  // What was on the wire at the cut goes again; whatever else comes twice was not needed.
  await Promise.all([source.stop(), link.close()]);
  subscriber.stop();
  await server.stop();

  const used = up / seconds / BYTES_PER_SECOND;
  const result = {
    name,
    used: Number(used.toFixed(4)),
    messagesPerSecond: Number((count / seconds).toFixed(1)),
    wireBytesPerMessage: { up: Math.round(up / count), down: Math.round(down / count) },
    firstNewMs: Math.round(newMs),
    firstResumedMs: Math.round(resumedMs),
  };
  const missed = [];
  if (limited && used < USED_LEAST) missed.push(`used ${(100 * used).toFixed(1)} %, at least ${100 * USED_LEAST} %`);
  for (const [what, ms] of [['new', newMs], ['resumed', resumedMs]]) {
    if (by === 'godwit' && ms > FIRST_MS_MOST) missed.push(`first Record of a ${what} session after ${Math.round(ms)} ms, at most ${FIRST_MS_MOST}`);
  }
  return { ...result, missed };
}

function print(rows) {
  console.log(`${DELAY_MS} ms each way, ${(BYTES_PER_SECOND * 8) / 1000} kbit/s, ${values.records} queued, ${values.seconds} s`);
  const width = Math.max(...rows.map(({ name }) => name.length));
  for (const row of rows) {
    const { wireBytesPerMessage: bytes } = row;
    const figures = [
      `${(100 * row.used).toFixed(1)} % of the link`.padStart(17),
      `${row.messagesPerSecond.toFixed(0)} messages/s`.padStart(15),
      `${bytes.up} + ${bytes.down} B each`.padStart(16),
      `first ${row.firstNewMs} ms new, ${row.firstResumedMs} ms resumed`,
    ];
    console.log(`  ${row.name.padEnd(width)}  ${figures.join('  ')}`);
    for (const what of row.missed) console.log(`  ${''.padEnd(width)}  MISSED: ${what}`);
  }
}
