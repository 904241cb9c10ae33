/** What a seed decides before a history begins: configuration, characters, and the troubles with their times. */
import { type Config, configSchema } from '../../src/config/schema.js';
import type { Chance } from './chance.js';
import type { PublisherCharacter } from './publisher.js';
import type { UpstreamCharacter } from './upstream.js';

export const TROUBLES = [
  'crash',
  'stop',
  'cut',
  'swallow',
  'refuse',
  'local-cut',
  'server-restart',
  'server-loses-sessions',
  'server-refuses',
  'server-silent',
  'quota',
  'disk-full',
  'disk-slow',
  'clock-step',
] as const;
export type TroubleKind = (typeof TROUBLES)[number];

export interface Trouble {
  readonly kind: TroubleKind;
  readonly atMs: number;
  readonly lastsMs: number;
  /** Which server, where it concerns one. */
  readonly server: string;
  /** After how many acts the process dies; how far the clock steps. */
  readonly amount: number;
}

export interface Plan {
  readonly config: Config;
  readonly servers: ReadonlyMap<string, UpstreamCharacter>;
  readonly publishers: readonly PublisherCharacter[];
  readonly troubles: readonly Trouble[];
  readonly durationMs: number;
  readonly linkDelayMs: readonly [number, number];
  readonly diskDelayMs: readonly [number, number];
  readonly isSmallJournal: boolean;
}

/** A history is at most so long before the weather clears. */
const DURATION_MS: readonly [number, number] = [5_000, 120_000];

/** @param batches what decides on batches, if there are any */
export function planOf(chance: Chance, batches?: Chance): Plan {
  const durationMs = chance.spread(...DURATION_MS);
  const isSmallJournal = chance.is(0.06);
  const servers = new Map<string, UpstreamCharacter>();
  const bridges: Record<string, object> = {};
  for (const name of chance.is(0.15) ? ['one', 'two'] : ['one']) {
    const urls = Array.from({ length: chance.is(0.2) ? 2 : 1 }, (_, n) => `mqtt://${name}-${n}:1883`);
    for (const url of urls) servers.set(url, upstreamOf(chance));
    bridges[name] = bridgeOf(chance, urls, batches);
  }
  const linkMs = chance.spread(0.2, 800);
  return {
    config: configOf(chance, bridges, isSmallJournal),
    servers,
    publishers: publishersOf(chance, durationMs, isSmallJournal),
    troubles: troublesOf(chance, durationMs, [...servers.keys()]),
    durationMs,
    linkDelayMs: [linkMs * 0.5, linkMs * chance.between(0.5, 2)],
    diskDelayMs: [0.1, chance.spread(0.2, 100)],
    isSmallJournal,
  };
}

function upstreamOf(chance: Chance): UpstreamCharacter {
  return {
    deliversOn: chance.is(0.5) ? 'publish' : 'pubrel',
    receiveMaximum: chance.is(0.5) ? undefined : chance.int(1, 30),
    maximumQoS: chance.is(0.08) ? 1 : 2,
  };
}

function bridgeOf(chance: Chance, servers: readonly string[], batches: Chance | undefined): object {
  const seconds = (least: number, most: number): string => `${Math.ceil(chance.spread(least, most))}s`;
  const rule = (filter: string, qos: number): object => ({
    filter,
    qos,
    ...(chance.is(0.2) && { priority: 'high' }),
    ...(chance.is(0.2) && { order: 'live-first' }),
    ...(chance.is(0.1) && { prefix: 'up/' }),
    ...(batches?.is(0.7) === true && { batch: batchOf(batches) }),
  });
  const [least, most] = [chance.int(50, 2000), chance.int(2000, 20_000)];
  return {
    servers,
    ...(chance.is(0.3) && { version: '3.1.1' }),
    inflight: Math.ceil(chance.spread(1, 100)),
    keepalive: seconds(2, 60),
    ack_timeout: seconds(3, 60),
    backoff: { min: `${least}ms`, max: `${most}ms` },
    history_share: `${chance.int(10, 90)}%`,
    history: chance.is(0.5) ? 'oldest-first' : 'newest-first',
    forward: [
      rule('site/once/#', 2),
      rule('site/least/#', 1),
      rule('site/most/#', 0),
      rule('read/#', chance.int(1, 2)),
    ],
  };
}

