/**
 * The connection to whichever server answers: which to ask, how long to wait, what to say of a fault.
 *
 *              ┌──────── next server at once; after the last: back off ───────┐
 *   connecting ──CONNACK──▶ accepted ──`ready`──▶ connected ──any end──▶ waiting
 *
 * A fault is told once when it begins and once when it ends, with its duration and the number of attempts.
 */
import type { BridgeConfig } from '../config/schema.js';
import type { Clock, Timer } from '../core/clock.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { Log } from '../core/log.js';
import type { BridgeSnapshot } from '../core/snapshot.js';
import type { ConnackPacket, ConnectPacket, Packet, Will } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { Addresses, type Lookup } from './addresses.js';
import { Backoff } from './backoff.js';
import { CertificateAge } from './certificate-age.js';
import { Client } from './client.js';
import { type Fault, isBusy } from './fault.js';
import { RECEIVE_MAXIMUM } from './incoming.js';
import { parseServerUrl, referredServer, type ServerUrl } from './server-url.js';
import type { Dial, Transport, Way } from './transport.js';

export interface LinkOptions {
  readonly bridge: string;
  readonly config: BridgeConfig;
  readonly secrets: { readonly password?: string };
  readonly way: Way;
  readonly lookup: Lookup;
  /** Remembers the addresses that worked. */
  readonly addresses: KeyValueDoor;
  readonly clientId: string;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly will: (allowed: { readonly qos1: boolean; readonly retain: boolean }) => Will | undefined;
  /** Whether the session that this server may have is ours to resume. */
  readonly knowsSession: (server: ServerUrl) => boolean;
  /** A CONNECT that may resume it is about to leave, once `then` is called. */
  readonly connecting: (then: () => void) => void;
  /** The server refused it. */
  readonly refused: () => void;
  /** Another server is wanted: `then` is called once nothing is in flight that it would get again. */
  readonly settle: (then: () => void) => void;
}

export interface LinkEvents {
  /** `ready` is to be called once the session can be used. */
  readonly accepted: (server: ServerUrl, connack: ConnackPacket, sessionPresent: boolean) => void;
  readonly packet: (packet: Packet) => void;
  readonly turn: () => void;
  readonly closed: (fault: Fault) => void;
}

/** Announced; as much as the broker takes from its own clients by default. */
const MAXIMUM_PACKET_SIZE = 1024 * 1024;
/** A server that does not close after DISCONNECT is not waited for. */
const WIPE_CLOSE_MS = 5000;
/** Servers that refer to each other are not followed for ever. */
const REDIRECTIONS_MAX = 3;
/** Once is an old connection of ours; twice is another client. */
const TAKEOVERS_MAX = 2;
const BUSY_WAIT_MS = 5000;
const WIPED: Fault = { kind: 'closed', sentence: 'the old session was thrown away' };

