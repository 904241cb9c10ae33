#!/usr/bin/env node
/**
 * An MQTT load generator in one process, on raw bytes: what it costs itself must not hide what a broker costs.
 *
 *   node scripts/bench/load.mjs --port 1883 --layout fan-in --publishers 50 --subscribers 1 --qos 1 --seconds 2 --pid PID
 *
 *   connect, subscribe ──▶ warm-up ──▶ measured span ──▶ drain ──▶ one line of JSON
 *
 * Each payload carries (publisher, sequence number, send time), so that what was lost, duplicated or reordered is
 * counted, and how long each message took. All packets of one turn of the event loop are written at once. At most
 * `window` messages of a publisher are unacknowledged, at most `outstanding` are on their way to subscribers, so that
 * no broker has to drop any. With --pid, CPU time and memory of that process (the broker) over the measured span.
 * The generator's own share of a core is printed too: near 1 it is what limits messages/s.
 */
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';
import { Histogram } from './lib/histogram.mjs';
import { processUsage } from './lib/process-usage.mjs';

const { values: given } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    /** fan-in: each publisher its own topic, subscribers on all; fan-out: all on one; pairs: subscriber j on publisher j;
     * spread: every filter belongs to one subscriber, messages go to filters at random; idle: connections only. */
    layout: { type: 'string', default: 'fan-in' },
    publishers: { type: 'string', default: '50' },
    subscribers: { type: 'string', default: '1' },
    qos: { type: 'string', default: '0' },
    size: { type: 'string', default: '64' },
    window: { type: 'string', default: '20' },
    outstanding: { type: 'string', default: '500' },
    /** Messages/s in all; 0: as many as go. */
    rate: { type: 'string', default: '0' },
    /** fan-in: topics chosen at random by every publisher instead of one of its own; spread: how many filters. */
    topics: { type: 'string', default: '0' },
    warmup: { type: 'string', default: '0.5' },
    seconds: { type: 'string', default: '2' },
    version: { type: 'string', default: '4' },
    username: { type: 'string' },
    password: { type: 'string' },
    /** A CA's certificate: TLS. */
    ca: { type: 'string' },
    pid: { type: 'string' },
  },
});
const { host, layout, username, password } = given;
const port = Number(given.port);
const idle = layout === 'idle';
const publisherCount = Number(given.publishers);
const subscriberCount = idle ? 0 : Number(given.subscribers);
const qos = Number(given.qos);
const payloadBytes = Number(given.size);
const windowMax = Number(given.window);
const outstandingMax = Number(given.outstanding);
const ratePerMs = Number(given.rate) / 1000;
const topicCount = Number(given.topics);
const version = Number(given.version);
const pid = given.pid === undefined ? undefined : Number(given.pid);
const ca = given.ca === undefined ? undefined : readFileSync(given.ca);
if (!['fan-in', 'fan-out', 'pairs', 'spread', 'idle'].includes(layout)) fail(`unknown layout '${layout}'`);
if (payloadBytes < 16) fail('a payload has at least 16 bytes');
if (layout === 'spread' && topicCount === 0) fail('spread needs --topics');

/** A connection is not written to while so much waits in it. */
const OUT_BYTES = 64 * 1024;
/** Given up when nothing has come for so long. */
const STALL_MS = 3000;
/** SUBSCRIBEs of the spread layout: so many filters each. */
const FILTERS_PER_PACKET = 200;

// What is read by all connections in turn: the callback is done with it before the next read.
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
const joinBuffer = Buffer.allocUnsafeSlow(512 * 1024);

/** Topics of one length, one behind the other. */
const topicNames = topicCount > 0 ? Array.from({ length: topicCount }, (_, index) => spreadTopic(index)) : [];
const topicBytes = topicNames[0]?.length ?? 0;
const topicSlab = Buffer.from(topicNames.join(''), 'latin1');
topicNames.length = 0;

