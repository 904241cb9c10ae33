/**
 * A subscriber that costs next to nothing, in a process of its own: it acknowledges and counts what arrives.
 *
 *   const client = await countingClient(port, { topicFilter: 'site/#', qos: 1 });
 *   await client.arrived(100_000);      // resolves with { count, firstAtMs, lastAtMs }, by performance.timeOrigin + now
 *
 * Its session is kept, and it comes back by itself, so that its server may be restarted. MQTT 3.1.1; only first bytes,
 * lengths and identifiers are looked at. Copies are told by DUP and by packet identifiers of QoS 2 that are still open.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

const RECONNECT_MS = 5;
/** Told to the parent so often. */
const TELL_MS = 20;

export async function countingClient(port, { topicFilter, qos }) {
  const child = fork(import.meta.filename, ['counting-client', String(port), topicFilter, String(qos)]);
  let last = { count: 0, copies: 0 };
  let wake = () => undefined;
  child.on('message', (told) => {
    last = told;
    wake();
  });
  await once(child, 'message');
  return {
    get told() {
      return last;
    },
    async arrived(count, limitMs = 600_000) {
      const limit = setTimeout(() => wake(new Error(`only ${last.count} of ${count} arrived`)), limitMs);
      while (last.count < count) {
        const fault = await new Promise((resolve) => {
          wake = resolve;
        });
        if (fault instanceof Error) throw fault;
      }
      clearTimeout(limit);
      return last;
    },
    stop() {
      child.disconnect();
    },
  };
}

if (process.argv[2] === 'counting-client') run(Number(process.argv[3]), process.argv[4], Number(process.argv[5]));

function run(port, topicFilter, qos) {
  const told = { subscribed: false, count: 0, copies: 0, firstAtMs: 0, lastAtMs: 0 };
  let timer;
  const tell = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      process.send(told);
    }, TELL_MS);
  };
  process.on('disconnect', () => process.exit());
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const held = new Set();
    let rest = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => setTimeout(open, RECONNECT_MS));
    socket.once('connect', () => socket.write(connectPacket()));
    socket.on('data', (chunk) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const answers = [];
      let at = 0;
      for (;;) {
        const body = bodyOf(bytes, at);
        if (body === undefined) break;
        const [from, end] = body;
        switch (bytes[at] >> 4) {
          case 2:
            if (!told.subscribed) socket.write(subscribePacket(topicFilter, qos));
            break;
          case 9:
            told.subscribed = true;
            tell();
            break;
          case 3:
            publish(bytes, at, from, held, answers, told);
            tell();
            break;
          case 6:
            held.delete(bytes.readUInt16BE(from));
            answers.push(0x70, 2, bytes[from], bytes[from + 1]);
        }
        at = end;
      }
      rest = bytes.subarray(at);
      if (answers.length > 0) socket.write(Buffer.from(answers));
    });
  };
  open();
}

function publish(bytes, at, from, held, answers, told) {
  const qos = (bytes[at] >> 1) & 3;
  const id = from + 2 + bytes.readUInt16BE(from);
  const identifier = qos === 0 ? 0 : bytes.readUInt16BE(id);
  if (qos > 0) answers.push(qos === 1 ? 0x40 : 0x50, 2, bytes[id], bytes[id + 1]);
  if ((qos === 1 && (bytes[at] & 8) !== 0) || (qos === 2 && held.has(identifier))) {
    told.copies += 1;
    if (qos === 2) return;
  }
  if (qos === 2) held.add(identifier);
  told.lastAtMs = performance.timeOrigin + performance.now();
  if (told.count === 0) told.firstAtMs = told.lastAtMs;
  told.count += 1;
}

/** From and to where the packet's body goes; undefined while it is not whole. */
function bodyOf(bytes, at) {
  let length = 0;
  let shift = 0;
  for (let from = at + 1; from < bytes.length; ) {
    const byte = bytes[from++];
    length |= (byte & 127) << shift;
    shift += 7;
    if (byte < 128) return from + length <= bytes.length ? [from, from + length] : undefined;
  }
  return undefined;
}

const text = (value) => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
const packet = (first, body) => Buffer.concat([Buffer.from([first, body.length]), body]);

/** A kept session, no Keep Alive. */
function connectPacket() {
  return packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 0, 0, 0]), text('counting-client')]));
}

function subscribePacket(topicFilter, qos) {
  return packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(topicFilter), Buffer.from([qos])]));
}
