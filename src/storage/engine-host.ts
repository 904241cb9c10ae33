/**
 * The engine with its beginning, its outcomes as values, and its idle work: what the worker thread and the inline
 * transport have in common.
 */
import { GodwitError, reasonOf } from '../core/error.js';
import type { Batch } from './batch.js';
import { isDamage, sqliteCode } from './database.js';
import type { Engine } from './engine.js';
import { type OpeningOptions, openJournal, releaseLock } from './opening.js';
import { markDamaged } from './setting-aside.js';
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
} from './transport.js';
import { SYNC_FAILED } from './wal-file.js';

export class EngineHost {
  readonly #path: string;
  readonly #engine: Engine;
  readonly opened: Opened;
  #figures: News;

  constructor(options: OpeningOptions) {
    const { engine, opened } = openJournal(options);
    this.#path = options.path;
    this.#engine = engine;
    this.opened = opened;
    this.#figures = figuresOf(opened.news);
  }

  /** A disk that fails is an outcome; a database found damaged is a fault: it ends the process and the next start repairs. */
  commit(batch: Batch, wallMs: number): CommitOutcome {
    try {
      this.#engine.commit(batch, wallMs);
    } catch (fault) {
      this.#throwDamage(fault);
      const code =
        fault instanceof GodwitError && fault.code === SYNC_FAILED ? SYNC_FAILED : sqliteCode(fault);
      if (code === undefined) throw fault;
      return { ok: false, code, reason: reasonOf(fault), batch };
    }
    return { ok: true, head: this.#engine.head, batch, news: this.#newsOfCommit() };
  }

  /** What is durable is so, though its figures cannot be read just now: those from before are told again. */
  #newsOfCommit(): News {
    try {
      const news = this.#engine.news();
      this.#figures = figuresOf(news);
      return news;
    } catch (fault) {
      this.#throwDamage(fault);
      if (sqliteCode(fault) === undefined) throw fault;
      return this.#figures;
    }
  }

  read(request: ReadRequest): ReadAnswer {
    try {
      return this.#engine.read(request);
    } catch (fault) {
      this.#throwDamage(fault);
      if (sqliteCode(fault) === undefined) throw fault;
      return { bytes: new ArrayBuffer(0), spans: [], next: request.from, failed: reasonOf(fault) };
    }
  }

  inspect(request: InspectRequest): InspectAnswer {
    try {
      return this.#engine.inspect(request);
    } catch (fault) {
      this.#throwDamage(fault);
      if (sqliteCode(fault) === undefined) throw fault;
      return { kind: 'failed', reason: reasonOf(fault) };
    }
  }

  readSpool(request: SpoolRequest): SpoolAnswer {
    try {
      return this.#engine.readSpool(request);
    } catch (fault) {
      this.#throwDamage(fault);
      if (sqliteCode(fault) === undefined) throw fault;
      return { bytes: new ArrayBuffer(0), spans: [], failed: reasonOf(fault) };
    }
  }

  /** A slice of idle work. True: call again soon. News where something changed. */
  idle(wallMs: number): { readonly more: boolean; readonly news?: News } {
    // What must be written to the WAL again must find it as it was.
    if (this.#engine.owesSync) return { more: false };
    try {
      this.#engine.checkpoint('due');
      this.#engine.prepareWal();
      if (!this.#engine.needsMaintenance()) return { more: false };
      const more = this.#engine.maintain(wallMs);
      return { more, news: this.#engine.news() };
    } catch (fault) {
      this.#throwDamage(fault);
      // The disk fails: the next commit says so; this is tried again later.
      if (sqliteCode(fault) === undefined) throw fault;
      return { more: false };
    }
  }

  /** Moves the WAL into the database: there is time. */
  rest(): void {
    if (this.#engine.owesSync) return;
    try {
      this.#engine.checkpoint('rest');
    } catch (fault) {
      this.#throwDamage(fault);
      if (sqliteCode(fault) === undefined) throw fault;
    }
  }

  close(): void {
    this.#engine.close();
    releaseLock(this.#path);
  }

  /** Ends without a word, as a crash would: the next opening finds what was committed. */
  crash(): void {
    this.#engine.abandon();
  }

  #throwDamage(fault: unknown): void {
    if (!isDamage(fault)) return;
    try {
      markDamaged(this.#path);
    } catch (cause) {
      throw new GodwitError(
        'JOURNAL_DAMAGED',
        `The journal ${this.#path} is damaged and cannot be marked so`,
        { cause },
      );
    }
    throw new GodwitError(
      'JOURNAL_DAMAGED',
      `The journal ${this.#path} is damaged (${reasonOf(fault)}); it is set aside at the next start`,
      { cause: fault },
    );
  }
}

/** Without what is told only once. */
function figuresOf({ bytes, records, oldestMs, newestMs, full }: News): News {
  return { bytes, records, oldestMs, newestMs, full, evicted: [] };
}
