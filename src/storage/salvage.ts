/**
 * Brings over what can be read of a database that was set aside, table by table and row by row: chunks with a right
 * checksum, what gives them meaning, and what was delivered of them.
 *
 * The new database has a journal id of its own, since acknowledged Records may be missing at the end of the old
 * one: their (journal id, offset) must not name others now. For the same reason its offsets go on far behind any
 * that a bridge's saved cursor may know. What is missing is counted as lost: `damaged`.
 */
import { crc32 } from 'node:zlib';
import { type Database, isDamage, openForSalvage } from './database.js';
import { loadFloors, needs } from './lane-floor.js';
import { LOSS_TOLD } from './loss-table.js';
import { readRoutes, visitSlots } from './record-codec.js';
import { COUNTED, countedUpTo, uncounted } from './uncounted.js';

/** Offsets after a damage begin behind the next multiple of this: further than any journal has got. */
const OFFSET_STEP = 1e12;
/** A page that cannot be read hides the rows on it: the search goes on this much further, ever wider. */
const SKIP_FIRST = 1;
const SKIPS_MAX = 64;

/** Tables other than the journal's own, parents first. */
const TABLES = [
  'lane',
  'route',
  'dictionary',
  'ledger',
  'bridge',
  'loss',
  'retained',
  'keyvalue',
  'damage',
  'session',
  'subscription',
  'will',
];

export interface Found {
  readonly at: number;
  readonly reason: string;
  /** How large the new database may become. */
  readonly bytesMax: number;
}

interface ChunkRow {
  readonly first: number;
  readonly count: number;
  readonly crc: number;
  readonly bytes: Buffer;
}

/** Returns how many Records were brought over. */
export function salvage(file: string, into: Database, found: Found): number {
  const old = tolerate(() => openForSalvage(file));
  let salvaged = 0;
  into.transaction(() => {
    if (old !== undefined) {
      for (const table of TABLES) tolerate(() => copyTable(old, into, table));
      tolerate(() => copyToldMark(old, into));
      salvaged = copyChunks(old, into, found.bytesMax);
      countUncounted(old, into);
      tolerate(() => copySpool(old, into));
      settleLedger(into, found.at);
    }
    moveHead(into);
    moveSpoolHead(into);
    into
      .prepare<[number, string, string, number]>(
        'INSERT INTO damage (at_ms, file, reason, salvaged) VALUES (?, ?, ?, ?)',
      )
      .run(found.at, file, found.reason, salvaged);
  })();
  tolerate(() => old?.close());
  return salvaged;
}

function tolerate<Result>(attempt: () => Result): Result | undefined {
  try {
    return attempt();
  } catch (fault) {
    if (isDamage(fault) || /no such (table|column)/.test(String(fault))) return undefined;
    throw fault;
  }
}

