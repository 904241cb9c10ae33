/** What `journal.…` of the configuration means for the database. */
import type { Durability } from './database.js';
import type { RetentionLimits } from './retention.js';

/** The keys of the configuration's `journal` that storage acts on. */
export interface JournalSettings {
  readonly durability: Durability;
  readonly max_size: number;
  readonly max_age: number;
  readonly when_full: 'drop-oldest' | 'drop-newest' | 'thin';
  readonly max_commit_delay: number;
}

/** Larger ones make checkpoints rarer but not cheaper. */
const WAL_BYTES_MAX = 16 * 1024 * 1024;
/** A larger commit keeps every waiting PUBACK waiting: 0.1 s of a card that writes 10 MB/s. */
const COMMIT_BYTES_MAX = 1024 * 1024;
/** What may wait for a disk that fails or hangs, in a gateway that has 120 MB for everything. */
const BUFFER_BYTES_MAX = 32 * 1024 * 1024;

/** About one chunk. */
const READ_BYTES_LEAST = 64 * 1024;

/** What the front holds back, in bytes of Records. */
export interface FrontLimits {
  /** A batch of this size forms no further, once its turn is over. */
  readonly commitBytesMax: number;
  /** What one turn may give: its batch is not split, and must fit the journal whatever else is in it. */
  readonly turnBytesMax: number;
  /** All batches together. */
  readonly bufferBytesMax: number;
  /** One read of a lane, at most: what a bridge has read ahead is not evicted, and a small journal has little else. */
  readonly readBytesMax: number;
  /** A single Record larger than this would turn everything else out. */
  readonly recordBytesMax: number;
  /** Messages for kept sessions that wait for the disk. */
  readonly spoolBufferBytesMax: number;
  /** All that sessions keep. */
  readonly sessionsBytesMax: number;
}

/** `broker.limits.max_sessions_bytes` where nobody says. */
const SESSIONS_BYTES_MAX = 256 * 1024 * 1024;

export function frontLimits(
  settings: JournalSettings,
  sessionsBytesMax: number = SESSIONS_BYTES_MAX,
): FrontLimits {
  const eighth = Math.floor(settings.max_size / 8);
  return {
    commitBytesMax: Math.min(COMMIT_BYTES_MAX, Math.floor(eighth / 2)),
    turnBytesMax: Math.min(BUFFER_BYTES_MAX, eighth),
    bufferBytesMax: Math.min(BUFFER_BYTES_MAX, eighth),
    readBytesMax: Math.max(READ_BYTES_LEAST, Math.floor(settings.max_size / 64)),
    recordBytesMax: eighth,
    spoolBufferBytesMax: BUFFER_BYTES_MAX,
    sessionsBytesMax,
  };
}

/**
 * `max_size` is shared out: the database, the WAL up to its checkpoint, and the largest batch on top of that. What
 * sessions keep comes on top: neither may starve the other.
 */
export function limitsOf(
  path: string,
  settings: JournalSettings,
): RetentionLimits & { readonly durability: Durability } {
  const { max_size } = settings;
  const walBytesMax = Math.min(WAL_BYTES_MAX, Math.floor(max_size / 8));
  const { turnBytesMax, bufferBytesMax } = frontLimits(settings);
  const databaseBytesMax = max_size - walBytesMax - Math.ceil(turnBytesMax * 1.25);
  return {
    path,
    durability: settings.durability,
    bytesMax: max_size,
    databaseBytesMax,
    walBytesMax,
    // What is buffered when the journal turns out to be full was accepted: it must still fit, and so must the
    // acknowledgements behind it that make room again.
    reserveBytes:
      settings.when_full === 'drop-newest'
        ? Math.ceil(bufferBytesMax * 1.25) + 65_536
        : databaseBytesMax / 32,
    ageMsMax: settings.max_age,
    whenFull: settings.when_full,
  };
}
