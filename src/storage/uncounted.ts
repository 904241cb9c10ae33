/**
 * What came in since the ledger was written. A commit of one message costs the disk a page for its row; a second one for
 * the ledger each time would double that. So the ledger waits for company, and says up to which offset it counts: what
 * lies behind it is counted from the chunks themselves, which are few, small, and the newest.
 */
import { crc32 } from 'node:zlib';
import type { Route } from '../core/route.js';
import { type Database, isDamage } from './database.js';
import { readRoutes, visitSlots } from './record-codec.js';

/** In the table `meta`: Records up to this offset are in the ledger. */
export const COUNTED = 'counted';
/** So many chunks, and the ledger is written: they are read at every start, and checked as the journal's tail is. */
export const UNCOUNTED_CHUNKS_MAX = 16;
/** Beside so many bytes of Records the ledger's page does not matter. */
export const COUNTED_AT_ONCE_BYTES = 16 * 1024;

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
