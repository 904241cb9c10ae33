/**
 * One client's connection: its packets in, its answers and deliveries out. It ends; its Session may not.
 *
 *   opened ──CONNECT──▶ authorizing ──CONNACK 0──▶ connected ──DISCONNECT, fault, silence, take-over──▶ closing ──▶ closed
 *      │    └──with a method──▶ authenticating ⇄ AUTH ──┘
 *      └──anything else, or nothing in time──▶ closed
 *
 * A peer's mistake closes this connection with its Reason Code and nothing else. No socket here: bytes come from and go
 * to a Transport, and waits are deadlines that the broker watches.
 */

import { Decoder } from '../mqtt/decoder.js';
import { encodedSize, encodeWithin, PublishTemplate } from '../mqtt/encoder.js';
import type {
  AckPacket,
  ConnectPacket,
  DisconnectPacket,
  Packet,
  ProtocolVersion,
  SubscribePacket,
  UnsubscribePacket,
} from '../mqtt/packet.js';
import type { Properties } from '../mqtt/property.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { SenderStep } from '../mqtt/sender.js';
import { OutgoingAliases } from '../mqtt/topic-alias.js';
import type { AddressGuard } from './address-guard.js';
import type { Authorizer, Identity } from './authorizer.js';
import { type Agreed, agree, type Capabilities } from './connect.js';
import type { Counters } from './counters.js';
import { EnhancedLogin, type LoginStep } from './enhanced-login.js';
import type { Exchange } from './exchange.js';
import { Intake, type Publisher } from './intake.js';
import type { Keeper } from './keeper.js';
import { CONGESTED_BYTES, Outbox } from './outbox.js';
import { carriedProperties, type Delivery } from './publication.js';
import type { PendingWill, Session } from './session.js';
import type { Sessions } from './sessions.js';
import { subscribe, unsubscribe } from './subscribe.js';
import type { Transport, TransportUser } from './transport.js';
import type { Turn } from './turn.js';

/** What a connection needs of the broker around it. */
export interface Surroundings {
  readonly exchange: Exchange;
  readonly sessions: Sessions;
  /** Absent: no session outlives the process. */
  readonly keeper: Keeper | undefined;
  readonly authorizer: Authorizer;
  readonly guard: AddressGuard;
  readonly turn: Turn;
  readonly counters: Counters;
  readonly capabilities: Capabilities;
  readonly maximumSubscriptions: number;
  /** Undefined: the broker is full; else counts this one in. */
  admit(connection: Connection): boolean;
  /** The connection of a session, to take it over. */
  connected(session: Session): Connection | undefined;
  newClientId(): string;
  /** Asks to be called by `due` at a time; Infinity: not any more. */
  wake(connection: Connection, atMs: number): void;
  /** Sessions' deadlines may have moved. */
  sessionsMoved(): void;
  gone(connection: Connection): void;
  /** `reasonCode`: of a refusal, where there is one. */
  report(connection: Connection, what: Reported, why: string, reasonCode?: ReasonCode): void;
  /** A connected client did what it may not, and is cut off or denied it. */
  transgressed(clientId: string, remoteAddress: string, reasonCode: ReasonCode, why: string): void;
}

/** `throttled`: refused for what its address did, of which the guard tells. */
export type Reported = 'connected' | 'disconnected' | 'refused' | 'throttled';

type State = 'opened' | 'authorizing' | 'authenticating' | 'connected' | 'closing' | 'closed';

/** A Topic Alias beside the name: the property, and an octet more where a length outgrows its encoding. */
const ALIAS_BYTES_MAX = 4;
/** A client that closes its side in its own time; then the socket is cut. */
const LINGER_MS = 5000;
/** A client that does not read its acknowledgements is not read either. */
const UNREAD_BYTES_MAX = 1024 * 1024;

/** Why a client is disconnected that has done nothing wrong. */
const NO_TRANSGRESSION: ReadonlySet<ReasonCode> = new Set([
  ReasonCode.serverShuttingDown,
  ReasonCode.keepAliveTimeout,
  ReasonCode.sessionTakenOver,
]);

