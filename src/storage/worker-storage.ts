/**
 * The journal of a running gateway: the front on the main thread, the database in a worker thread. If the worker
 * ends on its own, `onFatal` is called, which ends the process: what was acknowledged is on disk, and a new
 * process starts from there.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../core/clock.js';
import { GodwitError, reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import { type Batch, buffersOf } from './batch.js';
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
import type { FromWorker, ToWorker, WorkerData } from './worker-protocol.js';

export interface WorkerStorageOptions {
  readonly path: string;
  readonly config: JournalSettings;
  /** What kept sessions may take, beside the journal's own `max_size`. */
  readonly sessionsBytesMax?: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Whether the wall clock is known to be right: by a wrong one, nothing is too old. */
  readonly clockTrusted?: () => boolean;
  /** The worker died: the process must end. */
  readonly onFatal: (fault: Error) => void;
  /** Where the compiled worker is; beside this file unless a test runs from sources. */
  readonly workerUrl?: URL;
}

/** A worker that hangs in a disk call cannot be asked; the process ends without it. */
const CLOSE_WAIT_MS_MAX = 2000;

export class WorkerStorage extends StorageFront {
  constructor(options: WorkerStorageOptions) {
    super(
      {
        path: options.path,
        maxCommitDelayMs: options.config.max_commit_delay,
        limits: frontLimits(options.config, options.sessionsBytesMax),
        log: options.log,
        clock: options.clock,
        clockTrusted: options.clockTrusted,
        endOfTurn: (run) => setImmediate(run),
      },
      new WorkerTransport(options),
    );
  }
}

class WorkerTransport implements Transport {
  readonly #options: WorkerStorageOptions;
  readonly #reads = new Map<number, (answer: ReadAnswer) => void>();
  readonly #inspections = new Map<number, (answer: InspectAnswer) => void>();
  readonly #spoolReads = new Map<number, (answer: SpoolAnswer) => void>();
  #worker: Worker | undefined;
  #nextRead = 1;
  #done: ((outcome: CommitOutcome) => void) | undefined;
  #closed: (() => void) | undefined;
  #ending = false;
  #dead = false;

  constructor(options: WorkerStorageOptions) {
    this.#options = options;
  }

  get alive(): boolean {
    return !this.#dead;
  }

  open(listen: (news: News) => void): Promise<Opened> {
    const { path, config, clock, workerUrl } = this.#options;
    const data: WorkerData = { ...limitsOf(path, config), wallMs: clock.wallMs() };
    const worker = new Worker(workerUrl ?? new URL('./worker.js', import.meta.url), { workerData: data });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      let isOpen = false;
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'opened') {
          isOpen = true;
          resolve(message.opened);
        } else if (message.kind === 'refused') {
          this.#ending = true;
          reject(new GodwitError(message.code, message.message, { ...message.fields }));
        } else {
          this.#hear(message, listen);
        }
      });
      worker.on('error', (fault) => {
        if (isOpen) this.#fatal(fault);
        else reject(fault);
      });
      worker.on('exit', (code) => {
        this.#closed?.();
        if (!this.#ending) this.#fatal(new Error(`the storage worker ended with code ${code}`));
      });
    });
  }

  commit(batch: Batch, wallMs: number, done: (outcome: CommitOutcome) => void): void {
    this.#done = done;
    this.#say({ kind: 'commit', batch, wallMs }, buffersOf(batch));
  }

  read(request: ReadRequest): Promise<ReadAnswer> {
    const id = this.#nextRead;
    this.#nextRead += 1;
    return new Promise((resolve) => {
      this.#reads.set(id, resolve);
      this.#say({ kind: 'read', id, request });
    });
  }

  inspect(request: InspectRequest): Promise<InspectAnswer> {
    const id = this.#nextRead;
    this.#nextRead += 1;
    return new Promise((resolve) => {
      this.#inspections.set(id, resolve);
      this.#say({ kind: 'inspect', id, request });
    });
  }

  readSpool(request: SpoolRequest): Promise<SpoolAnswer> {
    const id = this.#nextRead;
    this.#nextRead += 1;
    return new Promise((resolve) => {
      this.#spoolReads.set(id, resolve);
      this.#say({ kind: 'readSpool', id, request });
    });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || this.#dead) return;
    this.#worker = undefined;
    this.#ending = true;
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = clock.at(clock.monotonicMs() + CLOSE_WAIT_MS_MAX, resolve);
      this.#closed = () => {
        timer.cancel();
        resolve();
      };
      const message: ToWorker = { kind: 'close' };
      worker.postMessage(message);
    });
    void worker.terminate();
  }

  #hear(message: FromWorker, listen: (news: News) => void): void {
    switch (message.kind) {
      case 'outcome': {
        const done = this.#done;
        this.#done = undefined;
        done?.(message.outcome);
        return;
      }
      case 'answer':
        this.#reads.get(message.id)?.(message.answer);
        this.#reads.delete(message.id);
        return;
      case 'inspected':
        this.#inspections.get(message.id)?.(message.answer);
        this.#inspections.delete(message.id);
        return;
      case 'spoolAnswer':
        this.#spoolReads.get(message.id)?.(message.answer);
        this.#spoolReads.delete(message.id);
        return;
      case 'news':
        listen(message.news);
        return;
      case 'closed':
        this.#closed?.();
        return;
    }
  }

  #say(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  #fatal(fault: unknown): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#dead = true;
    const sentence = `The storage worker died: ${reasonOf(fault)}`;
    this.#options.onFatal(new GodwitError('STORAGE_WORKER_DIED', sentence, { cause: fault }));
  }
}
