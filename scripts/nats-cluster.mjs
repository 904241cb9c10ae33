/**
 * An upstream that is a cluster: three nats-server nodes (MQTT 3.1.1 on JetStream, every stream on all three) are the
 * `servers` of a bridge, and are killed with SIGKILL and restarted in turn while what the gateway accepted drains.
 *
 *   publisher (mqtt.js) ─▶ godwit run ─▶ n1 │ n2 │ n3 ─▶ oracle (mqtt.js, a kept session)
 *
 *   scripts/nats-cluster [--messages 50000] [--seconds 300] [--keep]
 *
 * Every other time it is the bridge's own node, so that it must fail over, else the one that was killed least. Prints
 * progress on standard error and, at the end, one line of JSON. Exit status 1 if a message is missing, or fewer than
 * three kills (each node once) fell into the drain. Needs nats-server and dist: scripts/nats-cluster sees to both.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import mqtt from 'mqtt';
import { accepting, freePort, sleep } from './lib/ports.mjs';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '50000' },
    seconds: { type: 'string', default: '300' },
    keep: { type: 'boolean', default: false },
  },
});
const total = Number(values.messages);
const startedAtMs = Date.now();
/** In vain: what has not come by then is missing. */
const endMs = startedAtMs + Number(values.seconds) * 1000;
const main = join(import.meta.dirname, '..', 'dist', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'godwit-nats-cluster-'));
const NAMES = ['n1', 'n2', 'n3'];
/** A cluster that takes longer to be whole again is killed on as it is. */
const WHOLE_MS_MAX = 60_000;
/** In flight from the publisher: no more than the broker's Receive Maximum. */
const PUBLISH_BATCH = 100;
/** Few enough that a subscriber can be watched, enough that order per topic is asked for. */
const TOPICS = 20;

const nodes = [];
for (const name of NAMES) {
  nodes.push({
    name,
    client: await freePort(),
    cluster: await freePort(),
    http: await freePort(),
    mqtt: await freePort(),
    child: undefined,
    kills: 0,
  });
}

for (const node of nodes) {
  mkdirSync(join(folder, node.name));
  writeFileSync(join(folder, `${node.name}.conf`), configuration(node));
}

/** What a cluster needs to carry MQTT; the README tells a user the same. */
function configuration({ name, client, cluster, http, mqtt }) {
  return `# Each node needs a name of its own that stays the same over restarts.
server_name: ${name}
listen: 127.0.0.1:${client}
http: 127.0.0.1:${http}
log_file: ${join(folder, `${name}.log`)}
jetstream { store_dir: ${join(folder, name)}, max_memory_store: 64MB, max_file_store: 1GB }
cluster {
  name: upstream
  listen: 127.0.0.1:${cluster}
  routes: [ ${nodes.map((node) => `"nats://127.0.0.1:${node.cluster}"`).join(', ')} ]
}
mqtt {
  listen: 127.0.0.1:${mqtt}
  # Sessions, messages and retained messages on every node: any one of them may be lost.
  stream_replicas: 3
  # Unacknowledged messages per subscription; the default of 100 makes a slow subscriber of a fast one.
  max_ack_pending: 1000
  # How long a message that a subscriber did not acknowledge waits until it is sent again.
  ack_wait: 10s
}
`;
}

function startNode(node) {
  node.child = spawn('nats-server', ['-c', join(folder, `${node.name}.conf`)], { stdio: 'ignore' });
  node.child.once('error', () => {
    console.error('nats-server does not start; install it (apt-get install nats-server) and try again.');
    process.exit(1);
  });
}

/** What a node answers on its monitoring port; undefined where it does not. */
function asked(node, path) {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port: node.http, path }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.once('end', () => resolve(response.statusCode === 200 ? JSON.parse(text) : undefined));
    });
    request.once('error', () => resolve(undefined));
  });
}

/**
 * Every node answers, and of every stream and consumer the leader says that both of its followers have all: only then
 * may the next be killed. 2.9.10 calls a follower that has had nothing to do since its restart not current: /healthz
 * does not serve therefore, and a consumer that never delivered anything need only have a leader.
 */
async function whole() {
  let why = '';
  const limitMs = Math.min(endMs, Date.now() + WHOLE_MS_MAX);
  while (Date.now() < limitMs) {
    const answers = await Promise.all(nodes.map((node) => asked(node, '/jsz?accounts=true&streams=true&consumers=true')));
    why = answers.map(lacks).find((lack) => lack !== '') ?? '';
    if (why === '') return;
    await sleep(250);
  }
  console.error(`The cluster is not whole, and the run goes on: ${why}`);
}

/** What one node's answer says that is not as it should be; '' for nothing. */
function lacks(answer, index) {
  const { name } = nodes[index];
  if (answer?.meta_cluster?.leader === undefined) return `${name} does not answer, or knows no leader`;
  const streams = (answer.account_details ?? []).flatMap((account) => account.stream_detail ?? []);
  for (const part of streams.flatMap((stream) => [stream, ...(stream.consumer_detail ?? [])])) {
    const { leader, replicas = [] } = part.cluster ?? {};
    if (leader === undefined) return `${part.name} has no leader as ${name} sees it`;
    const isIdle = part.delivered?.consumer_seq === 0;
    const behind = leader === name && !isIdle ? replicas.filter((replica) => !replica.current || replica.offline) : [];
    if (behind.length > 0) return `${behind.map((replica) => replica.name).join(', ')} lacks some of ${part.name}`;
  }
  return '';
}

for (const node of nodes) startNode(node);
await whole();
console.error(`Cluster is up after ${Date.now() - startedAtMs} ms: ${nodes.map((node) => `${node.name} :${node.mqtt}`).join(', ')}`);

