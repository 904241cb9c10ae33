/**
 * An MQTT server with sessions, 3.1.1 and 5.0, and a list of what arrived. It gives a QoS 2 message on with its first
 * PUBLISH or with its PUBREL, restarts with or without its sessions, refuses, is over its quota, or says nothing.
 */

import type { QoS } from '../../src/core/message.js';
import { Decoder } from '../../src/mqtt/decoder.js';
import { encode } from '../../src/mqtt/encoder.js';
import type { ConnectPacket, Packet, PublishPacket } from '../../src/mqtt/packet.js';
import { ReasonCode } from '../../src/mqtt/reason-code.js';
import type { End, EndUser } from './network.js';
import { told } from './told.js';
import { isSameAgain, unpacked } from './unpacked.js';

export interface UpstreamCharacter {
  readonly deliversOn: 'publish' | 'pubrel';
  /** 5.0 only. */
  readonly receiveMaximum: number | undefined;
  readonly maximumQoS: 1 | 2;
}

/** One message as the server's subscribers got it. */
export interface Arrival {
  readonly server: string;
  readonly clientId: string;
  /** Counts the sessions that the server began for this client. */
  readonly session: number;
  /** Of the server, at the time: CONNECTs of which the gateway's disk does not know that they were answered. */
  readonly doubts: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  /** gw, j, seq, ts as they came; empty in 3.1.1. */
  readonly identity: ReadonlyMap<string, string>;
  readonly atMs: number;
}

interface Session {
  readonly number: number;
  readonly received: Map<number, PublishPacket>;
  readonly filters: Set<string>;
  connection: Connection | undefined;
}

export class Upstream {
  readonly name: string;
  readonly character: UpstreamCharacter;
  readonly arrivals: Arrival[] = [];
  /** What a client did that it may not. */
  readonly broken: string[] = [];
  /** Topics of which a message was refused for the quota: their order is the server's doing. */
  readonly overQuota = new Set<string>();
  state: 'up' | 'refusing' | 'silent' = 'up';
  quota: 'free' | 'exceeded' = 'free';
  sessionsLost = 0;
  doubts = 0;
  connects = 0;
  readonly tell: (what: string) => void;
  readonly #nowMs: () => number;
  readonly #sessions = new Map<string, Session>();
  readonly #connections = new Set<Connection>();
  #sessionNumber = 0;

  constructor(name: string, character: UpstreamCharacter, nowMs: () => number, tell: (what: string) => void) {
    this.tell = tell;
    this.name = name;
    this.character = character;
    this.#nowMs = nowMs;
  }

  serve(end: End): void {
    const connection = new Connection(end, this);
    this.#connections.add(connection);
    end.user = connection;
  }

