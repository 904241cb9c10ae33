/**
 * Carries Records from the journal to a server, and what the server sends down to the broker's publish door.
 *
 *   journal ─▶ Feed ─▶ BridgeSession ─▶ PublishWriter ─▶ Link ─▶ server
 *                 Saver ◀──┘                              │
 *   broker's door ◀─ Incoming ◀── packets ◀───────────────┘     (Control: subscriptions and the gateway's status)
 *
 * A shell: what may be sent is decided in bridge-session.ts, what is acknowledged in incoming.ts, whom to ask and
 * when in link.ts. Each turn handles all that came, saves what must be saved, sends all that may go, and writes once.
 */
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Part } from '../core/part.js';
import type { BridgeSnapshot } from '../core/snapshot.js';
import { encodePayload } from '../mapping/payload.js';
import type { ConnackPacket, Packet, PublishPacket } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { BridgeOptions } from './bridge-options.js';
import { type BridgeParts, buildParts } from './bridge-parts.js';
import type { Acknowledged } from './bridge-session.js';
import { type Fault, reasonName } from './fault.js';
import { etaSeconds } from './rate.js';
import type { ServerUrl } from './server-url.js';
import { ServerWire } from './server-wire.js';
import type { Limits } from './wire.js';

/** The largest that MQTT can say. */
const PACKET_SIZE_MAX = 268_435_460;
/** Some identifiers stay free for SUBSCRIBE and the status. */
const WINDOW_MAX = 65_000;
/** Together well under the five seconds that a stop may take. */
const SHUTDOWN_PUBACK_MS = 2000;
const SHUTDOWN_CLOSE_MS = 1000;