export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #backoff: Backoff;
  readonly #addresses: Addresses;
  readonly #way: Way;
  #servers: readonly ServerUrl[] = [];
  #serverIndex = 0;
  #client: Client | undefined;
  #state: BridgeSnapshot['state'] = 'stopped';
  #sinceMs = 0;
  #readyAtMs: number | undefined;
  #fault: { readonly begunAtMs: number; attempts: number; sentence: string } | undefined;
  /** A server whose old session was thrown away by a connection with Clean Start. */
  #wiped: string | undefined;
  /** The connection that did it, until the server has closed it. */
  #wiping: Client | undefined;
  #wipeTimer: Timer | undefined;
  #willAllowed = { qos1: true, retain: true };
  #timer: Timer | undefined;
  /** A server that is not in the list, which the one before referred us to. */
  #referred: ServerUrl | undefined;
  #redirections = 0;
  #takeovers = 0;
  #returnTimer: Timer | undefined;
  #probe: Transport | undefined;
  #returning = false;
  readonly #certificate: CertificateAge | undefined;
  #stopping = false;
  #onClosed: (() => void) | undefined;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    const cert = options.way.tls?.cert;
    if (cert !== undefined) this.#certificate = new CertificateAge(cert);
    this.#backoff = new Backoff(options.config.backoff, options.random);
    this.#addresses = new Addresses({
      lookup: options.lookup,
      clock: options.clock,
      door: options.addresses,
      told: (host, reason) => this.#tellOfDns(host, reason),
    });
    this.#way = { ...options.way, addresses: this.#addresses };
  }

  start(): void {
    this.#servers = this.#options.config.servers.map(parseServerUrl);
    this.#connect();
  }

  /** Ends with DISCONNECT, so without a Will; after `limitMs` without. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    this.#timer?.cancel();
    this.#wipeTimer?.cancel();
    this.#endReturn();
    this.#wiping?.close(WIPED);
    const client = this.#client;
    if (client !== undefined) {
      await new Promise<void>((resolve) => {
        this.#onClosed = resolve;
        const { clock } = this.#options;
        this.#timer = clock.at(clock.monotonicMs() + limitMs, resolve);
        client.disconnect();
      });
      this.#timer?.cancel();
      client.close({ kind: 'closed', sentence: 'the bridge was stopped' });
    }
    this.#enter('stopped');
  }

  get state(): BridgeSnapshot['state'] {
    return this.#state;
  }

  /** Milliseconds since the epoch: since when it is connected, or since when not. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Why it is not connected, in one sentence; or what is amiss though it is. */
  get reason(): string | undefined {
    const remark = this.#remark;
    const sentence = this.#fault?.sentence;
    return sentence === undefined || remark === undefined ? (sentence ?? remark) : `${sentence} (${remark})`;
  }

  get #remark(): string | undefined {
    const host = this.#way.proxy?.host ?? this.server?.host;
    return host === undefined ? undefined : this.#addresses.remark(host);
  }

  get server(): ServerUrl | undefined {
    return this.#referred ?? this.#servers[this.#serverIndex];
  }

  /** Undefined while there is no connection that may be written to. */
  get client(): Client | undefined {
    return this.#client?.connected === true ? this.#client : undefined;
  }

  /** The session is in use: the outage, if there was one, is over. */
  ready(): void {
    const { bridge, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    const fault = this.#fault;
    this.#readyAtMs = nowMs;
    this.#fault = undefined;
    this.#enter('connected');
    log.info(
      {
        bridge,
        server: this.server?.url,
        ...(fault !== undefined && {
          downMs: Math.round(nowMs - fault.begunAtMs),
          attempts: fault.attempts,
        }),
      },
      'Bridge is connected',
    );
    this.#redirections = 0;
    this.#awaitReturn();
    const days = this.#certificate?.toTell(clock.wallMs(), nowMs);
    if (days === undefined) return;
    log.warn({ bridge, days }, 'Client certificate expires soon; put a new one in place of tls.cert');
  }

  #connect(): void {
    const server = this.server;
    if (this.#stopping || server === undefined) return;
    this.#enter('connecting');
    const known = this.#options.knowsSession(server);
    // One connection throws away whatever session a stranger left under our name, the next begins ours. One would not
    // do: in 3.1.1 a Clean Session ends with its connection, and mosquitto 2.0.11 forgets over a restart any session
    // that began with Clean Start, its Session Expiry notwithstanding.
    const wipe = !known && this.#wiped !== server.url;
    const client = new Client(
      {
        server,
        way: this.#way,
        connect: this.#connectPacket(wipe),
        dial: this.#options.dial,
        clock: this.#options.clock,
        maximumPacketSize: MAXIMUM_PACKET_SIZE,
        ...(known && { prepare: this.#options.connecting }),
      },
      wipe
        ? {
            accepted: () => this.#sessionWiped(server),
            packet: () => undefined,
            turn: () => undefined,
            closed: (fault) => {
              if (this.#wiping === client) this.#wiping = undefined;
              else this.#closed(fault);
            },
          }
        : {
            accepted: (connack) => {
              this.#wiped = undefined;
              this.#events.accepted(server, connack, known && connack.sessionPresent);
            },
            packet: this.#events.packet,
            turn: this.#events.turn,
            closed: (fault) => {
              if (known && (fault.kind === 'not-accepted' || client.keptBack)) this.#options.refused();
              this.#closed(fault);
            },
          },
    );
    this.#client = client;
    client.open();
  }

  #connectPacket(wipe: boolean): ConnectPacket {
    const { clientId, config, secrets, will } = this.#options;
    const isV5 = config.version === 5;
    const theWill = wipe ? undefined : will(this.#willAllowed);
    return {
      type: 'connect',
      protocolVersion: isV5 ? 5 : 4,
      clientId,
      cleanStart: wipe,
      keepAlive: Math.min(0xffff, Math.ceil(config.keepalive / 1000)),
      ...(theWill !== undefined && { will: theWill }),
      ...(config.username !== undefined && { username: config.username }),
      ...(secrets.password !== undefined && { password: Buffer.from(secrets.password) }),
      ...(isV5 && {
        properties: {
          sessionExpiryInterval: wipe ? 0 : Math.min(0xffff_ffff, Math.ceil(config.session_expiry / 1000)),
          receiveMaximum: RECEIVE_MAXIMUM,
          maximumPacketSize: MAXIMUM_PACKET_SIZE,
        },
      }),
    };
  }

  /** The new connection is dialled at once: its CONNECT comes a round trip after this DISCONNECT. */
  #sessionWiped(server: ServerUrl): void {
    this.#wiping?.close(WIPED);
    const wiping = this.#client;
    this.#wiping = wiping;
    wiping?.disconnect();
    const { clock } = this.#options;
    this.#wipeTimer?.cancel();
    this.#wipeTimer = clock.at(clock.monotonicMs() + WIPE_CLOSE_MS, () => wiping?.close(WIPED));
    this.#wiped = server.url;
    this.#connect();
  }

  #closed(fault: Fault): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const lastedMs = this.#readyAtMs === undefined ? undefined : nowMs - this.#readyAtMs;
    this.#client = undefined;
    this.#readyAtMs = undefined;
    this.#events.closed(fault);
    this.#onClosed?.();
    if (this.#stopping) return;
    this.#endReturn();
    if (this.#returning) {
      this.#returning = false;
      this.#serverIndex = 0;
      this.#connect();
      return;
    }
    this.#note(fault, nowMs);
    if (this.#follow(fault)) return;
    this.#referred = undefined;

    this.#serverIndex = lastedMs === undefined ? (this.#serverIndex + 1) % this.#servers.length : 0;
    const isRoundOver = lastedMs !== undefined || this.#serverIndex === 0;
    this.#enter(isRoundOver ? 'waiting' : 'connecting');
    this.#timer?.cancel();
    // However long the session was: a server that has too much to do is not helped by one that comes back at once.
    const busy = isBusy(fault.reasonCode);
    const waitMs = isRoundOver ? this.#backoff.delayMs(busy ? 0 : lastedMs) : 0;
    this.#timer = clock.at(nowMs + (busy ? Math.max(waitMs, BUSY_WAIT_MS) : waitMs), () => this.#connect());
  }

  #tellOfDns(host: string, reason: string | undefined): void {
    const { bridge, log } = this.#options;
    if (reason === undefined) log.info({ bridge, host }, 'DNS resolves the name of the server again');
    else
      log.warn({ bridge, host, reason }, 'DNS does not resolve the name; its last good addresses are used');
  }

  #note(fault: Fault, nowMs: number): void {
    const { bridge, log } = this.#options;
    const fields = { bridge, server: this.server?.url, kind: fault.kind, reason: fault.sentence };
    // What the server takes is known only from its refusal: the Will is asked for with less.
    if (fault.reasonCode === ReasonCode.qosNotSupported) this.#willAllowed.qos1 = false;
    if (fault.reasonCode === ReasonCode.retainNotSupported) this.#willAllowed.retain = false;
    if (this.#fault === undefined) {
      this.#fault = { begunAtMs: nowMs, attempts: 0, sentence: fault.sentence };
      log.warn(fields, 'Bridge is not connected; what is accepted waits in the journal');
    } else {
      log.debug(fields, 'Bridge could not connect again');
    }
    this.#fault.attempts += 1;
    this.#fault.sentence = fault.sentence;
    if (fault.kind !== 'taken-over') return;
    this.#takeovers += 1;
    if (this.#takeovers < TAKEOVERS_MAX) return;
    this.#fault.sentence = `another client uses the client identifier ${this.#options.clientId} on this server, and each throws the other off: was the card of this gateway copied? Give each a gateway.id of its own`;
    if (this.#takeovers > TAKEOVERS_MAX) return;
    log.error({ ...fields, clientId: this.#options.clientId }, 'Another client uses this client identifier');
  }

  /** The server says where to go instead. */
  #follow({ serverReference }: Fault): boolean {
    const { bridge, log } = this.#options;
    const from = this.server;
    const to =
      from === undefined || serverReference === undefined ? undefined : referredServer(from, serverReference);
    if (to === undefined || this.#redirections >= REDIRECTIONS_MAX) return false;
    this.#redirections += 1;
    log.info({ bridge, server: from?.url, to: to.url }, 'Server refers to another, which is tried');
    this.#referred = to;
    this.#connect();
    return true;
  }

  /** Another server than the first: once that one can be reached again, back to it. */
  #awaitReturn(): void {
    const { clock, config } = this.#options;
    if (this.#serverIndex === 0 || this.#referred !== undefined) return;
    this.#returnTimer = clock.at(clock.monotonicMs() + config.return_after, () => this.#tryFirst());
  }

  #tryFirst(): void {
    const { dial, settle } = this.#options;
    const [first] = this.#servers;
    const client = this.#client;
    if (first === undefined || client === undefined) return;
    let reached = false;
    this.#endReturn();
    this.#awaitReturn();
    this.#probe = dial(first, this.#way, {
      opened: () => {
        reached = true;
        this.#endReturn();
        settle(() => {
          if (this.#client !== client) return;
          this.#returning = true;
          client.close({ kind: 'closed', sentence: 'the first server can be reached again' });
        });
      },
      data: () => undefined,
      drained: () => undefined,
      closed: () => {
        if (!reached) this.#probe = undefined;
      },
    });
  }

  #endReturn(): void {
    this.#returnTimer?.cancel();
    this.#returnTimer = undefined;
    this.#probe?.destroy();
    this.#probe = undefined;
  }

  #enter(state: BridgeSnapshot['state']): void {
    // Attempts come and go; what a person asks is since when it has been down.
    if (state !== this.#state && !(isDown(state) && isDown(this.#state))) {
      this.#sinceMs = this.#options.clock.wallMs();
    }
    this.#state = state;
  }
}

function isDown(state: BridgeSnapshot['state']): boolean {
  return state === 'connecting' || state === 'waiting';
}
