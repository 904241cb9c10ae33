/**
 * What one connection publishes: PUBLISH and PUBREL in, acknowledgements out.
 *
 *   PUBLISH ──alias, topic, permission──▶ Receiver ──deliver──▶ Exchange.accept ──(commit)──▶ PUBACK, PUBREC
 *
 * Acknowledgements leave in the order of their PUBLISHes [MQTT5-4.6.0-2] [MQTT5-4.6.0-3]: while one waits for a commit,
 * later ones wait behind it, whether or not they need one.
 */
import type { AckPacket, ProtocolVersion, PublishPacket } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { IncomingAliases } from '../mqtt/topic-alias.js';
import type { Authorizer, Identity } from './authorizer.js';
import type { Capabilities } from './connect.js';
import type { Counters } from './counters.js';
import type { Exchange } from './exchange.js';
import { carriedProperties, Publication } from './publication.js';
import type { Link, Session } from './session.js';
import type { Topic } from './topic.js';
import type { AckWaiter, Turn } from './turn.js';

/** The connection, as far as it answers for what it published. */
export interface Publisher extends Link {
  /** Undefined once it is no longer connected. */
  readonly intake: Intake | undefined;
  acknowledge(type: AckPacket['type'], packetIdentifier: number, reasonCode: ReasonCode): void;
  close(reasonCode: ReasonCode, why: string): void;
  unpause(): void;
}

interface Around {
  readonly exchange: Exchange;
  readonly authorizer: Authorizer;
  readonly turn: Turn;
  readonly counters: Counters;
  readonly capabilities: Capabilities;
  /** The connection that holds the session now. */
  connected(session: Session): Publisher | undefined;
}

export class Intake implements AckWaiter {
  /** A 3.1.1 client knows no Receive Maximum: it is slowed by not being read. */
  readonly receiveWindow: number;
  /** Acknowledgements that wait for a commit. */
  unacknowledged = 0;
  readonly #publisher: Publisher;
  readonly #session: Session;
  readonly #version: ProtocolVersion;
  readonly #identity: Identity;
  readonly #around: Around;
  #aliases: IncomingAliases | undefined;

  constructor(
    publisher: Publisher,
    session: Session,
    version: ProtocolVersion,
    identity: Identity,
    around: Around,
  ) {
    this.#publisher = publisher;
    this.#session = session;
    this.#version = version;
    this.#identity = identity;
    this.#around = around;
    this.receiveWindow = version === 5 ? around.capabilities.receiveMaximum : 0xffff;
  }

  publish(packet: PublishPacket): void {
    const { exchange, counters, capabilities } = this.#around;
    counters.messagesReceived += 1;
    counters.payloadBytesReceived += packet.payload.length;
    const topicAlias = packet.properties?.topicAlias;
    let topicName = packet.topic;
    if (topicAlias !== undefined || topicName === '') {
      this.#aliases ??= new IncomingAliases(capabilities.topicAliasMaximum);
      const resolved = this.#aliases.resolve(topicName, topicAlias);
      if (typeof resolved === 'number') {
        this.#publisher.close(resolved, 'the topic alias is not known or not allowed');
        return;
      }
      topicName = resolved;
    }
    if (packet.qos > capabilities.maximumQoS) {
      // [MQTT5-3.2.2-11]
      this.#publisher.close(ReasonCode.qosNotSupported, `PUBLISH has a QoS above ${capabilities.maximumQoS}`);
      return;
    }
    if (packet.retain && !capabilities.retainAvailable) {
      // [MQTT5-3.2.2-14]
      this.#publisher.close(ReasonCode.retainNotSupported, 'PUBLISH has RETAIN set, which is not available');
      return;
    }
    const topic = packet.topic === '' ? exchange.topic(topicName) : exchange.heard.topic;
    if (topic === undefined || topic.tooDeep) {
      this.#publisher.close(ReasonCode.topicNameInvalid, 'PUBLISH has a topic name that is not one');
      return;
    }
    if (packet.qos > 0) {
      this.#publishAboveQoS0(packet, packet.packetIdentifier!, packet.qos as 1 | 2, topic);
    } else if (this.#mayPublish(topic)) {
      exchange.accept(this.#publication(packet, topicName), topic, this.#session);
    } else {
      counters.messagesDropped += 1;
      counters.publishesDenied += 1;
    }
  }

  pubrel(packetIdentifier: number): void {
    const receiver = this.#session.receiver(this.receiveWindow);
    switch (receiver.pubrel(packetIdentifier)) {
      case 'complete':
        if (this.#session.kept === undefined) {
          receiver.completed(packetIdentifier);
          this.#publisher.acknowledge('pubcomp', packetIdentifier, ReasonCode.success);
          return;
        }
        // Forgotten on disk before the client may use it for another message.
        this.#session.changed();
        this.#around.turn.afterCommit(() => this.#completed(packetIdentifier));
        return;
      case 'unknown':
        this.#publisher.acknowledge('pubcomp', packetIdentifier, ReasonCode.packetIdentifierNotFound);
        return;
      case 'pending':
        return;
    }
  }

  /** The commit that an acknowledgement waited for is done. */
  committed(packetIdentifier: number, qos: 1 | 2, reasonCode: ReasonCode): void {
    this.unacknowledged -= 1;
    const session = this.#session;
    const isCurrent = session.link === this.#publisher;
    // What an old connection sent at QoS 1 is not in the count of the one that took over, nor answered there.
    let asked = true;
    if (qos === 2 || isCurrent) {
      asked = session.receiver(this.receiveWindow).accepted(packetIdentifier, qos, reasonCode);
    }
    // A connection that took the session over repeats its QoS 2 PUBLISH and waits for the same commit.
    const publisher = isCurrent || qos === 1 ? this.#publisher : this.#around.connected(session);
    if (publisher?.intake === undefined || !asked) return;
    publisher.acknowledge(qos === 1 ? 'puback' : 'pubrec', packetIdentifier, reasonCode);
    publisher.unpause();
  }

  #completed(packetIdentifier: number): void {
    const session = this.#session;
    if (!session.receiver(this.receiveWindow).completed(packetIdentifier)) return;
    const publisher = session.link === this.#publisher ? this.#publisher : this.#around.connected(session);
    publisher?.acknowledge('pubcomp', packetIdentifier, ReasonCode.success);
  }

