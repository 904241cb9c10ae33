/**
 * What the drain and satellite benches are made of: a mosquitto that is the server, and what drains to it, which is
 * either godwit or mosquitto's own bridge. Each is a process of its own, in a folder of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { accepting } from '../../lib/ports.mjs';

/** In flight while the backlog is made; mosquitto 2.0.11 ends a client with more than 20 at QoS 2. */
const FILL_WINDOW = 20;
const STOP_MS_MAX = 5000;

/** The server. `inflight` is what it announces as Receive Maximum. */
export async function mosquittoServer(root, port, inflight) {
  const folder = mkdtempSync(join(root, 'server-'));
  return mosquitto(folder, port, [
    'persistence true',
    `persistence_location ${folder}/`,
    'max_queued_messages 0',
    `max_inflight_messages ${inflight}`,
  ]);
}

/** mosquitto's own bridge, its defaults but for a queue without a limit: with its default it drops what it acknowledged. */
export async function mosquittoBridge(root, port, upstreamPort, qos, extra = []) {
  const folder = mkdtempSync(join(root, 'mosquitto-bridge-'));
  return mosquitto(folder, port, [
    'persistence true',
    `persistence_location ${folder}/`,
    'max_queued_messages 0',
    'connection up',
    `address 127.0.0.1:${upstreamPort}`,
    `topic # out ${qos}`,
    'cleansession false',
    'restart_timeout 1',
    ...extra,
  ]);
}

/** The gateway with defaults; `bridge` is YAML that goes into the bridge's mapping. */
export async function godwitBridge(root, port, upstreamPort, bridge, main) {
  const folder = mkdtempSync(join(root, 'godwit-'));
  const file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    `gateway: { id: bench }
journal: { path: journal.db }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }
bridges: { up: { servers: [ "mqtt://127.0.0.1:${upstreamPort}" ], ${bridge} } }
log: { level: error }
`,
  );
  return started(process.execPath, [main, 'run', '-c', file], port);
}

/** Publishes `count` messages to it and returns when all are acknowledged. */
export async function fill(port, count, { topic, payload, qos }) {
  const client = mqtt.connect({ host: '127.0.0.1', port, protocolVersion: 4, reconnectPeriod: 0 });
  await once(client, 'connect');
  let next = 0;
  const worker = async () => {
    while (next < count) await client.publishAsync(topic, payload(next++), { qos });
  };
  await Promise.all(Array.from({ length: FILL_WINDOW }, worker));
  await client.endAsync();
}

async function mosquitto(folder, port, lines) {
  const file = join(folder, 'mosquitto.conf');
  const user = process.getuid() === 0 ? ['user root'] : [];
  const all = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'log_dest none', ...user, ...lines];
  writeFileSync(file, `${all.join('\n')}\n`);
  return started('mosquitto', ['-c', file], port);
}

async function started(command, args, port) {
  const run = async () => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', (fault) => {
      console.error(`${command} does not start: ${fault.message}`);
      process.exit(1);
    });
    await accepting(port);
    return child;
  };
  let child = await run();
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const limit = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(limit);
  };
  return {
    get pid() {
      return child.pid;
    },
    stop,
    async restart() {
      child = await run();
    },
  };
}