/** Deliveries that one message of a publisher causes. */
const fan = layout === 'spread' ? 1 : layout === 'pairs' ? subscriberCount / publisherCount : subscriberCount;

const latency = new Histogram();
let phase = 'connecting';
let sent = 0;
let acknowledged = 0;
let received = 0;
let expected = 0;
let duplicates = 0;
let reordered = 0;
let missing = 0;
let foreign = 0;
let lastProgressMs = performance.now();
let nowMs = lastProgressMs;
let pacedFromMs = 0;
let paced = 0;
let random = 0x2545f491;
let nextPublisher = 0;
let finish;
const finished = new Promise((resolve) => {
  finish = resolve;
});

const dirty = [];
let turnScheduled = false;

class Connection {
  constructor(index, clientId) {
    this.index = index;
    this.out = Buffer.allocUnsafeSlow(OUT_BYTES);
    this.used = 0;
    this.partial = undefined;
    this.isDirty = false;
    this.isReady = false;
    this.ready = new Promise((resolve) => {
      this.setReady = resolve;
    });
    const onread = {
      buffer: readBuffer,
      callback: (size) => {
        this.read(readBuffer, size);
        return true;
      },
    };
    const greet = () => this.send(connectPacket(clientId));
    if (ca === undefined) {
      this.socket = connectTcp({ host, port, noDelay: true, onread }, greet);
    } else {
      this.socket = connectTls({ host, port, ca, servername: 'localhost' }, greet);
      this.socket.setNoDelay(true);
      this.socket.on('data', (chunk) => this.read(chunk, chunk.length));
    }
    this.socket.on('error', (fault) => fail(`${clientId}: ${fault.message}`));
    this.socket.on('close', () => {
      if (phase !== 'done') fail(`${clientId}: the broker closed the connection`);
    });
  }

  read(bytes, size) {
    nowMs = performance.now();
    let from = bytes;
    let at = 0;
    let end = size;
    if (this.partial !== undefined) {
      this.partial.copy(joinBuffer, 0);
      bytes.copy(joinBuffer, this.partial.length, 0, size);
      end += this.partial.length;
      from = joinBuffer;
      this.partial = undefined;
    }
    while (end - at >= 2) {
      let length = 0;
      let body = at + 1;
      let shift = 0;
      let octet = 0x80;
      while (octet >= 0x80 && body < end) {
        octet = from[body];
        length |= (octet & 0x7f) << shift;
        shift += 7;
        body += 1;
      }
      if (octet >= 0x80 || body + length > end) break;
      this.packet(from, from[at], body, body + length);
      at = body + length;
    }
    if (at < end) this.partial = Buffer.from(from.subarray(at, end));
    scheduleTurn();
  }

  /** Room for `size` bytes at `used`. */
  reserve(size) {
    if (this.used + size > OUT_BYTES) this.flush();
    if (!this.isDirty) {
      this.isDirty = true;
      dirty.push(this);
    }
  }

  send(bytes) {
    this.reserve(bytes.length);
    bytes.copy(this.out, this.used);
    this.used += bytes.length;
    scheduleTurn();
  }

  ack(first, identifier) {
    this.reserve(4);
    const { out, used } = this;
    out[used] = first;
    out[used + 1] = 2;
    out[used + 2] = identifier >> 8;
    out[used + 3] = identifier & 0xff;
    this.used = used + 4;
  }

  flush() {
    if (this.used === 0) return;
    this.socket.write(this.out.subarray(0, this.used));
    this.used = 0;
    // Node hands a write to the kernel before it returns if the kernel takes it; else it keeps the buffer.
    if (ca !== undefined || this.socket.writableLength > 0) this.out = Buffer.allocUnsafeSlow(OUT_BYTES);
  }

  connack(bytes, body) {
    if (bytes[body + 1] !== 0) fail(`CONNECT was refused with code ${bytes[body + 1]}`);
  }
}

