/**
 * The journal's routes and their small numbers, and the lanes: each (bridge, lane) is one bit in the bitmask that a
 * chunk carries, so that a reader passes by what does not concern it. New ones are defined in the batch that
 * first uses them.
 */
import { GodwitError, invariant } from '../core/error.js';
import type { Lane, Route } from '../core/route.js';
import type { FormingBatch } from './forming-batch.js';

/** Bits of a signed 64-bit integer that SQLite and two 31-bit halves hold alike. */
export const LANES_MAX = 62;
const LOW_BITS = 31;

export interface RouteEntry {
  readonly route: Route;
  readonly low: number;
  readonly high: number;
}

export interface LaneEntry {
  readonly bit: number;
  /** Reads asked for so far. */
  reads: number;
  /** Numbers of the routes that lead over this lane. */
  readonly routes: Set<number>;
}

export class RouteBook {
  readonly #ids = new Map<string, number>();
  readonly #entries = new Map<number, RouteEntry>();
  readonly #lanes = new Map<string, LaneEntry>();
  #nextId = 1;

  loadLane(bit: number, bridge: string, lane: Lane): void {
    this.#lanes.set(laneKey(bridge, lane), { bit, reads: 0, routes: new Set() });
  }

  load(id: number, json: string): void {
    const route = JSON.parse(json) as Route;
    const lane = this.lane(route.bridge, route.lane);
    invariant(lane !== undefined, 'a route has its lane');
    this.#add(id, json, route, lane);
  }

  id(route: Route, batch: FormingBatch): number {
    const json = routeJson(route);
    const known = this.#ids.get(json);
    if (known !== undefined) return known;
    const lane = this.lane(route.bridge, route.lane) ?? this.#newLane(route.bridge, route.lane, batch);
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

  lane(bridge: string, lane: Lane): LaneEntry | undefined {
    return this.#lanes.get(laneKey(bridge, lane));
  }

  #add(id: number, json: string, route: Route, lane: LaneEntry): void {
    const { bit } = lane;
    const low = bit < LOW_BITS ? 2 ** bit : 0;
    const high = bit < LOW_BITS ? 0 : 2 ** (bit - LOW_BITS);
    this.#ids.set(json, id);
    this.#entries.set(id, { route, low, high });
    lane.routes.add(id);
    if (id >= this.#nextId) this.#nextId = id + 1;
  }

  #newLane(bridge: string, lane: Lane, batch: FormingBatch): LaneEntry {
    const bit = this.#lanes.size;
    if (bit >= LANES_MAX) {
      throw new GodwitError(
        'JOURNAL_LANES',
        `This journal has known ${LANES_MAX} lanes of bridges and has no room for bridge ${bridge}, lane ${lane}; give it an old bridge's name, or begin a new journal.path`,
        { bridge, lane },
      );
    }
    const entry: LaneEntry = { bit, reads: 0, routes: new Set() };
    this.#lanes.set(laneKey(bridge, lane), entry);
    batch.lanes.push([bit, bridge, lane]);
    return entry;
  }
}

function laneKey(bridge: string, lane: Lane): string {
  return `${lane} ${bridge}`;
}

/** The same text for an equal Route, in whatever order its keys were written. */
function routeJson(route: Route): string {
  return JSON.stringify(Object.fromEntries(Object.entries(route).sort(([a], [b]) => (a < b ? -1 : 1))));
}
