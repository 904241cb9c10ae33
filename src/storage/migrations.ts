/**
 * The database's shape, and how one version of it becomes the next. `user_version` says which one a file has.
 * Schema n is made from schema n-1 by the n-th step, in one transaction with its number; a step, once released,
 * is never edited. A fixture of every released schema is opened in the tests.
 *
 *   chunk       the journal: Records by their first offset, up to 64 KiB of them to a row; `count` offsets,
 *               of which `kept` still have their Record
 *   lane        (bridge, lane) → bit in chunk.lanes
 *   route       Route as JSON ↔ the number that Records carry
 *   dictionary  texts that repeat ↔ the number that Records carry
 *   ledger      per bridge what came in and what was evicted; `meta.counted` says up to which offset it counts what
 *               came in, see uncounted.ts
 *   bridge      its session's state, what it delivered and gave up, and the oldest offset each lane needs:
 *               written with its acknowledgements; apart from `ledger`, so that either commit rewrites one
 *               page and not the other's too
 *   loss        what was lost, why, of whom, when: merged per span
 *   retained, keyvalue, meta, damage
 *   session     what outlives the process of an MQTT session; `subscription` and `will` beside it
 *   spool       messages for such sessions, by their first offset in the spool's own count; `recipients` lies before
 *               the messages, so that a start reads the one page and not the sixteen
 */

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE chunk (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, kept INTEGER NOT NULL, lanes INTEGER NOT NULL,
    from_ms REAL NOT NULL, to_ms REAL NOT NULL, crc INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE lane (
    bit INTEGER PRIMARY KEY, bridge TEXT NOT NULL, lane TEXT NOT NULL
  ) STRICT;
  CREATE TABLE route (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
  CREATE TABLE dictionary (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
  CREATE TABLE ledger (
    bridge TEXT PRIMARY KEY, produced INTEGER NOT NULL DEFAULT 0, evicted INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE bridge (
    name TEXT PRIMARY KEY, delivered INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0,
    floors TEXT NOT NULL DEFAULT '{}', state BLOB
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE loss (
    id INTEGER PRIMARY KEY, reason TEXT NOT NULL, bridge TEXT, lost INTEGER NOT NULL,
    from_ms REAL NOT NULL, to_ms REAL NOT NULL, topics TEXT NOT NULL
  ) STRICT;
  CREATE TABLE retained (
    topic TEXT PRIMARY KEY, message BLOB NOT NULL, stored_ms REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE keyvalue (
    part TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (part, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE damage (
    id INTEGER PRIMARY KEY, at_ms REAL NOT NULL, file TEXT NOT NULL, reason TEXT NOT NULL, salvaged INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE session (
    number INTEGER PRIMARY KEY, client TEXT NOT NULL, state BLOB NOT NULL
  ) STRICT;
  CREATE TABLE subscription (
    session INTEGER NOT NULL, filter TEXT NOT NULL, options INTEGER NOT NULL, identifier INTEGER,
    PRIMARY KEY (session, filter)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE will (
    session INTEGER PRIMARY KEY, delay INTEGER NOT NULL, message BLOB NOT NULL
  ) STRICT;
  CREATE TABLE spool (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, crc INTEGER NOT NULL, index_crc INTEGER NOT NULL,
    recipients BLOB NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  `,
  `
  INSERT INTO meta (name, value) SELECT 'counted', CAST(max(
    coalesce((SELECT first + count - 1 FROM chunk ORDER BY first DESC LIMIT 1), 0),
    coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'head'), 0)
  ) AS TEXT);
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;
