/**
 * The database's side of what sessions keep: their rows, their subscriptions and Wills, and the spool. Everything
 * that changes it happens inside the caller's transaction.
 */
import { crc32 } from 'node:zlib';
import { damaged } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import type { Database } from './database.js';
import { CHUNK_VERSION, visitSlots, writeGone } from './record-codec.js';
import type { SpoolPart } from './spool-batch.js';
import { visitIndex, writeIndexGone } from './spool-index.js';
import type { SpoolAnswer, SpoolRequest } from './transport.js';

/** What the front holds in memory of it. */
export interface OpenedSessions {
  readonly rows: readonly (readonly [number: number, clientId: string, state: Uint8Array])[];
  readonly subscriptions: readonly (readonly [
    number: number,
    topicFilter: string,
    options: number,
    identifier: number | null,
  ])[];
  readonly wills: readonly (readonly [number: number, message: Uint8Array, delaySeconds: number])[];
  /** Oldest first. */
  readonly spool: readonly (readonly [first: number, index: Uint8Array])[];
  readonly spoolHead: number;
}

/** A row's share of a page beside its bytes, and what half-empty pages cost; rounded up. */
const ROW_BYTES = 96;
/** A session's row: its state is small and changes its size all the time. */
const SESSION_BYTES = 512;

