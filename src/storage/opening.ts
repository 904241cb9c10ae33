/**
 * From a path to a database that can be trusted: the folder is made, the lock taken, the schema brought up to
 * date, and what the last process may have left damaged is looked at: header, schema, the journal's tail.
 *
 *   open ──trusted──▶ serve
 *     └──damaged──▶ rename to <name>.damaged-<time> ──▶ fill a new one with what can be read ──▶ serve
 */
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { GodwitError, reasonOf } from '../core/error.js';
import { damaged } from './byte-reader.js';
import {
  type Database,
  type Durability,
  isDamage,
  numberPragma,
  openDatabase,
  sqliteCode,
} from './database.js';
import { Engine } from './engine.js';
import { MIGRATIONS, SCHEMA_VERSION } from './migrations.js';
import { visitSlots } from './record-codec.js';
import type { RetentionLimits } from './retention.js';
import { salvage } from './salvage.js';
import { begin, begunBefore, complete, isMarked, type SetAside, syncFolder } from './setting-aside.js';
import { SpoolTable } from './spool-table.js';
import type { Opened } from './transport.js';
import { UNCOUNTED_CHUNKS_MAX } from './uncounted.js';

const FOLDER_MODE = 0o750;
/** Last chunks that are read before the journal is trusted: a power cut damages the end. The ledger rests on them too. */
const TAIL_CHUNKS = UNCOUNTED_CHUNKS_MAX;
const SPOOL_TAIL_ROWS = 8;
const JOURNAL_ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

export interface OpeningOptions extends RetentionLimits {
  readonly durability: Durability;
  readonly wallMs: number;
}

export interface OpenJournal {
  readonly engine: Engine;
  readonly opened: Opened;
}

/** Throws a GodwitError with one sentence for the operator: JOURNAL_PATH, JOURNAL_IN_USE, JOURNAL_NEWER. */
export function openJournal(options: OpeningOptions): OpenJournal {
  const { path } = options;
  preparePath(path);
  try {
    const begun = begunBefore(path);
    return begun === undefined ? trusted(options) : afterDamage(options, begun);
  } catch (fault) {
    if (!isDamage(fault)) throw explained(fault, path);
    return afterDamage(options, begin(path, reasonOf(fault), options.wallMs));
  }
}

export function releaseLock(path: string): void {
  rmSync(pidFileOf(path), { force: true });
}

function trusted(options: OpeningOptions): OpenJournal {
  const { path, durability, walBytesMax, wallMs } = options;
  const wasEmptied = isEmptied(path);
  // Whatever is promised: the engine syncs its commits itself, see wal-file.ts.
  const database = openDatabase(path, 'process-crash', walBytesMax);
  try {
    if (isMarked(path)) throw damaged('it was found so while in use');
    if (wasEmptied) throw damaged('its file was cut to nothing');
    migrate(database, path, wallMs);
    checkTail(database);
    const engine = new Engine(database, options, durability === 'power-loss');
    // Reads every table but the journal itself.
    const opened = engine.opened(wallMs);
    writePid(path);
    return { engine, opened };
  } catch (fault) {
    database.close();
    throw fault;
  }
}

/** SQLite takes a file without bytes for a new database; one that a gateway had open is not new. */
function isEmptied(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.size === 0 && existsSync(pidFileOf(path));
}

function afterDamage(options: OpeningOptions, set: SetAside): OpenJournal {
  const { path } = options;
  try {
    const salvaged = complete(path, set, (fresh) => bringOver(options, set, fresh));
    const { engine, opened } = trusted(options);
    if (salvaged === undefined) return { engine, opened };
    const note = `the database could not be trusted (${set.reason}), was set aside as ${set.file}, and ${salvaged} Records were brought over`;
    return { engine, opened: { ...opened, notes: [note] } };
  } catch (fault) {
    throw explained(fault, path);
  }
}

/** Fills the new database before it serves: from the old one, and with the note of what happened. */
function bringOver(options: OpeningOptions, { file, reason }: SetAside, fresh: string): number {
  const { walBytesMax, wallMs } = options;
  // Whatever is promised of commits later: this is the only copy.
  const database = openDatabase(fresh, 'power-loss', walBytesMax);
  try {
    migrate(database, fresh, wallMs);
    return salvage(file, database, { at: wallMs, reason, bytesMax: options.databaseBytesMax });
  } finally {
    database.close();
  }
}

