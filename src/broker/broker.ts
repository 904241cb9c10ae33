/**
 * The MQTT server: 3.1.1 and 5.0 on one listener.
 *
 *   listener ─▶ Connection ─▶ Session        one per client; a Session outlives its Connection
 *                   │             ▲
 *                   └▶ Exchange ──┘ deliver  journal, retained, subscriptions
 *   publish() ────────▶
 *
 * This file is the shell: it owns listeners and the one timer, and counts. Deciding is done in the parts.
 */
import { randomBytes } from 'node:crypto';
import type { AccessFiles } from '../config/access-files.js';
import { anonymousByDefault } from '../config/endpoint.js';
import type { BrokerConfig } from '../config/schema.js';
import type { ListenerSecrets } from '../config/secrets.js';
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import type { Part } from '../core/part.js';
import type { Content } from '../core/record.js';
import type { SampleSet } from '../core/sample.js';
import type { BrokerSnapshot } from '../core/snapshot.js';
import { VERSION } from '../core/version.js';
import { encodePayload } from '../mapping/payload.js';
import { type ReasonCode, reasonName } from '../mqtt/reason-code.js';
import type { Storage } from '../storage/storage.js';
import { AccessControl } from './access-control.js';
import { AddressGuard, type Span } from './address-guard.js';
import type { Authorizer, Identity } from './authorizer.js';
import { CertificateWatch } from './certificates.js';
import type { Capabilities } from './connect.js';
import { Connection, type Reported, type Surroundings } from './connection.js';
import { Counters } from './counters.js';
import { Deadlines } from './deadlines.js';
import type { QueueBudget } from './delivery-queue.js';
import { Exchange, type Routing } from './exchange.js';
import { Keeper } from './keeper.js';
import { Listener } from './listener.js';
import type { Delivery, Publication } from './publication.js';
import { Refusals } from './refusals.js';
import type { Dropped, Overflow, Session, SessionLimits } from './session.js';
import { Sessions } from './sessions.js';
import { ROOT, type SysFigures, SysTopics } from './sys-topics.js';
import type { Transport, TransportUser } from './transport.js';
import { Turn } from './turn.js';
import { WallTime } from './wall-time.js';

export type { Routing } from './exchange.js';

export interface BrokerOptions {
  readonly config: BrokerConfig;
  /** Absent: nothing is durable (library use). */
  readonly storage?: Storage;
  /** Which routes of the journal a publication belongs to and whether it is kept for replay. */
  readonly routing?: (topic: string, kind: Content['kind'], origin: string | undefined) => Routing;
  readonly encode?: (set: SampleSet) => Uint8Array;
  /** Topics on which nothing is ever retained. */
  readonly isCommand?: (topicName: string) => boolean;
  /** Certificates by the place of their listener in `config.listeners`; needed by mqtts and wss. */
  readonly secrets?: readonly (ListenerSecrets | undefined)[];
  /** What stands in the password, SCRAM and ACL files; absent: there are none. */
  readonly access?: AccessFiles;
  /** Instead of those files and of `allow_anonymous`. */
  readonly authorizer?: Authorizer;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the wall clock is right; absent: always. */
  readonly clockTrusted?: () => boolean;
  readonly version?: string;
}

export interface PublishOptions {
  /** The bridge that brought it: it never goes back over the same one. */
  readonly origin?: string;
  /** False for readings: they may wait for others to share their commit. */
  readonly urgent?: boolean;
  /**
   * True once it is durable, at once where nobody durable takes it; false: the journal refused it. With `urgent`
   * false only a refusal is told: asking for the end of the commit would hasten it.
   */
  readonly accepted?: (ok: boolean) => void;
}

/** A client with a new Client Identifier for each connection must not fill the memory with kept sessions. */
const SESSIONS_PER_CONNECTION_MAX = 10;
/** Sockets that may be open beyond `max_connections`, so that the surplus can be told why it is refused. */
const SURPLUS_SOCKETS_MAX = 64;
const TOO_MANY_SOCKETS =
  'broker.limits.max_connections is reached, and there are too many more to tell them so';
/** Clients have this long to take their last packets. */
const STOP_MS_MAX = 1000;

