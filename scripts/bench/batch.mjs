#!/usr/bin/env node
/**
 * node scripts/bench/batch.mjs [--seconds 600]
 *
 * What a reading costs in batches, by encoding and compression: bytes of payload, estimated bytes on the wire (both
 * directions, QoS 1), and CPU to encode and decode. One line of JSON each. No gateway, no socket: the codec alone.
 *
 * The readings are the same each time: 40 series at 1 Hz, two decimals, each a random walk (steps of normal
 * distribution, 0.02) read with noise (0.05), at the full second ±1 ms, accepted 0 or 1 ms later. With `trend` they
 * go through report: { on: trend, tolerance: 0.15, every: 10m }, three times the noise, which one reading in 370
 * exceeds; bytes are per reading that was read.
 *
 * Wire = payload + PUBLISH (7 + topic + Content Type) + PUBACK (4) + TCP/IP headers with timestamps (52) of each
 * segment of 1448 bytes, of the PUBACK and of one acknowledgement.
 */
import { parseArgs } from 'node:util';
import { batchContentType } from '../../dist/batch/batch.js';
import { decodeBatch } from '../../dist/batch/decode.js';
import { encodeBatch } from '../../dist/batch/encode.js';
import { Trend } from '../../dist/mapping/trend.js';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' } } });
const SECONDS = Number(values.seconds);
const SERIES = 40;
const START_MS = Date.UTC(2026, 0, 1);
const NOISE = 0.05;
const HEADERS = 52;
const SEGMENT = 1448;
const TOPIC = 'godwit/well-17/batch';

let state = 12345;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

function readings() {
  const walks = Array.from({ length: SERIES }, () => 20 + 60 * random());
  const all = [];
  for (let second = 0; second < SECONDS; second += 1) {
    for (let series = 0; series < SERIES; series += 1) {
      walks[series] += 0.02 * normal();
      const value = Math.round((walks[series] + NOISE * normal()) * 100) / 100;
      const readAtMs = START_MS + second * 1000 + Math.floor(3 * random()) - 1;
      all.push({ series, second, value, readAtMs, ts: readAtMs + (random() < 0.3 ? 1 : 0) });
    }
  }
  return all;
}

function trended(all) {
  const policy = { tolerance: 3 * NOISE, latestMs: 600_500, pollMs: 1000 };
  const trends = Array.from({ length: SERIES }, () => new Trend(policy));
  return all.flatMap((one) => {
    const stamp = { wallMs: one.readAtMs, monotonicMs: one.readAtMs, bootId: 'b', trusted: true };
    const sample = { device: 'd', point: 'p', value: one.value, quality: 'good', stamp };
    return trends[one.series]
      .take(sample, one.second * 1000)
      .map(({ value, stamp: { wallMs } }) => ({ ...one, value, readAtMs: wallMs }));
  });
}

function batches(all, seconds) {
  const made = [];
  for (const [index, { series, second, value, readAtMs, ts }] of all.entries()) {
    const batch = Math.floor(second / seconds);
    made[batch] ??= [];
    made[batch].push({
      seq: index + 1,
      ts,
      topic: `site/north/pump-${series >> 3}/sensor-${series & 7}`,
      payload: Buffer.from(`{"ts":${readAtMs},"value":${value},"unit":"°C"}`),
      qos: 1,
      retain: true,
    });
  }
  return made.filter(Boolean).map((messages) => ({ gateway: 'well-17', journal: 'k3v9x2ab', messages }));
}

function cpuUs(since) {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}

const all = readings();
const kept = trended(all);
const cases = [10, 60].flatMap((seconds) =>
  ['json', 'cbor', 'columnar'].flatMap((encoding) =>
    ['none', 'deflate', 'brotli'].map((compress) => ({ seconds, encoding, compress, of: all })),
  ),
);
for (const seconds of [60, 600]) cases.push({ seconds, encoding: 'columnar', compress: 'deflate', of: kept, trend: true });
for (const { compress, encoding, of, seconds, trend = false } of cases) {
  const made = batches(of, seconds);
  for (const batch of made) await decodeBatch(encodeBatch(batch, encoding, compress));
  let begun = process.cpuUsage();
  const encoded = made.map((batch) => encodeBatch(batch, encoding, compress));
  const encodeUs = cpuUs(begun);
  begun = process.cpuUsage();
  for (const bytes of encoded) await decodeBatch(bytes);
  const decodeUs = cpuUs(begun);
  const contentType = batchContentType(encoding, compress);
  let payload = 0;
  let wire = 0;
  for (const { length } of encoded) {
    const packet = 7 + TOPIC.length + 4 + contentType.length + length;
    payload += length;
    wire += packet + 4 + HEADERS * (Math.ceil(packet / SEGMENT) + 2);
  }
  const per = (sum, count = all.length) => Number((sum / count).toFixed(2));
  const cost = { encodeUs: per(encodeUs, of.length), decodeUs: per(decodeUs, of.length) };
  const told = trend ? { trend, told: Number((of.length / all.length).toFixed(3)) } : {};
  console.log(JSON.stringify({ seconds, encoding, compress, ...told, payload: per(payload), wire: per(wire), ...cost }));
}
