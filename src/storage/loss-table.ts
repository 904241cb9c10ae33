/**
 * What was lost, durably: rows merged per reason, bridge and span, and the ledger's count of what the journal
 * itself gave up. Everything happens inside the caller's transaction; what was not committed is taken back.
 *
 * A row is told once, as it is then, and grows no more: `told` marks it in the transaction of the message that tells
 * it. Rows are told in the order of their ids, so that one number says which have been.
 */
import type { Database } from './database.js';
import { mergeLoss } from './loss.js';
import type { Loss, LostTotal, UntoldLoss } from './storage.js';

/** Losses closer than this are one span. */
const SPAN_GAP_MS = 60_000;
/** Spans told to whoever asks; older ones stay in the database. */
const LOSSES_TOLD_MAX = 100;
/** Spans kept; past it the oldest that were told become one, so that nothing is forgotten but where it was. */
const LOSS_ROWS_MAX = 10_000;
/** News of losses while they go on: once a second is enough for a person. */
const TELL_EVERY_MS = 1000;
/** In the table `meta`: the highest id that has been told. */
export const LOSS_TOLD = 'lossesTold';

type LossRow = UntoldLoss;
type StoredRow = Omit<LossRow, 'topics'> & { readonly topics: string };

export interface LossNews {
  /** Newest last. */
  readonly losses: readonly Loss[];
  /** Oldest first. */
  readonly untold: readonly UntoldLoss[];
  readonly lost: readonly LostTotal[];
}

export class LossTable {
  readonly #sql: Sql;
  /** The newest row of each kind. */
  #newest = new Map<string, LossRow>();
  #newestBefore: Map<string, LossRow> | undefined;
  #evicted = new Map<string, number>();
  #evictedNow = new Map<string, number>();
  #nowMs = 0;
  #rowCount: number;
  #rowCountBefore = 0;
  #toldId: number;
  #toldIdBefore: number;
  #changed = true;
  #changedNow = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: Database) {
    this.#sql = prepare(database);
    this.#rowCount = this.#sql.rows.get()?.rows ?? 0;
    this.#toldId = Number(this.#sql.told.get(LOSS_TOLD)?.value ?? 0);
    this.#toldIdBefore = this.#toldId;
    for (const row of this.#recent()) this.#newest.set(kindOf(row), row);
  }

  /** A transaction begins. */
  begin(wallMs: number): void {
    this.#nowMs = wallMs;
    this.#evictedNow.clear();
    this.#changedNow = false;
    this.#newestBefore = undefined;
    this.#toldIdBefore = this.#toldId;
    this.#rowCountBefore = this.#rowCount;
  }

  add(loss: Loss): void {
    this.#newestBefore ??= new Map(this.#newest);
    const before = this.#newest.get(kindOf(loss));
    const isOpen = before !== undefined && before.id > this.#toldId;
    const near = isOpen && loss.from - before.to <= SPAN_GAP_MS && before.from - loss.to <= SPAN_GAP_MS;
    const isFull = this.#rowCount >= LOSS_ROWS_MAX && !this.#joinOldest();
    if (isOpen && (near || isFull)) {
      const merged = mergeLoss(before, loss);
      this.#write({ ...merged, id: before.id });
    } else {
      this.#insert(loss);
    }
    this.#changedNow = true;
  }

  /** A loss that the journal itself caused: counted in the bridge's ledger too. */
  evict(loss: Loss): void {
    this.add(loss);
    if (loss.bridge === null) return;
    this.#sql.evict.run(loss.bridge, loss.lost);
    this.#evictedNow.set(loss.bridge, (this.#evictedNow.get(loss.bridge) ?? 0) + loss.lost);
  }

