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
import { CertificateAge, outOfTime } from './certificate-age.js';
import { Client } from './client.js';
import type { Answer, Credentials } from './credentials.js';
import type { DownHook } from './down-hook.js';
import { type Fault, isBusy } from './fault.js';
import { RECEIVE_MAXIMUM } from './incoming.js';
import { Outage } from './outage.js';
import { RetryWait } from './retry-wait.js';
import { ReturnProbe } from './return-probe.js';
import { parseServerUrl, referredServer, type ServerUrl } from './server-url.js';
import type { Dial, Way } from './transport.js';

export interface LinkOptions {
  readonly bridge: string;
  readonly config: BridgeConfig;
  readonly way: Way;
  readonly lookup: Lookup;
  /** The machine's own addresses; absent: they are not watched. */
  readonly network: (() => ReadonlySet<string>) | undefined;
  /** Remembers the addresses that worked. */
  readonly addresses: KeyValueDoor;
  readonly credentials: Credentials;
  readonly downHook: DownHook | undefined;
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
const BUSY_WAIT_MS = 5000;
/** What is needed to ask for a session. */
type Given = Extract<Answer, { readonly kind: 'credentials' }>;

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
  readonly #outage: Outage;
  #sessions = 0;
  /** When the next attempt begins, in monotonic time. */
  #nextAtMs: number | undefined;
  /** A server whose old session was thrown away by a connection with Clean Start. */
  #wiped: string | undefined;
  /** The connection that did it, until the server has closed it. */
  #wiping: Client | undefined;
  #wipeTimer: Timer | undefined;
  #willAllowed = { qos1: true, retain: true };
  #timer: Timer | undefined;
  readonly #wait: RetryWait;
  /** A server that is not in the list, which the one before referred us to. */
  #referred: ServerUrl | undefined;
  #redirections = 0;
  readonly #probe: ReturnProbe;
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
    this.#outage = new Outage(options);
    this.#wait = new RetryWait(options);
    this.#addresses = new Addresses({
      lookup: options.lookup,
      clock: options.clock,
      door: options.addresses,
      told: (host, reason) => this.#tellOfDns(host, reason),
    });
    this.#way = { ...options.way, addresses: this.#addresses };
    const { clock, config, credentials, dial } = options;
    this.#probe = new ReturnProbe({
      afterMs: config.return_after,
      way: this.#way,
      ...{ clock, credentials, dial },
      reached: () => this.#return(),
    });
  }

  start(): void {
    this.#servers = this.#options.config.servers.map(parseServerUrl);
    this.#options.downHook?.down(this.server?.url, undefined);
    this.#connect();
  }

  /** Ends with DISCONNECT, so without a Will; after `limitMs` without. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    this.#wait.cancel();
    this.#wipeTimer?.cancel();
    this.#probe.end();
    this.#wiping?.close(WIPED);
    this.#outage.stop();
    this.#options.credentials.stop();
    this.#options.downHook?.stop();
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
    const { sentence } = this.#outage;
    return sentence === undefined || remark === undefined ? (sentence ?? remark) : `${sentence} (${remark})`;
  }

  /** What else a person wants to know of it. */
  get details(): Pick<
    BridgeSnapshot,
    'fault' | 'address' | 'attempts' | 'nextAttempt' | 'sessions' | 'onDown'
  > {
    const { clock, downHook } = this.#options;
    const { attempts, fault } = this.#outage;
    const address = this.client?.address;
    return {
      ...(fault !== undefined && { fault: fault.kind }),
      ...(address !== undefined && { address }),
      ...(attempts > 0 && { attempts }),
      ...(this.#state === 'waiting' &&
        this.#nextAtMs !== undefined && {
          nextAttempt: Math.round(clock.wallMs() + this.#nextAtMs - clock.monotonicMs()),
        }),
      sessions: this.#sessions,
      ...(downHook !== undefined && { onDown: downHook.snapshot }),
    };
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
    this.#readyAtMs = nowMs;
    this.#sessions += 1;
    this.#enter('connected');
    this.#outage.over(this.server);
    this.#options.downHook?.up();
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
    this.#client = undefined;
    this.#options.credentials.get((answer) => {
      if (this.#stopping) return;
      if (answer.kind === 'fault') this.#closed(answer.fault);
      else this.#dial(server, answer);
    });
  }

  #dial(server: ServerUrl, { headers, password }: Given): void {
    const known = this.#options.knowsSession(server);
    // One connection throws away whatever session a stranger left under our name, the next begins ours. One would not
    // do: in 3.1.1 a Clean Session ends with its connection, and mosquitto 2.0.11 forgets over a restart any session
    // that began with Clean Start, its Session Expiry notwithstanding.
    const wipe = !known && this.#wiped !== server.url;
    const client = new Client(
      {
        server,
        way: { ...this.#way, headers },
        connect: this.#connectPacket(wipe, password),
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

  #connectPacket(wipe: boolean, password: string | undefined): ConnectPacket {
    const { clientId, config, will } = this.#options;
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
      ...(password !== undefined && { password: Buffer.from(password) }),
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
    this.#probe.end();
    if (this.#returning) {
      this.#returning = false;
      this.#serverIndex = 0;
      this.#connect();
      return;
    }
    this.#note(fault, lastedMs);
    if (this.#follow(fault)) return;
    this.#referred = undefined;

    this.#serverIndex = lastedMs === undefined ? (this.#serverIndex + 1) % this.#servers.length : 0;
    // No server can do anything about a password that is not to be had.
    const isRoundOver = lastedMs !== undefined || this.#serverIndex === 0 || fault.kind === 'password';
    this.#enter(isRoundOver ? 'waiting' : 'connecting');
    // However long the session was: a server that has too much to do is not helped by one that comes back at once.
    const busy = isBusy(fault.reasonCode);
    const waitMs = isRoundOver ? this.#backoff.delayMs(busy ? 0 : lastedMs) : 0;
    this.#nextAtMs = nowMs + (busy ? Math.max(waitMs, BUSY_WAIT_MS) : waitMs);
    this.#wait.start(this.#nextAtMs, fault.notBeforeWallMs, () => this.#connect());
  }

  #tellOfDns(host: string, reason: string | undefined): void {
    const { bridge, log } = this.#options;
    if (reason === undefined) log.info({ bridge, host }, 'DNS resolves the name of the server again');
    else
      log.warn({ bridge, host, reason }, 'DNS does not resolve the name; its last good addresses are used');
  }

  #note(told: Fault, lastedMs: number | undefined): void {
    const { clock, credentials, downHook, way } = this.#options;
    const cert = told.kind === 'tls' || told.kind === 'closed' ? way.tls?.cert : undefined;
    // Many servers only hang up on one that has expired.
    const expired =
      cert === undefined || lastedMs !== undefined ? undefined : outOfTime(cert, clock.wallMs());
    const fault = expired === undefined ? told : { ...told, sentence: `${told.sentence}; ${expired}` };
    // What the server takes is known only from its refusal: the Will is asked for with less.
    if (fault.reasonCode === ReasonCode.qosNotSupported) this.#willAllowed.qos1 = false;
    if (fault.reasonCode === ReasonCode.retainNotSupported) this.#willAllowed.retain = false;
    if (fault.kind === 'not-accepted' || fault.kind === 'upgrade') credentials.refused();
    this.#outage.note(fault, this.server, lastedMs);
    downHook?.down(this.server?.url, fault);
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
    const [first] = this.#servers;
    if (this.#serverIndex === 0 || this.#referred !== undefined || first === undefined) return;
    this.#probe.start(first);
  }

  #return(): void {
    const client = this.#client;
    this.#options.settle(() => {
      if (client === undefined || this.#client !== client) return;
      this.#returning = true;
      client.close({ kind: 'closed', sentence: 'the first server can be reached again' });
    });
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
