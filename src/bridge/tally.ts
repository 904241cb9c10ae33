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
    else this.#delivered += stream.ring.batch[at]?.length ?? 1;
  }

  /** It is lost, though its exchange may go on. */
  lose(stream: Stream, at: number, reason: LostRecord['reason']): void {
    const { ring } = stream;
    if (ring.credit[at] === 0) return;
    ring.credit[at] = 0;
    const batch = ring.batch[at];
    if (stream.id === REPLAY) {
      this.#replay(stream, at, 'skipped');
      return;
    }
    if (batch === undefined) {
      this.#lost.push({ reason, topic: ring.topic[at] ?? '', acceptedAtMs: ring.acceptedAtMs[at] as number });
      return;
    }
    batch.offsets.forEach((_, place) => {
      const acceptedAtMs = batch.acceptedAtMs[place] ?? 0;
      this.#lost.push({ reason, topic: batch.topics[place] ?? '', acceptedAtMs });
    });
  }

  /** A message that is no entry of its own. */
  loseOne({ id }: Stream, lost: LostRecord): void {
    if (id === REPLAY) this.#replayed = { ...this.#replayed, skipped: this.#replayed.skipped + 1 };
    else this.#lost.push(lost);
    this.soon();
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
    const batch = ring.batch[at];
    const count = batch?.length ?? 1;
    const acceptedAtMs = batch?.acceptedAtMs.at(-1) ?? (ring.acceptedAtMs[at] as number);
    this.#replayed = {
      sent: sent + (what === 'sent' ? count : 0),
      skipped: skipped + (what === 'skipped' ? count : 0),
      reached: Math.max(reached, acceptedAtMs),
    };
  }
}
