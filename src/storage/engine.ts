/**
 * The database's side of the journal, synchronous: applies a batch in one transaction, reads chunks, keeps the
 * ledger, trims. It runs in the worker thread of a gateway and on the caller's thread in the simulator; both run
 * the same SQL.
 */
import { crc32 } from 'node:zlib';
import { reasonOf } from '../core/error.js';
import { applyOperations, type Batch, type ChunkSpan, type Operations } from './batch.js';
import { ByteWriter } from './byte-writer.js';
import { type Database, DatabaseGauge, type Statement } from './database.js';
import { Inspection } from './inspection.js';
import { LossTable } from './loss-table.js';
import type { Recount } from './recount.js';
import { Retention, type RetentionLimits } from './retention.js';
import { SpoolTable } from './spool-table.js';
import type { LaneNeeds, Loss } from './storage.js';
import type {
  Damage,
  InspectAnswer,
  InspectRequest,
  News,
  Opened,
  ReadAnswer,
  ReadRequest,
  SpoolAnswer,
  SpoolRequest,
} from './transport.js';
import { Uncounted } from './uncounted.js';
import { WalFile } from './wal-file.js';

/** Rows that one read passes by before commits get their turn. */
const SCAN_ROWS_MAX = 2000;
/** So many times what it should have, and the WAL takes nothing more. */
const WAL_LIMITS_MAX = 4;

export class Engine implements Operations {
  readonly #database: Database;
  readonly #limits: RetentionLimits;
  readonly #sql: Sql;
  readonly #gauge: DatabaseGauge;
  readonly #wal: WalFile;
  readonly #syncsCommits: boolean;
  readonly #losses: LossTable;
  readonly #retention: Retention;
  readonly #spool: SpoolTable;
  readonly #inspection: Inspection;
  #recount: Recount | undefined;
  #recountAt = 0;
  #head: number;
  /** As it was before the present batch. */
  #headBefore = 0;
  /** Records behind it are not shown to anybody. */
  #durableHead: number;
  /** As the newest batch had it. */
  #ageMs: number | undefined;
  #newestMs: number | null;
  readonly #damage: readonly Damage[];
  #damageTold = false;
  readonly #uncounted: Uncounted;
  /** Bridges whose row is rewritten by the present transaction anyway: their floors go along. */
  readonly #bridgesSaved = new Set<string>();
  /** Chunks whose checksum was wrong when they were read. */
  #damaged: number[] = [];

