/** MQTT byte by byte, for scripts that must know exactly what was said when: publishers, and an upstream that forgets. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export const CONNECT = 1;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
const PINGREQ = 12;

/** Cuts a stream into packets. */
export class PacketStream {
  #pending = Buffer.alloc(0);

  *packets(chunk) {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    for (;;) {
      let length = 0;
      let at = 1;
      let isWhole = false;
      for (let scale = 1; at < this.#pending.length && at < 5; scale *= 128) {
        const byte = this.#pending[at++];
        length += (byte & 127) * scale;
        if (byte < 128) {
          isWhole = true;
          break;
        }
      }
      if (!isWhole || this.#pending.length < at + length) return;
      yield { type: this.#pending[0] >> 4, flags: this.#pending[0] & 15, body: this.#pending.subarray(at, at + length) };
      this.#pending = this.#pending.subarray(at + length);
    }
  }
}

/** The fields of an MQTT 5 PUBLISH at QoS 1 or 2, as a gateway sends it. */
export function publishOf({ flags, body }) {
  const topicBytes = body.readUInt16BE(0);
  const identifierAt = 2 + topicBytes;
  let at = identifierAt + 2;
  let properties = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = body[at++];
    properties += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return {
    qos: (flags >> 1) & 3,
    topic: body.toString('utf8', 2, identifierAt),
    packetIdentifier: body.readUInt16BE(identifierAt),
    payload: body.toString('utf8', at + properties),
  };
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function packet(first, ...parts) {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

const identifierBytes = (identifier) => Buffer.from([identifier >> 8, identifier & 255]);

/** The payload of the message that a publisher of ours sends with this Packet Identifier. */
export function payloadOf(clientId, identifier) {
  return `${clientId} ${identifier} ${'x'.repeat((identifier * 37) % 200)}`;
}

/** Speaks MQTT 3.1.1; each message has a Packet Identifier of its own, so that an acknowledgement names it for ever. */
export class RawPublisher {
  #socket;
  #options;
  #heard = () => {};

  static async connect(port, clientId, options = {}) {
    const publisher = new RawPublisher(clientId, options);
    await publisher.#open(port);
    return publisher;
  }

  constructor(clientId, options) {
    this.clientId = clientId;
    this.#options = { qos: 1, window: 1, clean: true, holds: false, retain: false, ...options };
  }

  async #open(port) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(this.#socket, 'connect');
    this.localPort = this.#socket.localPort;
    const stream = new PacketStream();
    this.#socket.on('data', (chunk) => {
      for (const one of stream.packets(chunk)) this.#heard(one);
    });
    this.#socket.on('error', () => {});
    const flags = this.#options.clean ? 2 : 0;
    const connack = this.#next();
    this.#socket.write(packet(0x10, text('MQTT'), Buffer.from([4, flags, 0, 0]), text(this.clientId)));
    await connack;
  }

  #next() {
    return new Promise((resolve) => {
      this.#heard = resolve;
    });
  }

  async subscribe(filter) {
    const suback = this.#next();
    this.#socket.write(packet(0x82, identifierBytes(1), text(filter), Buffer.from([2])));
    await suback;
  }

  /** Resolves when so many have been acknowledged; one that `holds` never sends PUBREL. */
  async publishAll(count) {
    const { qos, window, holds, retain } = this.#options;
    let next = 1;
    let open = 0;
    let done = 0;
    await new Promise((resolve) => {
      const fill = () => {
        for (; open < window && next <= count; next += 1, open += 1) {
          const topic = text(retain ? 'proof/retained' : `proof/${this.clientId}/${next % 7}`);
          const payload = Buffer.from(payloadOf(this.clientId, next));
          this.#socket.write(packet(0x30 | (qos << 1) | (retain ? 1 : 0), topic, identifierBytes(next), payload));
        }
      };
      this.#heard = ({ type, body }) => {
        if (type === PUBREC && !holds) {
          this.#socket.write(packet(0x62, body.subarray(0, 2)));
          return;
        }
        open -= 1;
        done += 1;
        if (done === count) resolve();
        else fill();
      };
      fill();
    });
  }

  disconnect() {
    this.#socket.end(Buffer.from([0xe0, 0]));
  }
}

/** Of four handshakes it leaves one without PUBREC and one without PUBCOMP, by the identifier. */
export const staysPublished = (identifier) => identifier % 4 === 0;
export const staysReleased = (identifier) => identifier % 4 === 1;

/** An MQTT 5 server that takes everything and keeps nothing. */
export async function startUpstream() {
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (socket) => {
    const stream = new PacketStream();
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const one of stream.packets(chunk)) answer(socket, one);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function answer(socket, one) {
  const { type, body } = one;
  if (type === CONNECT) socket.write(packet(0x20, Buffer.from([0, 0, 0])));
  if (type === SUBSCRIBE) socket.write(packet(0x90, body.subarray(0, 2), Buffer.from([0, 2])));
  if (type === PINGREQ) socket.write(packet(0xd0));
  if (type === PUBLISH) {
    const { qos, packetIdentifier } = publishOf(one);
    if (qos === 1) socket.write(packet(0x40, identifierBytes(packetIdentifier)));
    if (qos === 2 && !staysPublished(packetIdentifier)) socket.write(packet(0x50, identifierBytes(packetIdentifier)));
  }
  if (type === PUBREL) {
    const packetIdentifier = body.readUInt16BE(0);
    if (!staysReleased(packetIdentifier)) socket.write(packet(0x70, identifierBytes(packetIdentifier)));
  }
}
