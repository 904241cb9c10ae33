/**
 * Looks at a journal without changing it: its history by time, what each bridge has, and whether that adds up. The
 * engine of a running gateway uses it in slices between commits, a command on its own where no gateway runs.
 */
import { crc32 } from 'node:zlib';
import { ByteWriter } from './byte-writer.js';
import type { Database, Statement } from './database.js';
import { type LaneFloor, needs } from './lane-floor.js';
import { readAcceptedAt, readRoutes, visitSlots } from './record-codec.js';
import { type CountedChunk, type LedgerRow, Recount } from './recount.js';
import type { HistoryRequest, InFlightAndOldest, ReadAnswer } from './transport.js';
import { countedUpTo, uncounted } from './uncounted.js';

/** Rows of other times that one slice passes by: some 20 ms on a Pi. */
const HISTORY_ROWS_MAX = 10_000;
/** Bytes of chunks that one slice of a recount reads. */
const RECOUNT_BYTES = 2 * 1024 * 1024;
const RECOUNT_ROWS = 2000;
/** Rows that are looked at for a bridge's oldest waiting Record. */
const OLDEST_ROWS_MAX = 20_000;

interface RouteRow {
  readonly id: number;
  readonly json: string;
}

export class Inspection {
  readonly #database: Database;
  readonly #sql: Sql;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepare(database);
  }

  history(request: HistoryRequest, head: number): ReadAnswer {
    const { from, fromMs, toMs, bytesMax } = request;
    const bytes = new ByteWriter(new ArrayBuffer(bytesMax + 64 * 1024));
    const spans: number[] = [];
    const begin = this.#sql.chunkBefore.get(from)?.first ?? from;
    let rows = 0;
    let next = head + 1;
    for (const row of this.#sql.history.iterate(fromMs, toMs, begin)) {
      const end = row.first + row.count;
      rows += 1;
      // Bytes that are not what was written are left out; whoever reads the lane finds and counts them.
      if (row.bytes !== null && end > from && crc32(row.bytes) === row.crc) {
        spans.push(row.first, bytes.length, bytes.length + row.bytes.length);
        bytes.raw(row.bytes);
      }
      if (bytes.length >= bytesMax || rows >= HISTORY_ROWS_MAX) {
        next = end;
        break;
      }
    }
    return { bytes: bytes.release(), spans, next };
  }

  ledger(): LedgerRow[] {
    const rows = new Map(this.#sql.ledger.all().map((row) => [row.bridge, row]));
    const counted = countedUpTo(this.#database);
    if (counted === undefined) return [...rows.values()];
    for (const [bridge, count] of uncounted(this.#database, counted)) {
      const row = rows.get(bridge) ?? { bridge, produced: 0, delivered: 0, lost: 0 };
      rows.set(bridge, { ...row, produced: row.produced + count });
    }
    return [...rows.values()];
  }

  /** What the counters do not say: what is under way, and since when the oldest waits. */
  waiting(lanes: Iterable<LaneFloor>): InFlightAndOldest[] {
    const routes = this.#sql.routes.all();
    const bridges = new Map<string, { inFlight: number; oldestWaiting: number | null }>();
    for (const lane of lanes) {
      const entry = bridges.get(lane.bridge) ?? { inFlight: 0, oldestWaiting: null };
      bridges.set(lane.bridge, entry);
      entry.inFlight += lane.held.size;
      const oldest = this.#oldest(lane, routes);
      if (oldest !== null && (entry.oldestWaiting === null || oldest < entry.oldestWaiting)) {
        entry.oldestWaiting = oldest;
      }
    }
    return [...bridges].map(([bridge, entry]) => ({ bridge, ...entry }));
  }

  recount(lanes: Iterable<LaneFloor>, head: number): Recount {
    const records = head - Number(this.#sql.removed.get()?.value ?? 0);
    return new Recount([...lanes], this.#sql.routes.all(), this.ledger(), records, head + 1);
  }

  /** Counts on from the chunk at `from`; returns where to go on, undefined at the end. */
  countOn(recount: Recount, from: number): number | undefined {
    let bytes = 0;
    let rows = 0;
    for (const row of this.#sql.chunks.iterate(from)) {
      if (row.first >= recount.end) return undefined;
      recount.count(row);
      bytes += row.bytes.length;
      rows += 1;
      if (bytes >= RECOUNT_BYTES || rows >= RECOUNT_ROWS) return row.first + row.count;
    }
    return undefined;
  }

  chunk(first: number): CountedChunk | undefined {
    return this.#sql.chunk.get(first);
  }

  #oldest(lane: LaneFloor, routes: readonly RouteRow[]): number | null {
    const own = new Set<number>();
    for (const { id, json } of routes) {
      const route = JSON.parse(json) as { bridge: string; lane: string };
      if (route.bridge === lane.bridge && route.lane === lane.lane) own.add(id);
    }
    const from = Math.min(lane.offset, lane.waiting[0]?.[0] ?? lane.offset);
    const begin = this.#sql.chunkBefore.get(from)?.first ?? from;
    let rows = 0;
    for (const row of this.#sql.ofLane.iterate(2n ** BigInt(lane.bit), begin)) {
      rows += 1;
      if (rows > OLDEST_ROWS_MAX) return null;
      if (row.bytes === null || crc32(row.bytes) !== row.crc) continue;
      const { bytes } = row;
      let found: number | null = null;
      visitSlots(bytes, row.first, (slot) => {
        const waits = !lane.held.has(slot.offset) && needs(lane, slot.offset);
        if (!waits || !readRoutes(bytes, slot).some((id) => own.has(id))) return true;
        found = readAcceptedAt(bytes, slot);
        return false;
      });
      if (found !== null) return found;
    }
    return null;
  }
}

interface ScanRow {
  readonly first: number;
  readonly count: number;
  readonly crc: number;
  readonly bytes: Buffer | null;
}

function prepare(database: Database) {
  const scan = <Values extends unknown[]>(when: string): Statement<Values, ScanRow> =>
    database.prepare<Values, ScanRow>(
      `SELECT first, count, crc, CASE WHEN ${when} THEN bytes END AS bytes FROM chunk WHERE first >= ? ORDER BY first`,
    );
  return {
    history: scan<[number, number, number]>('to_ms >= ? AND from_ms < ?'),
    ofLane: scan<[bigint, number]>('lanes & ?'),
    chunkBefore: database.prepare<[number], { first: number }>(
      'SELECT first FROM chunk WHERE first <= ? ORDER BY first DESC LIMIT 1',
    ),
    chunks: database.prepare<[number], CountedChunk>(
      'SELECT first, count, kept, crc, bytes FROM chunk WHERE first >= ? ORDER BY first',
    ),
    chunk: database.prepare<[number], CountedChunk>(
      'SELECT first, count, kept, crc, bytes FROM chunk WHERE first = ?',
    ),
    routes: database.prepare<[], RouteRow>('SELECT id, json FROM route'),
    removed: database.prepare<[], { value: string }>("SELECT value FROM meta WHERE name = 'removed'"),
    ledger: database.prepare<[], LedgerRow>(
      `SELECT bridge, sum(produced) AS produced, sum(delivered) AS delivered, sum(lost) AS lost FROM (
         SELECT bridge, produced, 0 AS delivered, evicted AS lost FROM ledger
         UNION ALL SELECT name, 0, delivered, lost FROM bridge
       ) GROUP BY bridge`,
    ),
  };
}

type Sql = ReturnType<typeof prepare>;
