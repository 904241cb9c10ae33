/**
 * What was lost, durably: rows merged per reason, bridge and span, and the ledger's count of what the journal
 * itself gave up. Everything happens inside the caller's transaction; what was not committed is taken back.
 */
import type { Database, Statement } from './database.js';
import { mergeLoss } from './loss.js';
import type { Loss } from './storage.js';

/** Losses closer than this are one span. */
const SPAN_GAP_MS = 60_000;
/** Spans told to whoever asks; older ones stay in the database. */
const LOSSES_TOLD_MAX = 100;
/** Spans kept; past it the newest of its kind grows, so that nothing is forgotten but where it was. */
const LOSS_ROWS_MAX = 10_000;
/** News of losses while they go on: once a second is enough for a person. */
const TELL_EVERY_MS = 1000;

interface LossRow extends Loss {
  readonly id: number;
}

export class LossTable {
  readonly #insert: Statement<[string, string | null, number, number, number, string]>;
  readonly #update: Statement<[number, number, number, string, number]>;
  readonly #evict: Statement<[string, number]>;
  readonly #told: Statement<[number], Omit<LossRow, 'topics'> & { readonly topics: string }>;
  readonly #rows: Statement<[], { readonly rows: number }>;
  /** The newest row of each kind. */
  #newest = new Map<string, LossRow>();
  #newestBefore: Map<string, LossRow> | undefined;
  #evicted = new Map<string, number>();
  #evictedNow = new Map<string, number>();
  #nowMs = 0;
  #rowCount: number;
  #changed = true;
  #changedNow = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO loss (reason, bridge, lost, from_ms, to_ms, topics) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#update = database.prepare(
      'UPDATE loss SET lost = ?, from_ms = ?, to_ms = ?, topics = ? WHERE id = ?',
    );
    this.#evict = database.prepare(
      'INSERT INTO ledger (bridge, evicted) VALUES (?, ?) ON CONFLICT DO UPDATE SET evicted = evicted + excluded.evicted',
    );
    this.#told = database.prepare(
      'SELECT id, reason, bridge, lost, from_ms AS "from", to_ms AS "to", topics FROM loss ORDER BY id DESC LIMIT ?',
    );
    this.#rows = database.prepare('SELECT count(*) AS rows FROM loss');
    this.#rowCount = this.#rows.get()?.rows ?? 0;
    for (const row of this.#read().reverse()) this.#newest.set(kindOf(row), row);
  }

  /** A transaction begins. */
  begin(wallMs: number): void {
    this.#nowMs = wallMs;
    this.#evictedNow.clear();
    this.#changedNow = false;
    this.#newestBefore = undefined;
  }

  add(loss: Loss): void {
    this.#newestBefore ??= new Map(this.#newest);
    const kind = kindOf(loss);
    const before = this.#newest.get(kind);
    const near =
      before !== undefined && loss.from - before.to <= SPAN_GAP_MS && before.from - loss.to <= SPAN_GAP_MS;
    if (before !== undefined && (near || this.#rowCount >= LOSS_ROWS_MAX)) {
      const merged = mergeLoss(before, loss);
      this.#update.run(merged.lost, merged.from, merged.to, JSON.stringify(merged.topics), before.id);
      this.#newest.set(kind, { ...merged, id: before.id });
    } else {
      const { lastInsertRowid } = this.#insert.run(
        loss.reason,
        loss.bridge,
        loss.lost,
        loss.from,
        loss.to,
        JSON.stringify(loss.topics),
      );
      this.#newest.set(kind, { ...loss, id: Number(lastInsertRowid) });
      this.#rowCount += 1;
    }
    this.#changedNow = true;
  }

  /** A loss that the journal itself caused: counted in the bridge's ledger too. */
  evict(loss: Loss): void {
    this.add(loss);
    if (loss.bridge === null) return;
    this.#evict.run(loss.bridge, loss.lost);
    this.#evictedNow.set(loss.bridge, (this.#evictedNow.get(loss.bridge) ?? 0) + loss.lost);
  }

  committed(): void {
    for (const [bridge, count] of this.#evictedNow) {
      this.#evicted.set(bridge, (this.#evicted.get(bridge) ?? 0) + count);
    }
    if (this.#changedNow) this.#changed = true;
  }

  rollback(): void {
    if (this.#newestBefore !== undefined) {
      this.#newest = this.#newestBefore;
      this.#rowCount = this.#rows.get()?.rows ?? 0;
    }
  }

  /** Losses to tell, newest last, if they changed and were not told just now. */
  takeChanged(): readonly Loss[] | undefined {
    if (!this.#changed || Math.abs(this.#nowMs - this.#toldAtMs) < TELL_EVERY_MS) return undefined;
    this.#changed = false;
    this.#toldAtMs = this.#nowMs;
    return this.#read()
      .reverse()
      .map(({ id: _, ...loss }) => loss);
  }

  takeEvicted(): readonly (readonly [string, number])[] {
    const all = [...this.#evicted];
    this.#evicted.clear();
    return all;
  }

  #read(): LossRow[] {
    return this.#told
      .all(LOSSES_TOLD_MAX)
      .map((row) => ({ ...row, topics: JSON.parse(row.topics) as readonly string[] }));
  }
}

function kindOf(loss: Loss): string {
  return `${loss.reason} ${loss.bridge ?? ''}`;
}
