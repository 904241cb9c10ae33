/**
 * The journal's routes and their small numbers, and the lanes: each (bridge, lane) is one bit in the bitmask that a
 * chunk carries, so that a reader passes by what does not concern it. New ones are defined in the batch that
 * first uses them.
 *
 * A lane that nobody has used since the start, of a bridge that has nothing left to deliver, gives its bit to the next
 * new one. Chunks may still carry that bit for the lane that had it: whoever reads them goes by the routes of each
 * Record, and finds none of its own.
 */
import { GodwitError, invariant } from '../core/error.js';
import type { Lane, Route } from '../core/route.js';
import type { FormingBatch } from './forming-batch.js';

/** Bits of a signed 64-bit integer that SQLite and two 31-bit halves hold alike. */
const LANES_MAX = 62;
const LOW_BITS = 31;

export interface RouteEntry {
  readonly route: Route;
  /** Halves of the bitmask with the lane's bit; 0 for one whose lane has gone. */
  readonly low: number;
  readonly high: number;
}

export interface LaneEntry {
  readonly bit: number;
  readonly bridge: string;
  /** Since the start. */
  isUsed: boolean;
  /** Reads asked for so far. */
  reads: number;
  /** Numbers of the routes that lead over this lane. */
  readonly routes: Set<number>;
}

export class RouteBook {
  readonly #ids = new Map<string, number>();
  readonly #entries = new Map<number, RouteEntry>();
  readonly #lanes = new Map<string, LaneEntry>();
  readonly #isIdle: (bridge: string) => boolean;
  #nextId = 1;

  /** @param isIdle whether a bridge has delivered or lost all that it ever had */
  constructor(isIdle: (bridge: string) => boolean) {
    this.#isIdle = isIdle;
  }

  loadLane(bit: number, bridge: string, lane: Lane): void {
    this.#lanes.set(laneKey(bridge, lane), { bit, bridge, isUsed: false, reads: 0, routes: new Set() });
  }

  load(id: number, json: string): void {
    const route = JSON.parse(json) as Route;
    this.#add(id, json, route, this.#lanes.get(laneKey(route.bridge, route.lane)));
  }

  id(route: Route, batch: FormingBatch): number {
    const json = routeJson(route);
    const known = this.#ids.get(json);
    const found = this.lane(route.bridge, route.lane);
    if (known !== undefined && found !== undefined) return known;
    const lane = found ?? this.#newLane(route.bridge, route.lane, batch);
    if (known !== undefined) return known;
    const id = this.#nextId;
    this.#add(id, json, JSON.parse(json) as Route, lane);
    batch.routes.push([id, json]);
    return id;
  }

  route(id: number): Route | undefined {
    return this.#entries.get(id)?.route;
  }

  entry(id: number): RouteEntry {
    const entry = this.#entries.get(id);
    invariant(entry !== undefined, 'a Record names routes that the journal gave out');
    return entry;
  }

  /** Who asks uses it: it keeps its bit from now on. */
  lane(bridge: string, lane: Lane): LaneEntry | undefined {
    const found = this.#lanes.get(laneKey(bridge, lane));
    if (found !== undefined) found.isUsed = true;
    return found;
  }

  #add(id: number, json: string, route: Route, lane: LaneEntry | undefined): void {
    this.#ids.set(json, id);
    this.#enter(id, route, lane);
    if (id >= this.#nextId) this.#nextId = id + 1;
  }

  #enter(id: number, route: Route, lane: LaneEntry | undefined): void {
    const bit = lane?.bit;
    const low = bit !== undefined && bit < LOW_BITS ? 2 ** bit : 0;
    const high = bit !== undefined && bit >= LOW_BITS ? 2 ** (bit - LOW_BITS) : 0;
    this.#entries.set(id, { route, low, high });
    lane?.routes.add(id);
  }

  #newLane(bridge: string, lane: Lane, batch: FormingBatch): LaneEntry {
    const bit = this.#freeBit() ?? this.#retire();
    if (bit === undefined) {
      throw new GodwitError(
        'JOURNAL_LANES',
        `This journal has ${LANES_MAX} lanes of bridges that are in use or have messages waiting, and no room for bridge ${bridge}, lane ${lane}; configure fewer bridges, or put back one that is gone until its messages are delivered`,
        { bridge, lane },
      );
    }
    const entry: LaneEntry = { bit, bridge, isUsed: true, reads: 0, routes: new Set() };
    this.#lanes.set(laneKey(bridge, lane), entry);
    batch.lanes.push([bit, bridge, lane]);
    // Routes that a lane of this name had before it went.
    for (const [id, { route }] of this.#entries) {
      if (route.bridge === bridge && route.lane === lane) this.#enter(id, route, entry);
    }
    return entry;
  }

  #freeBit(): number | undefined {
    const taken = new Set([...this.#lanes.values()].map(({ bit }) => bit));
    for (let bit = 0; bit < LANES_MAX; bit += 1) if (!taken.has(bit)) return bit;
    return undefined;
  }

  /** The bit of a lane that nobody needs any more, which is forgotten. */
  #retire(): number | undefined {
    for (const [key, { bit, bridge, isUsed, routes }] of this.#lanes) {
      if (isUsed || !this.#isIdle(bridge)) continue;
      this.#lanes.delete(key);
      for (const id of routes) this.#enter(id, this.entry(id).route, undefined);
      return bit;
    }
    return undefined;
  }
}

function laneKey(bridge: string, lane: Lane): string {
  return `${lane} ${bridge}`;
}

/** The same text for an equal Route, in whatever order its keys were written. */
function routeJson(route: Route): string {
  return JSON.stringify(Object.fromEntries(Object.entries(route).sort(([a], [b]) => (a < b ? -1 : 1))));
}
