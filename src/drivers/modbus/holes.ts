/**
 * Where a unit's blocks must be cut, learnt from its refusals and kept across restarts. After a day a cut is
 * forgotten and learnt anew if it still holds: firmware changes, and a wrong guess must not last.
 */

import type { KeyValueDoor } from '../../core/key-value.js';
import type { Cut } from './read-plan.js';

const CUT_MS = 24 * 60 * 60 * 1000;
/** A map so full of holes is read point by point; what is learnt beyond replaces the oldest. */
const CUTS_MAX = 512;

interface Learnt {
  readonly cut: Cut;
  readonly untilMs: number;
}

export class Holes {
  readonly #door: KeyValueDoor;
  readonly #key: string;
  #learnt = new Map<string, Learnt>();

  constructor(door: KeyValueDoor, key: string, nowMs: number) {
    this.#door = door;
    this.#key = key;
    for (const cut of readCuts(door.get(key))) this.#learnt.set(keyOf(cut), { cut, untilMs: nowMs + CUT_MS });
  }

  cuts(nowMs: number): Cut[] {
    let forgotten = false;
    for (const [key, { untilMs }] of this.#learnt) {
      if (untilMs > nowMs) continue;
      this.#learnt.delete(key);
      forgotten = true;
    }
    if (forgotten) this.#save();
    return [...this.#learnt.values()].map(({ cut }) => cut);
  }

  learn(cuts: readonly Cut[], nowMs: number): void {
    for (const cut of cuts) {
      const key = keyOf(cut);
      this.#learnt.delete(key);
      this.#learnt.set(key, { cut, untilMs: nowMs + CUT_MS });
      const oldest = this.#learnt.size > CUTS_MAX ? this.#learnt.keys().next().value : undefined;
      if (oldest !== undefined) this.#learnt.delete(oldest);
    }
    this.#save();
  }

  #save(): void {
    const cuts = [...this.#learnt.values()].map(({ cut }) => cut);
    if (cuts.length === 0) this.#door.remove(this.#key);
    else this.#door.put(this.#key, new TextEncoder().encode(JSON.stringify(cuts)));
  }
}

function keyOf({ table, from, to }: Cut): string {
  return `${table}/${from}-${to}`;
}

/** What an older or damaged entry holds is only advice: what cannot be read is learnt again. */
function readCuts(bytes: Uint8Array | undefined): Cut[] {
  if (bytes === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(parsed) ? parsed.filter(isCut).slice(0, CUTS_MAX) : [];
  } catch {
    return [];
  }
}

function isCut(value: unknown): value is Cut {
  if (typeof value !== 'object' || value === null) return false;
  const { table, from, to } = value as Partial<Record<keyof Cut, unknown>>;
  return (
    (table === 'holding' || table === 'input' || table === 'coil' || table === 'discrete') &&
    typeof from === 'number' &&
    typeof to === 'number'
  );
}