export class Connection implements TransportUser, Publisher {
  readonly remoteAddress: string;
  readonly #transport: Transport;
  readonly #around: Surroundings;
  readonly #decoder: Decoder;
  readonly #outbox: Outbox;
  #state: State = 'opened';
  #agreed: Agreed | undefined;
  #session: Session | undefined;
  #identity: Identity | undefined;
  /** Of a client that came with an Authentication Method. */
  #login: EnhancedLogin | undefined;
  /** Until it is welcome. */
  #connect: ConnectPacket | undefined;
  #intake: Intake | undefined;
  #outgoingAliases: OutgoingAliases | undefined;
  #lastPacketMs: number;
  /** Of the client, from its CONNECT on. */
  #maximumPacketSize = Number.POSITIVE_INFINITY;
  #paused = false;

  constructor(transport: Transport, around: Surroundings, connectTimeoutMs: number) {
    this.#transport = transport;
    this.#around = around;
    this.remoteAddress = transport.remoteAddress;
    this.#decoder = new Decoder({
      maximumPacketSize: around.capabilities.maximumPacketSize,
      receiver: 'server',
      topicName: around.exchange.heard.topicName,
    });
    this.#outbox = new Outbox(transport, around.turn, around.counters);
    this.#lastPacketMs = around.exchange.beginTurn();
    around.wake(this, this.#lastPacketMs + connectTimeoutMs);
  }

  get clientId(): string {
    return this.#agreed?.clientId ?? '';
  }

  get version(): ProtocolVersion | undefined {
    return this.#agreed?.version;
  }

  // What the transport tells.

  received(chunk: Uint8Array): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#around.counters.bytesReceived += chunk.length;
    this.#around.exchange.beginTurn();
    this.#decoder.push(chunk);
    if (this.#state !== 'authorizing') this.#decode();
  }

  drained(): void {
    this.#outbox.drained();
    this.#session?.pump(this.#around.exchange.beginTurn());
    this.unpause();
  }

  closed(): void {
    if (this.#state === 'closed') return;
    this.#leave(false, 'the connection was lost');
    this.#state = 'closed';
    this.#outbox.close();
    this.#around.wake(this, Number.POSITIVE_INFINITY);
    this.#around.gone(this);
  }

  // What the clock tells.

  due(nowMs: number): void {
    if (this.#state === 'closing') {
      this.#transport.destroy();
    } else if (this.#state !== 'connected') {
      this.#refuseSilently('CONNECT did not come in time');
    } else if (nowMs >= this.#keepAliveEndMs) {
      // [MQTT311-3.1.2-24] [MQTT5-3.1.2-22]
      this.close(ReasonCode.keepAliveTimeout, 'nothing came for one and a half times Keep Alive');
    } else {
      this.#around.wake(this, this.#keepAliveEndMs);
    }
  }

  // What the broker tells.

  takenOver(): void {
    this.close(ReasonCode.sessionTakenOver, 'another connection took the session over'); // [MQTT5-3.1.4-3]
  }

  shutDown(): void {
    if (this.#state === 'connected') this.close(ReasonCode.serverShuttingDown, 'the broker is stopping');
    else this.#refuseSilently('the broker is stopping');
  }

  destroy(): void {
    this.#transport.destroy();
  }

  // What its session sends.

  get writable(): boolean {
    return !this.#outbox.congested;
  }

  mayReceive(topicName: string): boolean {
    return this.#around.authorizer.mayReceive?.(this.#identity!, topicName) ?? true;
  }

  fits(delivery: Delivery): boolean {
    return this.#roomFor(delivery) >= 0;
  }

  publish(delivery: Delivery, packetIdentifier: number, dup: boolean): boolean {
    const { nowMs } = this.#around.exchange;
    const outbox = this.#outbox;
    if (packetIdentifier === 0 && (outbox.congested || !this.fits(delivery))) return false;
    const { version } = this.#agreed!;
    const { counters } = this.#around;
    counters.messagesSent += 1;
    counters.payloadBytesSent += delivery.publication.payload.length;
    const aliases = this.#outgoingAliases;
    // What is too large with an alias beside its name goes out without one.
    const mayAlias = aliases !== undefined && this.#roomFor(delivery) >= ALIAS_BYTES_MAX;
    const use = mayAlias ? aliases.assign(delivery.publication.topic) : undefined;
    if (use === undefined) {
      const isWritten =
        delivery.writesPlain(version) && outbox.publishPlain(delivery, version, packetIdentifier, dup);
      if (!isWritten) outbox.publish(delivery.template(version, nowMs), packetIdentifier, dup);
    } else {
      const packet = delivery.packet(version, nowMs, use.topicAlias, use.known);
      outbox.publish(new PublishTemplate(packet, version), packetIdentifier, dup);
    }
    return true;
  }

  /** Octets that the client's Maximum Packet Size leaves beyond the copy without an alias. */
  #roomFor(delivery: Delivery): number {
    const { version } = this.#agreed!;
    if (this.#maximumPacketSize === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    return this.#maximumPacketSize - delivery.template(version, this.#around.exchange.nowMs).size;
  }

  // Packets.

  #decode(): void {
    for (;;) {
      const decoded = this.#decoder.next();
      if (decoded.kind === 'incomplete') break;
      if (decoded.kind === 'malformed') {
        this.#malformed(decoded.reasonCode, decoded.why, decoded.protocolLevel);
        return;
      }
      this.#lastPacketMs = this.#around.exchange.nowMs;
      this.#around.counters.packetsReceived += 1;
      if (this.#state === 'connected') this.#packet(decoded.packet);
      else if (this.#state === 'authenticating') this.#authenticating(decoded.packet);
      else this.#first(decoded.packet);
      if (this.#state !== 'connected' && this.#state !== 'authenticating') return;
    }
    if ((this.#intake?.unacknowledged ?? 0) >= this.#around.capabilities.receiveMaximum) this.#pause();
    else if (this.#outbox.pendingBytes > UNREAD_BYTES_MAX) this.#pause();
  }

  #packet(packet: Packet): void {
    const session = this.#session!;
    switch (packet.type) {
      case 'publish':
        this.#intake!.publish(packet);
        return;
      case 'puback':
        this.#carryOut(session.puback(packet.packetIdentifier, packet.reasonCode));
        session.pump(this.#around.exchange.nowMs);
        return;
      case 'pubrec':
        this.#carryOut(session.pubrec(packet.packetIdentifier, packet.reasonCode));
        if (packet.reasonCode >= 0x80) session.pump(this.#around.exchange.nowMs);
        return;
      case 'pubcomp':
        this.#carryOut(session.pubcomp(packet.packetIdentifier, packet.reasonCode));
        session.pump(this.#around.exchange.nowMs);
        return;
      case 'pubrel':
        this.#intake!.pubrel(packet.packetIdentifier);
        return;
      case 'subscribe':
        this.#subscribe(packet, session);
        return;
      case 'unsubscribe':
        this.#unsubscribe(packet, session);
        return;
      case 'pingreq':
        this.#send({ type: 'pingresp' });
        return;
      case 'disconnect':
        this.#disconnected(packet, session);
        return;
      case 'auth':
        if (this.#login === undefined) break;
        this.#reauthenticated(this.#login.auth(packet));
        return;
      default:
        break;
    }
    // A second CONNECT [MQTT311-3.1.0-2] [MQTT5-3.1.0-2]; AUTH without a method [MQTT5-4.12.0-7]; a server's packet.
    this.close(ReasonCode.protocolError, `${packet.type.toUpperCase()} does not belong here`);
  }

  // CONNECT

  #first(packet: Packet): void {
    // [MQTT311-3.1.0-1]
    if (packet.type !== 'connect') {
      this.#refuseSilently(`the first packet was ${packet.type.toUpperCase()}, not CONNECT`);
      return;
    }
    this.#maximumPacketSize = packet.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    const { guard, exchange } = this.#around;
    const verdict = guard.arrived(this.remoteAddress, exchange.nowMs);
    if (verdict !== 'welcome') {
      this.#around.counters.connectionsThrottled += 1;
      const why =
        verdict === 'blocked'
          ? 'too many logins failed from this address'
          : 'this address connects too often';
      this.#refuse(packet.protocolVersion, ReasonCode.connectionRateExceeded, why);
      return;
    }
    const agreed = agree(packet, this.#around.capabilities, () => this.#around.newClientId());
    if ('refused' in agreed) {
      this.#refuse(packet.protocolVersion, agreed.refused, agreed.why);
      return;
    }
    this.#agreed = agreed;
    this.#connect = packet;
    if (packet.properties?.authenticationMethod !== undefined) {
      this.#state = 'authenticating';
      this.#login = new EnhancedLogin(packet, this.#around.authorizer);
      this.#authenticated(this.#login.connect(packet));
    } else {
      this.#authorize(packet, agreed);
    }
  }

  #authorize(packet: ConnectPacket, agreed: Agreed): void {
    this.#state = 'authorizing';
    const { clientId } = agreed;
    const { username, password } = packet;
    let asked = false;
    this.#around.authorizer.connect(
      { clientId, username, password, remoteAddress: this.remoteAddress },
      (reasonCode, identity = { clientId, username }) => {
        if (this.#state !== 'authorizing') return;
        if (reasonCode !== ReasonCode.success) {
          this.#loginRefused(reasonCode);
          this.#refuse(agreed.version, reasonCode, 'not authorized');
          return;
        }
        this.#identity = identity;
        this.#welcome(packet, agreed, undefined);
        // What came with CONNECT waits in the decoder, the rest in the socket.
        if (!asked) return;
        this.unpause();
        this.#decode();
      },
    );
    asked = true;
    if (this.#state === 'authorizing') this.#pause();
  }

  /** Between CONNECT and CONNACK only AUTH and DISCONNECT may come, and nothing else is answered [MQTT5-3.1.2-30]. */
  #authenticating(packet: Packet): void {
    if (packet.type === 'auth') this.#authenticated(this.#login!.auth(packet));
    else if (packet.type === 'disconnect') this.#refuseSilently('the client gave up its authentication');
    else
      this.#refuse(
        5,
        ReasonCode.protocolError,
        `${packet.type.toUpperCase()} came before the end of authentication`,
      );
  }

  #authenticated(step: LoginStep): void {
    if (step.do === 'challenge') {
      this.#send({
        type: 'auth',
        reasonCode: ReasonCode.continueAuthentication,
        properties: step.properties,
      });
    } else if (step.do === 'refuse') {
      this.#loginRefused(step.reasonCode);
      this.#refuse(5, step.reasonCode, step.why);
    } else {
      this.#identity = { clientId: this.#agreed!.clientId, username: step.username };
      this.#welcome(this.#connect!, this.#agreed!, step.properties);
    }
  }

  #reauthenticated(step: LoginStep): void {
    if (step.do === 'refuse') {
      this.#loginRefused(step.reasonCode);
      this.close(step.reasonCode, step.why); // [MQTT5-4.12.1-2]
      return;
    }
    const reasonCode = step.do === 'challenge' ? ReasonCode.continueAuthentication : ReasonCode.success;
    this.#send({ type: 'auth', reasonCode, properties: step.properties });
  }

  #loginRefused(reasonCode: ReasonCode): void {
    if (reasonCode !== ReasonCode.badUserNameOrPassword && reasonCode !== ReasonCode.notAuthorized) return;
    this.#around.counters.loginsFailed += 1;
    this.#around.guard.failed(this.remoteAddress, this.#around.exchange.beginTurn());
  }

  /** `proof`: what ends enhanced authentication, for CONNACK. */
  #welcome(packet: ConnectPacket, agreed: Agreed, proof: Properties | undefined): void {
    const around = this.#around;
    const nowMs = around.exchange.beginTurn();
    const willTopic = packet.will === undefined ? undefined : around.exchange.topic(packet.will.topic);
    if (packet.will !== undefined && willTopic === undefined) {
      this.#refuse(agreed.version, ReasonCode.topicNameInvalid, 'the Will Topic is not a topic name');
      return;
    }
    if (
      willTopic !== undefined &&
      (willTopic.isSys || !around.authorizer.mayPublish(this.#identity!, willTopic.name))
    ) {
      this.#refuse(agreed.version, ReasonCode.notAuthorized, 'not authorized to publish the Will');
      return;
    }
    const properties = agreed.told === undefined ? undefined : { ...agreed.told, ...proof };
    const success = { type: 'connack', reasonCode: ReasonCode.success, properties } as const;
    // Before anyone is taken over for a client that cannot be told what it has [MQTT5-3.1.2-24].
    if (encodedSize({ ...success, sessionPresent: false }, agreed.version) > this.#maximumPacketSize) {
      this.#refuse(agreed.version, ReasonCode.packetTooLarge, 'CONNACK exceeds Maximum Packet Size');
      return;
    }
    const old = around.sessions.get(agreed.clientId);
    if (old !== undefined) around.connected(old)?.takenOver();
    if (!around.admit(this)) {
      this.#refuse(agreed.version, ReasonCode.serverBusy, 'broker.limits.max_connections is reached');
      return;
    }
    if (agreed.expiryIntervalSeconds > 0 && old === undefined && around.keeper?.hasRoom === false) {
      this.#refuse(agreed.version, ReasonCode.quotaExceeded, 'broker.limits.max_sessions_bytes is reached');
      return;
    }
    const opened = around.sessions.open(agreed.clientId, agreed.cleanStart, nowMs);
    if (opened === undefined) {
      this.#refuse(agreed.version, ReasonCode.quotaExceeded, 'too many sessions are kept');
      return;
    }
    const { session, sessionPresent } = opened;
    session.expiryIntervalSeconds = agreed.expiryIntervalSeconds;
    this.#connect = undefined;
    around.exchange.identify(session, this.#identity!);
    around.keeper?.connected(session);
    session.will = pendingWill(packet);
    if (session.kept !== undefined || old?.kept !== undefined) this.#holdUntilCommit();
    this.#session = session;
    this.#state = 'connected';
    this.#intake = new Intake(this, session, agreed.version, this.#identity!, around);
    if (agreed.topicAliasMaximum > 0) this.#outgoingAliases = new OutgoingAliases(agreed.topicAliasMaximum);
    this.#send({ ...success, sessionPresent });
    around.sessionsMoved();
    around.wake(this, this.#keepAliveEndMs);
    around.report(this, 'connected', '');
    this.#carryOut(session.resume(this, agreed.sendMaximum, this.#intake.receiveWindow));
    session.pump(nowMs);
  }

  /** What CONNACK says of the session must be so after a crash too: nothing leaves before that is certain. */
  #holdUntilCommit(): void {
    this.#outbox.hold();
    this.#around.turn.afterCommit(() => {
      this.#outbox.release();
      if (this.#state === 'connected') this.drained();
    });
  }

  // What Intake needs to answer.

  acknowledge(type: AckPacket['type'], packetIdentifier: number, reasonCode: ReasonCode): void {
    if (this.#state !== 'connected') return;
    if (reasonCode === ReasonCode.success || this.version === 4) this.#outbox.ack(type, packetIdentifier);
    else this.#send({ type, packetIdentifier, reasonCode });
  }

  get intake(): Intake | undefined {
    return this.#state === 'connected' ? this.#intake : undefined;
  }

  pubrel(packetIdentifier: number, reasonCode: ReasonCode): void {
    this.acknowledge('pubrel', packetIdentifier, reasonCode);
  }

  // What the Sender decided about our own PUBLISHes, for a session in memory: a `save` is done at once.

  #carryOut(steps: readonly SenderStep<Delivery>[]): void {
    for (const step of steps) {
      switch (step.do) {
        case 'save':
        case 'settle':
          break;
        case 'send':
          this.acknowledge(step.packet.type, step.packet.packetIdentifier, step.packet.reasonCode);
          break;
        case 'resend':
          this.#resend(step.item, step.packetIdentifier, step.qos);
          break;
        case 'close':
          this.close(step.reasonCode, step.why);
          return;
      }
    }
  }

  #resend(delivery: Delivery, packetIdentifier: number, qos: 1 | 2): void {
    if (this.fits(delivery) && this.mayReceive(delivery.publication.topic)) {
      this.publish(delivery, packetIdentifier, true);
      return;
    }
    // This connection's Maximum Packet Size is smaller than the last one's, or it may read less: as if it had been delivered [MQTT5-3.1.2-25].
    this.#around.counters.messagesDropped += 1;
    const session = this.#session!;
    if (qos === 1) this.#carryOut(session.puback(packetIdentifier, ReasonCode.success));
    else this.#carryOut(session.pubrec(packetIdentifier, ReasonCode.packetTooLarge));
  }

  // SUBSCRIBE, UNSUBSCRIBE

  #subscribe(packet: SubscribePacket, session: Session): void {
    const granted = subscribe(packet, session, this.version!, this.#identity!, this.#around);
    const { packetIdentifier } = packet;
    this.#onceSaved(session, () => {
      this.#send({ type: 'suback', packetIdentifier, reasonCodes: granted.reasonCodes });
      if (this.#state !== 'connected') return;
      for (const subscription of granted.withRetained) {
        if (session.subscriptions.get(subscription.topicFilter) !== subscription) continue;
        this.#around.exchange.sendRetained(subscription);
      }
    });
  }

  #unsubscribe(packet: UnsubscribePacket, session: Session): void {
    const { packetIdentifier } = packet;
    const reasonCodes = unsubscribe(packet, session, this.#around.exchange);
    this.#onceSaved(session, () => this.#send({ type: 'unsuback', packetIdentifier, reasonCodes }));
  }

  /** At once where the session ends with its connection. */
  #onceSaved(session: Session, then: () => void): void {
    if (session.kept === undefined) {
      then();
      return;
    }
    this.#around.turn.afterCommit(() => {
      if (this.#state !== 'connected') return;
      this.#around.exchange.beginTurn();
      then();
    });
  }

  // Endings

  #disconnected(packet: DisconnectPacket, session: Session): void {
    const interval = packet.properties?.sessionExpiryInterval;
    if (interval !== undefined) {
      // [MQTT5-3.14.2-2]: what ended with its connection cannot be kept after all.
      if (session.expiryIntervalSeconds === 0 && interval > 0) {
        this.close(ReasonCode.protocolError, 'DISCONNECT revives a session that ends with its connection');
        return;
      }
      session.expiryIntervalSeconds = Math.min(interval, this.#around.capabilities.sessionExpirySecondsMax);
    }
    this.#leave(packet.reasonCode === ReasonCode.success, 'the client said DISCONNECT');
    this.#end();
  }

  #malformed(reasonCode: ReasonCode, why: string, protocolLevel: number | undefined): void {
    this.#around.counters.protocolErrors += 1;
    if (this.#state === 'connected') {
      this.close(reasonCode, why);
    } else if (protocolLevel !== undefined) {
      // Readable by every version [MQTT311-3.1.2-2].
      this.#outbox.packet(new Uint8Array([0x20, 2, 0, 1]));
      this.#refuseSilently(why, reasonCode);
    } else if (this.#decoder.protocolVersion === 5) {
      this.#refuse(5, reasonCode, why);
    } else {
      this.#refuseSilently(why, reasonCode);
    }
  }

  #refuse(version: ProtocolVersion, reasonCode: ReasonCode, why: string): void {
    const bytes = encodeWithin(
      {
        type: 'connack',
        sessionPresent: false,
        reasonCode,
        ...(version === 5 ? { properties: { reasonString: why } } : {}),
      },
      version,
      this.#maximumPacketSize,
    );
    if (bytes !== undefined) this.#outbox.packet(bytes);
    this.#refuseSilently(why, reasonCode);
  }

  #refuseSilently(why: string, reasonCode?: ReasonCode): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#around.counters.connectionsRefused += 1;
    const what = reasonCode === ReasonCode.connectionRateExceeded ? 'throttled' : 'refused';
    this.#around.report(this, what, why, reasonCode);
    this.#end();
  }

  /** Tells a 5.0 client why [MQTT5-4.13.1-1], then leaves the session as if the network had failed. */
  close(reasonCode: ReasonCode, why: string): void {
    if (this.#state !== 'connected') return;
    if (this.version === 5) {
      const properties: Properties = { reasonString: why };
      this.#send({ type: 'disconnect', reasonCode, properties });
    }
    if (!NO_TRANSGRESSION.has(reasonCode)) {
      this.#around.transgressed(this.clientId, this.remoteAddress, reasonCode, why);
    }
    this.#leave(false, why);
    this.#end();
  }

  /** The session goes its own way; the Will with it unless it is discarded. */
  #leave(discardWill: boolean, why: string): void {
    if (this.#state !== 'connected') return;
    this.#state = 'closing';
    const session = this.#session!;
    this.#around.report(this, 'disconnected', why);
    if (session.link !== this) return;
    this.#around.sessions.leave(session, discardWill, this.#around.exchange.beginTurn());
    this.#around.sessionsMoved();
  }

  #end(): void {
    this.#state = 'closing';
    this.#outbox.close();
    this.#transport.end();
    // A paused socket would never see the other side's end.
    if (this.#paused) this.#transport.resume();
    this.#around.wake(this, this.#around.exchange.nowMs + LINGER_MS);
  }

  #send(packet: Packet): void {
    const { version, maximumPacketSize, problemInformation } = this.#agreed!;
    const said = problemInformation || packet.type === 'disconnect' ? packet : withoutProblem(packet);
    const bytes = encodeWithin(said, version, maximumPacketSize);
    if (bytes !== undefined) this.#outbox.packet(bytes);
    else if (packet.type !== 'disconnect') this.#unsendable(packet);
  }

  /** An answer larger than Maximum Packet Size: the client must not get it, and would wait for it for ever. */
  #unsendable(packet: Packet): void {
    const why = `${packet.type.toUpperCase()} exceeds Maximum Packet Size`;
    if (this.#state === 'connected') this.close(ReasonCode.packetTooLarge, why);
    else this.#refuse(5, ReasonCode.packetTooLarge, why);
  }

  get #keepAliveEndMs(): number {
    const seconds = this.#agreed!.keepAliveSeconds;
    return seconds === 0 ? Number.POSITIVE_INFINITY : this.#lastPacketMs + seconds * 1500;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#transport.pause();
  }

  /** Reads again if there is nothing left that it was paused for. */
  unpause(): void {
    if (!this.#paused || this.#state !== 'connected') return;
    if ((this.#intake?.unacknowledged ?? 0) * 2 > this.#around.capabilities.receiveMaximum) return;
    if (this.#outbox.pendingBytes > CONGESTED_BYTES) return;
    this.#paused = false;
    this.#transport.resume();
  }
}

function pendingWill({ will }: ConnectPacket): PendingWill | undefined {
  if (will === undefined) return undefined;
  const { topic, qos, retain } = will;
  // A slice of the chunk that brought CONNECT: a Will may wait for weeks.
  const payload = new Uint8Array(will.payload);
  const properties = carriedProperties(will.properties);
  return {
    message:
      properties === undefined
        ? { topic, payload, qos, retain }
        : { topic, payload, qos, retain, properties },
    delaySeconds: will.properties?.willDelayInterval ?? 0,
  };
}

function withoutProblem(packet: Packet): Packet {
  if (packet.type === 'connack' || packet.type === 'publish' || !('properties' in packet)) return packet;
  if (packet.properties === undefined) return packet;
  const { reasonString: _reason, userProperties: _user, ...properties } = packet.properties;
  return { ...packet, properties } as Packet;
}
