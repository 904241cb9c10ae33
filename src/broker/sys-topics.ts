/**
 * What the broker says of itself on $SYS topics, with mosquitto's names where there is one.
 *
 *   first subscriber ──wanted──▶ every 10 s: figures ──those that changed──▶ publish ──nobody left──▶ at rest
 *
 * A new subscriber gets the last ones as if they were retained. They are in no journal and on no disk, and while nobody
 * subscribes nothing is counted up or timed: what the load averages missed meanwhile is averaged over the whole gap.
 */
import type { Clock, Timer } from '../core/clock.js';
import { Publication } from './publication.js';
import { Retained } from './retained.js';

/** Totals since the start; `load` is made of their growth. */
export interface SysTotals {
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly messagesDropped: number;
  readonly payloadBytesReceived: number;
  readonly payloadBytesSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly socketsOpened: number;
  readonly connectionsAccepted: number;
}

export interface SysFigures extends SysTotals {
  readonly version: string;
  readonly uptimeMs: number;
  /** Sessions, connected or away. */
  readonly clients: number;
  readonly clientsConnected: number;
  readonly clientsConnectedMax: number;
  readonly clientsExpired: number;
  readonly subscriptions: number;
  readonly sharedSubscriptions: number;
  readonly retained: number;
  /** Retained messages and those that wait for sessions. */
  readonly stored: number;
  readonly storedBytes: number;
  readonly heapBytes: number;
}

export interface SysTopicsOptions {
  readonly clock: Clock;
  readonly figures: () => SysFigures;
  readonly publish: (publication: Publication) => void;
  /** Whether anybody subscribes to a topic below $SYS. */
  readonly anyone: () => boolean;
}

export const ROOT = '$SYS';
/** As mosquitto's sys_interval. */
const INTERVAL_MS = 10_000;
const NO_LIMITS = { messages: 1000, bytes: Number.POSITIVE_INFINITY };

const FIGURES: readonly (readonly [string, (figures: SysFigures) => number | string])[] = [
  ['version', ({ version }) => `godwit version ${version}`],
  ['uptime', ({ uptimeMs }) => `${Math.floor(uptimeMs / 1000)} seconds`],
  ['clients/total', ({ clients }) => clients],
  ['clients/connected', ({ clientsConnected }) => clientsConnected],
  ['clients/disconnected', ({ clients, clientsConnected }) => Math.max(0, clients - clientsConnected)],
  ['clients/maximum', ({ clientsConnectedMax }) => clientsConnectedMax],
  ['clients/expired', ({ clientsExpired }) => clientsExpired],
  // Older names of two of these, which dashboards still ask for.
  ['clients/active', ({ clientsConnected }) => clientsConnected],
  ['clients/inactive', ({ clients, clientsConnected }) => Math.max(0, clients - clientsConnected)],
  ['messages/received', ({ packetsReceived }) => packetsReceived],
  ['messages/sent', ({ packetsSent }) => packetsSent],
  ['messages/stored', ({ stored }) => stored],
  ['store/messages/count', ({ stored }) => stored],
  ['store/messages/bytes', ({ storedBytes }) => storedBytes],
  ['publish/messages/received', ({ messagesReceived }) => messagesReceived],
  ['publish/messages/sent', ({ messagesSent }) => messagesSent],
  ['publish/messages/dropped', ({ messagesDropped }) => messagesDropped],
  ['publish/bytes/received', ({ payloadBytesReceived }) => payloadBytesReceived],
  ['publish/bytes/sent', ({ payloadBytesSent }) => payloadBytesSent],
  ['bytes/received', ({ bytesReceived }) => bytesReceived],
  ['bytes/sent', ({ bytesSent }) => bytesSent],
  ['retained messages/count', ({ retained }) => retained],
  ['subscriptions/count', ({ subscriptions }) => subscriptions],
  ['shared_subscriptions/count', ({ sharedSubscriptions }) => sharedSubscriptions],
  ['heap/current', ({ heapBytes }) => heapBytes],
];

