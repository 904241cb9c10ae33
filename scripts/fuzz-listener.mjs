#!/usr/bin/env node
/**
 * One million mutated packets against a live listener, in a process of its own: memory must stay flat, and a client that
 * behaves must notice nothing. Run by hand: node scripts/fuzz-listener.mjs [--packets N] [--seed N] [--web-socket]
 *
 *   this process: mutates a conversation, many connections at a time        child: the compiled broker
 *                 a well-behaved client sends and expects its own messages         prints its memory when asked
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { encode } from '../dist/mqtt/encoder.js';

if (process.argv[2] === 'broker') await serve();
else await fuzz();

/** The child: a broker, and its memory on demand. */
async function serve() {
  const { Broker } = await import('../dist/index.js');
  const warned = {};
  const count = (_fields, sentence) => {
    warned[sentence] = (warned[sentence] ?? 0) + 1;
  };
  const broker = await new Broker({
    listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'ws://127.0.0.1:0/mqtt' }],
    // Small ones, so that each is soon reached and what grows beyond it shows.
    limits: {
      max_packet_size: '64KiB',
      connect_timeout: '2s',
      max_retained: 1000,
      max_retained_bytes: '4MiB',
      max_queued: 50,
      max_queued_bytes: '64KiB',
      max_session_expiry: '10s',
    },
    log: { error: count, warn: count, info: count, debug: () => {} },
  }).start();
  process.on('message', async (what) => {
    if (what === 'stop') {
      await broker.close();
      process.disconnect();
      return;
    }
    globalThis.gc?.();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    process.send({ memory: { rss, heapUsed, arrayBuffers }, snapshot: broker.snapshot(), warned });
  });
  process.send({ urls: broker.urls });
}

async function fuzz() {
  const { values } = parseArgs({
    options: {
      packets: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      'web-socket': { type: 'boolean', default: false },
    },
  });
  const wanted = Number(values.packets);
  const random = randomOf(Number(values.seed));
  console.log(`seed ${values.seed}`);
  const child = fork(new URL(import.meta.url).pathname, ['broker'], { execArgv: ['--expose-gc'] });
  const [{ urls }] = await once(child, 'message');
  const port = Number(new URL(urls[values['web-socket'] ? 1 : 0]).port);
  const good = await behave(Number(new URL(urls[0]).port));
  const begunAtMs = Date.now();
  let sent = 0;
  let connections = 0;
  const show = async () => {
    const answered = once(child, 'message');
    child.send('report');
    const [{ memory, snapshot, warned }] = await answered;
    const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);
    console.log(
      `${sent} mutated packets, ${connections} connections, rss ${mib(memory.rss)} MiB, heap ${mib(memory.heapUsed)} MiB, ` +
        `buffers ${mib(memory.arrayBuffers)} MiB, sessions ${snapshot.sessions}, retained ${snapshot.retained}, ` +
        `protocol errors ${snapshot.protocolErrors}, good client: ${good.rounds} rounds, slowest ${good.slowestMs} ms`,
    );
    return { memory, warned };
  };
  // After a collection: what is kept, not what is still to be thrown away.
  const kept = async () => {
    const { memory } = await show();
    return memory.heapUsed + memory.arrayBuffers;
  };
  const memories = [await kept()];
  const step = Math.ceil(wanted / 10);
  let next = step;
  while (sent < wanted) {
    const batch = await Promise.all(
      Array.from({ length: 20 }, () => attack(port, random, values['web-socket'])),
    );
    connections += batch.length;
    for (const packets of batch) sent += packets;
    if (sent >= next) {
      memories.push(await kept());
      next += step;
    }
  }
  const { warned } = await show();
  await good.stop();
  child.send('stop');
  const [code] = await once(child, 'exit');
  console.log(`log lines: ${JSON.stringify(warned)}`);
  const [settled, last] = [memories[Math.min(3, memories.length - 1)], memories.at(-1)];
  const grownMiB = (last - settled) / 2 ** 20;
  console.log(
    `${((Date.now() - begunAtMs) / 1000).toFixed(0)} s; from the third tenth to the last ${grownMiB.toFixed(1)} MiB are kept; broker ended with ${code}`,
  );
  if (code !== 0 || good.faults > 0 || grownMiB > 8) {
    console.error(`failed: exit ${code}, faults of the good client ${good.faults}, growth ${grownMiB.toFixed(1)} MiB`);
    process.exitCode = 1;
  }
}

/** A whole conversation, some of it wrong, cut into pieces anywhere; resolves with the number of packets mutated. */
async function attack(port, random, webSocket) {
  const chosen = conversation(random).filter(() => random() < 0.85);
  // Few, so that the later ones are reached; or many.
  const share = random() < 0.5 ? 0.15 : 0.5;
  let wrong = 0;
  const mutated = chosen.map((bytes) => {
    if (random() >= share) return bytes;
    wrong += 1;
    return mutate(bytes, random);
  });
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.resume();
  const ended = new Promise((resolve) => socket.on('close', resolve));
  if (webSocket) {
    socket.write(
      'GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
    );
  }
  let stream = Buffer.concat(mutated);
  while (stream.length > 0) {
    const piece = stream.subarray(0, 1 + Math.floor(random() * stream.length));
    stream = stream.subarray(piece.length);
    socket.write(webSocket ? frame(piece, random) : piece);
    if (random() < 0.2) await new Promise((resolve) => setImmediate(resolve));
  }
  if (random() < 0.5) socket.end();
  else socket.destroySoon();
  await ended;
  return wrong;
}