class Publisher extends Connection {
  constructor(index) {
    super(index, `load-p${index}`);
    this.sequence = 0;
    /** Spread: a sequence for each subscriber. */
    this.sequences = layout === 'spread' ? new Uint32Array(subscriberCount) : undefined;
    this.free = [];
    for (let identifier = windowMax; identifier >= 1; identifier -= 1) this.free.push(identifier);
    const name = topicCount > 0 ? ''.padEnd(topicBytes) : ownTopic(layout === 'fan-out' ? 0 : index);
    this.template = publishPacket(name);
    this.topicAt = this.template.length - payloadBytes - name.length - (qos > 0 ? 2 : 0) - (version === 5 ? 1 : 0);
    this.template.writeUInt32LE(index, this.template.length - payloadBytes);
  }

  packet(bytes, first, body) {
    const identifier = (bytes[body] << 8) | bytes[body + 1];
    switch (first >> 4) {
      case 2:
        this.connack(bytes, body);
        this.isReady = true;
        this.setReady();
        return;
      case 4:
      case 7:
        this.free.push(identifier);
        acknowledged += 1;
        lastProgressMs = nowMs;
        return;
      case 5:
        this.ack(0x62, identifier);
        return;
      case 14:
        fail(`the broker sent DISCONNECT with code ${bytes[body]}`);
    }
  }

  /** False: the window or the socket is full. */
  publish() {
    if (qos > 0 && this.free.length === 0) return false;
    if (this.socket.writableLength > OUT_BYTES) return false;
    const { template } = this;
    const size = template.length;
    this.reserve(size);
    const { out, used } = this;
    out.set(template, used);
    let { sequence } = this;
    if (topicCount > 0) {
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      const topic = (random >>> 0) % topicCount;
      const from = topic * topicBytes;
      const to = used + this.topicAt;
      for (let at = 0; at < topicBytes; at += 1) out[to + at] = topicSlab[from + at];
      if (this.sequences !== undefined) {
        const subscriber = topic % subscriberCount;
        sequence = this.sequences[subscriber];
        this.sequences[subscriber] = sequence + 1;
      }
    }
    this.sequence += 1;
    const payload = used + size - payloadBytes;
    if (qos > 0) {
      const identifier = this.free.pop();
      const at = payload - 2 - (version === 5 ? 1 : 0);
      out[at] = identifier >> 8;
      out[at + 1] = identifier & 0xff;
    }
    out.writeUInt32LE(sequence, payload + 4);
    out.writeDoubleLE(nowMs, payload + 8);
    this.used = used + size;
    sent += 1;
    expected += fan;
    return true;
  }
}

class Subscriber extends Connection {
  constructor(index) {
    super(index, `load-s${index}`);
    /** By publisher: the next sequence number, and those that were passed over. */
    this.next = new Uint32Array(publisherCount);
    this.passedOver = new Map();
    this.filters = this.ownFilters();
  }

  *ownFilters() {
    if (layout === 'fan-in') yield topicCount > 0 ? 'load/#' : 'load/+/temp';
    if (layout === 'fan-out') yield ownTopic(0);
    if (layout === 'pairs') yield ownTopic(this.index % publisherCount);
    if (layout !== 'spread') return;
    // Half of them with a wildcard.
    for (let topic = this.index; topic < topicCount; topic += subscriberCount) yield spreadFilter(topic);
  }

  subscribe() {
    const filters = [];
    for (let next = this.filters.next(); !next.done; next = this.filters.next()) {
      filters.push(next.value);
      if (filters.length === FILTERS_PER_PACKET) break;
    }
    if (filters.length === 0) {
      this.isReady = true;
      this.setReady();
    } else {
      this.send(subscribePacket(filters));
    }
  }

