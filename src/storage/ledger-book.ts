/** The ledger as it stands, uncommitted changes included; the database's copy follows with each batch. */
import type { FormingBatch } from './forming-batch.js';
import type { Ledger } from './storage.js';

const NOTHING: Ledger = { produced: 0, delivered: 0, lost: 0 };

export class LedgerBook {
  readonly #ledgers = new Map<string, { produced: number; delivered: number; lost: number }>();

  load(bridge: string, ledger: Ledger): void {
    this.#ledgers.set(bridge, { ...ledger });
  }

  names(): string[] {
    return [...this.#ledgers.keys()];
  }

  of(bridge: string): Ledger {
    return { ...(this.#ledgers.get(bridge) ?? NOTHING) };
  }

  produced(bridge: string, batch: FormingBatch): void {
    this.#entry(bridge).produced += 1;
    batch.produced.set(bridge, (batch.produced.get(bridge) ?? 0) + 1);
  }

  moved(bridge: string, by: { readonly delivered: number; readonly lost: number }): void {
    const entry = this.#entry(bridge);
    entry.delivered += by.delivered;
    entry.lost += by.lost;
  }

  #entry(bridge: string): { produced: number; delivered: number; lost: number } {
    let entry = this.#ledgers.get(bridge);
    if (entry === undefined) {
      entry = { ...NOTHING };
      this.#ledgers.set(bridge, entry);
    }
    return entry;
  }
}
