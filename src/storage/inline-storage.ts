/**
 * The journal on the caller's own thread, with the same front, engine and SQL as the gateway's: for the simulator
 * and for tests. Commits can be held until `commitNow()`, and what was not committed dropped by `crash()`.
 */
import { type Clock, SystemClock } from '../core/clock.js';
import { type Log, silentLog } from '../core/log.js';
import type { Batch } from './batch.js';
import { EngineHost } from './engine-host.js';
import { frontLimits, type JournalSettings, limitsOf } from './limits.js';
import { StorageFront } from './storage-front.js';
import type {
  CommitOutcome,
  InspectAnswer,
  InspectRequest,
  News,
  Opened,
  ReadAnswer,
  ReadRequest,
  SpoolAnswer,
  SpoolRequest,
  Transport,
} from './transport.js';

export interface InlineOptions {
  readonly path: string;
  readonly config?: Partial<JournalSettings>;
  /** What kept sessions may take, beside the journal's own `max_size`. */
  readonly sessionsBytesMax?: number;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly clockTrusted?: () => boolean;
  /**
   * True: nothing is committed, and no callback runs, before `commitNow()`. A function: it is given what carries a
   * commit out, to be called when the disk is done.
   */
  readonly hold?: boolean | ((carryOut: () => void) => void);
  /** Asked before each commit; an error it gives is what the disk answers. */
  readonly fault?: () => { readonly code: string; readonly reason: string } | undefined;
}

const STANDARD: JournalSettings = {
  // A test has no power to lose, and an fsync less.
  durability: 'process-crash',
  max_size: 2 ** 31,
  max_age: 30 * 86_400_000,
  when_full: 'drop-oldest',
  max_commit_delay: 250,
};

export class InlineStorage extends StorageFront {
  readonly #transport: InlineTransport;

  constructor(options: InlineOptions) {
    const settings = { ...STANDARD, ...options.config };
    const clock = options.clock ?? new SystemClock();
    const transport = new InlineTransport(options, settings, clock);
    super(
      {
        path: options.path,
        maxCommitDelayMs: settings.max_commit_delay,
        limits: frontLimits(settings, options.sessionsBytesMax),
        log: options.log ?? silentLog,
        clock,
        clockTrusted: options.clockTrusted,
        endOfTurn: (run) => setImmediate(run),
      },
      transport,
    );
    this.#transport = transport;
  }

  /** Commits all that was given so far and runs what waited for it. What that gives waits for the next call. */
  commitNow(): void {
    this.flushNow();
    this.#transport.carryOut();
  }

  override stop(): Promise<void> {
    this.#transport.letGo();
    return super.stop();
  }

  /** The process dies here: what was not committed is gone, nothing is called back, the file can be opened again. */
  crash(): void {
    this.forget();
    this.#transport.crash();
  }
}

class InlineTransport implements Transport {
  readonly alive = true;
  readonly #options: InlineOptions;
  readonly #settings: JournalSettings;
  readonly #clock: Clock;
  #host: EngineHost | undefined;
  #listen: (news: News) => void = () => {};
  #held: (() => void) | undefined;
  #holds: boolean;

  constructor(options: InlineOptions, settings: JournalSettings, clock: Clock) {
    this.#options = options;
    this.#holds = options.hold !== undefined && options.hold !== false;
    this.#settings = settings;
    this.#clock = clock;
  }

  async open(listen: (news: News) => void): Promise<Opened> {
    this.#listen = listen;
    this.#host = new EngineHost({
      ...limitsOf(this.#options.path, this.#settings),
      wallMs: this.#clock.wallMs(),
    });
    return this.#host.opened;
  }

  commit(batch: Batch, wallMs: number, done: (outcome: CommitOutcome) => void): void {
    this.#held = () => {
      done(this.#apply(batch, wallMs));
      this.#idle(wallMs);
    };
    if (!this.#holds) this.carryOut();
    else if (typeof this.#options.hold === 'function') this.#options.hold(() => this.carryOut());
  }

  /** Holds commits no longer. */
  letGo(): void {
    this.#holds = false;
    this.carryOut();
  }

  /** Carries out the commit that is held, if there is one. */
  carryOut(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  async inspect(request: InspectRequest): Promise<InspectAnswer> {
    return this.#open().inspect(request);
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    return this.#open().read(request);
  }

  readSpool(request: SpoolRequest): Promise<SpoolAnswer> {
    const host = this.#host;
    // As with a worker that has gone: nobody answers.
    return host === undefined ? new Promise(() => {}) : Promise.resolve(host.readSpool(request));
  }

  async close(): Promise<void> {
    this.carryOut();
    this.#host?.close();
    this.#host = undefined;
  }

  crash(): void {
    this.#held = undefined;
    this.#host?.crash();
    this.#host = undefined;
  }

  #apply(batch: Batch, wallMs: number): CommitOutcome {
    const fault = this.#options.fault?.();
    return fault === undefined ? this.#open().commit(batch, wallMs) : { ok: false, ...fault, batch };
  }

  /** What the worker does between commits. */
  #idle(wallMs: number): void {
    for (let more = true; more; ) {
      const done = this.#host?.idle(wallMs);
      more = done?.more === true;
      if (done?.news !== undefined) this.#listen(done.news);
    }
  }

  #open(): EngineHost {
    if (this.#host === undefined) throw new Error('the journal is not open');
    return this.#host;
  }
}