  #publishAboveQoS0(packet: PublishPacket, packetIdentifier: number, qos: 1 | 2, topic: Topic): void {
    const receiver = this.#session.receiver(this.receiveWindow);
    switch (receiver.publish(packetIdentifier, qos)) {
      case 'exceeded':
        this.#publisher.close(
          ReasonCode.receiveMaximumExceeded,
          'more PUBLISHes than Receive Maximum are unacknowledged',
        );
        return;
      case 'pending':
        return;
      case 'repeated':
        if (this.unacknowledged > 0) this.#acknowledgeLater(packetIdentifier, qos, ReasonCode.success);
        else this.#publisher.acknowledge('pubrec', packetIdentifier, ReasonCode.success);
        return;
      case 'deliver':
        break;
    }
    let reasonCode: ReasonCode = ReasonCode.success;
    let waits = this.unacknowledged > 0;
    if (!this.#mayPublish(topic)) {
      this.#around.counters.messagesDropped += 1;
      this.#around.counters.publishesDenied += 1;
      reasonCode = ReasonCode.notAuthorized;
      if (this.#version === 4) {
        // It cannot be told, and what is acknowledged is kept: so it is not acknowledged [MQTT311-3.3.5-2].
        receiver.accepted(packetIdentifier, qos, reasonCode);
        this.#publisher.close(reasonCode, 'not authorized to publish on this topic');
        return;
      }
    } else {
      const publication = this.#publication(packet, topic.name);
      const outcome = this.#around.exchange.accept(publication, topic, this.#session);
      if (outcome === 'afterCommit') {
        waits = true;
      } else if (outcome === 'refused') {
        reasonCode = ReasonCode.quotaExceeded;
        if (this.#version === 4) {
          receiver.accepted(packetIdentifier, qos, reasonCode);
          this.#publisher.close(reasonCode, 'the message could not be kept');
          return;
        }
      }
    }
    if (qos === 2 && this.#session.kept !== undefined) {
      // Saved in the transaction of what it stands for, so that the same PUBLISH after a crash is known. Where nobody
      // durable took that, PUBREC does not wait: after a crash the client's PUBREL is answered all the same.
      if (waits && reasonCode >= ReasonCode.unspecifiedError) receiver.refused(packetIdentifier);
      this.#session.changed();
    }
    if (waits) {
      this.#acknowledgeLater(packetIdentifier, qos, reasonCode);
      return;
    }
    receiver.accepted(packetIdentifier, qos, reasonCode);
    this.#publisher.acknowledge(qos === 1 ? 'puback' : 'pubrec', packetIdentifier, reasonCode);
  }

  #mayPublish(topic: Topic): boolean {
    return !topic.isSys && this.#around.authorizer.mayPublish(this.#identity, topic.name);
  }

  #acknowledgeLater(packetIdentifier: number, qos: 1 | 2, reasonCode: ReasonCode): void {
    this.unacknowledged += 1;
    this.#around.turn.acknowledgeAfterCommit(this, packetIdentifier, qos, reasonCode);
  }

  #publication(packet: PublishPacket, topicName: string): Publication {
    const properties = carriedProperties(packet.properties);
    const { exchange } = this.#around;
    const { nowMs } = exchange;
    const publication = new Publication(
      topicName,
      packet.payload,
      packet.qos,
      packet.retain,
      properties,
      nowMs,
    );
    if (packet.topic !== '') exchange.heard.name(publication);
    return publication;
  }
}
