/** What has come of Records since the last save, and how urgently that is to be saved. */
import type { OpenRing } from './open-ring.js';

export interface LostRecord {
  readonly reason: 'refused' | 'expired';
  readonly topic: string;
  readonly acceptedAtMs: number;
}

export class Tally {
  #delivered = 0;
  #lost: LostRecord[] = [];
  #saveNeeded: 'no' | 'soon' | 'now' = 'no';

  /** `now`: something waits for the commit. `soon`: it can wait for company. */
  get saveNeeded(): 'no' | 'soon' | 'now' {
    return this.#saveNeeded;
  }

  get unsaved(): { readonly delivered: number; readonly lost: number } {
    return { delivered: this.#delivered, lost: this.#lost.length };
  }

  now(): void {
    this.#saveNeeded = 'now';
  }

  soon(): void {
    if (this.#saveNeeded === 'no') this.#saveNeeded = 'soon';
  }

  /** The entry has come to its end, delivered unless `lost`: counted unless somebody has counted it before. */
  ended(ring: OpenRing, at: number, lost: LostRecord['reason'] | undefined): void {
    if (lost !== undefined) this.lose(ring, at, lost);
    else if (ring.credit[at] === 1) this.#delivered += 1;
  }

  /** It is lost, though its exchange may go on. */
  lose(ring: OpenRing, at: number, reason: LostRecord['reason']): void {
    if (ring.credit[at] === 0) return;
    ring.credit[at] = 0;
    this.#lost.push({
      reason,
      topic: ring.topic[at] ?? '',
      acceptedAtMs: ring.acceptedAtMs[at] as number,
    });
  }

  /** All since the last time. */
  take(): { readonly delivered: number; readonly lost: readonly LostRecord[] } {
    const taken = { delivered: this.#delivered, lost: this.#lost };
    this.#delivered = 0;
    this.#lost = [];
    this.#saveNeeded = 'no';
    return taken;
  }
}
