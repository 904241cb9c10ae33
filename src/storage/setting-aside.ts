/**
 * How a database that cannot be trusted gives way to a new one, so that neither a kill nor a power cut between two steps
 * loses what could have been saved of it, or forgets that there was something to save:
 *
 *   marker says where it goes ─▶ WAL and database renamed ─▶ <path>.new filled from it ─▶ renamed to <path> ─▶ marker removed
 *
 * A start that finds the marker goes on where the last one ended.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** The database last: once it is there, all of it is. */
const SUFFIXES = ['-wal', '-shm', ''];

export interface SetAside {
  /** Where the old database is. */
  readonly file: string;
  readonly reason: string;
}

/** Marks a database that was found damaged while it served: the next opening sets it aside. */
export function markDamaged(path: string): void {
  writeMarker(path, 'This journal was found damaged while in use; the next start sets it aside.\n');
}

export function isMarked(path: string): boolean {
  return existsSync(markerOf(path));
}

/** What a start before this one began and did not end. */
export function begunBefore(path: string): SetAside | undefined {
  if (!isMarked(path)) return undefined;
  const { file, reason } = readMarker(path);
  // Somebody has cleared it all away.
  if (typeof file === 'string' && !existsSync(file) && !existsSync(path)) {
    rmSync(markerOf(path), { force: true });
    return undefined;
  }
  return typeof file === 'string' && typeof reason === 'string' ? { file, reason } : undefined;
}

/** Begins it, for a database that nobody has open. */
export function begin(path: string, reason: string, wallMs: number): SetAside {
  const time = new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, '');
  let file = `${path}.damaged-${time}`;
  for (let n = 2; existsSync(file); n += 1) file = `${path}.damaged-${time}-${n}`;
  const set = { file, reason };
  writeMarker(path, `${JSON.stringify(set)}\n`);
  return set;
}

/** `fill` makes the new database, whole and durable, at the path it is given. Undefined: that had been done. */
export function complete<Result>(
  path: string,
  { file }: SetAside,
  fill: (fresh: string) => Result,
): Result | undefined {
  let filled: Result | undefined;
  if (!existsSync(file) || !existsSync(path)) {
    for (const suffix of SUFFIXES) {
      if (!existsSync(file) && existsSync(path + suffix)) renameSync(path + suffix, file + suffix);
    }
    syncFolder(dirname(path));
    const fresh = `${path}.new`;
    for (const suffix of SUFFIXES) rmSync(fresh + suffix, { force: true });
    filled = fill(fresh);
    renameSync(fresh, path);
    syncFolder(dirname(path));
  }
  rmSync(markerOf(path), { force: true });
  syncFolder(dirname(path));
  return filled;
}

/** Makes the names in a folder durable. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } catch (fault) {
    // Some file systems know no sync of a folder: they keep names their own way.
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes((fault as NodeJS.ErrnoException).code ?? '')) throw fault;
  } finally {
    closeSync(descriptor);
  }
}

function writeMarker(path: string, text: string): void {
  writeFileSync(markerOf(path), text, { flush: true });
  syncFolder(dirname(path));
}

function readMarker(path: string): { readonly file?: unknown; readonly reason?: unknown } {
  try {
    return JSON.parse(readFileSync(markerOf(path), 'utf8')) as object;
  } catch (fault) {
    // A sentence: it was found damaged, and nothing has been begun.
    if (fault instanceof SyntaxError) return {};
    throw fault;
  }
}

function markerOf(path: string): string {
  return `${path}.damaged`;
}
