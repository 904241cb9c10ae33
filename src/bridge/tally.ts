/**
 * What has come of Records since the last save, and how urgently that is to be saved. A replay's Records are counted
 * apart: the ledger has them already.
 */
import { REPLAY, type Stream } from './stream.js';

export interface LostRecord {
  readonly reason: 'refused' | 'expired';
  readonly topic: string;
  readonly acceptedAtMs: number;
}

/** Of a replay: sent for good, and given up (refused, expired, gone from the journal). */
export interface Replayed {
  readonly sent: number;
  readonly skipped: number;
  /** When the newest of them was accepted; undefined: none. */
  readonly reached: number | undefined;
}

const NOTHING: Replayed = { sent: 0, skipped: 0, reached: undefined };

export class Tally {
  #delivered = 0;
  #lost: LostRecord[] = [];
  #replayed = NOTHING;
  #saveNeeded: 'no' | 'soon' | 'now' = 'no';

  /** `now`: something waits for the commit. `soon`: it can wait for company. */
  get saveNeeded(): 'no' | 'soon' | 'now' {
    return this.#saveNeeded;
  }

  get unsaved(): { readonly delivered: number; readonly lost: number } {
    return { delivered: this.#delivered, lost: this.#lost.length };
  }

  get hasReplayed(): boolean {
    return this.#replayed !== NOTHING;
  }

  now(): void {
    this.#saveNeeded = 'now';
  }

  soon(): void {
    if (this.#saveNeeded === 'no') this.#saveNeeded = 'soon';
  }

  /** The entry has come to its end, delivered unless `lost`: counted unless somebody has counted it before. */
  ended(stream: Stream, at: number, lost: LostRecord['reason'] | undefined): void {
    if (lost !== undefined) this.lose(stream, at, lost);
    else if (stream.ring.credit[at] === 0) return;
    else if (stream.id === REPLAY) this.#replay(stream, at, 'sent');
    else this.#delivered += 1;
  }

  /** It is lost, though its exchange may go on. */
  lose(stream: Stream, at: number, reason: LostRecord['reason']): void {
    const { ring } = stream;
    if (ring.credit[at] === 0) return;
    ring.credit[at] = 0;
    if (stream.id === REPLAY) {
      this.#replay(stream, at, 'skipped');
      return;
    }
    this.#lost.push({
      reason,
      topic: ring.topic[at] ?? '',
      acceptedAtMs: ring.acceptedAtMs[at] as number,
    });
  }

  /** All since the last time. */
  take(): { readonly delivered: number; readonly lost: readonly LostRecord[]; readonly replayed: Replayed } {
    const taken = { delivered: this.#delivered, lost: this.#lost, replayed: this.#replayed };
    this.#replayed = NOTHING;
    this.#delivered = 0;
    this.#lost = [];
    this.#saveNeeded = 'no';
    return taken;
  }

  #replay({ ring }: Stream, at: number, what: 'sent' | 'skipped'): void {
    const { sent, skipped, reached = 0 } = this.#replayed;
    this.#replayed = {
      sent: sent + (what === 'sent' ? 1 : 0),
      skipped: skipped + (what === 'skipped' ? 1 : 0),
      reached: Math.max(reached, ring.acceptedAtMs[at] as number),
    };
  }
}
