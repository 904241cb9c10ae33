/** A gateway on a disk that a test can slow down or break; needs a C compiler. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileShim, DiskShim } from '../../scripts/lib/disk-shim.mjs';

const library = compileShim();

/** Why such tests are skipped, undefined where they run. */
export const NO_SHIM = library === undefined ? 'there is no C compiler (cc)' : undefined;

/** For all files in `folder/state`. */
export function shimFor(folder: string): DiskShim {
  const state = join(folder, 'state');
  mkdirSync(state);
  return new DiskShim({ library: library ?? '', folder: state, controlFile: join(folder, 'disk-control') });
}
