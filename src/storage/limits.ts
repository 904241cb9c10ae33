/** What `journal.…` of the configuration means for the database. */
import type { Durability } from './database.js';
import type { RetentionLimits } from './retention.js';

/** The keys of the configuration's `journal` that storage acts on. */
export interface JournalSettings {
  readonly durability: Durability;
  readonly max_size: number;
  readonly max_age: number;
  readonly when_full: 'drop-oldest' | 'drop-newest';
  readonly max_commit_delay: number;
}

/** Larger ones make checkpoints rarer but not cheaper. */
const WAL_BYTES_MAX = 16 * 1024 * 1024;
const WAL_BYTES_MIN = 256 * 1024;

export function limitsOf(
  path: string,
  settings: JournalSettings,
): RetentionLimits & { readonly durability: Durability } {
  const walBytesMax = Math.max(WAL_BYTES_MIN, Math.min(WAL_BYTES_MAX, Math.floor(settings.max_size / 8)));
  return {
    path,
    durability: settings.durability,
    bytesMax: settings.max_size,
    walBytesMax,
    ageMsMax: settings.max_age,
    whenFull: settings.when_full,
  };
}
