/** One bridge's share of the journal: produced = delivered + in flight + waiting + lost. */
import type { Ledger } from './storage.js';
import type { InFlightAndOldest } from './transport.js';

export interface Account {
  readonly produced: number;
  readonly delivered: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly lost: number;
  /** When the oldest that waits was accepted, milliseconds since the epoch. */
  readonly oldestWaiting: number | null;
}

export function accountsOf(
  ledgers: readonly (Ledger & { readonly bridge: string })[],
  others: readonly InFlightAndOldest[],
): Map<string, Account> {
  const accounts = new Map<string, Account>();
  for (const { bridge, produced, delivered, lost } of ledgers) {
    const other = others.find((each) => each.bridge === bridge);
    const left = Math.max(0, produced - delivered - lost);
    const inFlight = Math.min(left, other?.inFlight ?? 0);
    const waiting = left - inFlight;
    const oldestWaiting = waiting === 0 ? null : (other?.oldestWaiting ?? null);
    accounts.set(bridge, { produced, delivered, inFlight, waiting, lost, oldestWaiting });
  }
  return accounts;
}
