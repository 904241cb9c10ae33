/**
 * What is told of a link that is down, and of one that comes and goes.
 *
 *   steady ──a session ends──▶ down, told once ──▶ connected, told once with duration and attempts
 *   several short sessions within an hour ──▶ flapping: told once, then counted only ──one holds──▶ steady, told
 *
 * No socket here: `link.ts` says what happened.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Log } from '../core/log.js';
import type { Fault } from './fault.js';
import type { ServerUrl } from './server-url.js';

export interface OutageOptions {
  readonly bridge: string;
  readonly clientId: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Once is an old connection of ours; twice is another client. */
const TAKEOVERS_MAX = 2;
/** So many sessions that ended within so long are no series of accidents. */
const FLAPS_MIN = 5;
const FLAPS_MS = 3_600_000;
/** A session of this length shows a link that holds. */
const HOLDS_MS = 600_000;

interface Down {
  readonly begunAtMs: number;
  attempts: number;
  /** A short gap of a link that comes and goes is not. */
  told: boolean;
  fault: Fault;
  sentence: string;
}

export class Outage {
  readonly #options: OutageOptions;
  #down: Down | undefined;
  #takeovers = 0;
  /** Sessions that ended within the last hour, none of which held. */
  #short: { readonly endedAtMs: number; readonly lastedMs: number }[] = [];
  #flapping: { ended: number; last: string } | undefined;
  #holdTimer: Timer | undefined;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /** Why it is not connected. */
  get fault(): Fault | undefined {
    return this.#down?.fault;
  }

  /** Attempts that have failed since it is down. */
  get attempts(): number {
    return this.#down?.attempts ?? 0;
  }

  /** Why it is not connected; or that it does not stay so. */
  get sentence(): string | undefined {
    if (this.#down !== undefined) return this.#down.sentence;
    if (this.#flapping === undefined) return undefined;
    const { ended, last } = this.#flapping;
    const longestMs = Math.max(...this.#short.map(({ lastedMs }) => lastedMs));
    return `the link comes and goes: ${ended} sessions ended, of the latest none after more than ${seconds(longestMs)} s, the last because ${last}; check signal and power, and keepalive where they end after about the same time`;
  }

  /** An attempt failed, or a session ended that had lasted so long. */
  note(fault: Fault, server: ServerUrl | undefined, lastedMs: number | undefined): void {
    const { bridge, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#holdTimer?.cancel();
    if (lastedMs !== undefined) this.#ended(fault, nowMs, lastedMs);
    const fields = { bridge, server: server?.url, kind: fault.kind, reason: fault.sentence };
    this.#down ??= { begunAtMs: nowMs, attempts: 0, told: false, fault, sentence: fault.sentence };
    const down = this.#down;
    down.attempts += 1;
    down.fault = fault;
    down.sentence = fault.sentence;
    const isGap = this.#flapping !== undefined && nowMs - down.begunAtMs < HOLDS_MS;
    if (down.told || isGap) log.debug(fields, 'Bridge could not connect again');
    else {
      down.told = true;
      log.warn(fields, 'Bridge is not connected; what is accepted waits in the journal');
    }
    if (fault.kind === 'taken-over') this.#takenOver(down, fields);
  }

  /** A session is in use. */
  over(server: ServerUrl | undefined): void {
    const { bridge, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    const down = this.#down;
    this.#down = undefined;
    const fields = {
      bridge,
      server: server?.url,
      ...(down && { downMs: Math.round(nowMs - down.begunAtMs), attempts: down.attempts }),
    };
    if (this.#flapping === undefined || down?.told === true) log.info(fields, 'Bridge is connected');
    else log.debug(fields, 'Bridge is connected again');
    if (this.#flapping === undefined) return;
    this.#holdTimer = clock.at(nowMs + HOLDS_MS, () => this.#holds());
  }

  stop(): void {
    this.#holdTimer?.cancel();
  }

  #ended({ sentence }: Fault, nowMs: number, lastedMs: number): void {
    const { bridge, log } = this.#options;
    if (lastedMs >= HOLDS_MS) {
      this.#holds();
      return;
    }
    this.#short = [
      ...this.#short.filter(({ endedAtMs }) => nowMs - endedAtMs < FLAPS_MS).slice(1 - 2 * FLAPS_MIN),
      { endedAtMs: nowMs, lastedMs },
    ];
    if (this.#flapping !== undefined) {
      this.#flapping.ended += 1;
      this.#flapping.last = sentence;
      return;
    }
    if (this.#short.length < FLAPS_MIN) return;
    const longestMs = Math.max(...this.#short.map((one) => one.lastedMs));
    this.#flapping = { ended: this.#short.length, last: sentence };
    log.warn(
      { bridge, sessions: this.#short.length, longestMs: Math.round(longestMs), reason: sentence },
      'Link comes and goes; its ends are only counted until it holds',
    );
  }

  #holds(): void {
    const { bridge, log } = this.#options;
    this.#short = [];
    if (this.#flapping === undefined) return;
    log.info({ bridge, sessions: this.#flapping.ended }, 'Link holds again');
    this.#flapping = undefined;
  }

  #takenOver(down: Down, fields: object): void {
    const { clientId, log } = this.#options;
    this.#takeovers += 1;
    if (this.#takeovers < TAKEOVERS_MAX) return;
    down.sentence = `another client uses the client identifier ${clientId} on this server, and each throws the other off: was the card of this gateway copied? Give each a gateway.id of its own`;
    if (this.#takeovers > TAKEOVERS_MAX) return;
    log.error({ ...fields, clientId }, 'Another client uses this client identifier');
  }
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
