/**
 * A journal that no gateway has open, looked at by a command. Nothing in it is changed; a WAL that the last process
 * left behind is taken into account. While it is open no gateway can start on it, so a long look opens it for each
 * slice anew.
 */
import { statSync } from 'node:fs';
import { GodwitError, reasonOf } from '../core/error.js';
import { type Account, accountsOf } from './account.js';
import { type Database, openForInspection, sqliteCode } from './database.js';
import type { Names } from './dictionary.js';
import { type HistoryRange, type HistorySlice, historyOf } from './history.js';
import { Inspection } from './inspection.js';
import { loadFloors } from './lane-floor.js';
import { SCHEMA_VERSION } from './migrations.js';
import type { Audit } from './recount.js';
import type { Loss } from './storage.js';
import type { Damage } from './transport.js';

/** A journal has this many spans of losses to tell, the newest. */
const LOSSES_MAX = 100;

export interface ClosedSummary {
  readonly path: string;
  readonly bytes: number;
  readonly records: number;
  readonly oldest: number | null;
  readonly newest: number | null;
  readonly accounts: ReadonlyMap<string, Account>;
  readonly losses: readonly Loss[];
  readonly damage: readonly Damage[];
}

export class ClosedJournal {
  readonly #path: string;
  readonly #database: Database;
  readonly #inspection: Inspection;

  /** Throws a GodwitError: JOURNAL_MISSING, JOURNAL_IN_USE, JOURNAL_PATH. */
  constructor(path: string) {
    this.#path = path;
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      throw new GodwitError(
        'JOURNAL_MISSING',
        `There is no journal at ${path}: no gateway has run on this configuration yet`,
        { path },
      );
    }
    try {
      this.#database = openForInspection(path);
    } catch (fault) {
      throw opening(fault, path);
    }
    const version = Number(this.#database.pragma('user_version', { simple: true }));
    if (version !== SCHEMA_VERSION) {
      this.close();
      throw new GodwitError(
        'JOURNAL_PATH',
        `The journal ${path} has schema ${version}, this godwit knows ${SCHEMA_VERSION}; start the gateway once to bring it up to date`,
        { path },
      );
    }
    this.#inspection = new Inspection(this.#database);
  }

  close(): void {
    this.#database.close();
  }

  summary(): ClosedSummary {
    const one = <Row>(sql: string): Row | undefined => this.#database.prepare<[], Row>(sql).get();
    const span = one<{ oldest: number | null; newest: number | null; records: number | null }>(
      `SELECT (SELECT from_ms FROM chunk ORDER BY first LIMIT 1) AS oldest,
              (SELECT to_ms FROM chunk ORDER BY first DESC LIMIT 1) AS newest`,
    );
    return {
      path: this.#path,
      bytes: ['', '-wal', '-shm'].reduce(
        (sum, suffix) => sum + (statSync(this.#path + suffix, { throwIfNoEntry: false })?.size ?? 0),
        0,
      ),
      records: Math.max(0, this.#head() - Number(one<{ value: string }>(REMOVED)?.value ?? 0)),
      oldest: span?.oldest ?? null,
      newest: span?.newest ?? null,
      accounts: accountsOf(this.#inspection.ledger(), this.#inspection.waiting(loadFloors(this.#database))),
      losses: this.#losses(),
      damage: this.#database
        .prepare<[], Damage>('SELECT at_ms AS at, file, reason, salvaged FROM damage ORDER BY id')
        .all(),
    };
  }

  audit(): Audit {
    const recount = this.#inspection.recount(loadFloors(this.#database), this.#head());
    for (let from: number | undefined = 0; from !== undefined; )
      from = this.#inspection.countOn(recount, from);
    return recount.audit();
  }

  history(range: HistoryRange, from: number, bytesMax: number): HistorySlice & { readonly head: number } {
    const head = this.#head();
    const { fromMs, toMs } = range;
    const answer = this.#inspection.history({ from, fromMs, toMs, bytesMax }, head);
    return { ...historyOf(answer, from, range, this.#names()), head };
  }

  #losses(): Loss[] {
    return this.#database
      .prepare<[number], Omit<Loss, 'topics'> & { readonly topics: string }>(
        'SELECT lost, reason, bridge, from_ms AS "from", to_ms AS "to", topics FROM loss ORDER BY id DESC LIMIT ?',
      )
      .all(LOSSES_MAX)
      .reverse()
      .map((row) => ({ ...row, topics: JSON.parse(row.topics) as readonly string[] }));
  }

  #head(): number {
    const last = this.#database
      .prepare<[], { head: number }>(
        'SELECT first + count - 1 AS head FROM chunk ORDER BY first DESC LIMIT 1',
      )
      .get();
    const saved = this.#database
      .prepare<[], { value: string }>("SELECT value FROM meta WHERE name = 'head'")
      .get();
    return Math.max(last?.head ?? 0, Number(saved?.value ?? 0));
  }

  #names(): Names {
    const find = this.#database.prepare<[number], { text: string }>(
      'SELECT text FROM dictionary WHERE id = ?',
    );
    const known = new Map<number, string | undefined>();
    return {
      id: () => 0,
      text: (id) => {
        if (!known.has(id)) known.set(id, find.get(id)?.text);
        return known.get(id);
      },
    };
  }
}

const REMOVED = "SELECT value FROM meta WHERE name = 'removed'";

function opening(fault: unknown, path: string): GodwitError {
  const code = sqliteCode(fault) ?? '';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new GodwitError(
      'JOURNAL_IN_USE',
      `The journal ${path} is in use by a gateway that does not answer; try again`,
      { path, cause: fault },
    );
  }
  return new GodwitError(
    'JOURNAL_PATH',
    `The journal ${path} cannot be read: ${reasonOf(fault)}; a start of the gateway sets a damaged one aside`,
    { path, cause: fault },
  );
}
