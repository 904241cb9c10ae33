/**
 * What the server sends down: messages that the receive rules asked for, to the broker's publish door. They are
 * acknowledged upstream only once that door has accepted them.
 *
 *   QoS 1   publish ──door──▶ accepted ──▶ PUBACK
 *   QoS 2   publish ──door, and its identifier saved in the same transaction──▶ accepted and saved ──▶ PUBREC
 *           PUBREL ──identifier forgotten on disk──▶ PUBCOMP
 *
 * A door that refuses (the journal is full) is asked again a little later; the server's window holds the rest back.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Message, MessageProperties } from '../core/message.js';
import type { Packet, PublishPacket } from '../mqtt/packet.js';
import type { Properties } from '../mqtt/property.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { Receiver } from '../mqtt/receiver.js';

export interface IncomingDoors {
  readonly publish: (message: Message, accepted: (ok: boolean) => void) => void;
  /** Appends to this connection's output. */
  readonly send: (packet: Packet) => void;
  /** Something was appended, or must be saved, outside a turn. */
  readonly wake: () => void;
  readonly clock: Clock;
}

/** Announced as Receive Maximum; 3.1.1 servers have limits of their own, which stay below it. */
export const RECEIVE_MAXIMUM = 100;
/** A 3.1.1 server that sends more unacknowledged is cut off. */
export const UNACKNOWLEDGED_MAX_311 = 5000;
const ASK_AGAIN_MS = 1000;

interface Exchange {
  accepted: boolean;
  saved: boolean;
}

export class Incoming {
  readonly #doors: IncomingDoors;
  #receiver: Receiver;
  /** QoS 2 identifiers that the state on disk must name. */
  readonly #taken: Set<number>;
  readonly #exchanges = new Map<number, Exchange>();
  #unsaved: number[] = [];
  #toComplete: number[] = [];
  #saveNeeded = false;
  #isV5 = true;
  /** Counts connections: a QoS 1 message accepted after its connection ended is not acknowledged. */
  #connection = 0;
  readonly #asking = new Set<Timer>();
  #stopped = false;

  constructor(received: readonly number[], doors: IncomingDoors) {
    this.#doors = doors;
    this.#receiver = new Receiver(received);
    this.#taken = new Set(received);
  }

