/** The gateway from one start to one end, with the real parts: what it reaches of the world, it reaches through here. */
import { copyFileSync, existsSync } from 'node:fs';
import type { Dial } from '../../src/bridge/transport.js';
import type { LoadedConfig } from '../../src/config/load.js';
import { NO_SECRETS } from '../../src/config/secrets.js';
import type { Log } from '../../src/core/log.js';
import { Gateway } from '../../src/gateway/gateway.js';
import type { FakeClock } from '../support/fake-clock.js';
import type { Chance } from './chance.js';
import { LocalTransport } from './local-transport.js';
import type { End } from './network.js';
import type { Oracle } from './oracle.js';
import type { Plan } from './plan.js';
import { SimProcess } from './sim-process.js';
import type { Upstream } from './upstream.js';
import { type Mutation, WatchedStorage } from './watched-storage.js';

export interface LifeOptions {
  readonly plan: Plan;
  readonly path: string;
  readonly dial: (url: string) => { readonly end: End; readonly upstream: Upstream } | 'refused';
  readonly oracle: Oracle;
  readonly disk: () => { readonly isFull: boolean; readonly slowMs: number };
  readonly mutation: Mutation | undefined;
  readonly died: () => void;
  readonly threw: (fault: unknown) => void;
  readonly tell: (what: string) => void;
}

export class Life {
  readonly process: SimProcess;
  readonly storage: WatchedStorage;
  readonly gateway: Gateway;
  isRunning = false;
  readonly #chance: Chance;
  readonly #options: LifeOptions;
  readonly #ends = new Set<End>();
  readonly #handshakes = new Set<{ readonly upstream: Upstream; hearsSince: number | undefined }>();
  #commits = 0;

  constructor(clock: FakeClock, chance: Chance, options: LifeOptions) {
    this.#chance = chance;
    this.#options = options;
    this.process = new SimProcess(clock, options.died);
    const { plan, tell } = options;
    const log = logTo(tell);
    const loaded: LoadedConfig = {
      config: plan.config,
      file: 'sim.yaml',
      folder: '.',
      journalPath: options.path,
      secrets: NO_SECRETS,
    };
    this.storage = new WatchedStorage(
      {
        path: options.path,
        config: plan.config.journal,
        log,
        clock: this.process,
        hold: (carryOut) => this.#commitLater(carryOut),
        fault: () => this.#fault(),
      },
      options.oracle,
      this.process,
      options.mutation,
    );
    this.gateway = new Gateway({
      loaded,
      log,
      clock: this.process,
      onFatal: options.threw,
      random: chance.fork().next,
      world: {
        storage: this.storage,
        dial: this.#dial,
        time: { exists: () => true, timedatectl: async () => '' },
      },
    });
  }

  async start(): Promise<void> {
    await this.gateway.start();
    this.isRunning = true;
  }

  async reloadWithoutDevices(): Promise<void> {
    const { config } = this.#options.plan;
    await this.gateway.reload({
      config: { ...config, buses: {}, devices: {} },
      file: 'sim.yaml',
      folder: '.',
      journalPath: this.#options.path,
      secrets: NO_SECRETS,
    });
  }

  accept(end: End, remoteAddress: string): boolean {
    const transport = new LocalTransport(end, remoteAddress, this.process, this.#chance);
    const user = this.gateway.accept(transport);
    if (user === undefined) {
      end.destroy();
      return false;
    }
    this.#ends.add(end);
    transport.serve(user);
    return true;
  }

  /** The kernel closes what the process had open. @param torn the files are left as they lie, WAL and all */
  reap(torn: boolean): void {
    this.isRunning = false;
    for (const end of this.#ends) end.destroy();
    for (const handshake of this.#handshakes) this.#ended(handshake);
    const { path } = this.#options;
    const files = [path, `${path}-wal`].filter((file) => torn && existsSync(file));
    for (const file of files) copyFileSync(file, `${file}.kept`);
    this.storage.crash();
    for (const file of files) copyFileSync(`${file}.kept`, file);
  }

  #commitLater(carryOut: () => void): void {
    const { plan, disk } = this.#options;
    const delayMs = this.#chance.between(...plan.diskDelayMs) + disk().slowMs;
    this.process.at(this.process.monotonicMs() + delayMs, carryOut);
  }

  /** Asked before each commit. It may be the last thing that happens, or the last before the process dies. */
  #fault(): { readonly code: string; readonly reason: string } | undefined {
    if (!this.process.act()) return { code: 'SQLITE_IOERR', reason: 'nobody is there any more' };
    if (this.#options.disk().isFull) return { code: 'SQLITE_FULL', reason: 'database or disk is full' };
    this.#commits += 1;
    // Dead from here on: the commit is done, and nobody is told.
    this.process.act();
    return undefined;
  }

  /** A CONNECT was to leave; that it was answered is known on disk after a commit that was given later. */
  #ended(handshake: { readonly upstream: Upstream; readonly hearsSince: number | undefined }): void {
    if (!this.#handshakes.delete(handshake)) return;
    if (this.#commits < (handshake.hearsSince ?? Number.POSITIVE_INFINITY) + 2)
      handshake.upstream.doubts += 1;
  }

  readonly #dial: Dial = (server, _tls, events) => {
    const { process } = this;
    const dialled = this.#options.dial(server.url);
    const later = (run: () => void): void =>
      void process.at(process.monotonicMs() + this.#chance.between(0.1, 5), run);
    if (dialled === 'refused') {
      later(() => events.closed(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })));
      return { write: () => true, end: () => undefined, destroy: () => undefined };
    }
    const { end, upstream } = dialled;
    const handshake = { upstream, hearsSince: undefined as number | undefined };
    this.#ends.add(end);
    end.user = {
      data: (bytes) => {
        if (process.isDead) return;
        handshake.hearsSince ??= this.#commits;
        events.data(bytes);
      },
      closed: (fault) => {
        this.#ends.delete(end);
        this.#ended(handshake);
        if (!process.isDead) events.closed(fault);
      },
    };
    end.whenOpen(() => {
      if (process.isDead || end.isClosed) return;
      // Said to be under way on disk before CONNECT leaves.
      this.#handshakes.add(handshake);
      events.opened();
    });
    return {
      write: (bytes) => {
        if (!process.act()) return true;
        end.write(bytes);
        if (!this.#chance.is(0.1)) return true;
        later(() => end.isClosed || events.drained());
        return false;
      },
      end: () => process.isDead || end.end(),
      destroy: () => process.isDead || end.destroy(),
    };
  };
}

function logTo(tell: (what: string) => void): Log {
  const at =
    (level: string) =>
    (fields: object, sentence: string): void =>
      tell(`${level}: ${sentence} ${JSON.stringify(fields)}`);
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}
