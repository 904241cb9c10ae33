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
import type { BridgeConfig } from '../config/schema.js';
import type { Clock, Timer } from '../core/clock.js';
import { GodwitError, reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import type { Part } from '../core/part.js';
import type { SampleSet } from '../core/sample.js';
import type { BridgeSnapshot } from '../core/snapshot.js';
import { encodePayload } from '../mapping/payload.js';
import type { ConnackPacket, Packet, PublishPacket } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { Storage } from '../storage/storage.js';
import { BridgeSession, type Wire } from './bridge-session.js';
import { decodeState, newState } from './bridge-state.js';
import type { Client } from './client.js';
import { Control } from './control.js';
import { type Fault, reasonName } from './fault.js';
import { Feeds } from './feeds.js';
import { renderGateway, routeFor, statusTopic } from './forward.js';
import { Incoming } from './incoming.js';
import { Link } from './link.js';
import { NewestSent } from './newest-sent.js';
import { TURN_BYTES } from './output.js';
import { OwnStatus } from './own-status.js';
import { Pacing } from './pacing.js';
import { parseProxy } from './proxy.js';
import { PublishWriter, userProperty } from './publish-writer.js';
import { etaSeconds, Rate } from './rate.js';
import { Replay, type ReplayWire } from './replay.js';
import type { ReplayJobs } from './replay-job.js';
import { Saver } from './saver.js';
import type { ServerUrl } from './server-url.js';
import { HIGH, LIVE, type StreamId } from './stream.js';
import { type Dial, dial, type TlsSecrets, type Way } from './transport.js';

export interface BridgeOptions {
  readonly name: string;
  readonly config: BridgeConfig;
  readonly secrets: { readonly password?: string; readonly tls?: TlsSecrets };
  readonly gateway: {
    readonly id: string;
    readonly version: string;
    /** Milliseconds since the epoch. */
    readonly since: number;
    /** Rendered. */
    readonly statusTopic: string;
  };
  readonly storage: Storage;
  readonly encode?: (set: SampleSet) => Uint8Array;
  /** The broker's publish door, for what the receive rules bring. Acknowledged upstream only after `accepted(true)`. */
  readonly publish: (message: Message, accepted: (ok: boolean) => void) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly dial?: Dial;
  /** Replays of all bridges; absent: this one has none. */
  readonly replays?: ReplayJobs;
}

/** The largest that MQTT can say. */
const PACKET_SIZE_MAX = 268_435_460;
/** Some identifiers stay free for SUBSCRIBE and the status. */
const WINDOW_MAX = 65_000;
/** A server over its quota is left alone so long, then for twice as long, and so on. */
const QUOTA_PAUSE_MS = 5000;
const QUOTA_PAUSE_MS_MAX = 300_000;
/** What is in flight has so long to be acknowledged before a change of servers sends it again. */
const SETTLE_MS = 30_000;
/** Together well under the five seconds that a stop may take. */
const SHUTDOWN_PUBACK_MS = 2000;
const SHUTDOWN_CLOSE_MS = 1000;

export class Bridge implements Part {
  readonly name: string;
  readonly #options: BridgeOptions;
  readonly #clock: Clock;
  #parts: Parts | undefined;
  /** Of the present connection; undefined while Records may not be sent. */
  #wire: (Wire & ReplayWire) | undefined;
  /** Counts connections: what was begun for an earlier one ends there. */
  #connection = 0;
  #isV5 = true;
  #sessionsLost = 0;
  #acknowledgedAtMs = 0;
  #ackTimer: Timer | undefined;
  #watchTimer: Timer | undefined;
  #quotaTimer: Timer | undefined;
  #quotaPauseMs = QUOTA_PAUSE_MS;
  #pacing: Pacing | undefined;
  /** Nothing new is sent until nothing is in flight; then this is called. */
  #settled: (() => void) | undefined;
  #settleTimer: Timer | undefined;
  #stopping = false;
  #awake = false;

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.name = `bridge ${options.name}`;
    this.#clock = options.clock;
  }

  /** Resolves at once: a server that cannot be reached is a state, not a fault of the start. */
  async start(): Promise<void> {
    this.#parts = this.#build();
    this.#parts.link.start();
  }

  async stop(): Promise<void> {
    const parts = this.#parts;
    if (this.#stopping || parts === undefined) return;
    this.#stopping = true;
    parts.stopListening();
    parts.feeds.stop();
    await parts.control.shutdown(SHUTDOWN_PUBACK_MS);
    await parts.link.stop(SHUTDOWN_CLOSE_MS);
    parts.incoming.stop();
    parts.saver.stop();
  }

  /** A replay was added or cancelled. */
  replaysChanged(): void {
    this.#parts?.replay?.changed(this.#wire !== undefined);
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
      waiting,
      inFlight,
      delivered,
      lost,
      eta: etaSeconds(waiting + inFlight, rate?.perSecond(delivered, this.#clock.monotonicMs())),
      sessionsLost: this.#sessionsLost,
    };
  }

  #reason(): string | undefined {
    const { link, control } = this.#parts ?? {};
    if (link?.state !== 'connected') return link?.reason;
    if (this.#quotaTimer !== undefined) return 'the server is over its quota; sending is paused';
    const refused = control?.refused ?? [];
    return refused.length === 0 ? undefined : `the server refused to subscribe ${refused.join(', ')}`;
  }

  #build(): Parts {
    const { config, gateway, log, name, storage } = this.#options;
    const clock = this.#clock;
    const saved = storage.bridge(name);
    const decoded = saved === undefined ? newState : decodeState(saved.bytes);
    if (decoded === undefined) {
      log.error(
        { bridge: name },
        'Bridge state is unreadable; all that the journal still has for it is sent again',
      );
    }
    const state = decoded ?? newState;
    const clientId = renderGateway(config.client_id, gateway.id);
    const status = new OwnStatus(gateway, statusTopic(config, gateway), Math.ceil(config.will_delay / 1000));
    const rules = config.receive.map(({ filter, qos }) => ({
      topicFilter: renderGateway(filter, gateway.id),
      qos,
    }));
    const send = (packet: Packet): void => this.#parts?.link.client?.send(packet);
    const wake = (): void => this.#wake();

    const uses = new Set<StreamId>();
    if (config.forward.some((rule) => rule.priority === 'high')) uses.add(HIGH);
    if (config.forward.some((rule) => rule.order === 'live-first')) uses.add(LIVE);
    const session = new BridgeSession(state, config.inflight, {
      usesHigh: uses.has(HIGH),
      historyShare: config.history_share,
      historyOrder: config.history,
      newestSent: new NewestSent(storage.keyValue(`bridge/${name}/newest`)),
    });
    const incoming = new Incoming(state.received, { publish: this.#options.publish, send, wake, clock });
    const saver = new Saver(storage, name, session, () => incoming.received, clock, wake);
    const feeds = new Feeds({
      storage,
      bridge: name,
      session,
      uses,
      arrived: wake,
      failed: (fault) => this.#journalFault(fault),
    });
    const control = new Control(
      name,
      rules,
      status,
      {
        takeIdentifier: () => session.takeControl(),
        freeIdentifier: (packetIdentifier) => session.freeControl(packetIdentifier),
        send,
        filters: storage.keyValue(`bridge/${name}/filters`),
        afterCommit: (then) => storage.afterCommit(then),
        underWay: (more) => session.control(more),
        wake,
      },
      clock,
      log,
    );
    const link = new Link(
      {
        bridge: name,
        config,
        secrets: this.#options.secrets,
        way: wayOf(config, this.#options.secrets.tls),
        clientId,
        dial: this.#options.dial ?? dial,
        clock,
        log,
        random: this.#options.random,
        will: (allowed) => status.will(allowed),
        knowsSession: (server) => session.hasSessionWith(server.url, clientId),
        connecting: (then) => {
          if (session.connecting(incoming.received.length > 0)) saver.now(then);
          else then();
        },
        refused: () => session.refused(),
        settle: (then) => this.#settle(then),
      },
      {
        accepted: (server, connack, sessionPresent) =>
          this.#accepted(server, connack, sessionPresent, clientId),
        packet: (packet) => this.#packet(packet),
        turn: () => this.#turn(),
        closed: (fault) => this.#closed(fault),
      },
    );
    const replay = this.#options.replays && this.#replay(this.#options.replays, session);
    const rate = new Rate(storage.ledger(name).delivered, clock.monotonicMs());
    const stopListening = storage.onCommitted((head) => feeds.grown(head));
    return { session, incoming, saver, feeds, control, link, rate, replay, stopListening };
  }

  #replay(jobs: ReplayJobs, session: BridgeSession): Replay {
    const { config, gateway, log, name, storage } = this.#options;
    return new Replay({
      bridge: name,
      jobs,
      history: (range, from, bytesMax) => storage.history(range, from, bytesMax),
      routeFor: (topic) => routeFor(name, config, gateway, topic),
      isPending: ({ offset, routes }) =>
        routes.some((id) => {
          const route = storage.route(id);
          return route?.bridge === name && session.isPending(route.lane, offset);
        }),
      takeIdentifier: () => session.takeControl(),
      freeIdentifier: (packetIdentifier) => session.freeControl(packetIdentifier),
      wake: () => this.#wake(),
      clock: this.#clock,
      log,
    });
  }

  #accepted(server: ServerUrl, connack: ConnackPacket, sessionPresent: boolean, clientId: string): void {
    const { control, incoming, link, session } = this.#built();
    const { clock, config } = this.#options;
    this.#isV5 = config.version === 5;
    incoming.connected(this.#isV5, sessionPresent);
    if (!sessionPresent || !session.doubtful) {
      this.#resume(server, connack, sessionPresent, clientId);
      return;
    }
    if (!this.#isV5) {
      this.#resume(server, connack, 'unsure', clientId);
      return;
    }
    const limitMs = config.ack_timeout;
    const asked = (): void => {
      this.#ackTimer = clock.at(clock.monotonicMs() + limitMs, () => {
        const sentence = `the server did not answer UNSUBSCRIBE for ${limitMs / 1000} s`;
        link.client?.close({ kind: 'ack-timeout', sentence });
      });
    };
    control.askSession(asked, (ours) => {
      this.#ackTimer?.cancel();
      if (ours === false) incoming.connected(this.#isV5, false);
      this.#resume(server, connack, ours, clientId);
    });
  }

  #resume(
    server: ServerUrl,
    connack: ConnackPacket,
    sessionPresent: boolean | 'unsure',
    clientId: string,
  ): void {
    const parts = this.#built();
    const client = parts.link.client;
    if (client === undefined) return;
    const { config, log, name, storage } = this.#options;
    const { session } = parts;
    const window = Math.min(config.inflight, connack.properties?.receiveMaximum ?? 0xffff, WINDOW_MAX);
    const limits = {
      isV5: this.#isV5,
      window,
      windowQoS2: window,
      maximumQoS: connack.properties?.maximumQoS ?? 2,
      maximumPacketSize: connack.properties?.maximumPacketSize ?? PACKET_SIZE_MAX,
      retainAvailable: connack.properties?.retainAvailable !== 0,
    } as const;

    if (parts.session.connected(server.url, clientId, sessionPresent, limits)) {
      this.#sessionsLost += 1;
      log.warn(
        { bridge: name, server: server.url, inFlight: parts.session.inFlight },
        'Server does not have the session; what was in flight is sent again',
      );
    }
    if (sessionPresent !== true) parts.control.sessionChanged();
    const connection = this.#connection;
    const ready = (): void => {
      if (connection !== this.#connection || this.#stopping) return;
      this.#wire = this.#wireTo(client, limits);
      this.#pacing ??= new Pacing({
        bridge: name,
        session,
        door: storage.keyValue(`bridge/${name}/window`),
        log,
      });
      this.#pacing.connected(server.url, this.#isV5, window);
      this.#watch();
      this.#acknowledgedAtMs = this.#clock.monotonicMs();
      this.#armAckTimer();
      parts.link.ready();
      parts.control.connected(limits, sessionPresent !== false);
      parts.feeds.start();
      parts.replay?.connected(limits.window, limits.maximumQoS);
      this.#wake();
    };
    // Nothing may be sent in a session that the disk does not know: see BridgeSession.connected.
    if (parts.session.saveNeeded === 'now') parts.saver.now(ready);
    else ready();
  }

  #closed(fault: Fault): void {
    const { control, feeds, incoming, session } = this.#built();
    if (this.#wire !== undefined) this.#pacing?.closed(fault);
    this.#connection += 1;
    this.#wire = undefined;
    this.#settled = undefined;
    this.#settleTimer?.cancel();
    this.#ackTimer?.cancel();
    this.#watchTimer?.cancel();
    this.#quotaTimer?.cancel();
    this.#quotaTimer = undefined;
    feeds.stop();
    this.#parts?.replay?.disconnected();
    session.disconnected();
    incoming.disconnected();
    control.disconnected();
  }

  #packet(packet: Packet): void {
    const { control, incoming, session } = this.#built();
    switch (packet.type) {
      case 'puback': {
        const outcome = session.puback(packet.packetIdentifier, packet.reasonCode);
        if (outcome === 'quota') this.#pauseForQuota();
        else if (outcome !== 'unknown') this.#quotaPauseMs = QUOTA_PAUSE_MS;
        else if (this.#parts?.replay?.puback(packet.packetIdentifier, packet.reasonCode) !== true) {
          control.puback(packet.packetIdentifier);
        }
        this.#acknowledgedAtMs = this.#clock.monotonicMs();
        return;
      }
      case 'pubrec':
        this.#pubrec(packet.packetIdentifier, packet.reasonCode);
        this.#acknowledgedAtMs = this.#clock.monotonicMs();
        return;
      case 'pubcomp':
        session.pubcomp(packet.packetIdentifier);
        this.#acknowledgedAtMs = this.#clock.monotonicMs();
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
    if (outcome === 'quota') this.#pauseForQuota();
    else this.#quotaPauseMs = QUOTA_PAUSE_MS;
    if (outcome !== 'unknown' || reasonCode >= 0x80) return;
    // The server keeps an identifier that we do not know: it is told to let it go [MQTT5-4.3.3-4].
    link.client?.send({
      type: 'pubrel',
      packetIdentifier,
      reasonCode: this.#isV5 ? ReasonCode.packetIdentifierNotFound : ReasonCode.success,
    });
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

  #pauseForQuota(): void {
    if (this.#quotaTimer !== undefined) return;
    const { feeds, session } = this.#built();
    this.#options.log.warn({ bridge: this.#options.name }, 'Server is over its quota; sending pauses');
    const pauseMs = this.#quotaPauseMs;
    this.#quotaPauseMs = Math.min(QUOTA_PAUSE_MS_MAX, 2 * pauseMs);
    this.#quotaTimer = this.#clock.at(this.#clock.monotonicMs() + pauseMs, () => {
      this.#quotaTimer = undefined;
      session.retry();
      feeds.start();
      this.#wake();
    });
  }

  /** Messages in flight and not one acknowledged for so long: the link or the server is dead, whatever TCP says. */
  #armAckTimer(): void {
    const { link, session } = this.#built();
    const limitMs = this.#options.config.ack_timeout;
    this.#ackTimer = this.#clock.at(this.#acknowledgedAtMs + limitMs, () => {
      const nowMs = this.#clock.monotonicMs();
      if (session.unacknowledged === 0) this.#acknowledgedAtMs = nowMs;
      if (nowMs - this.#acknowledgedAtMs < limitMs) {
        this.#armAckTimer();
        return;
      }
      const sentence = `the server acknowledged none of ${session.unacknowledged} messages for ${limitMs / 1000} s`;
      link.client?.close({ kind: 'ack-timeout', sentence });
    });
  }

  /** One message that is never acknowledged, while later ones are: it is sent again over a new connection. */
  #watch(): void {
    const { link, session } = this.#built();
    const limitMs = this.#options.config.ack_timeout;
    let seen: { readonly offset: number; readonly sinceMs: number; readonly heard: number }[] = [];
    const look = (): void => {
      const nowMs = this.#clock.monotonicMs();
      const heard = session.acknowledgements;
      seen = session.oldestOnWire().map((offset, stream) => {
        const before = seen[stream];
        return before?.offset === offset ? before : { offset, sinceMs: nowMs, heard };
      });
      const stuck = seen.some(
        (one) => one.offset !== 0 && nowMs - one.sinceMs >= limitMs && heard > one.heard,
      );
      if (!stuck) {
        this.#watchTimer = this.#clock.at(nowMs + limitMs / 4, look);
        return;
      }
      const sentence = `the server acknowledged later messages but not one that was sent ${limitMs / 1000} s before`;
      link.client?.close({ kind: 'ack-timeout', sentence });
    };
    look();
  }

  #settle(then: () => void): void {
    this.#settled = () => {
      this.#settled = undefined;
      this.#settleTimer?.cancel();
      then();
    };
    this.#settleTimer = this.#clock.at(this.#clock.monotonicMs() + SETTLE_MS, () => this.#settled?.());
    this.#wake();
  }

  #journalFault(fault: unknown): void {
    const sentence = `the journal cannot be read: ${reasonOf(fault)}`;
    this.#built().link.client?.close({ kind: 'closed', sentence });
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
    const { feeds, incoming, link, saver, session } = this.#built();
    // In this very turn: the messages that were handed to the broker in it go into the same transaction.
    if (incoming.saveNeeded && link.state !== 'stopped') saver.now(incoming.saving());
    const wire = this.#wire;
    if (wire !== undefined) {
      this.#pacing?.turn();
      do {
        if (!this.#stopping && this.#settled === undefined) feeds.offer();
        session.pump(wire);
        // At QoS 0 all that was taken has left: on, until the turn is full.
      } while (!this.#stopping && this.#settled === undefined && wire.writable && feeds.offer());
      const replay = this.#parts?.replay;
      if (replay !== undefined && !this.#stopping && this.#settled === undefined) {
        replay.pump(wire);
        session.reserve(replay.reserved);
      }
    }
    if (this.#settled !== undefined && session.inFlight === 0) this.#settled();
    saver.turn();
    const hadNoRoom = wire !== undefined && !wire.writable;
    link.client?.flush();
    // The turn was full, not the socket: no `drained` would bring us back.
    if (hadNoRoom && this.#wire?.writable === true) this.#wake();
  }

  #wireTo(client: Client, limits: WireLimits): Wire & ReplayWire {
    const { encode = encodePayload, gateway, storage } = this.#options;
    const writer = new PublishWriter(
      client.output,
      encode,
      { gateway: gateway.id, journalId: storage.journalId },
      {
        protocolVersion: limits.isV5 ? 5 : 4,
        maximumPacketSize: limits.maximumPacketSize,
        retainAvailable: limits.retainAvailable,
      },
    );
    const { replay, session } = this.#built();
    const hasRoom = (): boolean => session.hasRoomBeside(replay?.inFlight ?? 0);
    return {
      get hasRoom() {
        return hasRoom();
      },
      replay: (record, route, qos, packetIdentifier, job) =>
        writer.write(
          record,
          route,
          qos,
          packetIdentifier,
          false,
          this.#clock.wallMs(),
          true,
          userProperty('replay', job),
        ),
      get writable() {
        return client.writable && client.output.length < TURN_BYTES;
      },
      publish: (record, route, qos, packetIdentifier, dup, late) =>
        writer.write(record, route, qos, packetIdentifier, dup, this.#clock.wallMs(), late),
      pubrel: (packetIdentifier) =>
        client.send({ type: 'pubrel', packetIdentifier, reasonCode: ReasonCode.success }),
    };
  }

  #built(): Parts {
    if (this.#parts === undefined) throw new Error('the bridge has not been started');
    return this.#parts;
  }
}

function wayOf(config: BridgeConfig, tls: TlsSecrets | undefined): Way {
  const proxy = config.proxy === undefined ? undefined : parseProxy(config.proxy);
  if (config.proxy !== undefined && proxy === undefined) {
    // Not shown: it may carry a password.
    throw new GodwitError(
      'BRIDGE_PROXY',
      'The proxy is no URL of one: write http://HOST:PORT or socks5://HOST:PORT, and %25 for a % in its password',
    );
  }
  const { alpn, servername } = config.tls ?? {};
  return {
    ...(tls !== undefined && { tls }),
    ...(alpn !== undefined && { alpn }),
    ...(servername !== undefined && { serverName: servername }),
    ...(proxy !== undefined && { proxy }),
  };
}

interface Parts {
  readonly session: BridgeSession;
  readonly incoming: Incoming;
  readonly saver: Saver;
  readonly feeds: Feeds;
  readonly control: Control;
  readonly link: Link;
  readonly rate: Rate;
  readonly replay: Replay | undefined;
  readonly stopListening: () => void;
}

interface WireLimits {
  readonly isV5: boolean;
  readonly maximumPacketSize: number;
  readonly retainAvailable: boolean;
}