export class SpoolTable {
  readonly #database: Database;
  readonly #sql: Sql;
  #head: number;
  #bytes: number;
  #headBefore: number;
  #bytesBefore: number;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepare(database);
    this.#head = Math.max(this.#sql.last.get()?.last ?? 0, Number(this.#sql.meta.get()?.value ?? 0));
    this.#bytes = [
      this.#sql.bytes,
      this.#sql.sessionBytes,
      this.#sql.allSubscriptionBytes,
      this.#sql.allWillBytes,
    ]
      .map((sum) => sum.get()?.bytes ?? 0)
      .reduce((all, bytes) => all + bytes);
    this.#headBefore = this.#head;
    this.#bytesBefore = this.#bytes;
  }

  /** What it takes of the file, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Spool rows whose index is not what was written are not told of: the caller has them removed. */
  opened(): { readonly opened: OpenedSessions; readonly damaged: readonly number[] } {
    const all = <Row>(sql: string): Row[] => this.#database.prepare<[], Row>(sql).all();
    const spool: (readonly [number, Uint8Array])[] = [];
    const bad: number[] = [];
    // The messages themselves stay where they are: a row's index lies before them.
    const rows = this.#database.prepare<[], { first: number; index_crc: number; recipients: Buffer }>(
      'SELECT first, index_crc, recipients FROM spool ORDER BY first',
    );
    for (const { first, index_crc, recipients } of rows.iterate()) {
      if (crc32(recipients) === index_crc) spool.push([first, recipients]);
      else bad.push(first);
    }
    const opened: OpenedSessions = {
      rows: all<{ number: number; client: string; state: Uint8Array }>(
        'SELECT number, client, state FROM session ORDER BY number',
      ).map((row) => [row.number, row.client, row.state]),
      subscriptions: all<{ session: number; filter: string; options: number; identifier: number | null }>(
        'SELECT session, filter, options, identifier FROM subscription ORDER BY session',
      ).map((row) => [row.session, row.filter, row.options, row.identifier]),
      wills: all<{ session: number; message: Uint8Array; delay: number }>(
        'SELECT session, message, delay FROM will',
      ).map((row) => [row.session, row.message, row.delay]),
      spool,
      spoolHead: this.#head,
    };
    return { opened, damaged: bad };
  }

  insert({ chunks, messages, indexes }: SpoolPart): void {
    const bytes = Buffer.from(messages);
    const index = Buffer.from(indexes);
    for (const chunk of chunks) {
      const part = bytes.subarray(chunk.start, chunk.end);
      const recipients = index.subarray(chunk.indexStart, chunk.indexEnd);
      this.#sql.insert.run(chunk.first, chunk.count, crc32(part), crc32(recipients), recipients, part);
      this.#head = chunk.first + chunk.count - 1;
      this.#bytes += part.length + recipients.length + ROW_BYTES;
    }
  }

  /** Returns how many messages the row had, settled ones included. */
  remove(first: number): number {
    const row = this.#sql.size.get(first);
    if (row === undefined) return 0;
    this.#sql.remove.run(first);
    this.#bytes -= row.bytes + ROW_BYTES;
    // Offsets are never given twice, whatever is left of the spool.
    if (first + row.count - 1 === this.#head) this.#sql.saveHead.run(String(this.#head));
    return row.count;
  }

  /** Leaves only these messages in the row, each where its offset says. */
  trim(first: number, offsets: readonly number[]): void {
    const row = this.#sql.row.get(first);
    if (row === undefined || crc32(row.bytes) !== row.crc || crc32(row.recipients) !== row.index_crc) return;
    const keep = new Set(offsets);
    const messages = new ByteWriter(new ArrayBuffer(row.bytes.length));
    const index = new ByteWriter();
    messages.u8(CHUNK_VERSION);
    let next = first;
    visitSlots(row.bytes, first, (slot) => {
      if (!keep.has(slot.offset)) return true;
      if (slot.offset > next) writeGone(messages, slot.offset - next);
      messages.raw(row.bytes.subarray(slot.start, slot.end));
      next = slot.offset + 1;
      return true;
    });
    next = first;
    visitIndex(row.recipients, first, ({ offset, start, end }) => {
      if (!keep.has(offset)) return;
      if (offset > next) writeIndexGone(index, offset - next);
      index.reserve(end - start);
      index.raw(row.recipients.subarray(start, end));
      next = offset + 1;
    });
    const bytes = messages.bytes();
    const recipients = index.bytes();
    this.#sql.rewrite.run(crc32(bytes), crc32(recipients), recipients, bytes, first);
    this.#bytes += bytes.length + recipients.length - row.bytes.length - row.recipients.length;
  }

  read({ offsets, bytesMax }: SpoolRequest): SpoolAnswer {
    const bytes = new ByteWriter(new ArrayBuffer(Math.min(bytesMax, 256 * 1024) + 4096));
    const spans: number[] = [];
    const damagedRows = new Set<number>();
    let slots = new Map<number, readonly [start: number, end: number]>();
    let row: { first: number; count: number; crc: number; bytes: Buffer } | undefined;
    let done = 0;
    for (const offset of offsets) {
      if (bytes.length >= bytesMax && done > 0) break;
      if (row === undefined || offset < row.first || offset >= row.first + row.count) {
        row = this.#sql.holding.get(offset);
        slots = new Map();
        if (row !== undefined) {
          const { first, crc, bytes: chunk } = row;
          if (crc32(chunk) === crc) {
            visitSlots(chunk, first, (slot) => {
              slots.set(slot.offset, [slot.start, slot.end]);
              return true;
            });
          } else {
            damagedRows.add(first);
          }
        }
      }
      const slot = slots.get(offset);
      done += 1;
      if (row === undefined || slot === undefined) {
        spans.push(0, 0);
        continue;
      }
      const start = bytes.length;
      bytes.u8(CHUNK_VERSION);
      bytes.reserve(slot[1] - slot[0]);
      bytes.raw(row.bytes.subarray(slot[0], slot[1]));
      spans.push(start, bytes.length);
    }
    return { bytes: bytes.release(), spans };
  }

  /** The end of the spool, as a power cut would damage it. Throws where it is not what was written. */
  checkTail(rows: number): void {
    for (const { first, crc, index_crc, recipients, bytes } of this.#sql.tail.all(rows)) {
      if (crc32(bytes) !== crc || crc32(recipients) !== index_crc) {
        throw damaged(`the messages for sessions from ${first} on are not what was written`);
      }
    }
  }

  committed(): void {
    this.#headBefore = this.#head;
    this.#bytesBefore = this.#bytes;
  }

  rollback(): void {
    this.#head = this.#headBefore;
    this.#bytes = this.#bytesBefore;
  }

  saveSession(number: number, clientId: string, state: Uint8Array): void {
    if (this.#sql.updateSession.run(state, number).changes > 0) return;
    this.#sql.insertSession.run(number, clientId, state);
    this.#bytes += SESSION_BYTES;
  }

  removeSession(number: number): void {
    if (this.#sql.removeSession.run(number).changes > 0) this.#bytes -= SESSION_BYTES;
    this.#bytes -= this.#sql.subscriptionBytes.get(number)?.bytes ?? 0;
    this.#sql.removeSubscriptions.run(number);
    this.removeWill(number);
  }

  putSubscription(number: number, topicFilter: string, options: number, identifier: number): void {
    this.removeSubscription(number, topicFilter);
    this.#bytes += topicFilter.length + ROW_BYTES;
    this.#sql.putSubscription.run(number, topicFilter, options, identifier === 0 ? null : identifier);
  }

  removeSubscription(number: number, topicFilter: string): void {
    const { changes } = this.#sql.removeSubscription.run(number, topicFilter);
    if (changes > 0) this.#bytes -= topicFilter.length + ROW_BYTES;
  }

  putWill(number: number, message: Uint8Array, delaySeconds: number): void {
    this.removeWill(number);
    this.#bytes += message.length + ROW_BYTES;
    this.#sql.putWill.run(number, message, delaySeconds);
  }

  removeWill(number: number): void {
    this.#bytes -= this.#sql.willBytes.get(number)?.bytes ?? 0;
    this.#sql.removeWill.run(number);
  }
}

interface SpoolRow {
  readonly crc: number;
  readonly index_crc: number;
  readonly recipients: Buffer;
  readonly bytes: Buffer;
}

function prepare(database: Database) {
  return {
    last: database.prepare<[], { last: number }>(
      'SELECT first + count - 1 AS last FROM spool ORDER BY first DESC LIMIT 1',
    ),
    meta: database.prepare<[], { value: string }>("SELECT value FROM meta WHERE name = 'spoolHead'"),
    saveHead: database.prepare<[string]>("INSERT OR REPLACE INTO meta (name, value) VALUES ('spoolHead', ?)"),
    // The length of a blob is in the row's head: its pages are not read for it.
    bytes: database.prepare<[], { bytes: number | null }>(
      `SELECT sum(length(recipients) + length(bytes) + ${ROW_BYTES}) AS bytes FROM spool`,
    ),
    sessionBytes: database.prepare<[], { bytes: number | null }>(
      `SELECT count(*) * ${SESSION_BYTES} AS bytes FROM session`,
    ),
    allSubscriptionBytes: database.prepare<[], { bytes: number | null }>(
      `SELECT sum(length(filter) + ${ROW_BYTES}) AS bytes FROM subscription`,
    ),
    subscriptionBytes: database.prepare<[number], { bytes: number | null }>(
      `SELECT sum(length(filter) + ${ROW_BYTES}) AS bytes FROM subscription WHERE session = ?`,
    ),
    allWillBytes: database.prepare<[], { bytes: number | null }>(
      `SELECT sum(length(message) + ${ROW_BYTES}) AS bytes FROM will`,
    ),
    willBytes: database.prepare<[number], { bytes: number }>(
      `SELECT length(message) + ${ROW_BYTES} AS bytes FROM will WHERE session = ?`,
    ),
    size: database.prepare<[number], { count: number; bytes: number }>(
      'SELECT count, length(recipients) + length(bytes) AS bytes FROM spool WHERE first = ?',
    ),
    row: database.prepare<[number], SpoolRow>(
      'SELECT crc, index_crc, recipients, bytes FROM spool WHERE first = ?',
    ),
    tail: database.prepare<[number], SpoolRow & { first: number }>(
      'SELECT first, crc, index_crc, recipients, bytes FROM spool ORDER BY first DESC LIMIT ?',
    ),
    holding: database.prepare<[number], { first: number; count: number; crc: number; bytes: Buffer }>(
      'SELECT first, count, crc, bytes FROM spool WHERE first <= ? ORDER BY first DESC LIMIT 1',
    ),
    insert: database.prepare<[number, number, number, number, Buffer, Buffer]>(
      'INSERT INTO spool (first, count, crc, index_crc, recipients, bytes) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    remove: database.prepare<[number]>('DELETE FROM spool WHERE first = ?'),
    rewrite: database.prepare<[number, number, Buffer, Buffer, number]>(
      'UPDATE spool SET crc = ?, index_crc = ?, recipients = ?, bytes = ? WHERE first = ?',
    ),
    updateSession: database.prepare<[Uint8Array, number]>('UPDATE session SET state = ? WHERE number = ?'),
    insertSession: database.prepare<[number, string, Uint8Array]>(
      'INSERT INTO session (number, client, state) VALUES (?, ?, ?)',
    ),
    removeSession: database.prepare<[number]>('DELETE FROM session WHERE number = ?'),
    putSubscription: database.prepare<[number, string, number, number | null]>(
      'INSERT OR REPLACE INTO subscription (session, filter, options, identifier) VALUES (?, ?, ?, ?)',
    ),
    removeSubscription: database.prepare<[number, string]>(
      'DELETE FROM subscription WHERE session = ? AND filter = ?',
    ),
    removeSubscriptions: database.prepare<[number]>('DELETE FROM subscription WHERE session = ?'),
    putWill: database.prepare<[number, Uint8Array, number]>(
      'INSERT OR REPLACE INTO will (session, message, delay) VALUES (?, ?, ?)',
    ),
    removeWill: database.prepare<[number]>('DELETE FROM will WHERE session = ?'),
  };
}

type Sql = ReturnType<typeof prepare>;