  packet(bytes, first, body, end) {
    const identifier = (bytes[body] << 8) | bytes[body + 1];
    switch (first >> 4) {
      case 2:
        this.connack(bytes, body);
        this.subscribe();
        return;
      case 9:
        if (bytes[end - 1] !== qos) fail(`SUBSCRIBE was answered with code ${bytes[end - 1]}`);
        this.subscribe();
        return;
      case 3:
        this.delivery(bytes, first, body, end);
        return;
      case 6:
        this.ack(0x70, identifier);
        return;
      case 14:
        fail(`the broker sent DISCONNECT with code ${bytes[body]}`);
    }
  }

  delivery(bytes, first, body, end) {
    const payload = end - payloadBytes;
    const packetQos = (first >> 1) & 3;
    if (packetQos > 0) {
      const at = body + 2 + ((bytes[body] << 8) | bytes[body + 1]);
      this.ack(packetQos === 1 ? 0x40 : 0x50, (bytes[at] << 8) | bytes[at + 1]);
    }
    const publisher = bytes.readUInt32LE(payload);
    if (publisher >= publisherCount) {
      foreign += 1;
      return;
    }
    const sequence = bytes.readUInt32LE(payload + 4);
    if (sequence === this.next[publisher]) this.next[publisher] = sequence + 1;
    else if (!this.outOfLine(publisher, sequence)) return;
    received += 1;
    lastProgressMs = nowMs;
    if (phase === 'measured') latency.add((nowMs - bytes.readDoubleLE(payload + 8)) * 1000);
  }

  /** Whether it is new. */
  outOfLine(publisher, sequence) {
    const next = this.next[publisher];
    let passedOver = this.passedOver.get(publisher);
    if (passedOver === undefined) {
      passedOver = new Set();
      this.passedOver.set(publisher, passedOver);
    }
    if (sequence > next) {
      for (let late = next; late < sequence; late += 1) passedOver.add(late);
      missing += sequence - next;
      this.next[publisher] = sequence + 1;
      return true;
    }
    if (passedOver.delete(sequence)) {
      missing -= 1;
      reordered += 1;
      return true;
    }
    duplicates += 1;
    return false;
  }
}

function scheduleTurn() {
  if (turnScheduled) return;
  turnScheduled = true;
  setImmediate(turn);
}

function turn() {
  turnScheduled = false;
  if (phase === 'warm-up' || phase === 'measured') publishMore();
  for (const connection of dirty) {
    connection.isDirty = false;
    connection.flush();
  }
  dirty.length = 0;
  if (phase === 'drain' && received >= expected && (qos === 0 || acknowledged === sent)) finish();
}

function publishMore() {
  nowMs = performance.now();
  let credit = outstandingMax - (expected - received) / fan;
  if (ratePerMs > 0) {
    const due = Math.floor((nowMs - pacedFromMs) * ratePerMs) - paced;
    // What could not be sent in time is not made up for later in one burst.
    if (due > 100) paced += due - 100;
    credit = Math.min(credit, due);
    let refused = 0;
    while (credit >= 1 && refused < publisherCount) {
      if (publishers[nextPublisher].publish()) {
        credit -= 1;
        paced += 1;
        refused = 0;
      } else {
        refused += 1;
      }
      nextPublisher = (nextPublisher + 1) % publisherCount;
    }
    return;
  }
  // A few from each, until nobody can.
  for (let progress = true; progress && credit >= 1; ) {
    progress = false;
    for (let count = 0; count < publisherCount && credit >= 1; count += 1) {
      const publisher = publishers[nextPublisher];
      nextPublisher = (nextPublisher + 1) % publisherCount;
      for (let burst = 0; burst < 8 && credit >= 1 && publisher.publish(); burst += 1) {
        credit -= 1;
        progress = true;
      }
    }
  }
}

function ownTopic(index) {
  return `load/dev${String(index).padStart(4, '0')}/temp`;
}

function spreadTopic(index) {
  return `load/area${index % 10}/dev${String(index).padStart(6, '0')}/temp`;
}

function spreadFilter(index) {
  return index % 2 === 0 ? spreadTopic(index) : `load/+/dev${String(index).padStart(6, '0')}/temp`;
}

