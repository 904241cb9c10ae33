/**
 * The WAL as a file: SQLite fills it from its beginning, and begins again once all of it has been moved into the database.
 *
 *   │ frames, some of them moved already │ room: zeros, or frames of an earlier round │
 *
 * A sync of bytes that lie within the file writes these bytes; one that makes the file longer writes its new length
 * too, which takes half as long again. So the file is never cut while it is open, and made longer ahead of
 * what is written where commits follow each other closely: by zeros, which SQLite does not take for frames.
 *
 * It is synced here and not by SQLite, which was built to use fsync: that has the file system write down the file's times
 * with every commit, and wait for whatever others have written in the meantime. fdatasync leaves both out.
 */
import { closeSync, fdatasyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { GodwitError, reasonOf } from '../core/error.js';
import type { DatabaseGauge } from './database.js';

/** The code of a sync that failed: what it was to make durable is written again with the next try. */
export const SYNC_FAILED = 'JOURNAL_SYNC';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** So many frames of room, and the file is made longer. */
const ROOM_FRAMES = 16;
/** By this much: some sixty small commits, written within 0.05 s by a slow card. */
const STEP_BYTES = 512 * 1024;
const PAGE_BYTES = 4096;
const ZEROS = new Uint8Array(PAGE_BYTES);
/** Where the disk has no part in what takes time, it may take its time. */
const BUSY_SHARE = 0.4;
/** Fewer a second are not worth the zeros that they would cost the card. */
const BUSY_COMMITS_MIN = 50;
const WINDOW_MS = 500;
/** Larger commits pay for their own length. */
const SMALL_COMMIT_BYTES = 12 * 1024;

export class WalFile {
  readonly #path: string;
  readonly #gauge: DatabaseGauge;
  readonly #bytesMax: number;
  #frames = 0;
  #moved = 0;
  #bytes: number;
  #windowFromMs = Number.NEGATIVE_INFINITY;
  #windowCommits = 0;
  #windowBusyMs = 0;
  #windowFrames = 0;
  #isBusy = false;
  #file: number | undefined;
  /** Written since the last sync that succeeded, while there is one that did not. */
  #owed: { readonly at: number; readonly bytes: Buffer } | undefined;

  constructor(databasePath: string, gauge: DatabaseGauge, bytesMax: number) {
    this.#path = `${databasePath}-wal`;
    this.#gauge = gauge;
    this.#bytesMax = bytesMax;
    this.#bytes = this.#sizeOnDisk();
  }

  /** What it takes on the disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is in it and not yet in the database. */
  get unmovedBytes(): number {
    return (this.#frames - this.#moved) * this.#gauge.pageBytes;
  }

  /** Looks at it again: after a commit, or after frames were moved. */
  look(): void {
    const { log, checkpointed } = this.#gauge.wal();
    // It has begun again, and what was longer than its limit was cut off.
    if (log < this.#frames) this.#bytes = this.#sizeOnDisk();
    else this.#windowFrames += log - this.#frames;
    this.#frames = log;
    this.#moved = checkpointed;
    this.#bytes = Math.max(this.#bytes, this.#end);
  }

  /** A commit kept the disk busy for so long. Makes room for the next ones where they come quickly. */
  committed(startedMs: number, endedMs: number): void {
    this.#windowCommits += 1;
    this.#windowBusyMs += endedMs - startedMs;
    const passedMs = endedMs - this.#windowFromMs;
    if (passedMs < WINDOW_MS) return;
    const isBusy =
      this.#windowBusyMs / passedMs > BUSY_SHARE &&
      (this.#windowCommits * 1000) / passedMs >= BUSY_COMMITS_MIN;
    const bytesEach = (this.#windowFrames * this.#frameBytes) / this.#windowCommits;
    this.#windowFromMs = endedMs;
    this.#windowCommits = 0;
    this.#windowBusyMs = 0;
    this.#windowFrames = 0;
    this.#isBusy = isBusy && bytesEach < SMALL_COMMIT_BYTES;
  }

  /** A sync has failed, and none has succeeded since. */
  get isOwed(): boolean {
    return this.#owed !== undefined;
  }

  /** Makes durable what was committed, or throws SYNC_FAILED. */
  sync(): void {
    const owed = this.#owed;
    try {
      const file = this.#open();
      // After a sync that failed the kernel takes what it has for written: only what is written again is tried again.
      if (owed !== undefined) {
        for (let at = 0; at < owed.bytes.length; ) {
          at += writeSync(file, owed.bytes, at, owed.bytes.length - at, owed.at + at);
        }
      }
      fdatasyncSync(file);
      this.#owed = undefined;
    } catch (fault) {
      if ((fault as NodeJS.ErrnoException).code === undefined) throw fault;
      this.#owed ??= this.#writtenLately();
      throw new GodwitError(SYNC_FAILED, `disk I/O error: ${reasonOf(fault)}`, { cause: fault });
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    this.#file ??= openSync(this.#path, 'r+');
    return this.#file;
  }

  /** Everything since it was last looked at, which was behind the last commit that was synced. */
  #writtenLately(): { readonly at: number; readonly bytes: Buffer } {
    // Where all had been moved, it has begun again.
    const at = this.#frames === this.#moved ? 0 : this.#end;
    this.look();
    const bytes = Buffer.alloc(this.#end - at);
    const file = openSync(this.#path, 'r');
    try {
      for (let read = 0; read < bytes.length; ) {
        const some = readSync(file, bytes, read, bytes.length - read, at + read);
        if (some === 0) throw new Error(`the WAL ends at ${at + read}, not at ${this.#end}`);
        read += some;
      }
    } finally {
      closeSync(file);
    }
    return { at, bytes };
  }

  /** One step of room, if it is wanted. */
  extend(): void {
    if (!this.#isBusy || this.#bytes - this.#end >= ROOM_FRAMES * this.#frameBytes) return;
    const step = Math.min(STEP_BYTES, this.#bytesMax - this.#bytes);
    if (step <= 0) return;
    try {
      const file = this.#open();
      // Page by page: the kernel keeps what was written at once together, and counts all of it again for each page.
      const end = this.#bytes + step;
      for (let at = this.#bytes; at < end; ) {
        const length = Math.min(end - at, PAGE_BYTES - (at % PAGE_BYTES));
        at += writeSync(file, ZEROS, 0, length, at);
      }
      fdatasyncSync(file);
      this.#bytes = end;
    } catch (fault) {
      if ((fault as NodeJS.ErrnoException).code === undefined) throw fault;
      // Only time would have been won: a disk that is full or fails is told of by the commits themselves.
      this.#isBusy = false;
    }
  }

  get #frameBytes(): number {
    return FRAME_HEADER_BYTES + this.#gauge.pageBytes;
  }

  get #end(): number {
    return this.#frames === 0 ? 0 : HEADER_BYTES + this.#frames * this.#frameBytes;
  }

  #sizeOnDisk(): number {
    try {
      return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    } catch (fault) {
      if ((fault as NodeJS.ErrnoException).code === undefined) throw fault;
      return this.#bytes ?? 0;
    }
  }
}
