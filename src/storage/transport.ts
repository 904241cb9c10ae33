/**
 * The way between the front (main thread) and the engine (database): a worker thread in the gateway, a plain call
 * in the simulator and in tests. One commit is under way at a time; reads may overlap it.
 */
import type { Batch } from './batch.js';
import type { Audit } from './recount.js';
import type { OpenedSessions } from './spool-table.js';
import type { Loss, LostTotal, UntoldLoss } from './storage.js';

/** What the database held when it was opened. */
export interface Opened {
  readonly journalId: string;
  readonly head: number;
  readonly texts: readonly (readonly [id: number, text: string])[];
  readonly routes: readonly (readonly [id: number, json: string])[];
  readonly lanes: readonly (readonly [bit: number, bridge: string, lane: string])[];
  readonly ledgers: readonly (readonly [bridge: string, produced: number, delivered: number, lost: number])[];
  readonly bridges: readonly (readonly [name: string, state: Uint8Array])[];
  readonly pairs: readonly (readonly [part: string, key: string, value: Uint8Array])[];
  /** Chunks of one Record each. */
  readonly retained: readonly Uint8Array[];
  readonly sessions: OpenedSessions;
  readonly news: News;
  /** What happened on the way, for the log. */
  readonly notes: readonly string[];
}

/** What the engine tells of itself, unasked, when it changed. */
export interface News {
  readonly bytes: number;
  readonly records: number;
  readonly oldestMs: number | null;
  readonly newestMs: number | null;
  /** Nothing more may be appended until something was delivered or aged out. */
  readonly full: boolean;
  /** Records lost to eviction or damage since the last news, per bridge: already in the durable ledger. */
  readonly evicted: readonly (readonly [bridge: string, count: number])[];
  /** Present when they changed. */
  readonly losses?: readonly Loss[];
  readonly untold?: readonly UntoldLoss[];
  readonly lost?: readonly LostTotal[];
  readonly damage?: readonly Damage[];
}

/** A database that was set aside, and how many of its Records could be brought over. */
export interface Damage {
  readonly at: number;
  readonly file: string;
  readonly reason: string;
  readonly salvaged: number;
}

export type CommitOutcome =
  | { readonly ok: true; readonly head: number; readonly batch: Batch; readonly news: News }
  /** Nothing of the batch became true; it comes back to be tried again. */
  | { readonly ok: false; readonly code: string; readonly reason: string; readonly batch: Batch };

export interface ReadRequest {
  /** The lane's bit in a chunk's bitmask. */
  readonly bit: number;
  readonly from: number;
  readonly bytesMax: number;
  /** Counts the lane's reads from 1: see handed-out.ts. */
  readonly serial: number;
}

export interface ReadAnswer {
  /** Chunks one behind the other. */
  readonly bytes: ArrayBuffer;
  /** first offset, start, end of each chunk in `bytes`. */
  readonly spans: readonly number[];
  /** Where the scan stopped: offsets before it that are not in `spans` do not concern the lane. */
  readonly next: number;
  /** Why the disk could not be read; nothing else here counts then. */
  readonly failed?: string;
}

/** Messages of the spool by their offsets, ascending. */
export interface SpoolRequest {
  readonly offsets: readonly number[];
  readonly bytesMax: number;
}

export interface SpoolAnswer {
  /** Chunks of one Record each, one behind the other. */
  readonly bytes: ArrayBuffer;
  /** start, end of each in `bytes`, for the first of the offsets asked for; 0, 0 where it cannot be read. */
  readonly spans: readonly number[];
  /** Why the disk could not be read; nothing else here counts then. */
  readonly failed?: string;
}

/** Records of a span of time, of whomever they are. */
export interface HistoryRequest {
  readonly from: number;
  /** Milliseconds since the epoch: from this on, and before that. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly bytesMax: number;
}

/** What the ledger's counters do not say. */
export interface InFlightAndOldest {
  readonly bridge: string;
  readonly inFlight: number;
  /** When the oldest that waits was accepted. */
  readonly oldestWaiting: number | null;
}

export type InspectRequest =
  | { readonly kind: 'history'; readonly request: HistoryRequest }
  | { readonly kind: 'waiting' }
  /** Begins to count anew, or goes on with it. */
  | { readonly kind: 'audit'; readonly begin: boolean };

export type InspectAnswer =
  | { readonly kind: 'history'; readonly answer: ReadAnswer }
  | { readonly kind: 'waiting'; readonly bridges: readonly InFlightAndOldest[] }
  /** Without `audit` there is more to count. */
  | { readonly kind: 'audit'; readonly audit?: Audit }
  | { readonly kind: 'failed'; readonly reason: string };

export interface Transport {
  /** False once nothing that is under way will ever be answered. */
  readonly alive: boolean;
  open(listen: (news: News) => void): Promise<Opened>;
  commit(batch: Batch, wallMs: number, done: (outcome: CommitOutcome) => void): void;
  read(request: ReadRequest): Promise<ReadAnswer>;
  readSpool(request: SpoolRequest): Promise<SpoolAnswer>;
  inspect(request: InspectRequest): Promise<InspectAnswer>;
  /** Closes the database. Bounded in time. */
  close(): Promise<void>;
}