function field(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function whole(first, ...parts) {
  const body = Buffer.concat(parts);
  const header = [first];
  for (let rest = body.length; ; rest >>= 7) {
    header.push(rest < 128 ? rest : (rest & 0x7f) | 0x80);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from(header), body]);
}

function connectPacket(clientId) {
  const flags = 2 | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  return whole(
    0x10,
    field('MQTT'),
    Buffer.from([version, flags, 0, 0]),
    Buffer.alloc(version === 5 ? 1 : 0),
    field(clientId),
    ...(username === undefined ? [] : [field(username)]),
    ...(password === undefined ? [] : [field(password)]),
  );
}

function subscribePacket(filters) {
  return whole(
    0x82,
    Buffer.from([0, 1]),
    Buffer.alloc(version === 5 ? 1 : 0),
    ...filters.flatMap((filter) => [field(filter), Buffer.from([qos])]),
  );
}

function publishPacket(topic) {
  return whole(
    0x30 | (qos << 1),
    field(topic),
    Buffer.alloc(qos > 0 ? 2 : 0),
    Buffer.alloc(version === 5 ? 1 : 0),
    Buffer.alloc(payloadBytes, 0x78),
  );
}

function fail(why) {
  console.error(`load: ${why}`);
  process.exit(1);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A few at a time: the broker's backlog of connections is short. */
async function open(count, make) {
  const connections = [];
  for (let index = 0; index < count; index += 1) {
    connections.push(make(index));
    if (index % 32 === 31) await connections[index - 16].ready;
  }
  await Promise.all(connections.map((connection) => connection.ready));
  return connections;
}

const before = pid === undefined ? undefined : processUsage(pid);
await open(subscriberCount, (index) => new Subscriber(index));
const publishers = await open(publisherCount, (index) => new Publisher(index));

if (idle) {
  await sleep(Number(given.seconds) * 1000);
  const after = processUsage(pid);
  console.log(JSON.stringify({ connections: publisherCount, rssBeforeKiB: before.rssKiB, rssKiB: after.rssKiB }));
  process.exit(0);
}

const ticks = ratePerMs > 0 ? setInterval(turn, 1) : undefined;
pacedFromMs = performance.now();
phase = 'warm-up';
turn();
await sleep(Number(given.warmup) * 1000);

phase = 'measured';
const atStart = mark();
await sleep(Number(given.seconds) * 1000);
const atEnd = mark();
phase = 'drain';
turn();
const watch = setInterval(() => {
  if (performance.now() - lastProgressMs > STALL_MS) finish();
}, 100);
await finished;
phase = 'done';
clearInterval(watch);
clearInterval(ticks);

const seconds = (atEnd.atMs - atStart.atMs) / 1000;
const messages = atEnd.received - atStart.received;
const cpuMs = pid === undefined ? undefined : atEnd.usage.cpuMs - atStart.usage.cpuMs;
console.log(
  JSON.stringify({
    layout,
    qos,
    seconds: round(seconds, 3),
    messages,
    messagesPerSecond: Math.round(messages / seconds),
    cpuUsPerMessage: cpuMs === undefined ? undefined : round((cpuMs * 1000) / messages, 3),
    brokerShare: cpuMs === undefined ? undefined : round(cpuMs / seconds / 1000, 2),
    loadShare: round((atEnd.selfMs - atStart.selfMs) / seconds / 1000, 2),
    p50Us: Math.round(latency.quantile(0.5)),
    p99Us: Math.round(latency.quantile(0.99)),
    rssKiB: atEnd.usage?.rssKiB,
    sent,
    acknowledged,
    lost: expected - received,
    passedOver: missing,
    duplicates,
    reordered,
    foreign,
  }),
);
process.exit(0);

function mark() {
  const { user, system } = process.cpuUsage();
  return {
    atMs: performance.now(),
    received,
    selfMs: (user + system) / 1000,
    usage: pid === undefined ? undefined : processUsage(pid),
  };
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
