/**
 * What goes when the journal is old or full, in this order and in small slices:
 *
 *   aged       delivered Records older than `max_age`
 *   delivered  Records that no lane needs any more, oldest first
 *   thinned    with `thin`: every second reading, see thinning.ts; counted as lost
 *   normal     waiting Records, oldest first, those of `high` lanes excepted    ┐ not with `drop-newest`;
 *   high       waiting Records of `high` lanes                                  ┘ counted as lost: `evicted`
 *
 * Records under way are never taken, nor what a bridge has read ahead. A chunk of which something must stay is rewritten with the rest marked as
 * gone, so that offsets keep their meaning. All of it happens inside the caller's transaction.
 */
import { crc32 } from 'node:zlib';
import type { Route } from '../core/route.js';
import type { Database, DatabaseGauge } from './database.js';
import { evict, type Verdict } from './eviction.js';
import {
  floorsJson,
  type LaneFloor,
  loadFloors,
  neededIn,
  needsSome,
  newFloor,
  oldestNeeded,
  type RowSpan,
} from './lane-floor.js';
import type { LossTable } from './loss-table.js';
import type { LaneNeeds } from './storage.js';
import { Thinning } from './thinning.js';
import type { News } from './transport.js';
import type { WalFile } from './wal-file.js';

export interface RetentionLimits {
  readonly path: string;
  /** The whole of it on disk, WAL included. */
  readonly bytesMax: number;
  /** The database file alone. */
  readonly databaseBytesMax: number;
  readonly walBytesMax: number;
  /** Kept free within the database: what must still be written where nothing more may be appended. */
  readonly reserveBytes: number;
  readonly ageMsMax: number;
  readonly whenFull: 'drop-oldest' | 'drop-newest' | 'thin';
}

/** Chunks that one background slice removes, and a commit beyond what it needs itself: 1 MiB, about what a commit writes. */
const SLICE_CHUNKS = 16;
/** Rows that one background slice looks at. */
const SLICE_ROWS = 500;
/** Oldest rows that are looked at first whenever room is wanted. */
const OLDEST_ROWS = 16;
/** Rows that a commit which needs room looks at for delivered Records before it takes waiting ones. */
const ROOM_ROWS_MAX = 5000;
const AGE_EVERY_MS = 60_000;
/** What an estimate of the sessions' space does not see, such as half-empty pages. */
const SESSIONS_SLACK = 1.25;
/** SQLite's limit follows the sessions in steps of so many pages: 1 MiB. */
const LIMIT_PAGES = 256;
/** Free pages given back to the file system in one slice, where `max_size` was lowered. */
const VACUUM_PAGES = 256;

type Level = 'delivered' | 'normal' | 'high';

interface ChunkRow extends RowSpan {
  /** Records it still has. */
  readonly kept: number;
  readonly to_ms: number;
}

export class Retention {
  readonly #database: Database;
  readonly #losses: LossTable;
  readonly #limits: RetentionLimits;
  readonly #gauge: DatabaseGauge;
  readonly #wal: WalFile;
  readonly #pagesMax: number;
  /** What the messages for kept sessions take of the file: no part of what the journal may have. */
  readonly #sessionsBytes: () => number;
  #pagesLimit = 0;
  /** Kept free for what must be written even where nothing may be appended: acknowledgements, states. */
  readonly #pagesReserved: number;
  readonly #lanes = new Map<number, LaneFloor>();
  readonly #laneOfRoute = new Map<number, LaneFloor>();
  readonly #sql: Sql;
  readonly #thinning: Thinning | undefined;
  /** Called with the first offset of each chunk that is about to be rewritten or removed. */
  beforeChange: (first: number) => void = () => {};
  /** Where each search goes on. */
  readonly #cursors = { aged: 0, delivered: 0, normal: 0, high: 0 };
  /** Whether a whole search since the floors last moved found nothing to drop without loss. */
  #nothingDelivered = false;
  /** Whether the present search found something, or must be done again since a floor moved meanwhile. */
  #passFound = false;
  #agedAtMs = Number.NEGATIVE_INFINITY;
  #removed: number;
  #removedBefore: number;
  #oldestMs: number | null | undefined;
  #full = false;

