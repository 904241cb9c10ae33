/**
 * An MQTT client for programs, 3.1.1 and 5.0, over TCP and TLS.
 *
 *   connect ──▶ connected ──lost──▶ waiting ──▶ connected …        close: DISCONNECT, and nothing is left running
 *
 * The connection, its Keep Alive and what comes in are those of the bridge; here they get promises and callbacks. State is
 * in memory: a program that ends forgets what was in flight.
 */
import { Backoff } from '../bridge/backoff.js';
import { Client as Upstream } from '../bridge/client.js';
import { dial } from '../bridge/dial.js';
import type { Fault } from '../bridge/fault.js';
import { Incoming, RECEIVE_MAXIMUM } from '../bridge/incoming.js';
import { parseServerUrl } from '../bridge/server-url.js';
import { SystemClock, type Timer } from '../core/clock.js';
import { GodwitError } from '../core/error.js';
import type { Message, QoS } from '../core/message.js';
import type { ConnackPacket, Packet, ProtocolVersion } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import {
  bytesOf,
  type ClientOptions,
  connectPacket,
  type OnMessage,
  type PublishOptions,
  randomClientId,
  type SubscribeOptions,
} from './client-options.js';
import { Outgoing, type ServerLimits } from './outgoing.js';
import { Subscriptions } from './subscriptions.js';

/** Announced to a server of 5.0; larger messages it drops. */
const MAXIMUM_PACKET_SIZE = 16 * 1024 * 1024;
/** A server of 3.1.1 does not say what it takes; mosquitto closes on more than this by default. */
const IN_FLIGHT_MAX_311 = 20;
const RECONNECT = { minMs: 1000, maxMs: 60_000 };
const QUEUE_MAX = 1000;
/** A server that does not close its side after DISCONNECT is not waited for. */
const CLOSE_MS_MAX = 2000;
const CLOSED: Fault = { kind: 'closed', sentence: 'the client was closed' };

type State = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';

