/**
 * What of MQTT sessions outlives the process: a row for each, and the SPOOL, a log of messages beside the journal.
 *
 *   session        number, Client Identifier, state: one small blob, asked for when its batch is sealed, so that a
 *                  busy session is written once per commit and not once per message
 *   subscription   one row per filter: they change rarely, and one by one
 *   will           a row of its own for the same reason
 *   spool          each message once, with the list of its recipients; offsets are dense and given here, at once
 *
 * A message is forgotten once every recipient has settled it. Which have is not on disk: the caller's state says so,
 * and what is open is counted in memory, and again at start.
 *
 * All of it shares the journal's transactions. What was given while `forming` was n is durable once `committed` is n.
 */
import type { Message } from '../core/message.js';
import type { SpoolChunk } from './spool-book.js';

export interface SessionStore {
  /** All of it, in bytes of disk and of what is remembered of it; the caller holds it against its limit. */
  readonly bytes: number;
  readonly bytesMax: number;
  readonly forming: number;
  readonly committed: number;
  /** The disk cannot be written at present. */
  readonly failing: boolean;
  /** False: so much waits for the disk that `append` takes nothing. */
  readonly accepting: boolean;

  /** What the database held when it was opened. Handed over once, before any number is asked for. */
  load(): SavedSessions;
  /** One that no session and no message of the spool has. */
  newNumber(): number;

  /** Writes the session's row with the present batch; `state` is called once, when the batch is sealed. */
  save(number: number, clientId: string, state: () => Uint8Array): void;
  /** Forgets the session with its subscriptions and its Will. Its messages are the caller's to settle. */
  remove(number: number): void;
  /** `isNew`: it replaces none of the same filter. */
  putSubscription(number: number, topicFilter: string, options: SavedSubscription, isNew: boolean): void;
  removeSubscription(number: number, topicFilter: string): void;
  putWill(number: number, will: SavedWill): void;
  removeWill(number: number): void;

  /** Undefined: nothing was taken, see `accepting`. Waits up to `max_commit_delay` for company unless hastened. */
  append(
    message: Message,
    expiry: SavedExpiry | undefined,
    recipients: readonly Recipient[],
  ): SpoolEntry | undefined;
  /** One recipient needs the message no more. */
  settle(entry: SpoolEntry): void;
  /** The messages of committed entries, in this order, as many as fit `bytesMax`, one at least; null: damaged. */
  read(entries: readonly SpoolEntry[], bytesMax: number): Promise<readonly (Message | null)[]>;

  /** Has the present batch committed without waiting for company. */
  hasten(): void;
  /** Calls `listener` after each commit. Returns the way to stop it. */
  onCommitted(listener: () => void): () => void;
}

export interface Recipient {
  /** The session's. */
  readonly number: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** The whole filter of the shared subscription that chose it. */
  readonly sharedFilter: string | undefined;
}

export interface SavedExpiry {
  /** Milliseconds since the epoch when it had `seconds` left; 0: the clock was not to be trusted. */
  readonly atMs: number;
  readonly seconds: number;
}

export interface SavedSubscription {
  /** As the caller encodes them. */
  readonly options: number;
  readonly subscriptionIdentifier: number | undefined;
}

export interface SavedWill {
  readonly message: Message;
  readonly delaySeconds: number;
}

export interface SavedSession {
  readonly number: number;
  readonly clientId: string;
  readonly state: Uint8Array;
  readonly will: SavedWill | undefined;
  readonly subscriptions: readonly (readonly [topicFilter: string, subscription: SavedSubscription])[];
}

export interface SavedSessions {
  readonly sessions: readonly SavedSession[];
  /** Visits each message with each of its recipients, oldest first; true: that one still needs it. */
  spool(visit: (entry: SpoolEntry, recipient: Recipient, expiry: SavedExpiry | undefined) => boolean): void;
}

/** A message in the spool. */
export class SpoolEntry {
  readonly offset: number;
  /** The batch that made it durable. */
  readonly batch: number;
  readonly bytes: number;
  readonly chunk: SpoolChunk;
  /** Recipients that have not settled it. */
  open = 0;
  /** Monotonic; Infinity: never. Its user's: the spool keeps what has expired until it is settled. */
  expiresAtMs = Number.POSITIVE_INFINITY;

  constructor(offset: number, batch: number, bytes: number, chunk: SpoolChunk) {
    this.offset = offset;
    this.batch = batch;
    this.bytes = bytes;
    this.chunk = chunk;
  }
}