  /** For the saved state. */
  get received(): readonly number[] {
    return [...this.#taken];
  }

  get saveNeeded(): boolean {
    return this.#saveNeeded;
  }

  connected(isV5: boolean, sessionPresent: boolean): void {
    this.disconnected();
    this.#isV5 = isV5;
    if (!sessionPresent) {
      this.#receiver = new Receiver();
      this.#taken.clear();
      this.#exchanges.clear();
      this.#unsaved = [];
      this.#toComplete = [];
    }
    this.#receiver.resume(isV5 ? RECEIVE_MAXIMUM : UNACKNOWLEDGED_MAX_311);
  }

  disconnected(): void {
    this.#connection += 1;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#asking) timer.cancel();
    this.#asking.clear();
  }

  /** @returns what to close the connection for, if the server broke the protocol. */
  publish(packet: PublishPacket, wanted: boolean): ReasonCode | undefined {
    const { packetIdentifier, qos } = packet;
    if (packet.topic === '') return ReasonCode.topicAliasInvalid;
    if (qos === 0 || packetIdentifier === undefined) {
      if (wanted) this.#doors.publish(messageOf(packet), () => undefined);
      return undefined;
    }
    switch (this.#receiver.publish(packetIdentifier, qos)) {
      case 'exceeded':
        return ReasonCode.receiveMaximumExceeded;
      case 'pending':
        return undefined;
      case 'repeated':
        this.#acknowledge('pubrec', packetIdentifier);
        return undefined;
      case 'deliver':
        break;
    }
    if (qos === 1) this.#offerQoS1(packet, packetIdentifier, wanted);
    else this.#offerQoS2(packet, packetIdentifier, wanted);
    return undefined;
  }

  pubrel(packetIdentifier: number): void {
    switch (this.#receiver.pubrel(packetIdentifier)) {
      case 'unknown':
        this.#doors.send({
          type: 'pubcomp',
          packetIdentifier,
          reasonCode: this.#isV5 ? ReasonCode.packetIdentifierNotFound : ReasonCode.success,
        });
        return;
      case 'pending':
        return;
      case 'complete':
        this.#taken.delete(packetIdentifier);
        this.#toComplete.push(packetIdentifier);
        this.#saveNeeded = true;
    }
  }

  /** The state is about to be saved in this turn: what comes back runs once it is durable. */
  saving(): () => void {
    const saved = this.#unsaved;
    const completed = this.#toComplete;
    const receiver = this.#receiver;
    this.#unsaved = [];
    this.#toComplete = [];
    this.#saveNeeded = false;
    return () => {
      if (receiver !== this.#receiver) return;
      for (const packetIdentifier of saved) {
        const exchange = this.#exchanges.get(packetIdentifier);
        if (exchange === undefined) continue;
        exchange.saved = true;
        this.#settle(packetIdentifier, exchange);
      }
      for (const packetIdentifier of completed) {
        receiver.completed(packetIdentifier);
        this.#acknowledge('pubcomp', packetIdentifier);
      }
    };
  }

  #offerQoS1(packet: PublishPacket, packetIdentifier: number, wanted: boolean): void {
    const connection = this.#connection;
    const receiver = this.#receiver;
    const accepted = (): void => {
      if (connection !== this.#connection) return;
      receiver.accepted(packetIdentifier, 1, ReasonCode.success);
      this.#acknowledge('puback', packetIdentifier);
    };
    if (!wanted) {
      accepted();
      return;
    }
    const ask = (): void => {
      // The server sends it again over the next connection.
      if (connection !== this.#connection) return;
      this.#doors.publish(messageOf(packet), (ok) => {
        if (ok) accepted();
        else this.#askAgain(ask);
      });
    };
    ask();
  }

  #offerQoS2(packet: PublishPacket, packetIdentifier: number, wanted: boolean): void {
    const receiver = this.#receiver;
    const exchange: Exchange = { accepted: !wanted, saved: false };
    this.#exchanges.set(packetIdentifier, exchange);
    const ask = (): void => {
      if (receiver !== this.#receiver) return;
      this.#taken.add(packetIdentifier);
      this.#unsaved.push(packetIdentifier);
      this.#saveNeeded = true;
      if (!wanted) return;
      this.#doors.publish(messageOf(packet), (ok) => {
        if (receiver !== this.#receiver) return;
        if (ok) {
          exchange.accepted = true;
          this.#settle(packetIdentifier, exchange);
          return;
        }
        // Not taken: the state must not say that it was, or a crash would lose it.
        this.#taken.delete(packetIdentifier);
        this.#unsaved = this.#unsaved.filter((one) => one !== packetIdentifier);
        exchange.saved = false;
        this.#saveNeeded = true;
        this.#askAgain(ask);
      });
    };
    ask();
  }

  #settle(packetIdentifier: number, exchange: Exchange): void {
    if (!exchange.accepted || !exchange.saved) return;
    this.#exchanges.delete(packetIdentifier);
    this.#receiver.accepted(packetIdentifier, 2, ReasonCode.success);
    this.#acknowledge('pubrec', packetIdentifier);
  }

  #askAgain(ask: () => void): void {
    if (this.#stopped) return;
    const { clock } = this.#doors;
    const timer = clock.at(clock.monotonicMs() + ASK_AGAIN_MS, () => {
      this.#asking.delete(timer);
      ask();
      this.#doors.wake();
    });
    this.#asking.add(timer);
  }

  #acknowledge(type: 'puback' | 'pubrec' | 'pubcomp', packetIdentifier: number): void {
    this.#doors.send({ type, packetIdentifier, reasonCode: ReasonCode.success });
    this.#doors.wake();
  }
}

/** The application's part of a PUBLISH: what belongs to this hop stays behind. */
function messageOf(packet: PublishPacket): Message {
  const { topic, payload, qos, retain } = packet;
  const properties = packet.properties === undefined ? undefined : carried(packet.properties);
  return properties === undefined
    ? { topic, payload, qos, retain }
    : { topic, payload, qos, retain, properties };
}

function carried(properties: Properties): MessageProperties | undefined {
  const {
    payloadFormatIndicator,
    messageExpiryInterval,
    contentType,
    responseTopic,
    correlationData,
    userProperties,
  } = properties;
  const some: MessageProperties = {
    ...(payloadFormatIndicator === undefined ? {} : { payloadFormatIndicator }),
    ...(messageExpiryInterval === undefined ? {} : { messageExpiryInterval }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(userProperties === undefined ? {} : { userProperties }),
  };
  return Object.keys(some).length === 0 ? undefined : some;
}