interface Deferred {
  readonly resolve: () => void;
  readonly reject: (fault: GodwitError) => void;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #version: ProtocolVersion;
  readonly #clock = new SystemClock();
  readonly #backoff: Backoff;
  readonly #outgoing: Outgoing;
  readonly #subscriptions: Subscriptions;
  readonly #incoming: Incoming;
  #clientId: string;
  #state: State = 'idle';
  /** Until the first connection stands. */
  #first: Deferred | undefined;
  #upstream: Upstream | undefined;
  #connectedAtMs = 0;
  #everConnected = false;
  #timer: Timer | undefined;
  #waking = false;
  #onClosed: (() => void) | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#version = options.version === '3.1.1' ? 4 : 5;
    this.#clientId = options.clientId ?? randomClientId();
    const { minMs: min, maxMs: max } = options.reconnect || RECONNECT;
    this.#backoff = new Backoff({ min, max }, Math.random);
    this.#outgoing = new Outgoing(options.queueMax ?? QUEUE_MAX);
    this.#subscriptions = new Subscriptions(this.#version);
    this.#incoming = new Incoming([], {
      publish: (message, accepted) => this.#arrived(message, accepted),
      send: (packet) => this.#upstream?.send(packet),
      wake: () => this.#wake(),
      clock: this.#clock,
    });
  }

  /** As it was given, made up, or assigned by the server. */
  get clientId(): string {
    return this.#clientId;
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  /**
   * Resolves when the server has accepted. Rejects with `CONNECT_FAILED` (its field `reasonCode` is the server's, if it
   * gave one) and does not try again by itself; it may be called again.
   */
  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'idle') {
        const why = this.#state === 'closed' ? 'The client was closed' : 'The client was connected before';
        reject(new GodwitError('CLIENT_STATE', why));
        return;
      }
      this.#first = { resolve, reject };
      this.#dial();
    });
  }

  /**
   * Resolves at QoS 0 when the message is handed to the socket, at QoS 1 and 2 when the server has acknowledged it; those
   * wait for a connection. Rejects with the server's Reason Code, or where the message cannot be sent or kept waiting.
   */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { qos = 0, retain = false, properties } = options;
    if (this.#state === 'closed') return Promise.reject(closedError());
    const message: Message = { topic, payload: bytesOf(payload), qos, retain };
    const published = this.#outgoing.publish(properties === undefined ? message : { ...message, properties });
    this.#wake();
    return published;
  }

  /**
   * Calls back for every message that matches. Resolves with the QoS granted; rejects with the server's Reason Code. It is
   * subscribed again after each loss of the session.
   */
  subscribe(topicFilter: string, onMessage: OnMessage, options: SubscribeOptions = {}): Promise<QoS> {
    if (this.#state === 'closed') return Promise.reject(closedError());
    const granted = this.#subscriptions.subscribe(topicFilter, options, onMessage);
    this.#wake();
    return granted;
  }

  /** Resolves when the server has forgotten it; the callback is not called from now on. */
  unsubscribe(topicFilter: string): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(closedError());
    const forgotten = this.#subscriptions.unsubscribe(topicFilter);
    this.#wake();
    return forgotten;
  }

  /** DISCONNECT, so no Will; what still waits is rejected. Leaves nothing running, and may be called twice. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#timer?.cancel();
    this.#incoming.stop();
    const upstream = this.#upstream;
    if (upstream !== undefined) {
      await new Promise<void>((resolve) => {
        this.#onClosed = resolve;
        this.#timer = this.#clock.at(this.#clock.monotonicMs() + CLOSE_MS_MAX, () => upstream.close(CLOSED));
        upstream.disconnect();
      });
      this.#timer?.cancel();
    }
    this.#giveUp(closedError());
  }

  #dial(): void {
    this.#state = 'connecting';
    const keepsSession =
      this.#version === 5
        ? (this.#options.sessionExpirySeconds ?? 0) > 0
        : this.#options.cleanStart === false;
    const cleanStart = this.#everConnected ? !keepsSession : (this.#options.cleanStart ?? true);
    try {
      const upstream: Upstream = new Upstream(
        {
          server: parseServerUrl(this.#options.url),
          way: this.#options.tls === undefined ? {} : { tls: this.#options.tls },
          connect: connectPacket({ ...this.#options, clientId: this.#clientId }, cleanStart, {
            receiveMaximum: RECEIVE_MAXIMUM,
            maximumPacketSize: MAXIMUM_PACKET_SIZE,
          }),
          dial,
          clock: this.#clock,
          maximumPacketSize: MAXIMUM_PACKET_SIZE,
        },
        {
          accepted: (connack) => this.#accepted(upstream, connack),
          packet: (packet) => this.#packet(packet),
          turn: () => this.#turn(),
          closed: (fault) => this.#closed(fault),
        },
      );
      this.#upstream = upstream;
      upstream.open();
    } catch (fault) {
      // A wrong URL, or options that make no CONNECT.
      this.#upstream = undefined;
      this.#closed({ kind: 'protocol', sentence: fault instanceof Error ? fault.message : String(fault) });
    }
  }

  #accepted(upstream: Upstream, connack: ConnackPacket): void {
    const { sessionPresent, properties } = connack;
    this.#state = 'connected';
    this.#everConnected = true;
    this.#connectedAtMs = this.#clock.monotonicMs();
    this.#clientId = properties?.assignedClientIdentifier ?? this.#clientId;
    this.#incoming.connected(this.#version === 5, sessionPresent);
    this.#outgoing.connected(
      {
        get writable() {
          return upstream.writable;
        },
        write: (bytes) => upstream.output.append(bytes),
        send: (packet) => upstream.send(packet),
        fail: (reasonCode, why) => this.#fail(reasonCode, why),
      },
      limitsOf(connack, this.#version),
      sessionPresent,
    );
    const { sender } = this.#outgoing;
    this.#subscriptions.connected(
      {
        takeIdentifier: () => sender.takeIdentifier(),
        freeIdentifier: (packetIdentifier) => sender.freeIdentifier(packetIdentifier),
        send: (packet) => upstream.send(packet),
      },
      sessionPresent,
    );
    const first = this.#first;
    this.#first = undefined;
    first?.resolve();
    this.#options.onConnect?.(sessionPresent);
  }

  #packet(packet: Packet): void {
    const { sender } = this.#outgoing;
    switch (packet.type) {
      case 'publish': {
        const wrong = this.#incoming.publish(packet, true);
        if (wrong !== undefined) this.#fail(wrong, 'PUBLISH is not what was agreed on');
        return;
      }
      case 'puback':
        this.#outgoing.carryOut(sender.puback(packet.packetIdentifier, packet.reasonCode));
        return;
      case 'pubrec':
        this.#outgoing.carryOut(sender.pubrec(packet.packetIdentifier, packet.reasonCode));
        return;
      case 'pubcomp':
        this.#outgoing.carryOut(sender.pubcomp(packet.packetIdentifier, packet.reasonCode));
        return;
      case 'pubrel':
        this.#incoming.pubrel(packet.packetIdentifier);
        return;
      case 'suback':
        this.#subscriptions.suback(packet);
        return;
      case 'unsuback':
        this.#subscriptions.unsuback(packet);
        return;
      default:
        this.#fail(ReasonCode.protocolError, `${packet.type.toUpperCase()} does not belong here`);
    }
  }

  /** To whoever subscribed; accepted once all of them are done with it. */
  #arrived(message: Message, accepted: (ok: boolean) => void): void {
    let waits: readonly Promise<void>[];
    try {
      waits = this.#subscriptions.deliver(message).filter((outcome) => outcome instanceof Promise);
    } catch (fault) {
      accepted(false);
      throwUncaught(fault);
      return;
    }
    if (waits.length === 0) {
      accepted(true);
      return;
    }
    Promise.all(waits).then(
      () => accepted(true),
      (fault: unknown) => {
        accepted(false);
        throwUncaught(fault);
      },
    );
  }

  #turn(): void {
    this.#outgoing.pump();
    // In memory: saved at once.
    if (this.#incoming.saveNeeded) this.#incoming.saving()();
    this.#upstream?.flush();
  }

  /** What a program does in one turn of its own leaves together. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      if (this.#state === 'connected') this.#turn();
    });
  }

  #fail(reasonCode: ReasonCode, why: string): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    if (this.#version === 5) upstream.send({ type: 'disconnect', reasonCode });
    upstream.flush();
    upstream.close({ kind: 'protocol', sentence: `the server broke the protocol: ${why}`, reasonCode });
  }

  #closed(fault: Fault): void {
    this.#upstream = undefined;
    this.#incoming.disconnected();
    this.#outgoing.disconnected();
    this.#subscriptions.disconnected();
    const { reasonCode, sentence } = fault;
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      if (this.#state !== 'closed') this.#state = 'idle';
      first.reject(new GodwitError('CONNECT_FAILED', sentence, { kind: fault.kind, reasonCode }));
    }
    this.#onClosed?.();
    if (this.#state === 'closed' || first !== undefined) return;
    const wasConnected = this.#state === 'connected';
    if (wasConnected) this.#options.onLost?.(sentence);
    // Closed by the callback itself, perhaps.
    if (this.#isClosed()) return;
    if (this.#options.reconnect === false) {
      this.#state = 'closed';
      this.#incoming.stop();
      this.#giveUp(new GodwitError('CONNECTION_LOST', sentence, { kind: fault.kind, reasonCode }));
      return;
    }
    this.#state = 'waiting';
    const nowMs = this.#clock.monotonicMs();
    const delayMs = this.#backoff.delayMs(wasConnected ? nowMs - this.#connectedAtMs : 0);
    this.#timer = this.#clock.at(nowMs + delayMs, () => this.#dial());
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #giveUp(fault: GodwitError): void {
    this.#outgoing.end(fault);
    this.#subscriptions.end(fault);
  }
}

function limitsOf({ properties }: ConnackPacket, version: ProtocolVersion): ServerLimits {
  return {
    version,
    receiveMaximum: version === 5 ? (properties?.receiveMaximum ?? 0xffff) : IN_FLIGHT_MAX_311,
    maximumPacketSize: properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    maximumQoS: properties?.maximumQoS ?? 2,
    retainAvailable: properties?.retainAvailable !== 0,
  };
}

function closedError(): GodwitError {
  return new GodwitError('CLIENT_CLOSED', 'The client was closed');
}

/** What a callback throws is its program's to handle. */
function throwUncaught(fault: unknown): void {
  setImmediate(() => {
    throw fault;
  });
}
