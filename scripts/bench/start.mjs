#!/usr/bin/env node
/**
 * Time from the start of the process to the first reading published, and the resident memory of the demo.
 *
 *   node scripts/bench/start.mjs [runs=5] [seconds before memory is read=15]
 *
 * Starts `godwit demo` from dist on a free port, subscribes with a bare MQTT client, and prints one line of JSON.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

const runs = Number(process.argv[2] ?? 5);
const settleMs = Number(process.argv[3] ?? 15) * 1000;
const main = join(import.meta.dirname, '..', '..', 'dist', 'main.js');

const CONNECT = Buffer.from('100d00044d5154540402003c000162', 'hex');
const SUBSCRIBE = Buffer.concat([Buffer.from([0x82, 11, 0, 1, 0, 6]), Buffer.from('demo/#'), Buffer.from([0])]);

const firstReadings = [];
const memories = [];
for (let run = 0; run < runs; run++) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [main, 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const match = /mqtt:\/\/127\.0\.0\.1:(\d+)/.exec(text);
      if (match) resolve(Number(match[1]));
    });
    child.once('exit', (code) => reject(new Error(`godwit demo ended with ${code}`)));
  });
  await firstPublish(port);
  firstReadings.push(performance.now() - startedAt);
  if (run === runs - 1) {
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    memories.push(residentMiB(child.pid));
  }
  child.removeAllListeners('exit');
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
}

const sorted = [...firstReadings].sort((a, b) => a - b);
console.log(
  JSON.stringify({
    node: process.version,
    firstReadingMs: { median: Math.round(sorted[Math.floor(runs / 2)]), min: Math.round(sorted[0]), max: Math.round(sorted[runs - 1]) },
    residentMiB: memories[0],
    goals: { firstReadingMs: 1500, residentMiB: 120 },
  }),
);

/** Resolves when the first PUBLISH arrives. */
function firstPublish(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([CONNECT, SUBSCRIBE])));
    socket.on('data', (chunk) => {
      // CONNACK (4 bytes) and SUBACK (5) may share a segment with the first PUBLISH.
      for (let at = 0; at + 1 < chunk.length; at += 2 + chunk[at + 1]) {
        if (chunk[at] >> 4 === 3) {
          socket.destroy();
          resolve();
          return;
        }
      }
    });
    socket.once('error', reject);
  });
}

function residentMiB(pid) {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return Math.round(Number(kib) / 102.4) / 10;
}