const LOADS: readonly (readonly [string, keyof SysTotals])[] = [
  ['messages/received', 'packetsReceived'],
  ['messages/sent', 'packetsSent'],
  ['publish/received', 'messagesReceived'],
  ['publish/sent', 'messagesSent'],
  ['publish/dropped', 'messagesDropped'],
  ['bytes/received', 'bytesReceived'],
  ['bytes/sent', 'bytesSent'],
  ['sockets', 'socketsOpened'],
  ['connections', 'connectionsAccepted'],
];
const MINUTES = [1, 5, 15] as const;
const MINUTE_MS = 60_000;

/** A Topic Name of the broker's, or a Topic Filter that can match one: a leading wildcard does not [MQTT5-4.7.2-1]. */
export function isSys(topic: string): boolean {
  return topic === ROOT || topic.startsWith(`${ROOT}/`);
}

export class SysTopics {
  readonly #options: SysTopicsOptions;
  readonly #said = new Retained(NO_LIMITS);
  readonly #load = new Load();
  #timer: Timer | undefined;

  constructor(options: SysTopicsOptions) {
    this.#options = options;
  }

  /** The load averages begin here. */
  start(): void {
    this.#load.begin(this.#options.clock.monotonicMs());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Somebody subscribes: the figures of now are ready for `match`. */
  wanted(): void {
    if (this.#timer !== undefined) return;
    this.#renew();
    this.#arm();
  }

  /** What a new subscription finds. */
  match(topicFilter: string, nowMs: number, found: Publication[]): void {
    if (this.#timer !== undefined) this.#said.match(topicFilter, nowMs, found);
  }

  #arm(): void {
    const { clock, anyone, publish } = this.#options;
    this.#timer = clock.at(clock.monotonicMs() + INTERVAL_MS, () => {
      this.#timer = undefined;
      if (!anyone()) return;
      this.#arm();
      for (const publication of this.#renew()) publish(publication);
    });
  }

  /** The figures that are others than before. */
  #renew(): Publication[] {
    const nowMs = this.#options.clock.monotonicMs();
    const figures = this.#options.figures();
    this.#load.count(figures, nowMs);
    const fresh: Publication[] = [];
    const say = (name: string, value: number | string): void => {
      const topic = `${ROOT}/broker/${name}`;
      const payload = Buffer.from(String(value));
      const before = this.#said.get(topic, nowMs)?.payload;
      if (before !== undefined && payload.equals(before)) return;
      const publication = new Publication(topic, payload, 0, true, undefined, nowMs);
      this.#said.set(publication, nowMs);
      fresh.push(publication);
    };
    for (const [name, value] of FIGURES) say(name, value(figures));
    for (const [name, total] of LOADS) {
      for (const minutes of MINUTES)
        say(`load/${name}/${minutes}min`, this.#load.of(total, minutes).toFixed(2));
    }
    return fresh;
  }
}

/** Averages per minute, each forgetting with its own time, as mosquitto's. */
class Load {
  readonly #averages = new Map<string, number>();
  #last: SysTotals | undefined;
  #lastMs = 0;

  begin(nowMs: number): void {
    this.#lastMs = nowMs;
  }

  count(totals: SysTotals, nowMs: number): void {
    const passedMs = nowMs - this.#lastMs;
    if (passedMs <= 0) return;
    for (const [, total] of LOADS) {
      const perMinute = ((totals[total] - (this.#last?.[total] ?? 0)) * MINUTE_MS) / passedMs;
      for (const minutes of MINUTES) {
        const before = this.of(total, minutes);
        const kept = Math.exp(-passedMs / (minutes * MINUTE_MS));
        this.#averages.set(`${total} ${minutes}`, perMinute + kept * (before - perMinute));
      }
    }
    this.#last = totals;
    this.#lastMs = nowMs;
  }

  of(total: keyof SysTotals, minutes: number): number {
    return this.#averages.get(`${total} ${minutes}`) ?? 0;
  }
}