function conversation(random) {
  const version = random() < 0.5 ? 5 : 4;
  const clientId = `fuzz-${Math.floor(random() * 200)}`;
  const payload = Buffer.alloc(Math.floor(random() * 200), 0x78);
  const properties = (some) => (version === 5 && random() < 0.5 ? { properties: some } : {});
  const topic = `fuzz/${Math.floor(random() * 5000)}/${'x'.repeat(Math.floor(random() * 20))}`;
  const filter = ['fuzz/#', 'fuzz/+/x', topic, '$share/g/fuzz/#', '$SYS/#'][Math.floor(random() * 5)];
  const requested = { qos: 2, noLocal: false, retainAsPublished: version === 5, retainHandling: 0 };
  const subscription = { ...requested, ...(version === 5 ? {} : { retainAsPublished: false }), topicFilter: filter };
  const publish = (qos, packetIdentifier) => ({
    ...{ type: 'publish', topic, payload, qos, retain: random() < 0.3, dup: false },
    ...(qos > 0 ? { packetIdentifier } : {}),
    ...properties({ topicAlias: 1 + Math.floor(random() * 120), messageExpiryInterval: 5, userProperties: [['a', 'b']] }),
  });
  const packets = [
    {
      ...{ type: 'connect', protocolVersion: version, clientId, cleanStart: random() < 0.5, keepAlive: 10 },
      ...(random() < 0.5 ? { will: { topic: 'fuzz/will', payload, qos: 1, retain: random() < 0.5 } } : {}),
      ...properties({ sessionExpiryInterval: 3, receiveMaximum: 5, topicAliasMaximum: 10, maximumPacketSize: 500 }),
    },
    { type: 'subscribe', packetIdentifier: 1, subscriptions: [subscription] },
    ...[0, 1, 2].flatMap((qos) => [publish(qos, 10 + qos), publish(qos, 20 + qos)]),
    ...['pubrel', 'pubrec', 'pubcomp', 'puback'].map((type) => ({ type, packetIdentifier: 12, reasonCode: 0 })),
    { type: 'unsubscribe', packetIdentifier: 2, topicFilters: [filter] },
    { type: 'pingreq' },
    { type: 'disconnect', reasonCode: 0 },
  ];
  return packets.map((packet) => encode(packet, version));
}

function mutate(bytes, random) {
  const changed = Buffer.from(bytes);
  const at = () => Math.floor(random() * changed.length);
  switch (Math.floor(random() * 6)) {
    case 0:
      changed[at()] ^= 1 << Math.floor(random() * 8);
      return changed;
    case 1:
      changed[at()] = Math.floor(random() * 256);
      changed[at()] = Math.floor(random() * 256);
      return changed;
    case 2:
      return changed.subarray(0, at());
    case 3:
      return Buffer.concat([changed, changed.subarray(at())]);
    case 4:
      // A length that promises up to 256 MiB.
      return Buffer.concat([changed.subarray(0, 1), Buffer.from([0xff, 0xff, 0xff, 0x7f]), changed.subarray(1)]);
    default:
      return Buffer.from(Array.from({ length: 1 + at() }, () => Math.floor(random() * 256)));
  }
}

/** A client's frame, now and then a broken one. */
function frame(payload, random) {
  const opcode = random() < 0.95 ? 0x82 : Math.floor(random() * 256);
  const length =
    payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([opcode, ...length, 0, 0, 0, 0]), payload]);
}

/** Publishes to itself at QoS 1, over and over; counts what went wrong and the longest wait. */
async function behave(port) {
  const { Client } = await import('../dist/index.js');
  const client = new Client({ url: `mqtt://127.0.0.1:${port}`, reconnect: false });
  const good = { rounds: 0, slowestMs: 0, faults: 0, stop: undefined };
  await client.connect();
  let came;
  await client.subscribe('good/#', () => came?.(), { qos: 1 });
  let running = true;
  const loop = (async () => {
    while (running) {
      const begunMs = performance.now();
      const back = new Promise((resolve) => {
        came = resolve;
      });
      await client.publish('good/one', 'x', { qos: 1 });
      await back;
      good.rounds += 1;
      good.slowestMs = Math.max(good.slowestMs, Math.round(performance.now() - begunMs));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })().catch((fault) => {
    console.error(`The client that behaves was disturbed: ${fault.message}`);
    good.faults += 1;
  });
  good.stop = async () => {
    running = false;
    await loop;
    await client.close();
  };
  return good;
}

/** mulberry32 */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
