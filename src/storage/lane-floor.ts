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

/**
 * As they were last saved: a floor may be older than the truth until its bridge speaks again, never newer. What was
 * held then counts as needed from the oldest of it on.
 */
export function loadFloors(database: Database): LaneFloor[] {
  return database
    .prepare<[], { bit: number; bridge: string; lane: string; keep_from: number }>(
      'SELECT bit, bridge, lane, keep_from FROM lane',
    )
    .all()
    .map((row) => ({
      bit: row.bit,
      bridge: row.bridge,
      lane: row.lane,
      offset: row.keep_from,
      held: new Set(),
    }));
}

export function saveFloors(database: Database, lanes: Iterable<LaneFloor>): void {
  const update = database.prepare<[number, number]>('UPDATE lane SET keep_from = ? WHERE bit = ?');
  for (const lane of lanes) update.run(Math.min(lane.offset, ...lane.held), lane.bit);
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