  constructor(
    database: Database,
    gauge: DatabaseGauge,
    wal: WalFile,
    losses: LossTable,
    limits: RetentionLimits,
    sessionsBytes: () => number,
  ) {
    this.#database = database;
    this.#sessionsBytes = sessionsBytes;
    this.#losses = losses;
    this.#limits = limits;
    this.#gauge = gauge;
    this.#wal = wal;
    this.#pagesMax = Math.max(128, Math.floor(limits.databaseBytesMax / gauge.pageBytes));
    this.#pagesReserved = Math.max(32, Math.ceil(limits.reserveBytes / gauge.pageBytes));
    this.#sql = prepare(database);
    this.#removed = Number(this.#sql.removed.get()?.value ?? 0);
    this.#removedBefore = this.#removed;
    this.#limitPages();
    for (const lane of loadFloors(database)) this.#lanes.set(lane.bit, lane);
    for (const { id, json } of this.#sql.routes.all()) this.defineRoute(id, json);
    this.#thinning = limits.whenFull === 'thin' ? new Thinning(database) : undefined;
  }

  /** @param from nothing before this offset is of the lane; another one may have had its bit */
  defineLane(bit: number, bridge: string, lane: string, from: number): void {
    const before = this.#lanes.get(bit);
    const floor = { ...newFloor(bit, bridge, lane), offset: from };
    this.#lanes.set(bit, floor);
    for (const [id, each] of this.#laneOfRoute) if (each === before) this.#laneOfRoute.delete(id);
    for (const { id, json } of this.#sql.routes.all()) {
      const route = JSON.parse(json) as Route;
      if (route.bridge === bridge && route.lane === lane) this.#laneOfRoute.set(id, floor);
    }
  }

  defineRoute(id: number, json: string): void {
    const route = JSON.parse(json) as Route;
    for (const lane of this.#lanes.values()) {
      if (lane.bridge === route.bridge && lane.lane === route.lane) this.#laneOfRoute.set(id, lane);
    }
  }

  /** @param letGo the lane's reads up to this one are not sent any more; 0: they may be */
  keepFrom(bit: number, { offset, held, waiting }: LaneNeeds, letGo: number): void {
    const lane = this.#lanes.get(bit);
    if (lane === undefined) return;
    lane.offset = offset;
    lane.held = new Set(held);
    lane.waiting = waiting;
    lane.handedOut.trim(oldestNeeded(lane));
    this.#nothingDelivered = false;
    this.#passFound = true;
    // What the search had to pass by may go now.
    if (letGo > 0 && lane.handedOut.letGo(letGo)) Object.assign(this.#cursors, { normal: 0, high: 0 });
  }

  /** A lane's Records up to `to` were read: they may leave at any time now. */
  handOut(bit: number, from: number, to: number, serial: number): void {
    this.#lanes.get(bit)?.handedOut.add(from, to, serial);
  }

  get lanes(): Iterable<LaneFloor> {
    return this.#lanes.values();
  }

  floorsOf(bridge: string): string {
    return floorsJson(this.#lanes.values(), bridge);
  }

  /**
   * Before `bytes` are written: takes what may go until they fit, as far as that is possible. `sessionsBytes` come on
   * top, outside of what the journal may have. What else is wanted (the reserve; a file larger than `max_size` is now) is
   * for the slices in the background: whoever waits for the commit would wait for all of it.
   */
  makeRoom(bytes: number, sessionsBytes: number): void {
    this.#limitPages(sessionsBytes);
    const needed = Math.ceil((bytes / this.#gauge.pageBytes) * 1.05) + 8;
    const neededNow = needed + Math.ceil((sessionsBytes * SESSIONS_SLACK) / this.#gauge.pageBytes);
    let rows = 0;
    for (let chunks = 0; this.#pagesFree() < needed + this.#pagesReserved; ) {
      if (chunks >= SLICE_CHUNKS && this.#pagesWritable() >= neededNow) break;
      if (rows < ROOM_ROWS_MAX && !this.#nothingDelivered) {
        if (this.#dropDelivered(1) > 0) chunks += 1;
        else rows += SLICE_ROWS;
        continue;
      }
      if (!this.#dropWaiting(1)) break;
      chunks += 1;
    }
  }

  /** One slice in the background. True: there is more to do. */
  trimSlice(ageMs: number | undefined): boolean {
    if (this.#pagesFree() < this.#pagesWanted()) {
      if (!this.#nothingDelivered) {
        this.#dropDelivered(SLICE_CHUNKS);
        return true;
      }
      if (this.#dropWaiting(SLICE_CHUNKS)) return true;
    }
    if (ageMs !== undefined && this.#isAgeDue(ageMs)) return this.#dropAged(ageMs);
    return this.#shrink();
  }

  /** @param ageMs undefined: nobody knows what time it is, and nothing is too old */
  isDue(ageMs: number | undefined): boolean {
    const wantsRoom = this.#pagesFree() < this.#pagesWanted();
    if (wantsRoom && (!this.#nothingDelivered || this.#limits.whenFull !== 'drop-newest')) return true;
    if (ageMs !== undefined && this.#isAgeDue(ageMs)) return true;
    return this.#isTooLarge();
  }

  #isAgeDue(ageMs: number): boolean {
    return ageMs - this.#agedAtMs >= AGE_EVERY_MS || ageMs < this.#agedAtMs;
  }

  committed(): void {
    if (this.#removed !== this.#removedBefore) this.#oldestMs = undefined;
    this.#removedBefore = this.#removed;
    this.#full =
      this.#limits.whenFull === 'drop-newest' &&
      this.#nothingDelivered &&
      this.#pagesFree() < this.#pagesReserved;
  }

  rollback(): void {
    this.#removed = this.#removedBefore;
    this.#oldestMs = undefined;
    this.#nothingDelivered = false;
    // What was taken is there again.
    Object.assign(this.#cursors, { aged: 0, delivered: 0, normal: 0, high: 0 });
    this.#thinning?.rollback();
  }

  figures(head: number): Pick<News, 'bytes' | 'records' | 'oldestMs' | 'full'> {
    if (this.#oldestMs === undefined || this.#oldestMs === null)
      this.#oldestMs = this.#sql.oldest.get()?.from_ms ?? null;
    return {
      bytes: this.#gauge.pages * this.#gauge.pageBytes + this.#wal.bytes,
      records: head - this.#removed,
      oldestMs: this.#oldestMs,
      full: this.#full,
    };
  }

  /** Removes a chunk whose bytes are not what was written: what it held is counted as lost, as far as is known. */
  dropDamaged(first: number): void {
    const row = this.#sql.one.get(first);
    if (row === undefined) return;
    for (const lane of this.#lanes.values()) {
      if (!needsSome(lane, row)) continue;
      const lost = Math.min(row.kept, neededIn(lane, row));
      this.#losses.evict({
        lost,
        reason: 'damaged',
        bridge: lane.bridge,
        from: row.to_ms,
        to: row.to_ms,
        topics: [],
      });
    }
    this.#remove(row);
  }

  /** Free pages there should be when nobody waits: a commit then never has to make room itself. */
  #pagesWanted(): number {
    return this.#pagesReserved * 2;
  }

  #pagesFree(): number {
    const pages = this.#gauge.pages;
    return this.#pagesMax + this.#sessionsPages() - pages + this.#gauge.freePages;
  }

  /** A file that is larger than it may be now does not grow, but what is free within it can be written. */
  #pagesWritable(): number {
    return Math.max(this.#pagesFree(), this.#gauge.freePages);
  }

  #sessionsPages(): number {
    return Math.ceil(this.#sessionsBytes() / this.#gauge.pageBytes);
  }

  /** SQLite's own limit is the last resort: it stands beyond what is kept by reckoning. */
  #limitPages(moreBytes = 0): void {
    const bytes = (this.#sessionsBytes() + moreBytes) * SESSIONS_SLACK;
    const pages = this.#pagesMax + Math.ceil(bytes / this.#gauge.pageBytes / LIMIT_PAGES) * LIMIT_PAGES;
    if (pages === this.#pagesLimit) return;
    this.#pagesLimit = pages;
    this.#database.pragma(`max_page_count = ${pages}`);
  }

  /**
   * Mostly the oldest ones are delivered, so those are looked at each time; the rest is gone through slice by slice,
   * and again once a floor has moved. Returns how many chunks went.
   */
  #dropDelivered(chunks: number): number {
    const oldest = this.#dropFrom('delivered', this.#sql.scan.all(0, OLDEST_ROWS), chunks).dropped;
    if (oldest > 0) return oldest;
    const rows = this.#sql.scan.all(this.#cursors.delivered, SLICE_ROWS);
    const { dropped, next } = this.#dropFrom('delivered', rows, chunks);
    this.#cursors.delivered = next;
    if (dropped > 0) this.#passFound = true;
    if (dropped >= chunks || rows.length === SLICE_ROWS) return dropped;
    this.#cursors.delivered = 0;
    this.#nothingDelivered = !this.#passFound;
    this.#passFound = false;
    return dropped;
  }

  #dropWaiting(chunks: number): boolean {
    if (this.#limits.whenFull === 'drop-newest') return false;
    if (this.#thinning !== undefined && this.#thin(this.#thinning, chunks)) return true;
    return this.#dropNeeded('normal', chunks) || this.#dropNeeded('high', chunks);
  }

  /** Goes on with the sweep until something went; false: two sweeps in a row found nothing to halve. */
  #thin(thinning: Thinning, chunks: number): boolean {
    const end = this.#sql.end.get()?.offset ?? 0;
    thinning.begin(this.#sql.oldest.get()?.first ?? end, end, end - this.#removed);
    for (;;) {
      const rows = this.#sql.scan.all(thinning.at, SLICE_ROWS);
      let dropped = 0;
      for (const row of rows) {
        if (thinning.isAtEnd || dropped >= chunks) break;
        if (this.#thinOne(thinning, row)) dropped += 1;
        thinning.passed(row.first + row.count);
      }
      if (dropped > 0) {
        thinning.save();
        return true;
      }
      if (!thinning.isAtEnd && rows.length === SLICE_ROWS) continue;
      if (!thinning.again()) return false;
    }
  }

  #thinOne(thinning: Thinning, row: ChunkRow): boolean {
    const needing = [...this.#lanes.values()].filter((lane) => needsSome(lane, row));
    if (needing.length > 0 && needing.every((lane) => lane.lane === 'high')) return false;
    return this.#evict(row, 'normal', thinning.verdict);
  }

  /** What it has passed by will not become its own later: the search never goes back. */
  #dropNeeded(level: 'normal' | 'high', chunks: number): boolean {
    // Mostly the next ones will do.
    for (let limit = chunks; ; limit = SLICE_ROWS) {
      const rows = this.#sql.scan.all(this.#cursors[level], limit);
      const { dropped, next } = this.#dropFrom(level, rows, chunks);
      this.#cursors[level] = next;
      if (dropped > 0) return true;
      if (rows.length < limit) return false;
    }
  }

  /** Takes what it may from up to `chunks` of these rows, and says where it stopped. */
  #dropFrom(level: Level, rows: readonly ChunkRow[], chunks: number): { dropped: number; next: number } {
    let dropped = 0;
    let next = 0;
    for (const row of rows) {
      next = row.first + row.count;
      if (this.#take(level, row)) dropped += 1;
      if (dropped >= chunks) break;
    }
    return { dropped, next: rows.length === 0 ? this.#cursors[level] : next };
  }

  #take(level: Level, row: ChunkRow): boolean {
    const needing = [...this.#lanes.values()].filter((lane) => needsSome(lane, row));
    if (level === 'delivered') {
      if (needing.length > 0) return false;
      this.#remove(row);
      return true;
    }
    if (level === 'normal' && needing.length > 0 && needing.every((lane) => lane.lane === 'high'))
      return false;
    return this.#evict(row, level);
  }

  #evict(row: ChunkRow, level: Level, verdict?: Verdict): boolean {
    const chunk = this.#sql.bytes.get(row.first)?.bytes;
    if (chunk === undefined) return false;
    const names = { id: () => 0, text: (id: number) => this.#sql.text.get(id)?.text };
    const spare = level === 'normal' ? 'high' : undefined;
    const eviction = evict(chunk, row.first, (route) => this.#laneOfRoute.get(route), spare, names, verdict);
    if (eviction.removed === 0) return false;
    this.beforeChange(row.first);
    for (const loss of eviction.losses) this.#losses.evict(loss);
    this.#countRemoved(eviction.removed);
    if (eviction.bytes === undefined) {
      this.#sql.remove.run(row.first);
    } else {
      const lanes = BigInt(eviction.lanesLow) + BigInt(eviction.lanesHigh) * 2n ** 31n;
      this.#sql.rewrite.run(
        row.kept - eviction.removed,
        lanes,
        crc32(eviction.bytes),
        eviction.bytes,
        row.first,
      );
    }
    return true;
  }

  #dropAged(ageMs: number): boolean {
    const rows = this.#sql.scan.all(this.#cursors.aged, SLICE_ROWS);
    let dropped = 0;
    for (const row of rows) {
      // Order is the offset: what comes after a young one is young, whatever its clock said.
      if (row.to_ms >= ageMs - this.#limits.ageMsMax) {
        rows.length = 0;
        break;
      }
      this.#cursors.aged = row.first + row.count;
      if (this.#take('delivered', row)) dropped += 1;
      if (dropped >= SLICE_CHUNKS) return true;
    }
    if (rows.length === SLICE_ROWS) return true;
    this.#cursors.aged = 0;
    this.#agedAtMs = ageMs;
    return true;
  }

  #isTooLarge(): boolean {
    return this.#gauge.pages > this.#pagesMax + this.#sessionsPages();
  }

  /** Gives pages back where the file is larger than it may be now. */
  #shrink(): boolean {
    if (!this.#isTooLarge() || this.#gauge.freePages === 0) return false;
    const pages = this.#gauge.pages;
    this.#database.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
    this.#gauge.changed();
    this.#pagesLimit = 0;
    this.#limitPages();
    return this.#gauge.pages < pages;
  }

  #remove(row: ChunkRow): void {
    this.beforeChange(row.first);
    this.#sql.remove.run(row.first);
    this.#countRemoved(row.kept);
  }

  #countRemoved(count: number): void {
    this.#gauge.changed();
    this.#removed += count;
    this.#sql.saveRemoved.run(String(this.#removed));
  }
}

function prepare(database: Database) {
  const columns = 'first, count, kept, lanes & 2147483647 AS low, lanes >> 31 AS high, to_ms';
  return {
    scan: database.prepare<[number, number], ChunkRow>(
      `SELECT ${columns} FROM chunk WHERE first >= ? ORDER BY first LIMIT ?`,
    ),
    one: database.prepare<[number], ChunkRow>(`SELECT ${columns} FROM chunk WHERE first = ?`),
    bytes: database.prepare<[number], { bytes: Buffer }>('SELECT bytes FROM chunk WHERE first = ?'),
    oldest: database.prepare<[], { first: number; from_ms: number }>(
      'SELECT first, from_ms FROM chunk ORDER BY first LIMIT 1',
    ),
    end: database.prepare<[], { offset: number }>(
      'SELECT first + count AS offset FROM chunk ORDER BY first DESC LIMIT 1',
    ),
    routes: database.prepare<[], { id: number; json: string }>('SELECT id, json FROM route'),
    text: database.prepare<[number], { text: string }>('SELECT text FROM dictionary WHERE id = ?'),
    remove: database.prepare<[number]>('DELETE FROM chunk WHERE first = ?'),
    rewrite: database.prepare<[number, bigint, number, Buffer, number]>(
      'UPDATE chunk SET kept = ?, lanes = ?, crc = ?, bytes = ? WHERE first = ?',
    ),
    removed: database.prepare<[], { value: string }>("SELECT value FROM meta WHERE name = 'removed'"),
    saveRemoved: database.prepare<[string]>(
      "INSERT OR REPLACE INTO meta (name, value) VALUES ('removed', ?)",
    ),
  };
}

type Sql = ReturnType<typeof prepare>;
