/**
 * Publishers that do nothing but wait for acknowledgements, in a process of its own:
 *
 *   node ack-load.mjs PORT PUBLISHERS WINDOW BYTES SECONDS
 *
 * Each keeps WINDOW messages at QoS 1 unacknowledged; each PUBACK brings the next one. All that one chunk acknowledges is
 * answered with one write. Prints one line of JSON.
 */
import { once } from 'node:events';
import { connect } from 'node:net';

const [port, publishers, windowMax, payloadBytes] = process.argv.slice(2, 6).map(Number);
const seconds = Number(process.argv[6]);
const WARM_UP_MS = 700;

let acknowledged = 0;
let isOver = false;

class Publisher {
  #socket;
  #template;
  #identifierAt;
  #split = Buffer.alloc(0);

  constructor(index) {
    const topic = Buffer.from(`site/north/device-${String(index).padStart(2, '0')}/level`);
    const length = 2 + topic.length + 2 + payloadBytes;
    const head = Buffer.from([0x32, ...(length < 128 ? [length] : [(length & 127) | 128, length >> 7]), 0, topic.length]);
    this.#template = Buffer.concat([head, topic, Buffer.alloc(2), Buffer.alloc(payloadBytes, 'x')]);
    this.#identifierAt = head.length + topic.length;
    this.clientId = `load-${String(index).padStart(2, '0')}`;
  }

  async start() {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const id = Buffer.from(this.clientId);
    this.#socket.write(Buffer.from([0x10, 12 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length, ...id]));
    const [connack] = await once(this.#socket, 'data');
    if (connack[3] !== 0) throw new Error(`CONNECT was refused with code ${connack[3]}`);
    this.#socket.on('data', (chunk) => this.#heard(chunk));
    this.#socket.on('error', fail);
    this.#socket.on('close', () => isOver || fail(new Error('the broker closed a connection')));
    this.#publish(Array.from({ length: windowMax }, (_, index) => index + 1));
  }

  #heard(chunk) {
    const bytes = this.#split.length === 0 ? chunk : Buffer.concat([this.#split, chunk]);
    const whole = bytes.length - (bytes.length % 4);
    this.#split = bytes.subarray(whole);
    const identifiers = [];
    for (let at = 0; at < whole; at += 4) identifiers.push((bytes[at + 2] << 8) | bytes[at + 3]);
    acknowledged += identifiers.length;
    if (!isOver) this.#publish(identifiers);
  }

  #publish(identifiers) {
    const size = this.#template.length;
    const out = Buffer.allocUnsafeSlow(size * identifiers.length);
    identifiers.forEach((identifier, index) => {
      const at = index * size;
      out.set(this.#template, at);
      out[at + this.#identifierAt] = identifier >> 8;
      out[at + this.#identifierAt + 1] = identifier & 255;
    });
    this.#socket.write(out);
  }
}

function fail(fault) {
  console.error(`load: ${fault.message}`);
  process.exit(1);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
await Promise.all(Array.from({ length: publishers }, (_, index) => new Publisher(index).start()));
await sleep(WARM_UP_MS);
const before = acknowledged;
const beganMs = performance.now();
await sleep(seconds * 1000);
const tookMs = performance.now() - beganMs;
console.log(JSON.stringify({ perSecond: Math.round(((acknowledged - before) * 1000) / tookMs) }));
isOver = true;
process.exit(0);
