/**
 * Gives back what reading the configuration took. The text of 20,000 points is some hundred megabytes of tree for a
 * moment and thirty of configuration for good, and V8 keeps the difference until it is pressed for memory, which on a
 * small board is when everything else is pressed too.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A configuration of usual size leaves less, and a full collection of it would buy nothing. */
const WORTH_BYTES = 48 * 1024 * 1024;

export function returnMemory(): void {
  if (process.memoryUsage().heapTotal < WORTH_BYTES) return;
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') return;
  // The first sweeps behind our back and keeps the pages; the second gives them to the system.
  collect();
  collect();
}
