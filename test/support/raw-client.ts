/**
 * An MQTT client that does exactly what it is told, packet by packet or byte by byte, over a real socket. What has
 * not arrived is proven by `settled()`: a PINGREQ goes out, and whatever came before its PINGRESP is returned.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { Decoder } from '../../src/mqtt/decoder.js';
import { encode } from '../../src/mqtt/encoder.js';
import type {
  ConnackPacket,
  ConnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
} from '../../src/mqtt/packet.js';

export class RawClient {
  readonly version: ProtocolVersion;
  readonly #socket: Duplex;
  readonly #decoder: Decoder;
  readonly #packets: Packet[] = [];
  readonly #ended: Promise<void>;
  #wake: () => void = () => {};
  #isEnded = false;

  private constructor(socket: Duplex, version: ProtocolVersion) {
    this.#socket = socket;
    this.version = version;
    this.#decoder = new Decoder({
      maximumPacketSize: 268_435_460,
      receiver: 'client',
      protocolVersion: version,
    });
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isEnded = true;
        resolve();
        this.#wake();
      });
    });
  }

  static async open(url: string, version: ProtocolVersion = 5): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket, version);
  }

  /** Over a stream that stands: TLS, WebSocket. */
  static over(stream: Duplex, version: ProtocolVersion = 5): RawClient {
    return new RawClient(stream, version);
  }

  /** Connects and expects to be welcome. */
  static async connect(
    url: string,
    options: Partial<ConnectPacket> & { readonly clientId: string },
  ): Promise<RawClient & { readonly connack: ConnackPacket }> {
    const client = await RawClient.open(url, options.protocolVersion ?? 5);
    return Object.assign(client, { connack: await client.welcome(options) });
  }

  /** CONNECT, and expects to be welcome. */
  async welcome(options: Partial<ConnectPacket> & { readonly clientId: string }): Promise<ConnackPacket> {
    this.connect(options);
    const connack = await this.next();
    if (connack.type !== 'connack' || connack.reasonCode !== 0) {
      throw new Error(`not welcome: ${JSON.stringify(connack)}`);
    }
    return connack;
  }

  connect(options: Partial<ConnectPacket>): void {
    this.send({
      type: 'connect',
      protocolVersion: this.version,
      clientId: '',
      cleanStart: true,
      keepAlive: 0,
      ...options,
    });
  }

  send(...packets: readonly Packet[]): void {
    this.write(Buffer.concat(packets.map((packet) => encode(packet, this.version))));
  }

  write(bytes: Uint8Array | string): void {
    this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes.replaceAll(' ', ''), 'hex') : bytes);
  }

  publish(topic: string, payload: string, options: Partial<PublishPacket> = {}): void {
    const { qos = 0 } = options;
    this.send({
      type: 'publish',
      topic,
      payload: Buffer.from(payload),
      qos,
      retain: false,
      dup: false,
      ...(qos > 0 ? { packetIdentifier: 1 } : {}),
      ...options,
    });
  }

  /** The next packet; throws when the connection ends instead. */
  async next(): Promise<Packet> {
    for (;;) {
      const packet = this.#packets.shift();
      if (packet !== undefined) return packet;
      if (this.#isEnded) throw new Error('the connection ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async nextPublish(): Promise<PublishPacket> {
    const packet = await this.next();
    if (packet.type !== 'publish') throw new Error(`expected a PUBLISH, not ${JSON.stringify(packet)}`);
    return packet;
  }

  /** Subscribes and returns the codes of SUBACK. */
  async subscribe(
    topicFilter: string,
    options: {
      readonly qos?: 0 | 1 | 2;
      readonly noLocal?: boolean;
      readonly retainAsPublished?: boolean;
      readonly retainHandling?: 0 | 1 | 2;
      readonly subscriptionIdentifier?: number;
    } = {},
  ): Promise<readonly number[]> {
    const { qos = 2, noLocal = false, retainAsPublished = false, retainHandling = 0 } = options;
    const { subscriptionIdentifier } = options;
    this.send({
      type: 'subscribe',
      packetIdentifier: 900,
      subscriptions: [{ topicFilter, qos, noLocal, retainAsPublished, retainHandling }],
      ...(subscriptionIdentifier === undefined
        ? {}
        : { properties: { subscriptionIdentifiers: [subscriptionIdentifier] } }),
    });
    const suback = await this.next();
    if (suback.type !== 'suback') throw new Error(`expected SUBACK, not ${JSON.stringify(suback)}`);
    return suback.reasonCodes;
  }

  /** Everything that came before the answer to a PINGREQ sent now. */
  async settled(): Promise<Packet[]> {
    this.send({ type: 'pingreq' });
    const before: Packet[] = [];
    for (;;) {
      const packet = await this.next();
      if (packet.type === 'pingresp') return before;
      before.push(packet);
    }
  }

  /** What has come and nobody asked for. */
  get unread(): readonly Packet[] {
    return this.#packets;
  }

  /** Everything that came until the other side closed. */
  async rest(): Promise<Packet[]> {
    await this.#ended;
    return this.#packets.splice(0);
  }

  /** DISCONNECT with 0x00, and closes. */
  async disconnect(sessionExpiryInterval?: number): Promise<void> {
    this.send({
      type: 'disconnect',
      reasonCode: 0,
      ...(sessionExpiryInterval === undefined ? {} : { properties: { sessionExpiryInterval } }),
    });
    await this.#ended;
  }

  /** The network fails. */
  async drop(): Promise<void> {
    this.#socket.destroy();
    await this.#ended;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #received(chunk: Buffer): void {
    this.#decoder.push(chunk);
    for (;;) {
      const decoded = this.#decoder.next();
      if (decoded.kind === 'incomplete') break;
      if (decoded.kind === 'malformed') throw new Error(`the broker sent nonsense: ${decoded.why}`);
      this.#packets.push(decoded.packet);
    }
    this.#wake();
  }
}

export function text(packet: Packet): string {
  if (packet.type !== 'publish') throw new Error(`expected a PUBLISH, not ${JSON.stringify(packet)}`);
  return Buffer.from(packet.payload).toString();
}
