/**
 * One history: the whole gateway with its real journal in a world of its own (clock, disk, networks, servers, devices,
 * publishers), with the troubles of its plan, until the weather clears and all has come to rest. Then it is judged.
 *
 * Everything follows from the seed; the same seed is the same history.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isOpen } from '../../src/bridge/replay-job.js';
import { reasonOf } from '../../src/core/error.js';
import type { Snapshot } from '../../src/core/snapshot.js';
import { FakeClock } from '../support/fake-clock.js';
import { Chance } from './chance.js';
import { Life } from './life.js';
import { type End, Network } from './network.js';
import { type BridgeEnd, Oracle } from './oracle.js';
import { type Plan, planOf, type Trouble, type TroubleKind } from './plan.js';
import { Publisher } from './publisher.js';
import { Upstream } from './upstream.js';
import type { Mutation } from './watched-storage.js';

export interface HistoryOptions {
  /** Journals are made here, and removed. */
  readonly folder: string;
  readonly without?: ReadonlySet<TroubleKind>;
  readonly mutation?: Mutation;
  /** Called with all that happens, for a person who follows one history. */
  readonly tell?: (atMs: number, what: string) => void;
}

export interface Outcome {
  readonly seed: number;
  /** What does not hold; empty where all does. */
  readonly wrong: readonly string[];
  /** The same for the same seed. */
  readonly print: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly taken: number;
  readonly arrived: number;
  readonly met: Readonly<Record<string, number>>;
}

/** Steps of the world that nobody can need. */
const EVENTS_MAX = 400_000;
/** After the weather has cleared. */
const REST_MS_MAX = 30 * 60_000;
const STOP_MS_MAX = 15_000;
/** Turns of the event loop after each step: what it began may take as many to reach the disk. */
const TURNS = 3;

export async function playHistory(seed: number, options: HistoryOptions): Promise<Outcome> {
  const history = new History(seed, options);
  try {
    return await history.play();
  } finally {
    history.clear();
  }
}

/** Seeds from here on have rules with `batch`; those below are the histories that they always were. */
export const BATCHED_FROM = 1_000_000;

class History {
  readonly #seed: number;
  readonly #options: HistoryOptions;
  readonly #chance: Chance;
  readonly #plan: Plan;
  readonly #clock = new FakeClock({ wallMs: Date.UTC(2026, 10, 20, 12), monotonicMs: 1_000_000 });
  readonly #folder: string;
  readonly #journal: string;
  readonly #oracle = new Oracle();
  readonly #servers = new Map<string, Upstream>();
  readonly #link: Network;
  readonly #local: Network;
  readonly #publishers: Publisher[] = [];
  readonly #wrong: string[] = [];
  readonly #met: Record<string, number> = {};
  #life: Life | undefined;
  #diskIsFull = false;
  #diskSlowMs = 0;
  #isOver = false;
  #events = 0;

