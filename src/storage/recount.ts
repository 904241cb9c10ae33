/**
 * Counts anew what the ledger says: which Records of the chunks each bridge still needs. It holds the floors as they
 * were when it began, and Records that came later do not concern it; so a journal may go on being written and
 * trimmed while it is counted, if it is told of each chunk before that chunk changes.
 */
import { crc32 } from 'node:zlib';
import type { Route } from '../core/route.js';
import { isDamage } from './database.js';
import { type LaneFloor, needs } from './lane-floor.js';
import { readRoutes, visitSlots } from './record-codec.js';

/** One bridge as the ledger's own counters have it. */
export interface LedgerRow {
  readonly bridge: string;
  readonly produced: number;
  readonly delivered: number;
  readonly lost: number;
}

export interface CountedChunk {
  readonly first: number;
  readonly count: number;
  readonly kept: number;
  readonly crc: number;
  readonly bytes: Buffer;
}

/** What came of it; it adds up where there are no differences. */
export interface Audit {
  readonly records: number;
  readonly bridges: { readonly [bridge: string]: { readonly inFlight: number; readonly waiting: number } };
  /** Each a sentence. */
  readonly differences: readonly string[];
}

export class Recount {
  /** Offsets from here on came later. */
  readonly end: number;
  readonly #ledger: readonly LedgerRow[];
  readonly #recordsExpected: number;
  readonly #laneOfRoute = new Map<number, LaneFloor>();
  readonly #bridges = new Map<string, { inFlight: number; waiting: number }>();
  /** Counted before their turn. */
  readonly #counted = new Set<number>();
  readonly #differences: string[] = [];
  #records = 0;

  constructor(
    lanes: readonly LaneFloor[],
    routes: readonly { readonly id: number; readonly json: string }[],
    ledger: readonly LedgerRow[],
    records: number,
    end: number,
  ) {
    this.end = end;
    this.#ledger = ledger;
    this.#recordsExpected = records;
    const own = lanes.map((lane) => ({ ...lane, held: new Set(lane.held) }));
    for (const { id, json } of routes) {
      const { bridge, lane } = JSON.parse(json) as Route;
      const found = own.find((each) => each.bridge === bridge && each.lane === lane);
      if (found !== undefined) this.#laneOfRoute.set(id, found);
    }
  }

  hasCounted(first: number): boolean {
    return this.#counted.has(first);
  }

  /** A chunk as it is now; `early`: before the scan has come to it. */
  count(chunk: CountedChunk, early = false): void {
    if (this.#counted.has(chunk.first) || chunk.first >= this.end) return;
    if (early) this.#counted.add(chunk.first);
    if (crc32(chunk.bytes) !== chunk.crc) {
      this.#differ(`the Records from ${chunk.first} on are not what was written`);
      return;
    }
    let kept = 0;
    try {
      visitSlots(chunk.bytes, chunk.first, (slot) => {
        kept += 1;
        for (const id of readRoutes(chunk.bytes, slot)) this.#countOne(id, slot.offset);
        return true;
      });
    } catch (fault) {
      if (!isDamage(fault)) throw fault;
      this.#differ(`the Records from ${chunk.first} on cannot be read`);
    }
    if (kept !== chunk.kept) {
      this.#differ(`the Records from ${chunk.first} on: ${chunk.kept} should be there, ${kept} are`);
    }
    this.#records += kept;
  }

  audit(): Audit {
    const differences = [...this.#differences];
    if (this.#records !== this.#recordsExpected) {
      differences.push(`records: ${this.#recordsExpected} should be there, ${this.#records} are`);
    }
    const bridges: Record<string, { inFlight: number; waiting: number }> = {};
    for (const name of new Set([...this.#ledger.map(({ bridge }) => bridge), ...this.#bridges.keys()])) {
      const found = this.#bridges.get(name) ?? { inFlight: 0, waiting: 0 };
      bridges[name] = found;
      const row = this.#ledger.find(({ bridge }) => bridge === name);
      const { produced, delivered, lost } = row ?? { produced: 0, delivered: 0, lost: 0 };
      const { inFlight, waiting } = found;
      const difference = produced - delivered - inFlight - waiting - lost;
      if (difference === 0) continue;
      const word = difference > 0 ? `${difference} missing` : `${-difference} too many`;
      differences.push(
        `bridge ${name}: produced ${produced}, but delivered ${delivered} + in flight ${inFlight} + waiting ${waiting} + lost ${lost} = ${produced - difference}: ${word}`,
      );
    }
    return { records: this.#records, bridges, differences };
  }

  #countOne(routeId: number, offset: number): void {
    const lane = this.#laneOfRoute.get(routeId);
    if (lane === undefined) return;
    const isHeld = lane.held.has(offset);
    if (!needs(lane, offset)) return;
    let bridge = this.#bridges.get(lane.bridge);
    if (bridge === undefined) {
      bridge = { inFlight: 0, waiting: 0 };
      this.#bridges.set(lane.bridge, bridge);
    }
    if (isHeld) bridge.inFlight += 1;
    else bridge.waiting += 1;
  }

  #differ(sentence: string): void {
    // A journal that is damaged all over says so often enough.
    if (this.#differences.length < 20) this.#differences.push(sentence);
  }
}
