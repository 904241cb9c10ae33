/**
 * What came in since the ledger was written. A commit of one message costs the disk a page for its row; a second one for
 * the ledger each time would double that. So the ledger waits for company, and says up to which offset it counts: what
 * lies behind it is counted from the chunks themselves, which are few, small, and the newest.
 */
import { crc32 } from 'node:zlib';
import type { Route } from '../core/route.js';
import { type Database, isDamage, type Statement } from './database.js';
import { readRoutes, visitSlots } from './record-codec.js';

/** In the table `meta`: Records up to this offset are in the ledger. */
export const COUNTED = 'counted';
/** So many chunks, and the ledger is written: they are read at every start, and checked as the journal's tail is. */
export const UNCOUNTED_CHUNKS_MAX = 16;
/** Beside so many bytes of Records the ledger's page does not matter. */
const COUNTED_AT_ONCE_BYTES = 16 * 1024;

/** Undefined: all is counted, as it always was before this was kept. */
export function countedUpTo(database: Database): number | undefined {
  const row = database
    .prepare<[string], { value: string }>('SELECT value FROM meta WHERE name = ?')
    .get(COUNTED);
  return row === undefined ? undefined : Number(row.value);
}

/** By bridge, of the Records behind that offset. Chunks that are not what was written count as nothing. */
export function uncounted(database: Database, counted: number): Map<string, number> {
  const bridges = new Map<string, number>();
  const routes = new Map<number, string>();
  for (const { id, json } of database
    .prepare<[], { id: number; json: string }>('SELECT id, json FROM route')
    .all()) {
    routes.set(id, (JSON.parse(json) as Route).bridge);
  }
  const chunks = database.prepare<[number], { first: number; crc: number; bytes: Buffer }>(
    'SELECT first, crc, bytes FROM chunk WHERE first > ? ORDER BY first',
  );
  for (const { first, crc, bytes } of chunks.iterate(counted)) {
    if (crc32(bytes) !== crc) continue;
    try {
      visitSlots(bytes, first, (slot) => {
        for (const id of readRoutes(bytes, slot)) {
          const bridge = routes.get(id);
          if (bridge !== undefined) bridges.set(bridge, (bridges.get(bridge) ?? 0) + 1);
        }
        return true;
      });
    } catch (fault) {
      if (!isDamage(fault)) throw fault;
    }
  }
  return bridges;
}

/** The part of the ledger that waits: what came in since it was written. All within the caller's transactions. */
export class Uncounted {
  readonly #save: Statement<[string, string]>;
  readonly #produced: Statement<[string, number]>;
  #bridges: Map<string, number>;
  #chunks = 0;
  #upTo: number;
  #before: readonly [Map<string, number>, number, number];

  constructor(database: Database, head: number) {
    this.#save = database.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)');
    this.#produced = database.prepare(
      `INSERT INTO ledger (bridge, produced) VALUES (?, ?)
       ON CONFLICT DO UPDATE SET produced = produced + excluded.produced`,
    );
    this.#upTo = countedUpTo(database) ?? head;
    this.#bridges = uncounted(database, this.#upTo);
    // As few as they are, they are not left to grow over one start after the other.
    if (this.#bridges.size > 0) this.#chunks = UNCOUNTED_CHUNKS_MAX;
    this.#before = [this.#bridges, this.#chunks, this.#upTo];
  }

  get isEmpty(): boolean {
    return this.#bridges.size === 0;
  }

  /** A transaction begins. */
  begin(): void {
    this.#before = [new Map(this.#bridges), this.#chunks, this.#upTo];
  }

  rollback(): void {
    [this.#bridges, this.#chunks, this.#upTo] = this.#before;
  }

  produced(bridge: string, count: number): void {
    this.#bridges.set(bridge, (this.#bridges.get(bridge) ?? 0) + count);
  }

  /** So many chunks and bytes of Records came in: writes the ledger if it has waited enough, or costs nothing beside them. */
  appended(chunks: number, bytes: number, head: number): void {
    this.#chunks += chunks;
    if (bytes >= COUNTED_AT_ONCE_BYTES || this.#chunks >= UNCOUNTED_CHUNKS_MAX) this.write(head);
  }

  /** A chunk is about to change: only as it was written can it be counted later. */
  beforeChange(first: number, head: number): void {
    if (first > this.#upTo) this.write(head);
  }

  write(head: number): void {
    for (const [bridge, count] of this.#bridges) this.#produced.run(bridge, count);
    this.#bridges = new Map();
    this.#chunks = 0;
    this.#upTo = head;
    this.#save.run(COUNTED, String(head));
  }
}