  constructor(seed: number, options: HistoryOptions) {
    this.#seed = seed;
    this.#options = options;
    this.#chance = new Chance(seed);
    this.#plan = planOf(this.#chance.fork(), seed >= BATCHED_FROM ? new Chance(~seed) : undefined);
    const clock = this.#clock;
    this.#folder = mkdtempSync(join(options.folder, 'godwit-sim-'));
    this.#journal = join(this.#folder, 'journal.db');
    this.#link = new Network({ clock, chance: this.#chance.fork(), delayMs: this.#plan.linkDelayMs });
    this.#local = new Network({ clock, chance: this.#chance.fork(), delayMs: [0.02, 2] });
    for (const [url, character] of this.#plan.servers) {
      this.#servers.set(
        url,
        new Upstream(
          url,
          character,
          () => clock.monotonicMs(),
          (what) => this.#tell(what),
        ),
      );
    }
  }

  async play(): Promise<Outcome> {
    const { publishers, troubles, durationMs } = this.#plan;
    const begunMs = this.#clock.monotonicMs();
    const onRejection = (fault: unknown): void => this.#threw(fault);
    process.on('unhandledRejection', onRejection);
    try {
      this.#begin();
      for (const [n, character] of publishers.entries()) {
        const publisher = new Publisher(
          character,
          this.#clock,
          this.#chance.fork(),
          () => this.#dialLocal(n),
          (what) => this.#tell(what),
        );
        this.#publishers.push(publisher);
        publisher.start();
      }
      for (const trouble of troubles) {
        if (this.#options.without?.has(trouble.kind) === true) continue;
        this.#clock.at(begunMs + trouble.atMs, () => this.#trouble(trouble));
      }
      this.#planReplays(begunMs);
      await this.#until(begunMs + durationMs, () => false);
      await this.#clear();
      if (this.#wrong.length === 0) await this.#judge();
    } finally {
      process.off('unhandledRejection', onRejection);
    }
    const arrivals = [...this.#servers.values()].flatMap((server) => server.arrivals);
    return {
      seed: this.#seed,
      wrong: this.#wrong,
      print: printOf([...arrivals.map(({ atMs, topic }) => `${atMs}${topic}`), String(this.#events)]),
      events: this.#events,
      simulatedMs: this.#clock.monotonicMs() - begunMs,
      taken: this.#oracle.count,
      arrived: arrivals.length,
      met: this.#met,
    };
  }

  clear(): void {
    this.#isOver = true;
    this.#life?.process.die();
    this.#life?.storage.crash();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  // ---- the gateway's lives

  #begin(): void {
    if (this.#isOver) return;
    const life = new Life(this.#clock, this.#chance.fork(), {
      plan: this.#plan,
      path: this.#journal,
      dial: (url) => this.#dialServer(url),
      oracle: this.#oracle,
      disk: () => ({ isFull: this.#diskIsFull, slowMs: this.#diskSlowMs }),
      mutation: this.#options.mutation,
      died: () => this.#clock.at(this.#clock.monotonicMs(), () => this.#reap(life)),
      threw: (fault) => this.#threw(fault),
      tell: (what) => this.#tell(what),
    });
    this.#life = life;
    this.#tell('the gateway starts');
    void life.start().then(
      () => this.#tell('the gateway runs'),
      (fault: unknown) => {
        if (!life.process.isDead) this.#threw(fault);
      },
    );
  }

  /** What is left of a process that died goes; the next begins a while later. */
  #reap(life: Life): void {
    if (this.#life !== life) return;
    this.#tell('the gateway is dead');
    this.#life = undefined;
    life.reap(this.#chance.is(0.5));
    const downMs =
      this.#plan.durationMs < 20_000 ? this.#chance.spread(1, 2000) : this.#chance.spread(1, 20_000);
    this.#clock.at(this.#clock.monotonicMs() + downMs, () => this.#begin());
  }

  #dialServer(url: string): { readonly end: End; readonly upstream: Upstream } | 'refused' {
    const upstream = this.#servers.get(url);
    if (upstream === undefined || this.#link.weather === 'refusing') return 'refused';
    const [near, far] = this.#link.connect();
    upstream.serve(far);
    return { end: near, upstream };
  }

  #dialLocal(n: number): End | undefined {
    const life = this.#life;
    if (life === undefined || life.process.isDead || !life.isRunning) return undefined;
    const [near, far] = this.#local.connect();
    return life.accept(far, `10.0.0.${n + 1}`) ? near : undefined;
  }

  // ---- troubles

  #trouble(trouble: Trouble): void {
    const { kind, lastsMs, server, amount } = trouble;
    if (this.#isOver) return;
    this.#met[kind] = (this.#met[kind] ?? 0) + 1;
    this.#tell(`${kind} of ${server}, ${Math.round(lastsMs)} ms, ${amount}`);
    const upstream = this.#servers.get(server) as Upstream;
    const over = (end: () => void): void =>
      void this.#clock.at(this.#clock.monotonicMs() + lastsMs, () => {
        this.#tell(`${kind} is over`);
        end();
      });
    switch (kind) {
      case 'crash': {
        const life = this.#life;
        life?.process.doom(amount);
        // It may do nothing for long.
        over(() => life?.process.die());
        return;
      }
      case 'stop':
        void this.#stop();
        return;
      case 'cut':
        this.#link.cut();
        return;
      case 'local-cut':
        this.#local.cut();
        return;
      case 'swallow':
        this.#link.weather = 'swallowing';
        over(() => this.#link.heal());
        return;
      case 'refuse':
        this.#link.cut();
        this.#link.weather = 'refusing';
        over(() => this.#link.heal());
        return;
      case 'server-restart':
        upstream.restart(true);
        return;
      case 'server-loses-sessions':
        upstream.restart(false);
        return;
      case 'server-refuses':
        upstream.state = 'refusing';
        upstream.restart(true);
        over(() => {
          upstream.state = 'up';
        });
        return;
      case 'server-silent':
        // What it hears until it is restarted is lost on it.
        upstream.state = 'silent';
        over(() => {
          upstream.restart(true);
          upstream.state = 'up';
        });
        return;
      case 'quota':
        upstream.quota = 'exceeded';
        over(() => {
          upstream.quota = 'free';
        });
        return;
      case 'disk-full':
        this.#diskIsFull = true;
        over(() => {
          this.#diskIsFull = false;
        });
        return;
      case 'disk-slow':
        this.#diskSlowMs = 500 * amount;
        over(() => {
          this.#diskSlowMs = 0;
        });
        return;
      case 'clock-step': {
        const stepMs = (amount % 2 === 0 ? 1 : -1) * 3 ** amount * 1000;
        this.#clock.setWallMs(this.#clock.wallMs() + stepMs);
        return;
      }
    }
  }

  /** From a chance of their own: without them the history is the same. Only 5.0 tells a replay from the first time. */
  #planReplays(begunMs: number): void {
    const chance = new Chance(this.#seed ^ 0x5eed);
    const { config, durationMs } = this.#plan;
    const bridges = Object.entries(config.bridges).filter(([, { version }]) => version === 5);
    if (bridges.length === 0 || !chance.is(0.4)) return;
    for (let left = chance.int(1, 3); left > 0; left -= 1) {
      const [bridge] = chance.of(bridges);
      const rate = chance.is(0.3) ? chance.int(5, 100) : undefined;
      this.#clock.at(begunMs + chance.between(0, durationMs), () => {
        if (this.#isOver || this.#life?.isRunning !== true || this.#life.process.isDead) return;
        const answer = this.#life.gateway.replay({
          bridge,
          since: '1h',
          ...(rate !== undefined && { rate }),
        });
        this.#tell(`replay of ${bridge}: ${JSON.stringify(answer)}`);
        if (answer.ok) this.#count('replays', 1);
      });
    }
  }

  async #stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined || !life.isRunning) return;
    const late = this.#clock.at(this.#clock.monotonicMs() + STOP_MS_MAX, () => {
      if (!life.process.isDead) this.#wrong.push(`STOP: it takes more than ${STOP_MS_MAX} ms`);
    });
    await life.gateway.stop();
    late.cancel();
    this.#tell('the gateway has stopped');
    life.process.die();
  }

  // ---- time

  /** One step of the world: whatever is due next, and all that follows from it within the same instant. */
  async #step(): Promise<boolean> {
    const { nextAtMs } = this.#clock;
    if (nextAtMs === undefined) return false;
    this.#events += 1;
    try {
      this.#clock.advance(Math.max(0, nextAtMs - this.#clock.monotonicMs()));
    } catch (fault) {
      this.#threw(fault);
    }
    for (let turn = 0; turn < TURNS; turn += 1) await oneTurn();
    return true;
  }

  async #until(atMs: number, isSo: () => boolean): Promise<boolean> {
    for (let n = 0; this.#wrong.length === 0; n += 1) {
      if (n % 16 === 0 && isSo()) return true;
      const { nextAtMs } = this.#clock;
      if (nextAtMs === undefined || nextAtMs > atMs) break;
      if (this.#events > EVENTS_MAX) {
        this.#wrong.push(`RESTLESS: more than ${EVENTS_MAX} events`);
        break;
      }
      await this.#step();
    }
    return isSo();
  }

  /** The weather clears; devices and publishers make nothing new; all that is accepted must arrive. */
  async #clear(): Promise<void> {
    this.#tell('the weather clears');
    for (const publisher of this.#publishers) publisher.finish();
    // What has begun is over after its time: the longest lasts a minute.
    await this.#until(this.#clock.monotonicMs() + 61_000, () => false);
    if (this.#wrong.length > 0) return;
    const runs = await this.#until(
      this.#clock.monotonicMs() + REST_MS_MAX,
      () => this.#life?.isRunning === true,
    );
    const life = this.#life;
    if (!runs || life === undefined) {
      this.#wrong.push('START: the gateway does not run although nothing keeps it from it');
      return;
    }
    await this.#await(life.reloadWithoutDevices());
    const rests = await this.#until(
      this.#clock.monotonicMs() + REST_MS_MAX,
      () =>
        this.#publishers.every(({ isDone }) => isDone) &&
        life.gateway.replays.every((job) => !isOpen(job)) &&
        this.#ends(life).every(
          ({ produced, delivered, lost, waiting, inFlight }) =>
            waiting + inFlight === 0 && delivered + lost === produced,
        ),
    );
    if (rests) return;
    for (const { character, isDone } of this.#publishers) {
      if (!isDone) this.#wrong.push(`STUCK: what ${character.clientId} published is not brought to its end`);
    }
  }

  async #await<Value>(promise: Promise<Value>): Promise<Value | undefined> {
    let done: { readonly value: Value } | undefined;
    promise.then(
      (value) => {
        done = { value };
      },
      (fault: unknown) => this.#threw(fault),
    );
    const limitMs = this.#clock.monotonicMs() + REST_MS_MAX;
    do await oneTurn();
    while (done === undefined && this.#clock.monotonicMs() < limitMs && (await this.#step()));
    return done?.value;
  }

  // ---- the end

  async #judge(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    this.#wrong.push(
      ...this.#oracle.judge({
        gatewayId: this.#plan.config.gateway.id,
        journalId: life.storage.journalId,
        bridges: this.#ends(life),
        publishers: this.#publishers,
        arrivals: [...this.#servers.values()].flatMap(({ arrivals }) => arrivals),
        overQuota: new Set([...this.#servers.values()].flatMap(({ overQuota }) => [...overQuota])),
      }),
      ...[...this.#servers.values()].flatMap(({ name, broken }) =>
        broken.map((what) => `SERVER: ${name}: ${what}`),
      ),
    );
    const snapshot = life.gateway.snapshot();
    const { journal } = snapshot;
    if (journal.state !== 'ok' && !this.#plan.isSmallJournal) {
      this.#wrong.push(`JOURNAL: its state is ${journal.state}: ${journal.reason}`);
    }
    if (journal.bytes > this.#plan.config.journal.max_size) {
      this.#wrong.push(`BOUNDS: the journal has ${journal.bytes} bytes, more than max_size`);
    }
    const audit = await this.#await(life.storage.audit());
    for (const difference of audit?.differences ?? ['it did not answer'])
      this.#wrong.push(`AUDIT: ${difference}`);
    for (const { sessionsLost } of Object.values(snapshot.bridges))
      this.#count('sessions-lost', sessionsLost);
    this.#count(
      'lost',
      this.#ends(life).reduce((sum, { lost }) => sum + lost, 0),
    );
    this.#count(
      'accepted',
      this.#publishers.reduce((sum, { made }) => sum + made.filter((one) => one.accepted).length, 0),
    );
  }

  #ends(life: Life): BridgeEnd[] {
    const { bridges }: Snapshot = life.gateway.snapshot();
    return Object.entries(this.#plan.config.bridges).map(([name, config]) => {
      const { produced, delivered, lost } = life.storage.ledger(name);
      const { waiting = 0, inFlight = 0 } = bridges[name] ?? {};
      return {
        name,
        produced,
        delivered,
        lost,
        waiting,
        inFlight,
        tells: config.version === 5,
        servers: config.servers,
      };
    });
  }

  #count(what: string, times: number): void {
    if (times > 0) this.#met[what] = (this.#met[what] ?? 0) + times;
  }

  #threw(fault: unknown): void {
    this.#wrong.push(`THREW: ${fault instanceof Error ? (fault.stack ?? fault.message) : reasonOf(fault)}`);
  }

  #tell(what: string): void {
    this.#options.tell?.(this.#clock.monotonicMs() - 1_000_000, what);
  }
}

function oneTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function printOf(lines: readonly string[]): number {
  let print = 0;
  for (const line of lines) {
    for (let at = 0; at < line.length; at += 1) print = (Math.imul(print, 31) + line.charCodeAt(at)) | 0;
  }
  return print >>> 0;
}