function preparePath(path: string): void {
  try {
    const first = mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
    // A folder that a power cut takes away takes what was fsynced in it along.
    for (let made = dirname(path); first !== undefined; made = dirname(made)) {
      syncFolder(dirname(made));
      if (made === first || dirname(made) === made) break;
    }
  } catch (fault) {
    throw new GodwitError(
      'JOURNAL_PATH',
      `The folder ${dirname(path)} for journal.path cannot be made: ${reasonOf(fault)}; make it, or name another`,
      { path, cause: fault },
    );
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new GodwitError('JOURNAL_PATH', `journal.path ${path} is a folder; name a file in it`, { path });
  }
}

/** Brings the schema up to date, each step in one transaction with its number. */
export function migrate(database: Database, path: string, wallMs: number): void {
  const found = numberPragma(database, 'user_version');
  if (found > SCHEMA_VERSION) {
    throw new GodwitError(
      'JOURNAL_NEWER',
      `The journal ${path} was written by a newer godwit (schema ${found}, this one knows ${SCHEMA_VERSION}); install that version again, or name another journal.path`,
      { path, found },
    );
  }
  const tables = database.prepare<[], { n: number }>('SELECT count(*) AS n FROM sqlite_schema').get()?.n ?? 0;
  if (found === 0 && tables > 0) {
    throw new GodwitError(
      'JOURNAL_PATH',
      `journal.path ${path} is a database of some other program; name another file`,
      { path },
    );
  }
  for (let version = found; version < SCHEMA_VERSION; version += 1) {
    database.transaction(() => {
      database.exec(MIGRATIONS[version] as string);
      if (version === 0) {
        const put = database.prepare<[string, string]>('INSERT INTO meta (name, value) VALUES (?, ?)');
        put.run('journalId', newJournalId());
        put.run('created', String(wallMs));
      }
      database.pragma(`user_version = ${version + 1}`);
    })();
  }
  if (numberPragma(database, 'user_version') !== SCHEMA_VERSION) {
    throw damaged('the schema number did not take');
  }
}

function newJournalId(): string {
  return Array.from({ length: 8 }, () => JOURNAL_ID_LETTERS[randomInt(JOURNAL_ID_LETTERS.length)]).join('');
}

function checkTail(database: Database): void {
  const rows = database
    .prepare<[number], { first: number; crc: number; bytes: Buffer }>(
      'SELECT first, crc, bytes FROM chunk ORDER BY first DESC LIMIT ?',
    )
    .all(TAIL_CHUNKS);
  for (const { first, crc, bytes } of rows) {
    if (crc32(bytes) !== crc) throw damaged(`the Records from ${first} on are not what was written`);
    visitSlots(bytes, first, () => true);
  }
  new SpoolTable(database).checkTail(SPOOL_TAIL_ROWS);
}

/** The fault as a sentence that says what to do. */
function explained(fault: unknown, path: string): unknown {
  if (fault instanceof GodwitError) return fault;
  const code = sqliteCode(fault) ?? (fault as NodeJS.ErrnoException).code ?? '';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    const pid = holder(path);
    const who = pid === undefined ? 'another process' : `process ${pid}`;
    return new GodwitError(
      'JOURNAL_IN_USE',
      `The journal ${path} is in use by ${who}; one gateway per journal`,
      {
        path,
        pid,
        cause: fault,
      },
    );
  }
  return new GodwitError(
    'JOURNAL_PATH',
    `The journal ${path} cannot be opened: ${reasonOf(fault)}; check the folder's owner, mode and free space`,
    { path, sqlite: code, cause: fault },
  );
}

/** For the sentence that a second gateway says; a disk too full for it still has its journal. */
function writePid(path: string): void {
  try {
    writeFileSync(pidFileOf(path), `${process.pid}\n`);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === undefined) throw fault;
  }
}

function holder(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidFileOf(path), 'utf8'), 10);
    return Number.isNaN(pid) ? undefined : pid;
  } catch {
    return undefined;
  }
}

function pidFileOf(path: string): string {
  return `${path}.pid`;
}