  /** Every connection ends; what it had for its clients is there again afterwards, or not. */
  restart(keepsSessions: boolean): void {
    for (const connection of this.#connections) connection.drop();
    this.#connections.clear();
    if (keepsSessions) return;
    if (this.#sessions.size > 0) this.sessionsLost += 1;
    this.#sessions.clear();
  }

  gone(connection: Connection): void {
    this.#connections.delete(connection);
    const { session } = connection;
    if (session === undefined) return;
    if (session.connection === connection) session.connection = undefined;
    if (connection.sessionEnds && this.#sessions.get(connection.clientId) === session) {
      this.#sessions.delete(connection.clientId);
    }
  }

  open(packet: ConnectPacket, connection: Connection): { session: Session; present: boolean } {
    this.connects += 1;
    const old = this.#sessions.get(packet.clientId);
    old?.connection?.drop();
    const kept = packet.cleanStart ? undefined : this.#sessions.get(packet.clientId);
    this.#sessionNumber += kept === undefined ? 1 : 0;
    const session = kept ?? {
      number: this.#sessionNumber,
      received: new Map(),
      filters: new Set(),
      connection: undefined,
    };
    session.connection = connection;
    this.#sessions.set(packet.clientId, session);
    return { session, present: kept !== undefined };
  }

  arrived(packet: PublishPacket, connection: Connection): void {
    for (const brought of unpacked(packet)) {
      this.arrivals.push({
        server: this.name,
        clientId: connection.clientId,
        session: connection.session?.number ?? 0,
        doubts: this.doubts,
        qos: packet.qos,
        ...brought,
        atMs: this.#nowMs(),
      });
    }
  }
}

class Connection implements EndUser {
  session: Session | undefined;
  sessionEnds = false;
  clientId = '';
  readonly #end: End;
  readonly #server: Upstream;
  readonly #decoder = new Decoder({ maximumPacketSize: 2 ** 28, receiver: 'server' });
  #isV5 = true;
  #isOpen = true;
  /** PUBLISHes of this connection that the client does not yet know to be done. */
  readonly #open = new Set<number>();

  constructor(end: End, server: Upstream) {
    this.#end = end;
    this.#server = server;
  }

  data(bytes: Uint8Array): void {
    if (!this.#isOpen || this.#server.state === 'silent') return;
    this.#decoder.push(bytes);
    for (let decoded = this.#decoder.next(); decoded.kind !== 'incomplete'; decoded = this.#decoder.next()) {
      if (decoded.kind === 'malformed') {
        this.#server.broken.push(`the bridge sent nonsense: ${decoded.why}`);
        this.drop();
        return;
      }
      this.#handle(decoded.packet);
      if (!this.#isOpen) return;
    }
  }

  closed(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#server.gone(this);
  }

  drop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#end.destroy();
    this.#server.gone(this);
  }

  #send(packet: Packet, arrived?: () => void): void {
    this.#server.tell(`${this.#server.name} sends ${told(packet)}`);
    this.#end.write(encode(packet, this.#isV5 ? 5 : 4), arrived);
  }

  #handle(packet: Packet): void {
    this.#server.tell(`${this.#server.name} hears ${told(packet)}`);
    if (packet.type === 'connect') this.#connect(packet);
    else if (this.session === undefined) this.#server.broken.push(`${packet.type} came before CONNECT`);
    else this.#handleIn(this.session, packet);
  }

  #connect(packet: ConnectPacket): void {
    this.#isV5 = packet.protocolVersion === 5;
    this.clientId = packet.clientId;
    if (this.#server.state === 'refusing') {
      this.#send({ type: 'connack', sessionPresent: false, reasonCode: ReasonCode.serverUnavailable });
      this.#isOpen = false;
      this.#end.end();
      this.#server.gone(this);
      return;
    }
    const { session, present } = this.#server.open(packet, this);
    this.session = session;
    this.sessionEnds = packet.cleanStart && (packet.properties?.sessionExpiryInterval ?? 0) === 0;
    const { maximumQoS, receiveMaximum } = this.#server.character;
    this.#send({
      type: 'connack',
      sessionPresent: present,
      reasonCode: ReasonCode.success,
      ...(this.#isV5 && {
        properties: {
          ...(receiveMaximum !== undefined && { receiveMaximum }),
          ...(maximumQoS === 1 && { maximumQoS }),
        },
      }),
    });
  }

  #handleIn(session: Session, packet: Packet): void {
    switch (packet.type) {
      case 'publish':
        this.#publish(session, packet);
        return;
      case 'pubrel': {
        const { packetIdentifier } = packet;
        const message = session.received.get(packetIdentifier);
        session.received.delete(packetIdentifier);
        if (message !== undefined && this.#server.character.deliversOn === 'pubrel') {
          this.#server.arrived(message, this);
        }
        const reasonCode =
          message === undefined && this.#isV5 ? ReasonCode.packetIdentifierNotFound : ReasonCode.success;
        this.#send({ type: 'pubcomp', packetIdentifier, reasonCode }, () =>
          this.#open.delete(packetIdentifier),
        );
        return;
      }
      case 'subscribe':
        for (const { topicFilter } of packet.subscriptions) session.filters.add(topicFilter);
        this.#send({
          type: 'suback',
          packetIdentifier: packet.packetIdentifier,
          reasonCodes: packet.subscriptions.map(({ qos }) => qos),
        });
        return;
      case 'unsubscribe':
        this.#send({
          type: 'unsuback',
          packetIdentifier: packet.packetIdentifier,
          reasonCodes: packet.topicFilters.map((filter) =>
            session.filters.delete(filter) ? ReasonCode.success : ReasonCode.noSubscriptionExisted,
          ),
        });
        return;
      case 'pingreq':
        this.#send({ type: 'pingresp' });
        return;
      case 'disconnect':
        this.#isOpen = false;
        this.#end.end();
        this.#server.gone(this);
        return;
      default:
        this.#server.broken.push(`${packet.type} is none of a client's`);
    }
  }

  #publish(session: Session, packet: PublishPacket): void {
    const { character, overQuota, quota, broken } = this.#server;
    const { packetIdentifier, qos } = packet;
    if (this.#isV5 && qos > character.maximumQoS) broken.push(`PUBLISH with QoS ${qos} above Maximum QoS`);
    if (qos === 0 || packetIdentifier === undefined) {
      this.#server.arrived(packet, this);
      return;
    }
    this.#open.add(packetIdentifier);
    if (this.#isV5 && this.#open.size > (character.receiveMaximum ?? 65_535)) {
      const why = `${this.#open.size} PUBLISHes are open, Receive Maximum is ${character.receiveMaximum}`;
      broken.push(why);
      this.#server.tell(`${why}: ${[...this.#open]}`);
    }
    const done = (): void => void this.#open.delete(packetIdentifier);
    const held = session.received.get(packetIdentifier);
    if (quota === 'exceeded' && this.#isV5 && held === undefined) {
      for (const { topic } of unpacked(packet)) overQuota.add(topic);
      const type = qos === 1 ? 'puback' : 'pubrec';
      this.#send({ type, packetIdentifier, reasonCode: ReasonCode.quotaExceeded }, done);
      return;
    }
    if (qos === 1) {
      this.#server.arrived(packet, this);
      this.#send({ type: 'puback', packetIdentifier, reasonCode: ReasonCode.success }, done);
      return;
    }
    if (held === undefined) {
      session.received.set(packetIdentifier, packet);
      if (character.deliversOn === 'publish') this.#server.arrived(packet, this);
    } else {
      if (!packet.dup) broken.push(`PUBLISH ${packetIdentifier} was sent again without DUP`);
      if (!isSameAgain(held, packet)) {
        broken.push(`PUBLISH ${packetIdentifier} is another message than the one with that identifier`);
      }
    }
    this.#send({ type: 'pubrec', packetIdentifier, reasonCode: ReasonCode.success });
  }
}
