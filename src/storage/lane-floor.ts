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
 * By lane, as a bridge's row keeps it: the offset from which on all is needed; where some before it are held, these
 * as pairs of first and last behind it.
 */
type SavedFloors = { readonly [lane: string]: number | readonly number[] };

/** Under way out of order in more stretches than this, they are kept as one: from the oldest on. */
const HELD_STRETCHES_MAX = 2000;

/** As they were last saved: a floor may be older than the truth until its bridge speaks again, never newer. */
export function loadFloors(database: Database): LaneFloor[] {
  return database
    .prepare<[], { bit: number; bridge: string; lane: string; floors: string | null }>(
      'SELECT bit, bridge, lane, floors FROM lane LEFT JOIN bridge ON bridge.name = lane.bridge',
    )
    .all()
    .map(({ bit, bridge, lane, floors }) => {
      const saved = JSON.parse(floors ?? '{}') as SavedFloors;
      return { bit, bridge, lane, ...floorOf(saved[lane] ?? 1) };
    });
}

/** One bridge's floors, to be saved with its state. */
export function floorsJson(lanes: Iterable<LaneFloor>, bridge: string): string {
  const floors: Record<string, number | readonly number[]> = {};
  for (const lane of lanes) {
    if (lane.bridge === bridge) floors[lane.lane] = lane.held.size === 0 ? lane.offset : withHeld(lane);
  }
  return JSON.stringify(floors);
}

function withHeld(lane: LaneFloor): number | readonly number[] {
  const saved = [lane.offset];
  for (const offset of [...lane.held].sort((a, b) => a - b)) {
    if (saved.length > 1 && offset === (saved.at(-1) as number) + 1) saved[saved.length - 1] = offset;
    else saved.push(offset, offset);
  }
  return saved.length > 2 * HELD_STRETCHES_MAX ? oldestNeeded(lane) : saved;
}

function floorOf(saved: number | readonly number[]): { offset: number; held: ReadonlySet<number> } {
  if (typeof saved === 'number') return { offset: saved, held: new Set() };
  const [offset = 1, ...stretches] = saved;
  const held = new Set<number>();
  for (let index = 0; index + 1 < stretches.length; index += 2) {
    for (let each = stretches[index] as number; each <= (stretches[index + 1] as number); each += 1)
      held.add(each);
  }
  return { offset, held };
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