function batchOf(chance: Chance): object {
  return {
    max_delay: `${Math.ceil(chance.spread(1, 20_000))}ms`,
    max_bytes: `${Math.ceil(chance.spread(64, 20_000))}B`,
    max_messages: Math.ceil(chance.spread(1, 300)),
    encoding: chance.of(['json', 'cbor', 'columnar']),
    compress: chance.of(['none', 'deflate', 'brotli']),
  };
}

function configOf(chance: Chance, bridges: Record<string, object>, isSmallJournal: boolean): Config {
  const pollMs = Math.ceil(chance.spread(300, 10_000));
  return configSchema.parse({
    gateway: { id: 'sim' },
    journal: {
      durability: 'process-crash',
      max_commit_delay: `${chance.int(0, 1000)}ms`,
      ...(isSmallJournal && {
        max_size: '4MiB',
        when_full: chance.of(['drop-oldest', 'drop-newest', 'thin']),
      }),
    },
    broker: { listeners: [], allow_anonymous: true },
    buses: { simulated: { driver: 'simulator' } },
    devices: {
      tank: {
        bus: 'simulated',
        poll: `${pollMs}ms`,
        points: {
          level: { simulate: { wave: 'ramp', min: 0, max: 1_000_000, period: '12h', decimals: 6 } },
          ...(chance.is(0.5) && { high: { simulate: { wave: 'square', type: 'boolean', dropout: 0.1 } } }),
        },
      },
    },
    mappings: [
      {
        from: 'tank/*',
        topic: 'read/{device}/{point}',
        ...(chance.is(0.3) && { retain: true }),
        ...(chance.is(0.3) && { group: 'device', topic: 'read/{device}' }),
      },
    ],
    bridges,
  });
}

function publishersOf(chance: Chance, durationMs: number, isSmallJournal: boolean): PublisherCharacter[] {
  const count = chance.int(1, 3);
  return Array.from({ length: count }, (_, n) => {
    const messages = isSmallJournal ? chance.spread(100, 400) : chance.spread(5, 150);
    return {
      clientId: `p${n}`,
      version: chance.is(0.5) ? 5 : 4,
      topics: [
        `site/once/${n}`,
        `site/least/${n}`,
        ...(chance.is(0.3) ? ['site/most/a', 'site/once/a'] : []),
      ],
      everyMs: durationMs / messages,
      window: Math.ceil(chance.spread(1, 30)),
      bytes: isSmallJournal ? 30_000 : Math.ceil(chance.spread(10, 2000)),
      reconnectMs: chance.spread(20, 3000),
      expirySeconds: chance.is(0.15) ? chance.int(1, 60) : undefined,
    };
  });
}

/** How many of each, at most, and how long one lasts. */
const WEIGHTS: Readonly<Record<TroubleKind, readonly [share: number, most: number, lastsMs: number]>> = {
  crash: [0.8, 6, 20_000],
  stop: [0.2, 2, 10_000],
  cut: [0.6, 6, 0],
  swallow: [0.3, 3, 60_000],
  refuse: [0.3, 3, 30_000],
  'local-cut': [0.4, 4, 0],
  'server-restart': [0.4, 4, 0],
  'server-loses-sessions': [0.25, 2, 0],
  'server-refuses': [0.15, 2, 20_000],
  'server-silent': [0.15, 2, 40_000],
  quota: [0.1, 2, 10_000],
  'disk-full': [0.25, 2, 20_000],
  'disk-slow': [0.25, 2, 10_000],
  'clock-step': [0.2, 2, 0],
};

function troublesOf(chance: Chance, durationMs: number, servers: readonly string[]): Trouble[] {
  return TROUBLES.flatMap((kind) => {
    const [share, most, lastsMs] = WEIGHTS[kind];
    // Each kind draws by itself: a history without one of them is otherwise the same.
    const own = chance.fork();
    if (!own.is(share)) return [];
    return Array.from({ length: own.int(1, most) }, () => ({
      kind,
      atMs: own.between(0, durationMs),
      lastsMs: lastsMs === 0 ? 0 : own.spread(10, lastsMs),
      server: own.of(servers),
      amount: own.int(1, 12),
    }));
  });
}
