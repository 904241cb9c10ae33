/**
 * The gateway's end of the thread in which a driver of the user's own runs. It never waits for ever, and it never
 * throws what the driver throws: a thread that hangs is ended, one that ended is begun anew with the next question.
 *
 *   none ──ask──▶ opening ──opened──▶ open ──ends, hangs, too much memory──▶ none, not before a wait that doubles
 */
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../core/clock.js';
import { reasonOf } from '../../core/error.js';
import type { FromHost, HostStart, ToHost } from './host-protocol.js';

export interface ThreadOptions {
  readonly file: string;
  readonly start: Omit<HostStart, 'url'>;
  readonly timeoutMs: number;
  readonly memoryBytesMax: number;
  readonly clock: Clock;
  /** The body of the thread, where it is not beside this file. */
  readonly bodyUrl?: URL;
  readonly onPublished: (device: string, values: unknown) => void;
  readonly onLog: (level: 'info' | 'warn' | 'error', text: string) => void;
}

type Question = ToHost extends infer One ? (One extends ToHost ? Omit<One, 'id'> : never) : never;

/** The whole of loading and opening: a driver may have to find its hardware. */
const OPEN_MS_MAX = 30_000;
const WAIT_MS_MIN = 1000;
const WAIT_MS_MAX = 60_000;
const CLOSE_MS_MAX = 2000;
const LINE_MAX = 500;

interface Asked {
  readonly resolve: (result: unknown) => void;
  readonly reject: (fault: Error) => void;
}

export class DriverThread {
  readonly #options: ThreadOptions;
  readonly #asked = new Map<number, Asked>();
  #worker: Worker | undefined;
  #opening: Promise<void> | undefined;
  #next = 1;
  #waitMs = WAIT_MS_MIN;
  #notBeforeMs = -Infinity;
  #fault: string | undefined;
  #stopped = false;
  #onEnd: () => void = () => undefined;
  /** Threads that ended, or had to be. */
  crashes = 0;

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  /** Why the driver does not run; undefined: it does, or was not asked yet. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Loads and opens it, where it is not open. Rejects with what is wrong. */
  open(): Promise<void> {
    const { clock } = this.#options;
    if (this.#opening !== undefined) return this.#opening;
    if (this.#stopped) return Promise.reject(new Error('stopped'));
    if (clock.monotonicMs() < this.#notBeforeMs)
      return Promise.reject(new Error(this.#fault ?? 'not running'));
    this.#opening = this.#begin();
    return this.#opening;
  }

  async ask(question: Question): Promise<unknown> {
    await this.open();
    const worker = this.#worker;
    if (worker === undefined) throw new Error(this.#fault ?? 'not running');
    const id = this.#next++;
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = clock.at(clock.monotonicMs() + timeoutMs, () => {
        // Whether it waits or loops cannot be told from here; what it would answer later belongs to nobody.
        this.#end(worker, `did not answer within ${timeoutMs} ms`);
      });
      const settle = (run: () => void): void => {
        timer.cancel();
        this.#asked.delete(id);
        run();
      };
      this.#asked.set(id, {
        resolve: (result) => settle(() => resolve(result)),
        reject: (fault) => settle(() => reject(fault)),
      });
      worker.postMessage({ ...question, id });
    });
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    const worker = this.#worker;
    if (worker !== undefined) {
      const limit = new Promise((resolve) => setTimeout(resolve, CLOSE_MS_MAX).unref());
      await Promise.race([this.ask({ kind: 'close' }).catch(() => undefined), limit]);
    }
    this.#stopped = true;
    this.#worker = undefined;
    this.#rejectAll('stopped');
    await worker?.terminate();
  }

  #begin(): Promise<void> {
    const { bodyUrl, clock, file, start, memoryBytesMax } = this.#options;
    const worker = new Worker(bodyUrl ?? new URL('./host.js', import.meta.url), {
      workerData: { ...start, url: pathToFileURL(file).href },
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memoryBytesMax / 2 ** 20) },
      // What it prints is no line of our log.
      stdout: true,
      stderr: true,
    });
    this.#worker = worker;
    const print = (chunk: Uint8Array): void => {
      const text = Buffer.from(chunk).toString('utf8').trim().slice(0, LINE_MAX);
      if (text !== '') this.#options.onLog('info', text);
    };
    worker.stdout.on('data', print);
    worker.stderr.on('data', print);
    return new Promise((resolve, reject) => {
      const timer = clock.at(clock.monotonicMs() + OPEN_MS_MAX, () => {
        this.#end(worker, `did not open within ${OPEN_MS_MAX} ms`);
      });
      worker.on('message', (message: FromHost) => {
        if (worker !== this.#worker) return;
        if (message.kind === 'opened') {
          timer.cancel();
          this.#fault = undefined;
          resolve();
        } else if (message.kind === 'refused') this.#end(worker, message.why);
        else this.#hear(message);
      });
      worker.on('error', (fault) => this.#end(worker, reasonOf(fault)));
      worker.on('exit', (code) => this.#end(worker, `ended with ${code}`));
      this.#onEnd = () => {
        timer.cancel();
        reject(new Error(this.#fault));
      };
    });
  }

  #hear(message: FromHost): void {
    switch (message.kind) {
      case 'done':
        // It works: the next fault is a new one.
        this.#waitMs = WAIT_MS_MIN;
        this.#asked.get(message.id)?.resolve(message.result);
        break;
      case 'failed':
        this.#waitMs = WAIT_MS_MIN;
        this.#asked.get(message.id)?.reject(new Error(message.why));
        break;
      case 'published':
        this.#options.onPublished(message.device, message.values);
        break;
      case 'log':
        this.#options.onLog(message.level, message.text);
        break;
    }
  }

  #end(worker: Worker, why: string): void {
    if (worker !== this.#worker) return;
    this.crashes += 1;
    this.#fault = why;
    this.#worker = undefined;
    this.#opening = undefined;
    this.#notBeforeMs = this.#options.clock.monotonicMs() + this.#waitMs;
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MS_MAX);
    this.#onEnd();
    this.#rejectAll(why);
    void worker.terminate();
  }

  #rejectAll(why: string): void {
    for (const { reject } of [...this.#asked.values()]) reject(new Error(why));
  }
}
