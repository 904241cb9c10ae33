import { dirname, join } from 'node:path';

/** Every command finds the running gateway here: beside its journal. */
export function socketPathOf(journalPath: string): string {
  return join(dirname(journalPath), 'godwit.sock');
}