export class Broker implements Part {
  readonly name = 'broker';
  readonly #options: BrokerOptions;
  readonly #exchange: Exchange;
  readonly #sessions: Sessions;
  /** Undefined: no session outlives the process. */
  readonly #keeper: Keeper | undefined;
  readonly #turn: Turn;
  readonly #counters = new Counters();
  readonly #listeners: Listener[];
  readonly #certificates: CertificateWatch;
  readonly #connections = new Set<Connection>();
  readonly #admitted = new Set<Connection>();
  readonly #wakings = new Deadlines<Connection>();
  readonly #around: Surroundings;
  readonly #access: AccessControl;
  readonly #authorizer: Authorizer;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #running = false;
  readonly #budget: QueueBudget;
  #fullSessions = 0;
  readonly #refusals: Refusals;
  readonly #sys: SysTopics;
  #connectedMax = 0;
  #startedAtMs = 0;
  #stopped: (() => void) | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { config, clock, log, storage } = options;
    const { limits } = config;
    this.#turn = new Turn(storage === undefined ? undefined : (then) => storage.afterCommit(then));
    this.#access = new AccessControl(options.access ?? {}, this.#anonymous(config.allow_anonymous));
    this.#authorizer = options.authorizer ?? this.#access;
    this.#refusals = new Refusals(clock, log);
    this.#sys = new SysTopics({
      clock,
      figures: () => this.#figures(),
      publish: (publication) => this.#publishSys(publication),
      anyone: () => this.#exchange.hasSubscribersBelow(ROOT),
    });
    this.#budget = { bytes: 0, bytesMax: limits.max_sessions_bytes };
    const sessionLimits: SessionLimits = {
      queued: limits.max_queued,
      queuedBytes: limits.max_queued_bytes,
      retained: limits.max_retained,
      budget: this.#budget,
      recovered: (session, overflow) => this.#recovered(session, overflow),
    };
    const wallTime = new WallTime(clock, options.clockTrusted);
    if (storage?.sessions !== undefined) {
      const damaged = (): void => this.#keptDamaged();
      const store = storage.sessions;
      this.#keeper = new Keeper(
        { store, limits: sessionLimits, wallTime, log, damaged },
        () => this.#exchange,
      );
    }
    this.#exchange = new Exchange({
      keeper: this.#keeper,
      wallTime,
      sys: this.#sys,
      retainedFull: (topic) =>
        this.#refusals.count(
          'retained',
          { topic, messages: limits.max_retained, bytes: limits.max_retained_bytes },
          'Retained messages are at their limit; raise broker.limits.max_retained or max_retained_bytes',
        ),
      mayReceive: (session, topicName) => this.#mayReceive(session.identity, topicName),
      storage,
      routing: options.routing,
      isCommand: options.isCommand,
      encode: options.encode ?? ((set) => encodePayload(set)),
      retained: { messages: limits.max_retained, bytes: limits.max_retained_bytes },
      clock,
      log,
      counters: this.#counters,
    });
    this.#sessions = new Sessions({
      limits: sessionLimits,
      sessionsMax: limits.max_connections * SESSIONS_PER_CONNECTION_MAX,
      publishWill: (will, session) => this.#publishWill(will, session),
      ended: (session, left) => this.#sessionEnded(session, left),
      dropped: (session, why) => this.#dropped(session, why),
    });
    const capabilities: Capabilities = {
      receiveMaximum: Math.min(limits.max_inflight, 0xffff),
      maximumPacketSize: Math.min(limits.max_packet_size, 268_435_460),
      maximumQoS: limits.maximum_qos,
      retainAvailable: limits.retain_available,
      topicAliasMaximum: limits.topic_alias_max,
      keepAliveSecondsMax: Math.max(1, Math.min(0xffff, Math.floor(limits.max_keepalive / 1000))),
      sessionExpirySecondsMax: Math.min(0xffff_ffff, Math.floor(limits.max_session_expiry / 1000)),
    };
    this.#around = {
      exchange: this.#exchange,
      sessions: this.#sessions,
      keeper: this.#keeper,
      authorizer: this.#authorizer,
      guard: new AddressGuard(
        { connectsPerSecond: limits.max_connect_rate, failuresPerMinute: limits.max_auth_failures },
        (span) => this.#tellSpan(span),
      ),
      turn: this.#turn,
      counters: this.#counters,
      capabilities,
      maximumSubscriptions: limits.max_subscriptions,
      admit: (connection) => this.#admit(connection),
      connected: (session) => (session.link instanceof Connection ? session.link : undefined),
      newClientId: () => this.#newClientId(),
      wake: (connection, atMs) => {
        this.#wakings.set(connection, atMs);
        this.#arm();
      },
      sessionsMoved: () => this.#arm(),
      gone: (connection) => this.#gone(connection),
      report: (connection, what, why, reasonCode) => this.#report(connection, what, why, reasonCode),
      transgressed: (client, address, reasonCode, why) =>
        this.#refusals.count(reasonName(reasonCode), { why, client, address }),
    };
    this.#certificates = new CertificateWatch(clock, log);
    this.#listeners = config.listeners.map(
      ({ url, origins }, index) =>
        new Listener({
          url,
          origins,
          secrets: options.secrets?.[index],
          clock,
          socketsMax: limits.max_connections + SURPLUS_SOCKETS_MAX,
          handshakeTimeoutMs: limits.connect_timeout,
          maximumPacketSize: capabilities.maximumPacketSize,
          accept: (transport) => this.accept(transport),
          refused: (address, why) => this.#refusedEarly(address, why),
        }),
    );
  }

  /** Where it listens, with real ports. */
  get urls(): readonly string[] {
    return this.#listeners.map((listener) => listener.url);
  }

  async start(): Promise<void> {
    this.#startedAtMs = this.#options.clock.monotonicMs();
    this.#sys.start();
    this.#exchange.loadRetained();
    this.#keeper?.start(this.#sessions);
    this.#running = true;
    for (const listener of this.#listeners) await listener.start();
    this.#watchCertificates(this.#options.secrets ?? []);
    // Wills and ends that fell due meanwhile: once the listeners are there, and everything else may be.
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#running = false;
    const listening = this.#listeners.map((listener) => listener.stop());
    for (const connection of [...this.#connections]) connection.shutDown();
    this.#turn.end();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#stopped = resolve;
        // Not the clock that tests move: a peer that does not close must not keep us.
        const limit = setTimeout(resolve, STOP_MS_MAX);
        limit.unref();
      });
      this.#stopped = undefined;
      for (const connection of [...this.#connections]) connection.destroy();
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#certificates.stop();
    this.#sys.stop();
    this.#refusals.stop();
    for (const listener of this.#listeners) listener.cut();
    await Promise.all(listening);
  }

  /**
   * New certificates for handshakes from now on; connections stand. One that TLS does not take is not used, nor is one
   * for a listener that is another than at the start: that takes a restart.
   */
  reloadCertificates(
    configured: BrokerConfig['listeners'],
    secrets: readonly (ListenerSecrets | undefined)[],
  ): void {
    for (const [index, listener] of this.#listeners.entries()) {
      const fresh = secrets[index];
      const [before, after] = [this.#options.config.listeners[index], configured[index]];
      if (fresh === undefined || before?.url !== after?.url) continue;
      if ((before?.client_ca === undefined) !== (after?.client_ca === undefined)) continue;
      try {
        listener.useSecrets(fresh);
      } catch (fault) {
        this.#options.log.error(
          { listener: listener.url, reason: reasonOf(fault) },
          'The new certificate of a listener cannot be used; the old one stays',
        );
        continue;
      }
      this.#certificates.watch(listener.url, fresh);
    }
  }

  /**
   * Takes over other password, SCRAM and ACL files, and `allow_anonymous`. Nobody is disconnected: what a client may do
   * changes with its next message, whether it may connect when it next does.
   */
  reloadAccess(files: AccessFiles, allowAnonymous?: boolean): void {
    this.#access.replace(files, this.#anonymous(allowAnonymous));
    this.#exchange.accessChanged();
  }

  /** The one publish door: pipeline, bridges, the gateway itself. Clients come in by their connections. */
  publish(content: Content, options: PublishOptions = {}): void {
    const { origin, urgent = true, accepted } = options;
    this.#exchange.beginTurn();
    const outcome = this.#exchange.acceptContent(content, origin, urgent);
    if (accepted === undefined) return;
    if (outcome === 'refused') accepted(false);
    else if (outcome === 'done') accepted(true);
    else if (urgent) this.#options.storage?.afterCommit(() => accepted(true));
  }

  /** A subscriber inside the process. Returns the way to end it. It sees RETAIN as it was published. */
  subscribe(topicFilter: string, deliver: (message: Message) => void): () => void {
    return this.#exchange.subscribeLocal(topicFilter, deliver);
  }

  snapshot(): BrokerSnapshot {
    const { messagesReceived, messagesSent, messagesDropped, bytesReceived, bytesSent } = this.#counters;
    const { loginsFailed, connectionsThrottled, publishesDenied } = this.#counters;
    const { connectionsRefused, subscriptionsRefused, protocolErrors } = this.#counters;
    return {
      listeners: this.urls,
      connections: this.#admitted.size,
      sessions: this.#sessions.size,
      subscriptions: this.#exchange.subscriptions,
      retained: this.#exchange.retained.size,
      messagesReceived,
      messagesSent,
      messagesDropped,
      bytesReceived,
      bytesSent,
      loginsFailed,
      connectionsThrottled,
      publishesDenied,
      connectionsRefused,
      subscriptionsRefused,
      protocolErrors,
      sessionsBytes: this.#budget.bytes + (this.#keeper?.bytes ?? 0),
      sessionsFull: this.#fullSessions,
      messagesNotQueued: this.#counters.messagesNotQueued,
    };
  }

  #watchCertificates(secrets: readonly (ListenerSecrets | undefined)[]): void {
    for (const [index, listener] of this.#listeners.entries()) {
      const shown = secrets[index];
      if (shown !== undefined) this.#certificates.watch(listener.url, shown);
    }
  }

  /** Turned away before it was a Connection: by the limit of sockets, in the handshake of TLS or of WebSocket. */
  #refusedEarly(address: string, why: string): void {
    this.#counters.connectionsRefused += 1;
    this.#options.log.debug({ address, why }, 'Client refused');
    this.#refusals.count('handshake', { why, address });
  }

  /** A client's stream, whatever listener it came in by. Undefined: there are too many, it is to be closed. */
  accept(transport: Transport): TransportUser | undefined {
    const { max_connections: connectionsMax, connect_timeout: connectTimeoutMs } =
      this.#options.config.limits;
    if (!this.#running || this.#connections.size >= connectionsMax + SURPLUS_SOCKETS_MAX) {
      this.#refusedEarly(transport.remoteAddress, TOO_MANY_SOCKETS);
      return undefined;
    }
    this.#counters.socketsOpened += 1;
    const connection = new Connection(transport, this.#around, connectTimeoutMs);
    this.#connections.add(connection);
    return connection;
  }

  #admit(connection: Connection): boolean {
    if (this.#admitted.size >= this.#options.config.limits.max_connections) {
      return false;
    }
    this.#admitted.add(connection);
    this.#connectedMax = Math.max(this.#connectedMax, this.#admitted.size);
    return true;
  }

  #gone(connection: Connection): void {
    this.#connections.delete(connection);
    this.#admitted.delete(connection);
    this.#wakings.delete(connection);
    if (this.#connections.size === 0) this.#stopped?.();
  }

  #anonymous(said: boolean | undefined): boolean {
    const { listeners } = this.#options.config;
    return said ?? anonymousByDefault(listeners.map(({ url }) => url));
  }

  /** A session that nobody has come for since the start gets what matches; it is asked again when it leaves the queue. */
  #mayReceive(identity: Identity | undefined, topicName: string): boolean {
    if (identity === undefined) return true;
    return this.#authorizer.mayReceive?.(identity, topicName) ?? true;
  }

  #tellSpan({ address, why, ended }: Span): void {
    const { log } = this.#options;
    if (ended !== undefined) log.info({ address, why, ...ended }, 'An address is welcome again');
    else if (why === 'blocked')
      log.warn({ address }, 'Too many logins failed from an address; it is refused for a time');
    else log.warn({ address }, 'An address connects too often; it is refused until it slows down');
  }

  #publishWill(will: Publication, session: Session): void {
    const topic = this.#exchange.topic(will.topic);
    if (topic === undefined) return;
    // It was allowed at CONNECT; the ACL may have changed since.
    if (session.identity !== undefined && !this.#authorizer.mayPublish(session.identity, will.topic)) {
      this.#counters.messagesDropped += 1;
      this.#counters.publishesDenied += 1;
      return;
    }
    // Nobody waits for its acknowledgement, so a refusal can only be counted.
    if (this.#exchange.accept(will, topic, session) === 'refused') this.#counters.messagesDropped += 1;
  }

  #sessionEnded(session: Session, left: readonly Delivery[]): void {
    for (const topicFilter of [...session.subscriptions.keys()]) {
      this.#exchange.unsubscribe(session, topicFilter);
    }
    this.#exchange.sessionEnded(this.#sessions.size);
    this.#exchange.handOn(left);
    this.#keeper?.ended(session);
    if (session.overflow !== undefined) this.#fullSessions -= 1;
  }

  #dropped(session: Session, why: Dropped): void {
    // QoS 0 for a client that is away was promised to nobody.
    if (why === 'away') return;
    this.#counters.messagesDropped += 1;
    if (why !== 'queue full') return;
    this.#counters.messagesNotQueued += 1;
    if (session.overflow !== undefined) {
      session.overflow.count += 1;
      return;
    }
    session.overflow = { sinceMs: this.#exchange.nowMs, count: 1 };
    this.#fullSessions += 1;
    this.#options.log.warn(
      { client: session.clientId, queued: session.queued },
      'A session has as many messages waiting as it may; new ones are not queued for it',
    );
  }

  #recovered({ clientId }: Session, { sinceMs, count }: Overflow): void {
    this.#fullSessions -= 1;
    const seconds = Math.round((this.#exchange.nowMs - sinceMs) / 1000);
    this.#options.log.info(
      { client: clientId, notQueued: count, seconds },
      'A session has taken what waited for it; new messages are queued for it again',
    );
  }

  /** A message in the spool is not what was written. */
  #keptDamaged(): void {
    const atMs = this.#options.clock.wallMs();
    this.#counters.messagesDropped += 1;
    this.#options.storage?.lose({
      lost: 1,
      reason: 'damaged',
      bridge: null,
      from: atMs,
      to: atMs,
      topics: [],
    });
  }

  #report(connection: Connection, what: Reported, why: string, reasonCode?: ReasonCode): void {
    if (what === 'disconnected') this.#admitted.delete(connection);
    const { clientId, remoteAddress } = connection;
    const { log } = this.#options;
    if (what === 'connected') {
      this.#counters.connectionsAccepted += 1;
      log.debug({ client: clientId, address: remoteAddress }, 'Client connected');
    } else if (what === 'disconnected') {
      log.debug({ client: clientId, why }, 'Client disconnected');
    } else {
      log.debug({ client: clientId, address: remoteAddress, why }, 'Client refused');
      if (this.#running && what === 'refused') {
        const reason = reasonCode === undefined ? 'no CONNECT' : reasonName(reasonCode);
        this.#refusals.count(reason, { why, client: clientId, address: remoteAddress });
      }
    }
  }

  #publishSys(publication: Publication): void {
    this.#exchange.beginTurn();
    const topic = this.#exchange.topic(publication.topic);
    if (topic !== undefined) this.#exchange.deliver(publication, topic, undefined);
  }

  #figures(): SysFigures {
    const { retained } = this.#exchange;
    let queued = 0;
    for (const session of this.#sessions.all()) queued += session.queued;
    return {
      ...this.#counters,
      version: this.#options.version ?? VERSION,
      uptimeMs: this.#options.clock.monotonicMs() - this.#startedAtMs,
      clients: this.#sessions.size,
      clientsConnected: this.#admitted.size,
      clientsConnectedMax: this.#connectedMax,
      clientsExpired: this.#sessions.expired,
      subscriptions: this.#exchange.subscriptions,
      sharedSubscriptions: this.#exchange.sharedSubscriptions,
      retained: retained.size,
      stored: retained.size + queued,
      storedBytes: retained.bytes + this.#budget.bytes + (this.#keeper?.bytes ?? 0),
      heapBytes: process.memoryUsage().heapUsed,
    };
  }

  #newClientId(): string {
    for (;;) {
      const clientId = `auto-${randomBytes(9).toString('base64url')}`;
      if (this.#sessions.get(clientId) === undefined) return clientId;
    }
  }

  /** One timer for all deadlines, moved only when an earlier one appears. */
  #arm(): void {
    if (!this.#running) return;
    const atMs = Math.min(this.#wakings.nextMs, this.#sessions.deadlineMs);
    if (atMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#options.clock.at(atMs, () => this.#due());
  }

  #due(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#exchange.beginTurn();
    for (
      let connection = this.#wakings.shiftDue(nowMs);
      connection !== undefined;
      connection = this.#wakings.shiftDue(nowMs)
    ) {
      connection.due(nowMs);
    }
    this.#sessions.tick(nowMs);
    this.#arm();
  }
}
