/**
 * An MQTT server without a socket, that does what a test tells it: keeps or loses sessions, refuses, falls silent,
 * cuts. It gives a QoS 2 message on when it is released, and counts.
 */
import { parseServerUrl } from '../../src/bridge/server-url.js';
import type { Dial, TransportEvents } from '../../src/bridge/transport.js';
import { Decoder } from '../../src/mqtt/decoder.js';
import { encode } from '../../src/mqtt/encoder.js';
import type {
  ConnackPacket,
  ConnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
  SubscribePacket,
} from '../../src/mqtt/packet.js';
import type { Properties } from '../../src/mqtt/property.js';
import { ReasonCode } from '../../src/mqtt/reason-code.js';

interface Session {
  readonly received: Map<number, PublishPacket>;
  readonly filters: Set<string>;
}

/** One accepted connection. */
export class ServerConnection {
  readonly received: Packet[] = [];
  connect: ConnectPacket | undefined;
  readonly #events: TransportEvents;
  readonly #version: () => ProtocolVersion;
  isOpen = true;

  constructor(events: TransportEvents, version: () => ProtocolVersion) {
    this.#events = events;
    this.#version = version;
  }

  send(packet: Packet): void {
    this.sendBytes(encode(packet, this.#version()));
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.isOpen) queueMicrotask(() => this.isOpen && this.#events.data(bytes));
  }

  close(error?: Error): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    queueMicrotask(() => this.#events.closed(error));
  }
}

export class ScriptedServer {
  /** Messages given on, in order. */
  readonly delivered: PublishPacket[] = [];
  readonly connections: ServerConnection[] = [];
  readonly dialled: string[] = [];
  /** Seen before each packet is handled; true: the server does nothing with it. */
  intercept: (packet: Packet, connection: ServerConnection) => boolean = () => false;
  /** What happens to a dial instead of a connection. */
  dialFault: ((url: string) => Error | 'silence' | undefined) | undefined;
  connackProperties: Properties = {};
  refusal: ReasonCode | undefined;
  /** Sessions begin, and nobody hears of it. */
  swallowsConnack = false;
  #session: Session | undefined;

  readonly dial: Dial = (url, _tls, events) => {
    this.dialled.push(url.url);
    const fault = this.dialFault?.(url.url);
    if (fault !== undefined) {
      if (fault !== 'silence') queueMicrotask(() => events.closed(fault));
      return { write: () => true, end: () => undefined, destroy: () => undefined };
    }
    const decoder = new Decoder({ maximumPacketSize: 2 ** 28, receiver: 'server' });
    const connection = new ServerConnection(events, () => decoder.protocolVersion ?? 5);
    this.connections.push(connection);
    queueMicrotask(() => connection.isOpen && events.opened());
    return {
      write: (bytes) => {
        const copy = Buffer.from(bytes);
        queueMicrotask(() => {
          if (!connection.isOpen) return;
          decoder.push(copy);
          for (let decoded = decoder.next(); decoded.kind !== 'incomplete'; decoded = decoder.next()) {
            if (decoded.kind === 'malformed') throw new Error(`the bridge sent nonsense: ${decoded.why}`);
            this.#handle(decoded.packet, connection);
            if (!connection.isOpen) return;
          }
        });
        return true;
      },
      // After what was written before it.
      end: () => queueMicrotask(() => connection.close()),
      destroy: () => {
        connection.isOpen = false;
      },
    };
  };

  get last(): ServerConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected');
    return connection;
  }

  get hasSession(): boolean {
    return this.#session !== undefined;
  }

  loseSession(): void {
    this.#session = undefined;
  }

  /** All packets of one type that any connection received. */
  packets<Type extends Packet['type']>(type: Type): Extract<Packet, { type: Type }>[] {
    return this.connections.flatMap((connection) =>
      connection.received.filter((one): one is Extract<Packet, { type: Type }> => one.type === type),
    );
  }

  get payloads(): string[] {
    return this.delivered
      .filter((packet) => packet.topic.startsWith('site/'))
      .map((packet) => Buffer.from(packet.payload).toString());
  }

  #handle(packet: Packet, connection: ServerConnection): void {
    connection.received.push(packet);
    if (packet.type === 'connect') connection.connect = packet;
    if (this.intercept(packet, connection)) return;
    switch (packet.type) {
      case 'connect': {
        const connack = this.#connack(packet);
        if (!this.swallowsConnack) connection.send(connack);
        return;
      }
      case 'publish':
        this.#publish(packet, connection);
        return;
      case 'pubrel': {
        const message = this.#session?.received.get(packet.packetIdentifier);
        this.#session?.received.delete(packet.packetIdentifier);
        if (message !== undefined) this.delivered.push(message);
        connection.send({
          type: 'pubcomp',
          packetIdentifier: packet.packetIdentifier,
          reasonCode:
            message === undefined && connection.connect?.protocolVersion === 5
              ? ReasonCode.packetIdentifierNotFound
              : ReasonCode.success,
        });
        return;
      }
      case 'subscribe':
        this.#subscribe(packet, connection);
        return;
      case 'unsubscribe':
        connection.send({
          type: 'unsuback',
          packetIdentifier: packet.packetIdentifier,
          reasonCodes: packet.topicFilters.map((filter) =>
            this.#session?.filters.delete(filter) ? ReasonCode.success : ReasonCode.noSubscriptionExisted,
          ),
        });
        return;
      case 'pingreq':
        connection.send({ type: 'pingresp' });
        return;
      case 'disconnect':
        connection.close();
        return;
      default:
        return;
    }
  }

  #connack(packet: ConnectPacket): ConnackPacket {
    if (packet.cleanStart) this.#session = undefined;
    const sessionPresent = this.#session !== undefined;
    // A Clean Start of the bridge's is only ever to throw away: it ends with its connection.
    if (!packet.cleanStart) this.#session ??= { received: new Map(), filters: new Set() };
    return {
      type: 'connack',
      sessionPresent: this.refusal === undefined && sessionPresent,
      reasonCode: this.refusal ?? ReasonCode.success,
      ...(packet.protocolVersion === 5 && { properties: this.connackProperties }),
    };
  }

  #publish(packet: PublishPacket, connection: ServerConnection): void {
    const { packetIdentifier, qos } = packet;
    if (qos === 2 && packetIdentifier !== undefined) {
      if (this.#session?.received.has(packetIdentifier) === false) {
        this.#session.received.set(packetIdentifier, packet);
      }
      connection.send({ type: 'pubrec', packetIdentifier, reasonCode: ReasonCode.success });
      return;
    }
    this.delivered.push(packet);
    if (packetIdentifier === undefined) return;
    connection.send({ type: 'puback', packetIdentifier, reasonCode: ReasonCode.success });
  }

  #subscribe(packet: SubscribePacket, connection: ServerConnection): void {
    for (const { topicFilter } of packet.subscriptions) this.#session?.filters.add(topicFilter);
    connection.send({
      type: 'suback',
      packetIdentifier: packet.packetIdentifier,
      reasonCodes: packet.subscriptions.map(({ qos }) => qos),
    });
  }
}

/** Only so that a mistyped address fails here. */
export const SERVER = parseServerUrl('mqtt://server:1883').url;