export class Bridge implements Part {
  readonly name: string;
  readonly #options: BridgeOptions;
  readonly #clock: Clock;
  #parts: BridgeParts | undefined;
  /** Of the present connection; undefined while Records may not be sent. */
  #wire: ServerWire | undefined;
  /** Counts connections: what was begun for an earlier one ends there. */
  #connection = 0;
  #isV5 = true;
  #sessionsLost = 0;
  /** UNSUBSCRIBE was sent to learn whose session it is. */
  #askTimer: Timer | undefined;
  #stopping = false;
  #awake = false;

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.name = `bridge ${options.name}`;
    this.#clock = options.clock;
  }

  /** Resolves at once: a server that cannot be reached is a state, not a fault of the start. */
  async start(): Promise<void> {
    this.#parts = buildParts(this.#options, {
      accepted: (server, connack, sessionPresent) => this.#accepted(server, connack, sessionPresent),
      packet: (packet) => this.#packet(packet),
      turn: () => this.#turn(),
      closed: (fault) => this.#closed(fault),
      wake: () => this.#wake(),
      late: (sentence) => this.#built().link.client?.close({ kind: 'ack-timeout', sentence }),
      journalFailed: (fault) => {
        const sentence = `the journal cannot be read: ${reasonOf(fault)}`;
        this.#built().link.client?.close({ kind: 'closed', sentence });
      },
    });
    this.#parts.link.start();
  }

  async stop(): Promise<void> {
    const parts = this.#parts;
    if (this.#stopping || parts === undefined) return;
    this.#stopping = true;
    parts.stopListening();
    parts.feeds.stop();
    const told = await parts.control.shutdown(SHUTDOWN_PUBACK_MS);
    // Without DISCONNECT: the server publishes the Will.
    if (!told) parts.link.client?.close({ kind: 'closed', sentence: 'the server took no status any more' });
    await parts.link.stop(SHUTDOWN_CLOSE_MS);
    parts.incoming.stop();
    parts.batchTimer.stop();
    parts.saver.stop();
  }

  /** A replay was added or cancelled. */
  replaysChanged(): void {
    this.#parts?.replay?.changed();
  }

  snapshot(): BridgeSnapshot {
    const { name, storage } = this.#options;
    const { link, session, rate } = this.#parts ?? {};
    const ledger = storage.ledger(name);
    const inFlight = session?.inFlight ?? 0;
    const delivered = ledger.delivered + (session?.unsaved.delivered ?? 0);
    const lost = ledger.lost + (session?.unsaved.lost ?? 0);
    const waiting = Math.max(0, ledger.produced - delivered - lost - inFlight);
    const reason = this.#reason();
    return {
      state: link?.state ?? 'stopped',
      ...(reason !== undefined && { reason }),
      since: link?.sinceMs ?? 0,
      server: link?.server?.url ?? null,
      ...link?.details,
      waiting,
      inFlight,
      delivered,
      lost,
      eta: etaSeconds(waiting + inFlight, rate?.perSecond(delivered, this.#clock.monotonicMs())),
      sessionsLost: this.#sessionsLost,
    };
  }

  #reason(): string | undefined {
    const { link, control, quota } = this.#parts ?? {};
    if (link?.state !== 'connected') return link?.reason;
    if (quota?.isOn === true) return 'the server is over its quota; sending is paused';
    const refused = control?.refused ?? [];
    return refused.length === 0 ? link.reason : `the server refused to subscribe ${refused.join(', ')}`;
  }

  #accepted(server: ServerUrl, connack: ConnackPacket, sessionPresent: boolean): void {
    const { control, incoming, link, session } = this.#built();
    const clock = this.#clock;
    const { config } = this.#options;
    this.#isV5 = config.version === 5;
    incoming.connected(this.#isV5, sessionPresent);
    if (!sessionPresent || !session.doubtful) {
      this.#resume(server, connack, sessionPresent);
      return;
    }
    if (!this.#isV5) {
      this.#resume(server, connack, 'unsure');
      return;
    }
    const limitMs = config.ack_timeout;
    const asked = (): void => {
      this.#askTimer = clock.at(clock.monotonicMs() + limitMs, () => {
        const sentence = `the server did not answer UNSUBSCRIBE for ${limitMs / 1000} s`;
        link.client?.close({ kind: 'ack-timeout', sentence });
      });
    };
    control.askSession(asked, (ours) => {
      this.#askTimer?.cancel();
      if (ours === false) incoming.connected(this.#isV5, false);
      this.#resume(server, connack, ours);
    });
  }

  #resume(server: ServerUrl, connack: ConnackPacket, sessionPresent: boolean | 'unsure'): void {
    const { clientId, control, link, saver, session } = this.#built();
    if (link.client === undefined) return;
    const { config, log, name } = this.#options;
    const window = Math.min(config.inflight, connack.properties?.receiveMaximum ?? 0xffff, WINDOW_MAX);
    const { maximumQoS = 2 } = connack.properties ?? {};
    const packetBytesMax = connack.properties?.maximumPacketSize ?? PACKET_SIZE_MAX;
    const limits: Limits = { window, windowQoS2: window, maximumQoS, packetBytesMax };

    if (session.connected(server.url, clientId, sessionPresent, limits)) {
      this.#sessionsLost += 1;
      log.warn(
        { bridge: name, server: server.url, inFlight: session.inFlight },
        'Server does not have the session; what was in flight is sent again',
      );
    }
    if (sessionPresent === 'unsure' && session.inFlight > 0) {
      log.info(
        { bridge: name, server: server.url, inFlight: session.inFlight },
        'Server cannot say whose session it has; what it may not have is sent again',
      );
    }
    if (sessionPresent !== true) control.sessionChanged();
    const connection = this.#connection;
    const ready = (): void => {
      if (connection !== this.#connection || this.#stopping) return;
      this.#ready(server, connack, window, sessionPresent !== false);
    };
    // Nothing may be sent in a session that the disk does not know: see BridgeSession.connected.
    if (session.saveNeeded === 'now') saver.now(ready);
    else ready();
  }

  #ready(server: ServerUrl, { properties }: ConnackPacket, window: number, sessionPresent: boolean): void {
    const { control, feeds, link, pacing, replay, watch } = this.#built();
    const { client } = link;
    if (client === undefined) return;
    const { encode = encodePayload, gateway, storage } = this.#options;
    const { maximumQoS = 2 } = properties ?? {};
    const retainAvailable = properties?.retainAvailable !== 0;
    this.#wire = new ServerWire({
      ...{ client, encode, clock: this.#clock },
      names: { gateway: gateway.id, journalId: storage.journalId },
      limits: {
        protocolVersion: this.#isV5 ? 5 : 4,
        maximumPacketSize: properties?.maximumPacketSize ?? PACKET_SIZE_MAX,
        retainAvailable,
      },
    });
    pacing.connected(server.url, this.#isV5, window);
    watch.start();
    link.ready();
    control.connected({ isV5: this.#isV5, maximumQoS, retainAvailable }, sessionPresent);
    feeds.start();
    replay?.connected(window);
    this.#wake();
  }

  #closed(fault: Fault): void {
    const { control, feeds, incoming, pacing, quota, replay, session, settling, watch } = this.#built();
    if (this.#wire !== undefined) pacing.closed(fault);
    this.#connection += 1;
    this.#wire = undefined;
    this.#askTimer?.cancel();
    settling.cancel();
    watch.stop();
    quota.cancel();
    feeds.stop();
    replay?.disconnected();
    session.disconnected();
    incoming.disconnected();
    control.disconnected();
    this.#wake();
  }

  #packet(packet: Packet): void {
    const { control, incoming, session, watch } = this.#built();
    switch (packet.type) {
      case 'puback': {
        const { packetIdentifier, reasonCode } = packet;
        this.#wire?.acknowledged(packetIdentifier);
        const outcome = session.puback(packetIdentifier, reasonCode);
        if (outcome !== 'unknown') this.#heard(outcome);
        else control.puback(packetIdentifier);
        watch.heard();
        return;
      }
      case 'pubrec':
        this.#wire?.acknowledged(packet.packetIdentifier);
        this.#pubrec(packet.packetIdentifier, packet.reasonCode);
        watch.heard();
        return;
      case 'pubcomp':
        session.pubcomp(packet.packetIdentifier);
        watch.heard();
        return;
      case 'pubrel':
        incoming.pubrel(packet.packetIdentifier);
        return;
      case 'publish':
        this.#publish(packet);
        return;
      case 'suback':
        control.suback(packet);
        return;
      case 'unsuback':
        control.unsuback(packet);
        return;
      default:
        // The decoder lets through only what a server may send, and nothing else of it is asked for.
        return;
    }
  }

  #pubrec(packetIdentifier: number, reasonCode: ReasonCode): void {
    const { link, session } = this.#built();
    const outcome = session.pubrec(packetIdentifier, reasonCode);
    this.#heard(outcome);
    if (outcome !== 'unknown' || reasonCode >= 0x80) return;
    // The server keeps an identifier that we do not know: it is told to let it go [MQTT5-4.3.3-4].
    link.client?.send({
      type: 'pubrel',
      packetIdentifier,
      reasonCode: this.#isV5 ? ReasonCode.packetIdentifierNotFound : ReasonCode.success,
    });
  }

  #heard(outcome: Acknowledged): void {
    const { quota } = this.#built();
    if (outcome !== 'quota') quota.taken();
    else if (quota.begin())
      this.#options.log.warn({ bridge: this.#options.name }, 'Server is over its quota; sending pauses');
  }

  #publish(packet: PublishPacket): void {
    const { control, incoming, link } = this.#built();
    control.seen(packet.topic, packet.payload);
    const broken = incoming.publish(packet, control.wants(packet.topic));
    if (broken === undefined) return;
    if (this.#isV5) {
      link.client?.send({ type: 'disconnect', reasonCode: broken });
      link.client?.flush();
    }
    const sentence = `the server broke the protocol: ${reasonName(broken)}`;
    link.client?.close({ kind: 'protocol', sentence, reasonCode: broken });
  }

  /** One turn for all that ask within a turn of the event loop. */
  #wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    queueMicrotask(() => {
      this.#awake = false;
      this.#turn();
    });
  }

  #turn(): void {
    const { batchTimer, control, feeds, incoming, link, pacing, replay, saver, session, settling } =
      this.#built();
    // In this very turn: the messages that were handed to the broker in it go into the same transaction.
    if (incoming.saveNeeded && link.state !== 'stopped') saver.now(incoming.saving());
    const wire = this.#wire;
    session.batches.now(this.#clock.monotonicMs(), this.#clock.wallMs());
    const mayBegin = (): boolean => !this.#stopping && !settling.isOn;
    const offer = (): boolean => [feeds.offer(), replay?.offer() === true].includes(true);
    if (wire !== undefined) {
      pacing.turn();
      control.turn();
      do {
        if (mayBegin()) offer();
        session.batches.seal();
        session.pump(wire);
        // At QoS 0 all that was taken has left: on, until the turn is full.
      } while (mayBegin() && wire.writable && offer());
    }
    if (settling.isOn && session.inFlight === 0 && !session.replay.isOpen) settling.done();
    saver.turn();
    if (wire !== undefined) batchTimer.arm(session.batches.deadlineMs);
    const hadNoRoom = wire !== undefined && !wire.writable;
    link.client?.flush();
    // The turn was full, not the socket: no `drained` would bring us back.
    if (hadNoRoom && this.#wire?.writable === true) this.#wake();
  }

  #built(): BridgeParts {
    if (this.#parts === undefined) throw new Error('the bridge has not been started');
    return this.#parts;
  }
}
