/**
 * Brings the session's state to the disk: at once where something waits for it, one save in the air at a time, so
 * that a slow disk makes fewer and larger ones; else in passing.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Loss, Storage } from '../storage/storage.js';
import type { BridgeSession, Save } from './bridge-session.js';
import type { LostRecord } from './tally.js';

/** What a crash may cost at QoS 1 in repetitions, against a write to the card each time. */
const LAZY_SAVE_MS = 250;
/** A loss names some topics, not a thousand. */
const LOSS_TOPICS_MAX = 20;

export class Saver {
  readonly #storage: Storage;
  readonly #bridge: string;
  readonly #session: BridgeSession;
  readonly #replayed: (progress: Save['replayed']) => void;
  readonly #received: () => readonly number[];
  readonly #clock: Clock;
  /** Called after each commit: something may be sent now. */
  readonly #committed: () => void;
  #inTheAir = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    storage: Storage,
    bridge: string,
    session: BridgeSession,
    received: () => readonly number[],
    /** In the turn in which that is saved. */
    replayed: (progress: Save['replayed']) => void,
    clock: Clock,
    committed: () => void,
  ) {
    this.#storage = storage;
    this.#bridge = bridge;
    this.#session = session;
    this.#received = received;
    this.#replayed = replayed;
    this.#clock = clock;
    this.#committed = committed;
  }

  /** Saves if something waits for it and no save is under way. */
  turn(): void {
    const needed = this.#session.saveNeeded;
    if (needed === 'no' || this.#stopped) return;
    if (needed === 'now') {
      if (this.#inTheAir === 0) this.now(() => undefined);
      return;
    }
    this.#timer ??= this.#clock.at(this.#clock.monotonicMs() + LAZY_SAVE_MS, () => {
      this.#timer = undefined;
      // Something may wait for it by now, behind a save in the air: then its commit must be told.
      if (this.#session.saveNeeded === 'now') this.now(() => undefined);
      else if (this.#session.saveNeeded === 'soon') this.#write();
    });
  }

  /** Saves in this very turn, so in the transaction of all else that is given in it; `then` runs when it is durable. */
  now(then: () => void): void {
    if (this.#stopped) return;
    const save = this.#write();
    this.#inTheAir += 1;
    this.#storage.afterCommit(() => {
      this.#inTheAir -= 1;
      this.#session.committed(save);
      then();
      this.#committed();
    });
  }

  /** The last word, so that a clean end repeats nothing. Nothing depends on it. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#session.saveNeeded !== 'no') this.#write();
  }

  #write(): Save {
    this.#timer?.cancel();
    this.#timer = undefined;
    const save = this.#session.save(this.#received());
    this.#storage.saveBridge(this.#bridge, save.bytes, {
      delivered: save.delivered,
      lost: save.lost.length,
    });
    this.#replayed(save.replayed);
    for (const loss of summarised(this.#bridge, save.lost)) this.#storage.lose(loss);
    for (const { lane, needs } of save.lanes) this.#storage.keepFrom(this.#bridge, lane, needs, save.idle);
    return save;
  }
}

/** One Loss for each reason. */
function summarised(bridge: string, lost: readonly LostRecord[]): Loss[] {
  if (lost.length === 0) return [];
  return (['expired', 'refused'] as const).flatMap((reason) => {
    const those = lost.filter((one) => one.reason === reason);
    if (those.length === 0) return [];
    const times = those.map((one) => one.acceptedAtMs).filter((ms) => ms > 0);
    return [
      {
        lost: those.length,
        reason,
        bridge,
        from: times.reduce((least, ms) => Math.min(least, ms), times[0] ?? 0),
        to: times.reduce((most, ms) => Math.max(most, ms), 0),
        topics: [...new Set(those.map((one) => one.topic).filter((topic) => topic !== ''))].slice(
          0,
          LOSS_TOPICS_MAX,
        ),
      },
    ];
  });
}
