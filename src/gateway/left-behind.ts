/**
 * Bridges that are gone from the configuration (removed, renamed) while the journal still has messages for them: those
 * stay, are shown by `godwit journal`, and are told here, so that nobody takes them for delivered.
 */
import type { Log } from '../core/log.js';
import type { Ledger } from '../storage/storage.js';

export interface LeftBehindJournal {
  /** All bridges that ever had something to deliver. */
  readonly ledgerNames: readonly string[];
  ledger(bridge: string): Ledger;
}

export function tellLeftBehind(journal: LeftBehindJournal, configured: readonly string[], log: Log): void {
  for (const bridge of journal.ledgerNames) {
    if (configured.includes(bridge)) continue;
    const { produced, delivered, lost } = journal.ledger(bridge);
    const waiting = produced - delivered - lost;
    if (waiting <= 0) continue;
    log.warn(
      { bridge, waiting },
      'Bridge is gone from the configuration and has messages waiting in the journal: give a bridge this name again to deliver them',
    );
  }
}
