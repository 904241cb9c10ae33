/**
 * The one file that knows better-sqlite3: how a connection is opened and what its errors mean.
 *
 * Pragmas are set on every opening and read back. The build's own default is `synchronous=NORMAL` for a database
 * that is already in WAL mode, which loses acknowledged commits when power is cut. A journal that serves runs with NORMAL
 * by intention: its engine syncs each commit itself, see wal-file.ts.
 */
import Sqlite from 'better-sqlite3';
import { GodwitError } from '../core/error.js';

export type Database = Sqlite.Database;
export type Statement<Values extends unknown[] = unknown[], Row = unknown> = Sqlite.Statement<Values, Row>;

export type Durability = 'power-loss' | 'process-crash';

/** The pragma's number for what syncs each commit. */
export const SYNCHRONOUS_FULL = 2;

/** The pragma's number for free pages that are given back when that is asked for. */
const INCREMENTAL = 2;

/** Another process is given this long to let go: it may be ending. */
const BUSY_WAIT_MS = 500;
/** Records are written once and read once: a cache holds little but the tables' roots. */
const CACHE_KIB = 1024;

/** Opens for this process alone; SQLITE_BUSY says that another one has it. */
export function openDatabase(path: string, durability: Durability, walBytesMax: number): Database {
  const database = new Sqlite(path, { timeout: BUSY_WAIT_MS });
  try {
    // Before anything is read: the lock is taken with the first access and kept.
    database.pragma('locking_mode = EXCLUSIVE');
    // Only takes before WAL and before the first table. To set it again would write, and have a disk that is slow sync
    // twice before anybody is served.
    if (numberPragma(database, 'auto_vacuum') !== INCREMENTAL) database.pragma('auto_vacuum = INCREMENTAL');
    set(database, 'journal_mode', 'WAL', 'wal');
    set(
      database,
      'synchronous',
      durability === 'power-loss' ? 'FULL' : 'NORMAL',
      durability === 'power-loss' ? SYNCHRONOUS_FULL : 1,
    );
    set(database, 'journal_size_limit', String(walBytesMax), walBytesMax);
    set(database, 'temp_store', 'MEMORY', 2);
    set(database, 'cache_size', `-${CACHE_KIB}`, -CACHE_KIB);
    // Done by the engine after it has answered, not inside a commit that somebody waits for.
    set(database, 'wal_autocheckpoint', '0', 0);
    return database;
  } catch (fault) {
    database.close();
    throw fault;
  }
}

/** A database that was set aside, to be read as far as that goes. */
export function openForSalvage(path: string): Database {
  return new Sqlite(path, { fileMustExist: true });
}

/** To be looked at by a command; for this process alone, and nothing is written to it. */
export function openForInspection(path: string): Database {
  const open = (readonly: boolean): Database => {
    const database = new Sqlite(path, { fileMustExist: true, readonly, timeout: BUSY_WAIT_MS });
    try {
      // Needs no file for shared memory, which would belong to whoever runs the command.
      if (!readonly) database.pragma('locking_mode = EXCLUSIVE');
      database.pragma('query_only = 1');
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
      return database;
    } catch (fault) {
      database.close();
      throw fault;
    }
  };
  try {
    return open(false);
  } catch (fault) {
    // A file system that cannot be written, or a user who may only read.
    if (/^SQLITE_(READONLY|CANTOPEN|IOERR)/.test(sqliteCode(fault) ?? '')) return open(true);
    throw fault;
  }
}

export function numberPragma(database: Database, name: string): number {
  return Number(database.pragma(name, { simple: true }));
}

/** What is asked around every commit, prepared once: compiling a PRAGMA costs more than running it. */
export class DatabaseGauge {
  readonly pageBytes: number;
  readonly #pages: Statement<[], number>;
  readonly #free: Statement<[], number>;
  readonly #wal: Statement<[], WalState>;
  #pagesNow: number | undefined;
  #freeNow: number | undefined;

  constructor(database: Database) {
    this.pageBytes = numberPragma(database, 'page_size');
    this.#pages = database.prepare<[], number>('PRAGMA page_count').pluck();
    this.#free = database.prepare<[], number>('PRAGMA freelist_count').pluck();
    this.#wal = database.prepare('PRAGMA wal_checkpoint(NOOP)');
  }

  get pages(): number {
    this.#pagesNow ??= this.#pages.get() ?? 0;
    return this.#pagesNow;
  }

  get freePages(): number {
    this.#freeNow ??= this.#free.get() ?? 0;
    return this.#freeNow;
  }

  /** Something was written, or taken back: nobody else writes, so only then are both asked for again. */
  changed(): void {
    this.#pagesNow = undefined;
    this.#freeNow = undefined;
  }

  wal(): WalState {
    const { log, checkpointed } = this.#wal.get() ?? { log: 0, checkpointed: 0 };
    // -1: there is none yet.
    return { log: Math.max(0, log), checkpointed: Math.max(0, checkpointed) };
  }
}

/** Frames in the WAL, and how many of them are in the database file already. */
interface WalState {
  readonly log: number;
  readonly checkpointed: number;
}

/** The code of a fault that SQLite reported, undefined for any other fault. */
export function sqliteCode(fault: unknown): string | undefined {
  return fault instanceof Sqlite.SqliteError ? fault.code : undefined;
}

/** The file holds something that cannot be trusted, as opposed to a disk that cannot be written now. */
export function isDamage(fault: unknown): boolean {
  if (fault instanceof GodwitError) return fault.code === 'JOURNAL_DAMAGED';
  const code = sqliteCode(fault);
  return code !== undefined && /^SQLITE_(CORRUPT|NOTADB|FORMAT)/.test(code);
}

function set(database: Database, name: string, value: string, expected: string | number): void {
  database.pragma(`${name} = ${value}`);
  const found = database.pragma(name, { simple: true });
  if (found !== expected) {
    throw new GodwitError(
      'JOURNAL_PRAGMA',
      `SQLite answers ${name} = ${String(found)} where ${expected} was set`,
      {
        pragma: name,
      },
    );
  }
}