  /** The row was told with so many lost. What was added since then begins a new row. */
  told(id: number, lost: number): void {
    const stored = this.#sql.one.get(id);
    if (stored === undefined || id <= this.#toldId) return;
    this.#newestBefore ??= new Map(this.#newest);
    this.#toldId = id;
    this.#sql.saveTold.run(LOSS_TOLD, String(id));
    this.#changedNow = true;
    const row = read(stored);
    if (row.lost <= lost) return;
    const rest = { ...row, lost: row.lost - lost };
    this.#write({ ...row, lost });
    this.#insert(rest);
  }

  committed(): void {
    for (const [bridge, count] of this.#evictedNow) {
      this.#evicted.set(bridge, (this.#evicted.get(bridge) ?? 0) + count);
    }
    this.#evictedNow.clear();
    if (this.#changedNow) this.#changed = true;
  }

  rollback(): void {
    this.#toldId = this.#toldIdBefore;
    this.#rowCount = this.#rowCountBefore;
    if (this.#newestBefore !== undefined) this.#newest = this.#newestBefore;
  }

  /** What there is to tell of losses, if it changed and was not told just now. */
  takeChanged(): LossNews | undefined {
    if (!this.#changed || Math.abs(this.#nowMs - this.#toldAtMs) < TELL_EVERY_MS) return undefined;
    const news = {
      losses: this.#recent().map(({ id: _, ...loss }) => loss),
      untold: this.#sql.untold.all(this.#toldId, LOSSES_TOLD_MAX).map(read),
      lost: this.#sql.totals.all(),
    };
    this.#changed = false;
    this.#toldAtMs = this.#nowMs;
    return news;
  }

  takeEvicted(): readonly (readonly [string, number])[] {
    const all = [...this.#evicted];
    this.#evicted.clear();
    return all;
  }

  #insert(loss: Loss): void {
    const { reason, bridge, lost, from, to, topics } = loss;
    const { lastInsertRowid } = this.#sql.insert.run(reason, bridge, lost, from, to, JSON.stringify(topics));
    this.#newest.set(kindOf(loss), { reason, bridge, lost, from, to, topics, id: Number(lastInsertRowid) });
    this.#rowCount += 1;
  }

  #write(row: LossRow): void {
    this.#sql.update.run(row.lost, row.from, row.to, JSON.stringify(row.topics), row.id);
    if (this.#newest.get(kindOf(row))?.id === row.id) this.#newest.set(kindOf(row), row);
  }

  /** Makes one row of the two oldest of a kind that were told; false: there are no such two. */
  #joinOldest(): boolean {
    const oldest = this.#sql.oldestTold.get(this.#toldId);
    const next =
      oldest && this.#sql.nextTold.get(oldest.id, this.#toldId, oldest.reason, oldest.bridge ?? null);
    if (oldest === undefined || next === undefined) return false;
    this.#write({ ...mergeLoss(read(oldest), read(next)), id: next.id });
    this.#sql.remove.run(oldest.id);
    this.#rowCount -= 1;
    return true;
  }

  /** Oldest first. */
  #recent(): LossRow[] {
    return this.#sql.recent.all(LOSSES_TOLD_MAX).map(read).reverse();
  }
}

function read(row: StoredRow): LossRow {
  return { ...row, topics: JSON.parse(row.topics) as readonly string[] };
}

function kindOf(loss: Loss): string {
  return `${loss.reason} ${loss.bridge ?? ''}`;
}

function prepare(database: Database) {
  const columns = 'id, reason, bridge, lost, from_ms AS "from", to_ms AS "to", topics';
  return {
    insert: database.prepare<[string, string | null, number, number, number, string]>(
      'INSERT INTO loss (reason, bridge, lost, from_ms, to_ms, topics) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    update: database.prepare<[number, number, number, string, number]>(
      'UPDATE loss SET lost = ?, from_ms = ?, to_ms = ?, topics = ? WHERE id = ?',
    ),
    remove: database.prepare<[number]>('DELETE FROM loss WHERE id = ?'),
    evict: database.prepare<[string, number]>(
      'INSERT INTO ledger (bridge, evicted) VALUES (?, ?) ON CONFLICT DO UPDATE SET evicted = evicted + excluded.evicted',
    ),
    recent: database.prepare<[number], StoredRow>(`SELECT ${columns} FROM loss ORDER BY id DESC LIMIT ?`),
    untold: database.prepare<[number, number], StoredRow>(
      `SELECT ${columns} FROM loss WHERE id > ? ORDER BY id LIMIT ?`,
    ),
    one: database.prepare<[number], StoredRow>(`SELECT ${columns} FROM loss WHERE id = ?`),
    oldestTold: database.prepare<[number], StoredRow>(
      `SELECT ${columns} FROM loss WHERE id <= ? ORDER BY id LIMIT 1`,
    ),
    nextTold: database.prepare<[number, number, string, string | null], StoredRow>(
      `SELECT ${columns} FROM loss WHERE id > ? AND id <= ? AND reason = ? AND bridge IS ? ORDER BY id LIMIT 1`,
    ),
    totals: database.prepare<[], LostTotal>(
      'SELECT reason, bridge, sum(lost) AS lost FROM loss GROUP BY reason, bridge ORDER BY reason, bridge',
    ),
    rows: database.prepare<[], { readonly rows: number }>('SELECT count(*) AS rows FROM loss'),
    told: database.prepare<[string], { readonly value: string }>('SELECT value FROM meta WHERE name = ?'),
    saveTold: database.prepare<[string, string]>('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)'),
  };
}

type Sql = ReturnType<typeof prepare>;
