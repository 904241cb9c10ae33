/** The door to disk-shim.c: compiles it once, says what a process needs in its environment, and turns its screws. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { constants, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, 'disk-shim.c');

/** The compiled library, undefined where there is no C compiler. */
export function compileShim(target = join(tmpdir(), `godwit-disk-shim-${userInfo().uid}.so`)) {
  const made = statSync(target, { throwIfNoEntry: false });
  if (made !== undefined && made.uid === userInfo().uid && made.mtimeMs > statSync(SOURCE).mtimeMs) return target;
  try {
    // Renamed into place: another run may be about to load it.
    execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', `${target}.${process.pid}`, SOURCE, '-ldl', '-pthread'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    execFileSync('mv', [`${target}.${process.pid}`, target]);
    return target;
  } catch (fault) {
    if (fault.code === 'ENOENT') return undefined;
    throw fault;
  }
}

export class DiskShim {
  #controlFile;

  /** For files below `folder`. `recordFile` absent: nothing is written down. */
  constructor({ library, folder, controlFile, recordFile }) {
    this.#controlFile = controlFile;
    writeFileSync(controlFile, Buffer.alloc(16));
    this.env = {
      LD_PRELOAD: library,
      DISK_SHIM_FOLDER: folder,
      DISK_SHIM_CONTROL: controlFile,
      ...(recordFile !== undefined && { DISK_SHIM_RECORD: recordFile }),
    };
  }

  /** Each sync takes so much longer. */
  slowSyncs(milliseconds) {
    this.#set(0, Math.round(milliseconds * 1000));
  }

  /** `code`: ENOSPC, EIO, EROFS; undefined: they work again. */
  failWrites(code) {
    this.#set(1, numberOf(code));
  }

  failSyncs(code) {
    this.#set(2, numberOf(code));
  }

  failOpens(code) {
    this.#set(3, numberOf(code));
  }

  #set(word, value) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    // In place: the process has this very file mapped.
    const fd = openSync(this.#controlFile, 'r+');
    writeSync(fd, bytes, 0, 4, word * 4);
    closeSync(fd);
  }
}

function numberOf(code) {
  return code === undefined ? 0 : constants.errno[code];
}