  /** `syncsCommits`: each commit is durable before it is answered. */
  constructor(database: Database, limits: RetentionLimits, syncsCommits: boolean) {
    this.#database = database;
    this.#limits = limits;
    this.#sql = prepare(database);
    this.#gauge = new DatabaseGauge(database);
    this.#wal = new WalFile(limits.path, this.#gauge, limits.walBytesMax);
    this.#wal.look();
    this.#syncsCommits = syncsCommits;
    this.#losses = new LossTable(database);
    this.#spool = new SpoolTable(database);
    this.#retention = new Retention(
      database,
      this.#gauge,
      this.#wal,
      this.#losses,
      limits,
      () => this.#spool.bytes,
    );
    this.#inspection = new Inspection(database);
    this.#retention.beforeChange = (first) => {
      this.#countEarly(first);
      this.#uncounted.beforeChange(first, this.#head);
    };
    const last = this.#sql.lastChunk.get();
    this.#head = Math.max(
      last === undefined ? 0 : last.first + last.count - 1,
      Number(this.meta('head') ?? 0),
    );
    this.#durableHead = this.#head;
    this.#newestMs = last?.to_ms ?? null;
    this.#uncounted = new Uncounted(database, this.#head);
    this.#damage = this.#sql.damage.all();
  }

  /** All that the front holds in memory. */
  opened(wallMs: number): Opened {
    const sessions = this.#spool.opened();
    if (sessions.damaged.length > 0) this.#dropSpooled(sessions.damaged, wallMs);
    const all = <Row>(sql: string): Row[] => this.#database.prepare<[], Row>(sql).all();
    return {
      journalId: this.meta('journalId') ?? '',
      head: this.#head,
      texts: all<{ id: number; text: string }>('SELECT id, text FROM dictionary').map((row) => [
        row.id,
        row.text,
      ]),
      routes: all<{ id: number; json: string }>('SELECT id, json FROM route').map((row) => [
        row.id,
        row.json,
      ]),
      lanes: all<{ bit: number; bridge: string; lane: string }>('SELECT bit, bridge, lane FROM lane').map(
        (row) => [row.bit, row.bridge, row.lane],
      ),
      ledgers: this.#inspection.ledger().map((row) => [row.bridge, row.produced, row.delivered, row.lost]),
      bridges: all<{ name: string; state: Uint8Array }>(
        'SELECT name, state FROM bridge WHERE state IS NOT NULL',
      ).map((row) => [row.name, row.state]),
      pairs: all<{ part: string; key: string; value: Uint8Array }>(
        'SELECT part, key, value FROM keyvalue',
      ).map((row) => [row.part, row.key, row.value]),
      retained: all<{ message: Uint8Array }>('SELECT message FROM retained').map((row) => row.message),
      sessions: sessions.opened,
      news: this.news(),
      notes: [],
    };
  }

  get head(): number {
    return this.#head;
  }

  /**
   * Makes all of a batch true and, as far as that is asked for, durable. Throws, and nothing of it is true; or, where only
   * its sync failed, nothing of it is told to anybody until the same batch is given again.
   */
  commit(batch: Batch, wallMs: number): void {
    const startedMs = performance.now();
    if (!this.#wal.isOwed) this.#apply(batch, wallMs);
    if (this.#syncsCommits) this.#wal.sync();
    this.#durableHead = this.#head;
    this.#wal.committed(startedMs, performance.now());
  }

  /** What is committed is not durable yet, and whoever gave it is to give it again. */
  get owesSync(): boolean {
    return this.#wal.isOwed;
  }

  #apply(batch: Batch, wallMs: number): void {
    this.#ageMs = batch.ageMs;
    this.#headBefore = this.#head;
    const newestBefore = this.#newestMs;
    const bytes =
      batch.chunks.reduce((sum, chunk) => sum + chunk.end - chunk.start, 0) + batch.operationsBytes;
    // Where frames cannot be moved, the WAL would grow for ever: better nothing is taken any more, and said so.
    if (this.#wal.unmovedBytes > WAL_LIMITS_MAX * this.#limits.walBytesMax) this.checkpoint('due');
    this.#begin();
    try {
      this.#losses.begin(wallMs);
      const { spool } = batch;
      this.#retention.makeRoom(
        bytes,
        spool === undefined ? 0 : spool.messages.byteLength + spool.indexes.byteLength,
      );
      const records = Buffer.from(batch.records);
      for (const chunk of batch.chunks) this.#insert(chunk, records);
      if (spool !== undefined) this.#spool.insert(spool);
      this.#bridgesSaved.clear();
      applyOperations(Buffer.from(batch.operations, 0, batch.operationsBytes), this);
      this.#uncounted.appended(batch.chunks.length, bytes, this.#head);
      for (const name of this.#bridgesSaved) this.#sql.saveFloors.run(this.#retention.floorsOf(name), name);
      this.#sql.commit.run();
    } catch (fault) {
      this.#head = this.#headBefore;
      this.#newestMs = newestBefore;
      this.#takeBack();
      throw fault;
    }
    this.#gauge.changed();
    this.#losses.committed();
    this.#spool.committed();
    this.#retention.committed();
  }

  #begin(): void {
    // The last one could be neither committed nor rolled back.
    if (this.#database.inTransaction) this.#sql.rollback.run();
    this.#uncounted.begin();
    this.#sql.begin.run();
  }

  #takeBack(): void {
    try {
      if (this.#database.inTransaction) this.#sql.rollback.run();
    } finally {
      this.#uncounted.rollback();
      this.#gauge.changed();
      this.#losses.rollback();
      this.#spool.rollback();
      this.#retention.rollback();
    }
  }

  inspect(request: InspectRequest): InspectAnswer {
    switch (request.kind) {
      case 'history':
        return { kind: 'history', answer: this.#inspection.history(request.request, this.#durableHead) };
      case 'waiting':
        return { kind: 'waiting', bridges: this.#inspection.waiting(this.#retention.lanes) };
      case 'audit':
        return this.#audit(request.begin);
    }
  }

  #audit(begin: boolean): InspectAnswer {
    if (begin || this.#recount === undefined) {
      this.#recount = this.#inspection.recount(this.#retention.lanes, this.#head);
      this.#recountAt = 0;
    }
    const next = this.#inspection.countOn(this.#recount, this.#recountAt);
    if (next !== undefined) {
      this.#recountAt = next;
      return { kind: 'audit' };
    }
    const audit = this.#recount.audit();
    this.#recount = undefined;
    return { kind: 'audit', audit };
  }

  /** A chunk is about to change that an audit has not come to yet. */
  #countEarly(first: number): void {
    if (this.#recount === undefined || first < this.#recountAt) return;
    const chunk = this.#inspection.chunk(first);
    if (chunk !== undefined) this.#recount.count(chunk, true);
  }

  readSpool(request: SpoolRequest): SpoolAnswer {
    return this.#spool.read(request);
  }

  read(request: ReadRequest): ReadAnswer {
    const { bit, from, bytesMax, serial } = request;
    const bytes = new ByteWriter(new ArrayBuffer(Math.min(bytesMax, 256 * 1024) + 64 * 1024));
    const spans: number[] = [];
    const begin = this.#sql.chunkBefore.get(from)?.first ?? from;
    let rows = 0;
    let next = this.#durableHead + 1;
    for (const row of this.#sql.scan.iterate(2n ** BigInt(bit), begin)) {
      if (row.first > this.#durableHead) break;
      const end = row.first + row.count;
      rows += 1;
      if (row.bytes !== null && end > from) {
        if (crc32(row.bytes) !== row.crc) {
          // Not read, and taken out by the next slice of maintenance, which counts it as lost.
          this.#damaged.push(row.first);
        } else {
          spans.push(row.first, bytes.length, bytes.length + row.bytes.length);
          bytes.raw(row.bytes);
        }
      }
      if (bytes.length >= bytesMax || rows >= SCAN_ROWS_MAX) {
        next = end;
        break;
      }
    }
    this.#retention.handOut(bit, from, next, serial);
    return { bytes: bytes.release(), spans, next };
  }

  /** One slice of the work that nobody waits for. True: there is more. */
  maintain(wallMs: number): boolean {
    this.#begin();
    let more: boolean;
    try {
      this.#losses.begin(wallMs);
      for (const first of this.#damaged) this.#retention.dropDamaged(first);
      more = this.#retention.trimSlice(this.#ageMs);
      this.#sql.commit.run();
    } catch (fault) {
      this.#takeBack();
      throw fault;
    }
    this.#gauge.changed();
    this.#losses.committed();
    this.#retention.committed();
    this.#damaged = [];
    return more;
  }

  /** Whether a slice of `maintain` has something to do. */
  needsMaintenance(): boolean {
    return this.#damaged.length > 0 || this.#retention.isDue(this.#ageMs);
  }

  /**
   * Moves the WAL into the database once it is larger than it should be, or, with time for it, once it is worth the
   * while; `closing`: all of it, and its file goes.
   */
  checkpoint(when: 'due' | 'rest' | 'closing'): void {
    if (when === 'closing') {
      this.#database.pragma('wal_checkpoint(TRUNCATE)');
      return;
    }
    const { walBytesMax } = this.#limits;
    this.#wal.look();
    if (this.#wal.unmovedBytes <= (when === 'due' ? walBytesMax : walBytesMax / 16)) return;
    this.#database.pragma('wal_checkpoint(PASSIVE)');
    this.#wal.look();
  }

  /** Time that nobody waits for: room for the commits to come. */
  prepareWal(): void {
    if (this.#syncsCommits) this.#wal.extend();
  }

  /** What can fail comes first: what is told is told once. */
  news(): News {
    const figures = this.#retention.figures(this.#head);
    const losses = this.#losses.takeChanged();
    const tellDamage = !this.#damageTold && this.#damage.length > 0;
    this.#damageTold = true;
    return {
      ...figures,
      newestMs: this.#newestMs,
      evicted: this.#losses.takeEvicted(),
      ...losses,
      ...(tellDamage && { damage: this.#damage }),
    };
  }

  meta(name: string): string | undefined {
    return this.#sql.meta.get(name)?.value;
  }

  /** Lets go of the file as it is. */
  abandon(): void {
    this.#wal.close();
    this.#database.close();
  }

  close(): string | undefined {
    try {
      if (!this.#uncounted.isEmpty) {
        this.#begin();
        this.#uncounted.write(this.#head);
        this.#sql.commit.run();
      }
      this.checkpoint('closing');
      return undefined;
    } catch (fault) {
      return reasonOf(fault);
    } finally {
      this.#wal.close();
      this.#database.close();
    }
  }

  defineText(id: number, text: string): void {
    this.#sql.defineText.run(id, text);
  }

  defineRoute(id: number, json: string): void {
    this.#sql.defineRoute.run(id, json);
    this.#retention.defineRoute(id, json);
  }

  defineLane(bit: number, bridge: string, lane: string): void {
    this.#sql.defineLane.run(bit, bridge, lane);
    this.#retention.defineLane(bit, bridge, lane, this.#headBefore + 1);
  }

  produced(bridge: string, count: number): void {
    this.#uncounted.produced(bridge, count);
  }

  saveBridge(name: string, state: Uint8Array, delivered: number, lost: number): void {
    this.#sql.saveBridge.run(name, delivered, lost, state);
    this.#bridgesSaved.add(name);
  }

  lose(loss: Loss): void {
    this.#losses.add(loss);
  }

  lossTold(id: number, lost: number): void {
    this.#losses.told(id, lost);
  }

  keepFrom(bit: number, needs: LaneNeeds, letGo: number): void {
    this.#retention.keepFrom(bit, needs, letGo);
  }

  putRetained(topic: string, message: Uint8Array, storedAtMs: number): void {
    this.#sql.putRetained.run(topic, message, storedAtMs);
  }

  removeRetained(topic: string): void {
    this.#sql.removeRetained.run(topic);
  }

  putPair(part: string, key: string, value: Uint8Array): void {
    this.#sql.putPair.run(part, key, value);
  }

  removePair(part: string, key: string): void {
    this.#sql.removePair.run(part, key);
  }

  saveSession(number: number, clientId: string, state: Uint8Array): void {
    this.#spool.saveSession(number, clientId, state);
  }

  removeSession(number: number): void {
    this.#spool.removeSession(number);
  }

  putSubscription(number: number, topicFilter: string, options: number, identifier: number): void {
    this.#spool.putSubscription(number, topicFilter, options, identifier);
  }

  removeSubscription(number: number, topicFilter: string): void {
    this.#spool.removeSubscription(number, topicFilter);
  }

  putWill(number: number, message: Uint8Array, delaySeconds: number): void {
    this.#spool.putWill(number, message, delaySeconds);
  }

  removeWill(number: number): void {
    this.#spool.removeWill(number);
  }

  removeSpooled(first: number): void {
    this.#spool.remove(first);
  }

  trimSpooled(first: number, offsets: readonly number[]): void {
    this.#spool.trim(first, offsets);
  }

  /** Messages for sessions whose rows cannot be trusted: nobody knows whose they were. */
  #dropSpooled(firsts: readonly number[], wallMs: number): void {
    this.#sql.begin.run();
    this.#losses.begin(wallMs);
    let lost = 0;
    for (const first of firsts) lost += this.#spool.remove(first);
    this.#losses.add({ lost, reason: 'damaged', bridge: null, from: wallMs, to: wallMs, topics: [] });
    this.#sql.commit.run();
    this.#losses.committed();
    this.#spool.committed();
  }

  #insert(chunk: ChunkSpan, records: Buffer): void {
    const bytes = records.subarray(chunk.start, chunk.end);
    const lanes =
      chunk.lanesHigh === 0 ? chunk.lanesLow : BigInt(chunk.lanesLow) + BigInt(chunk.lanesHigh) * 2n ** 31n;
    const first = this.#head + 1;
    this.#sql.insertChunk.run(
      first,
      chunk.count,
      chunk.count,
      lanes,
      chunk.fromMs,
      chunk.toMs,
      crc32(bytes),
      bytes,
    );
    this.#head += chunk.count;
    this.#newestMs = chunk.toMs;
  }
}

interface ScanRow {
  readonly first: number;
  readonly count: number;
  readonly crc: number;
  readonly bytes: Buffer | null;
}

function prepare(database: Database) {
  const run = <Values extends unknown[]>(sql: string): Statement<Values> => database.prepare<Values>(sql);
  return {
    begin: run<[]>('BEGIN IMMEDIATE'),
    commit: run<[]>('COMMIT'),
    rollback: run<[]>('ROLLBACK'),
    insertChunk: run<[number, number, number, number | bigint, number, number, number, Buffer]>(
      'INSERT INTO chunk (first, count, kept, lanes, from_ms, to_ms, crc, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    lastChunk: database.prepare<[], { first: number; count: number; to_ms: number }>(
      'SELECT first, count, to_ms FROM chunk ORDER BY first DESC LIMIT 1',
    ),
    chunkBefore: database.prepare<[number], { first: number }>(
      'SELECT first FROM chunk WHERE first <= ? ORDER BY first DESC LIMIT 1',
    ),
    // The bytes of a row that does not concern the lane are never fetched from their pages.
    scan: database.prepare<[bigint, number], ScanRow>(
      'SELECT first, count, crc, CASE WHEN lanes & ? THEN bytes END AS bytes FROM chunk WHERE first >= ? ORDER BY first',
    ),
    meta: database.prepare<[string], { value: string }>('SELECT value FROM meta WHERE name = ?'),
    damage: database.prepare<[], Damage>(
      'SELECT at_ms AS at, file, reason, salvaged FROM damage ORDER BY id',
    ),
    defineText: run<[number, string]>('INSERT INTO dictionary (id, text) VALUES (?, ?)'),
    defineRoute: run<[number, string]>('INSERT INTO route (id, json) VALUES (?, ?)'),
    defineLane: run<[number, string, string]>(
      'INSERT OR REPLACE INTO lane (bit, bridge, lane) VALUES (?, ?, ?)',
    ),
    saveBridge: run<[string, number, number, Uint8Array]>(
      `INSERT INTO bridge (name, delivered, lost, state) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       delivered = delivered + excluded.delivered, lost = lost + excluded.lost, state = excluded.state`,
    ),
    saveFloors: run<[string, string]>('UPDATE bridge SET floors = ? WHERE name = ?'),
    putRetained: run<[string, Uint8Array, number]>(
      'INSERT OR REPLACE INTO retained (topic, message, stored_ms) VALUES (?, ?, ?)',
    ),
    removeRetained: run<[string]>('DELETE FROM retained WHERE topic = ?'),
    putPair: run<[string, string, Uint8Array]>(
      'INSERT OR REPLACE INTO keyvalue (part, key, value) VALUES (?, ?, ?)',
    ),
    removePair: run<[string, string]>('DELETE FROM keyvalue WHERE part = ? AND key = ?'),
  };
}

type Sql = ReturnType<typeof prepare>;