/** What arrived, how often, and whether its order held. */
const counts = new Map();
const last = new Map();
let arrived = 0;
let outOfOrder = 0;
let redelivered = 0;
const oracle = mqtt.connect({
  servers: [...nodes].reverse().map((node) => ({ host: '127.0.0.1', port: node.mqtt, protocol: 'mqtt' })),
  clientId: 'oracle',
  clean: false,
  protocolVersion: 4,
  reconnectPeriod: 500,
  connectTimeout: 5000,
});
oracle.on('error', () => {});
oracle.on('message', (topic, payload, packet) => {
  if (!topic.startsWith('site/')) return;
  const sequence = Number(payload);
  const before = counts.get(sequence) ?? 0;
  counts.set(sequence, before + 1);
  arrived += 1;
  if (before > 0) return;
  // The cluster sends again what this subscriber did not acknowledge before its node died, once ack_wait is over and
  // so behind newer ones: that tells nothing of the order in which the bridge sent.
  if (packet.dup) redelivered += 1;
  else if (sequence < (last.get(topic) ?? -1)) outOfOrder += 1;
  last.set(topic, Math.max(last.get(topic) ?? -1, sequence));
});
await once(oracle, 'connect');
await oracle.subscribeAsync('site/#', { qos: 1 });

const localPort = await freePort();
writeFileSync(
  join(folder, 'godwit.yaml'),
  `gateway: { id: well-17 }
journal: { path: state/journal.db }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${localPort}" } ] }
bridges:
  cluster:
    servers: [ ${nodes.map((node) => `"mqtt://127.0.0.1:${node.mqtt}"`).join(', ')} ]
    version: 3.1.1
    keepalive: 10s
    ack_timeout: 10s
    return_after: 10m
    backoff: { min: 100ms, max: 2s }
    forward: [ { filter: "site/#", qos: 1 } ]
`,
);
let said = '';
const gateway = spawn(process.execPath, [main, 'run', '-c', join(folder, 'godwit.yaml')], { stdio: ['ignore', 'pipe', 'pipe'] });
for (const stream of [gateway.stdout, gateway.stderr]) {
  stream.on('data', (text) => {
    said = (said + text).slice(-200_000);
  });
}
gateway.once('exit', (code) => {
  if (code === 0) return;
  console.error(`godwit ended by itself with ${code}\n${said.slice(-2000)}`);
  process.exit(1);
});
await accepting(localPort);

const publisher = mqtt.connect({ host: '127.0.0.1', port: localPort, protocolVersion: 5 });
await once(publisher, 'connect');
const publishing = (async () => {
  for (let from = 0; from < total; from += PUBLISH_BATCH) {
    const batch = [];
    for (let n = from; n < Math.min(from + PUBLISH_BATCH, total); n += 1) {
      batch.push(publisher.publishAsync(`site/pump-${n % TOPICS}/value`, String(n), { qos: 1 }));
    }
    await Promise.all(batch);
  }
})();

/** What the gateway itself says of its bridge. */
async function bridge() {
  const child = spawn(process.execPath, [main, 'status', '--json', '-c', join(folder, 'godwit.yaml')], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(child, 'close');
  return text === '' ? undefined : JSON.parse(text).bridges.cluster;
}

let drainedAtMs;
let kills = 0;
let killsInDrain = 0;
while (Date.now() < endMs) {
  const at = await bridge();
  if (at !== undefined && at.waiting + at.inFlight === 0 && at.delivered >= total) {
    drainedAtMs = Date.now();
    break;
  }
  const own = nodes.find((node) => at?.state === 'connected' && at.server.endsWith(`:${node.mqtt}`));
  const least = [...nodes].sort((one, other) => one.kills - other.kills)[0];
  const victim = kills % 2 === 0 || own === undefined ? own : least;
  if (victim === undefined) {
    await sleep(200);
    continue;
  }
  await sleep(1000);
  const before = await bridge();
  const gone = once(victim.child, 'exit');
  victim.child.kill('SIGKILL');
  await gone;
  victim.kills += 1;
  kills += 1;
  if (before !== undefined && before.waiting > 0) killsInDrain += 1;
  console.error(`${victim.name}${victim === own ? ' (the bridge is there)' : ''} killed at ${before?.delivered} delivered, ${before?.waiting} waiting, ${arrived} arrived`);
  await sleep(2000);
  startNode(victim);
  await whole();
}
await publishing;
const missing = () => {
  let count = 0;
  for (let n = 0; n < total; n += 1) if (!counts.has(n)) count += 1;
  return count;
};
while (Date.now() < endMs && missing() > 0) await sleep(500);

const final = await bridge();
const result = {
  messages: total,
  seconds: Math.round((Date.now() - startedAtMs) / 1000),
  drainSeconds: drainedAtMs === undefined ? null : Math.round((drainedAtMs - startedAtMs) / 1000),
  kills: Object.fromEntries(nodes.map((node) => [node.name, node.kills])),
  killsInDrain,
  missing: missing(),
  duplicates: [...counts.values()].reduce((sum, count) => sum + count - 1, 0),
  outOfOrder,
  redelivered,
  sessionsLost: final?.sessionsLost ?? null,
  lost: final?.lost ?? null,
};
console.log(JSON.stringify(result));
writeFileSync(join(folder, 'godwit.log'), said);
publisher.end(true);
oracle.end(true);
gateway.removeAllListeners('exit');
gateway.kill('SIGKILL');
for (const node of nodes) node.child.kill('SIGKILL');
const failed = result.missing > 0 || nodes.some((node) => node.kills === 0) || killsInDrain < NAMES.length;
if (values.keep || failed) console.error(`Kept: ${folder}`);
else rmSync(folder, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
