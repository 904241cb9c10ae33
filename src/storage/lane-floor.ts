/** What each lane still needs, as its bridge last said: from an offset on, and a few held before it. */
import type { Database } from './database.js';

export interface LaneFloor {
  readonly bit: number;
  readonly bridge: string;
  readonly lane: string;
  offset: number;
  held: ReadonlySet<number>;
}

/** The part of a chunk's row that says whom it concerns. `low` and `high` are the halves of its bitmask. */
export interface RowSpan {
  readonly first: number;
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

/** Oldest needed offset by lane, as a bridge's row keeps it. */
type SavedFloors = { readonly [lane: string]: number };

/**
 * As they were last saved: a floor may be older than the truth until its bridge speaks again, never newer. What was
 * held then counts as needed from the oldest of it on.
 */
export function loadFloors(database: Database): LaneFloor[] {
  return database
    .prepare<[], { bit: number; bridge: string; lane: string; floors: string | null }>(
      'SELECT bit, bridge, lane, floors FROM lane LEFT JOIN bridge ON bridge.name = lane.bridge',
    )
    .all()
    .map(({ bit, bridge, lane, floors }) => {
      const saved = JSON.parse(floors ?? '{}') as SavedFloors;
      return { bit, bridge, lane, offset: saved[lane] ?? 1, held: new Set() };
    });
}

/** One bridge's floors, to be saved with its state. */
export function floorsJson(lanes: Iterable<LaneFloor>, bridge: string): string {
  const floors: Record<string, number> = {};
  for (const lane of lanes) {
    if (lane.bridge === bridge) floors[lane.lane] = oldestNeeded(lane);
  }
  return JSON.stringify(floors);
}

function oldestNeeded(lane: LaneFloor): number {
  let oldest = lane.offset;
  for (const held of lane.held) if (held < oldest) oldest = held;
  return oldest;
}

export function needs(lane: LaneFloor, offset: number): boolean {
  return offset >= lane.offset || lane.held.has(offset);
}

/** Whether a lane may need anything of a chunk: its bit is set and its floor lies before the chunk's end. */
export function needsSome(lane: LaneFloor, row: RowSpan): boolean {
  const half = lane.bit < 31 ? row.low : row.high;
  if ((half & (1 << (lane.bit % 31))) === 0) return false;
  const end = row.first + row.count;
  if (end > lane.offset) return true;
  for (const offset of lane.held) if (offset >= row.first && offset < end) return true;
  return false;
}
