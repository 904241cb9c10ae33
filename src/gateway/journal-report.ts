/**
 * What `godwit journal` tells: the same of a running gateway and of a journal alone.
 * produced = delivered + inFlight + waiting + lost, for each bridge that the journal ever knew.
 */
import type { BridgeSnapshot, JournalSnapshot } from '../core/snapshot.js';
import type { Account } from '../storage/account.js';
import type { Audit } from '../storage/recount.js';

export interface JournalReport {
  readonly path: string;
  readonly bytes: number;
  readonly records: number;
  readonly oldest: number | null;
  readonly newest: number | null;
  readonly bridges: { readonly [bridge: string]: Account };
  readonly losses: NonNullable<JournalSnapshot['losses']>;
  readonly damage: NonNullable<JournalSnapshot['damage']>;
  /** ok, full, failing; absent where no gateway runs. */
  readonly state?: string;
  readonly reason?: string;
  readonly audit?: AuditReport;
}

export interface AuditReport extends Audit {
  readonly ok: boolean;
}

export function journalReport(
  journal: Omit<JournalSnapshot, 'state' | 'commits' | 'commitMs' | 'bytesAppended'> & {
    readonly state?: string;
  },
  accounts: ReadonlyMap<string, Account>,
): JournalReport {
  const { path, bytes, records, oldest, newest, losses = [], damage = [], state, reason } = journal;
  return {
    path,
    bytes,
    records,
    oldest,
    newest,
    bridges: Object.fromEntries(accounts),
    losses,
    damage,
    ...(state !== undefined && { state }),
    ...(reason !== undefined && { reason }),
  };
}

/** A running bridge knows more than the disk: what it has delivered since it last wrote that down. */
export function accountNow(saved: Account | undefined, now: BridgeSnapshot): Account {
  const { delivered, inFlight, waiting, lost } = now;
  return {
    produced: delivered + inFlight + waiting + lost,
    delivered,
    inFlight,
    waiting,
    lost,
    oldestWaiting: waiting === 0 ? null : (saved?.oldestWaiting ?? null),
  };
}

export function auditReport(audit: Audit): AuditReport {
  return { ok: audit.differences.length === 0, ...audit };
}
