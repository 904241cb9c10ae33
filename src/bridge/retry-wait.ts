/**
 * The wait before the next attempt, cut short when what stood in its way is gone: the network has got an address (a
 * modem is back, a cable is in again), or the clock has been set.
 *
 *   start ──── until ────▶ then
 *        └─ every few seconds: an address that was not there? the wall time that was missing? ─▶ then, early
 */
import { networkInterfaces } from 'node:os';
import type { Clock, Timer } from '../core/clock.js';

export interface RetryWaitOptions {
  readonly clock: Clock;
  /** The machine's own addresses; absent: they are not watched. */
  readonly network: (() => ReadonlySet<string>) | undefined;
}

/** What a look costs is nothing beside the minutes that it saves. */
export const LOOK_MS = 5000;
/** A network that comes and goes itself does not undo the back-off: each attempt costs kilobytes. */
const EARLY_MS_MIN = 60_000;

export class RetryWait {
  readonly #options: RetryWaitOptions;
  #timer: Timer | undefined;
  #earlyAtMs = -Infinity;

  constructor(options: RetryWaitOptions) {
    this.#options = options;
  }

  /** @param wallMs the wall time before which an attempt is in vain */
  start(untilMs: number, wallMs: number | undefined, then: () => void): void {
    const { clock, network } = this.#options;
    let before = network?.();
    this.cancel();
    const isEarly = (nowMs: number): boolean => {
      // The clock may have been right all along, and the certificate of the future: no more than that of a network.
      if (nowMs - this.#earlyAtMs < EARLY_MS_MIN) return false;
      if (wallMs !== undefined && clock.wallMs() >= wallMs) return true;
      const last = before;
      before = network?.();
      return last !== undefined && [...(before ?? [])].some((address) => !last.has(address));
    };
    const watched = before !== undefined || wallMs !== undefined;
    const wait = (): void => {
      const nextMs = watched ? Math.min(untilMs, clock.monotonicMs() + LOOK_MS) : untilMs;
      this.#timer = clock.at(nextMs, () => {
        const nowMs = clock.monotonicMs();
        if (nowMs >= untilMs) then();
        else if (isEarly(nowMs)) {
          this.#earlyAtMs = nowMs;
          then();
        } else wait();
      });
    };
    wait();
  }

  cancel(): void {
    this.#timer?.cancel();
  }
}

/** Addresses by which other machines could be reached; those that every interface makes up for itself say nothing. */
export function networkAddresses(): ReadonlySet<string> {
  const addresses = new Set<string>();
  for (const [name, held = []] of Object.entries(networkInterfaces())) {
    for (const { address, internal } of held) {
      if (!internal && !address.startsWith('fe80:')) addresses.add(`${name} ${address}`);
    }
  }
  return addresses;
}
