/**
 * Replaces a file's contents so that a reader, or a crash, finds the old ones or the new ones and nothing between. Mode
 * and owner stay as they are: root may change a password file that the gateway must still be able to read. A new file
 * is for its owner alone.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GodwitError, reasonOf } from '../core/error.js';

const NEW_MODE = 0o600;

export function replaceFile(path: string, text: string): void {
  let temporary: string | undefined;
  try {
    const before = statSync(path, { throwIfNoEntry: false });
    // A symbolic link stays one.
    const real = before === undefined ? path : realpathSync(path);
    const folder = dirname(real);
    temporary = join(folder, `.${basename(real)}.${randomBytes(6).toString('hex')}`);
    writeSynced(temporary, text, before);
    renameSync(temporary, real);
    temporary = undefined;
    syncFolder(folder);
  } catch (fault) {
    throw new GodwitError('FILE_NOT_WRITTEN', `${path} could not be written: ${reasonOf(fault)}`, {
      cause: fault,
    });
  } finally {
    if (temporary !== undefined) rmSync(temporary, { force: true });
  }
}

function writeSynced(path: string, text: string, like: Stats | undefined): void {
  const descriptor = openSync(path, 'wx', NEW_MODE);
  try {
    if (like !== undefined) {
      const own = fstatSync(descriptor);
      // Only root may give a file away; who is not root and not its owner makes it theirs, or fails here.
      if (own.uid !== like.uid || own.gid !== like.gid) fchownSync(descriptor, like.uid, like.gid);
      fchmodSync(descriptor, like.mode & 0o7777);
    }
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Else the new name itself could be lost with the power. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