function copyTable(old: Database, into: Database, table: string): void {
  const columns = into
    .prepare<[string], { name: string }>('SELECT name FROM pragma_table_info(?)')
    .all(table)
    .map(({ name }) => name);
  const put = into.prepare(
    `INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
  );
  // Row by row: what stands before a page that cannot be read is kept.
  for (const row of old
    .prepare<[], unknown[]>(`SELECT ${columns.join(', ')} FROM ${table}`)
    .raw()
    .iterate()) {
    put.run(...row);
  }
}

/** Where it cannot be read, losses are told again: better twice than never. */
function copyToldMark(old: Database, into: Database): void {
  const told = old
    .prepare<[string], { value: string }>('SELECT value FROM meta WHERE name = ?')
    .get(LOSS_TOLD);
  if (told === undefined) return;
  into
    .prepare<[string, string]>('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)')
    .run(LOSS_TOLD, told.value);
}

function copyChunks(old: Database, into: Database, bytesMax: number): number {
  const next = tolerate(() =>
    old.prepare<[number], ChunkRow & { kept: number; lanes: string; from_ms: number; to_ms: number }>(
      `SELECT first, count, kept, CAST(lanes AS TEXT) AS lanes, from_ms, to_ms, crc, bytes FROM chunk
       WHERE first >= ? ORDER BY first LIMIT 1`,
    ),
  );
  const put = into.prepare(
    `INSERT INTO chunk (first, count, kept, lanes, from_ms, to_ms, crc, bytes)
     VALUES (?, ?, ?, CAST(? AS INTEGER), ?, ?, ?, ?)`,
  );
  let salvaged = 0;
  let bytes = 0;
  let skips = 0;
  for (let from = 0, skip = SKIP_FIRST; next !== undefined && skips < SKIPS_MAX && bytes < bytesMax * 0.8; ) {
    try {
      const row = next.get(from);
      if (row === undefined) break;
      from = row.first + row.count;
      skip = SKIP_FIRST;
      skips = 0;
      if (!isWhole(row)) continue;
      put.run(row.first, row.count, row.kept, row.lanes, row.from_ms, row.to_ms, row.crc, row.bytes);
      salvaged += row.kept;
      bytes += row.bytes.length;
    } catch (fault) {
      if (!isDamage(fault)) throw fault;
      from += skip;
      skip *= 2;
      skips += 1;
    }
  }
  return salvaged;
}

function isWhole(row: ChunkRow): boolean {
  if (crc32(row.bytes) !== row.crc) return false;
  try {
    visitSlots(row.bytes, row.first, () => true);
    return true;
  } catch (fault) {
    if (!isDamage(fault)) throw fault;
    return false;
  }
}

/** The ledger that was brought over counts up to where the old one did. */
function countUncounted(old: Database, into: Database): void {
  const counted = tolerate(() => countedUpTo(old));
  if (counted === undefined) return;
  const add = into.prepare<[string, number]>(
    `INSERT INTO ledger (bridge, produced) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET produced = produced + excluded.produced`,
  );
  // What is not brought over was produced none the less.
  const counts = tolerate(() => uncounted(old, counted)) ?? uncounted(into, counted);
  for (const [bridge, count] of counts) add.run(bridge, count);
}

/** What is missing of it, nobody can count: the sessions' own states say what each has had. */
function copySpool(old: Database, into: Database): void {
  const put = into.prepare(
    'INSERT INTO spool (first, count, crc, index_crc, recipients, bytes) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const rows = old.prepare<
    [],
    {
      first: number;
      count: number;
      crc: number;
      index_crc: number;
      recipients: Buffer;
      bytes: Buffer;
    }
  >('SELECT first, count, crc, index_crc, recipients, bytes FROM spool ORDER BY first');
  for (const { first, count, crc, index_crc, recipients, bytes } of rows.iterate()) {
    if (crc32(bytes) !== crc || crc32(recipients) !== index_crc) continue;
    put.run(first, count, crc, index_crc, recipients, bytes);
  }
}

/** A session's state must not take a new message for one that it has had. */
function moveSpoolHead(into: Database): void {
  const last =
    into.prepare<[], { head: number | null }>('SELECT max(first + count - 1) AS head FROM spool').get()
      ?.head ?? 0;
  into
    .prepare<[string]>("INSERT OR REPLACE INTO meta (name, value) VALUES ('spoolHead', ?)")
    .run(String((Math.floor(last / OFFSET_STEP) + 1) * OFFSET_STEP));
}

/** What was produced and is neither delivered, nor lost, nor here any more, was lost with the damage. */
function settleLedger(into: Database, atMs: number): void {
  const lanes = loadFloors(into);
  const laneOfRoute = new Map<number, (typeof lanes)[number]>();
  for (const { id, json } of into
    .prepare<[], { id: number; json: string }>('SELECT id, json FROM route')
    .all()) {
    const route = JSON.parse(json) as { bridge: string; lane: string };
    const lane = lanes.find((each) => each.bridge === route.bridge && each.lane === route.lane);
    if (lane !== undefined) laneOfRoute.set(id, lane);
  }
  const waiting = new Map<string, number>();
  const chunks = into.prepare<[], { first: number; bytes: Buffer }>(
    'SELECT first, bytes FROM chunk ORDER BY first',
  );
  for (const { first, bytes } of chunks.iterate()) {
    visitSlots(bytes, first, (slot) => {
      for (const route of readRoutes(bytes, slot)) {
        const lane = laneOfRoute.get(route);
        if (lane === undefined || !needs(lane, slot.offset)) continue;
        waiting.set(lane.bridge, (waiting.get(lane.bridge) ?? 0) + 1);
      }
      return true;
    });
  }
  for (const bridge of new Set(lanes.map((lane) => lane.bridge))) {
    settleBridge(into, bridge, waiting.get(bridge) ?? 0, atMs);
  }
}

function settleBridge(into: Database, bridge: string, waiting: number, atMs: number): void {
  const ledger = into
    .prepare<[string], { produced: number; evicted: number }>(
      'SELECT produced, evicted FROM ledger WHERE bridge = ?',
    )
    .get(bridge) ?? { produced: 0, evicted: 0 };
  const done = into
    .prepare<[string], { delivered: number; lost: number }>(
      'SELECT delivered, lost FROM bridge WHERE name = ?',
    )
    .get(bridge) ?? { delivered: 0, lost: 0 };
  const missing = ledger.produced - ledger.evicted - done.delivered - done.lost - waiting;
  const set = into.prepare<[string, number, number]>(
    'INSERT OR REPLACE INTO ledger (bridge, produced, evicted) VALUES (?, ?, ?)',
  );
  if (missing < 0) {
    // More is here than the ledger knows of: it was damaged itself, or what is under way counts twice.
    set.run(bridge, ledger.produced - missing, ledger.evicted);
    return;
  }
  if (missing === 0) return;
  set.run(bridge, ledger.produced, ledger.evicted + missing);
  into
    .prepare<[string, number, number, number]>(
      `INSERT INTO loss (reason, bridge, lost, from_ms, to_ms, topics) VALUES ('damaged', ?, ?, ?, ?, '[]')`,
    )
    .run(bridge, missing, atMs, atMs);
}

/** The next Record is numbered behind every offset that the old database can have given. */
function moveHead(into: Database): void {
  const last = into
    .prepare<[], { head: number | null; kept: number | null }>(
      'SELECT max(first + count - 1) AS head, sum(kept) AS kept FROM chunk',
    )
    .get();
  const head = (Math.floor((last?.head ?? 0) / OFFSET_STEP) + 1) * OFFSET_STEP;
  const put = into.prepare<[string, string]>('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)');
  put.run('head', String(head));
  put.run(COUNTED, String(head));
  put.run('removed', String(head - (last?.kept ?? 0)));
}
