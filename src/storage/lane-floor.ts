/**
 * What each lane still needs, as its bridge last said: all from an offset on, and before it some that are under way
 * (`held`) and some spans that it has left behind for later (`waiting`).
 */
import type { Database } from './database.js';
import { HandedOut } from './handed-out.js';

/** From the first offset to before the second. */
export type Span = readonly [from: number, to: number];

export interface LaneFloor {
  readonly bit: number;
  readonly bridge: string;
  readonly lane: string;
  offset: number;
  held: ReadonlySet<number>;
  /** Ascending. */
  waiting: readonly Span[];
  readonly handedOut: HandedOut;
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
 * as pairs of first and last behind it; where some wait before it, both by name.
 */
type Stretches = number | readonly number[];
interface SavedFloors {
  readonly [lane: string]: Stretches | { readonly floor: Stretches; readonly waiting: readonly Span[] };
}

/** Under way out of order in more stretches than this, they are kept as one: from the oldest on. */
const HELD_STRETCHES_MAX = 2000;

export function newFloor(bit: number, bridge: string, lane: string): LaneFloor {
  return { bit, bridge, lane, offset: 1, held: new Set(), waiting: [], handedOut: new HandedOut() };
}

/** As they were last saved: a floor may be older than the truth until its bridge speaks again, never newer. */
export function loadFloors(database: Database): LaneFloor[] {
  return database
    .prepare<[], { bit: number; bridge: string; lane: string; floors: string | null }>(
      'SELECT bit, bridge, lane, floors FROM lane LEFT JOIN bridge ON bridge.name = lane.bridge',
    )
    .all()
    .map(({ bit, bridge, lane, floors }) => {
      const saved = (JSON.parse(floors ?? '{}') as SavedFloors)[lane] ?? 1;
      const { floor, waiting } =
        typeof saved === 'object' && 'floor' in saved ? saved : { floor: saved, waiting: [] };
      return { ...newFloor(bit, bridge, lane), ...floorOf(floor), waiting };
    });
}

/** One bridge's floors, to be saved with its state. */
export function floorsJson(lanes: Iterable<LaneFloor>, bridge: string): string {
  const floors: Record<string, SavedFloors[string]> = {};
  for (const lane of lanes) {
    if (lane.bridge !== bridge) continue;
    const floor = lane.held.size === 0 ? lane.offset : withHeld(lane);
    floors[lane.lane] = lane.waiting.length === 0 ? floor : { floor, waiting: lane.waiting };
  }
  return JSON.stringify(floors);
}

function withHeld(lane: LaneFloor): Stretches {
  const saved = [lane.offset];
  for (const offset of [...lane.held].sort((a, b) => a - b)) {
    if (saved.length > 1 && offset === (saved.at(-1) as number) + 1) saved[saved.length - 1] = offset;
    else saved.push(offset, offset);
  }
  return saved.length > 2 * HELD_STRETCHES_MAX ? oldestNeeded(lane) : saved;
}

function floorOf(saved: Stretches): { offset: number; held: ReadonlySet<number> } {
  if (typeof saved === 'number') return { offset: saved, held: new Set() };
  const [offset = 1, ...stretches] = saved;
  const held = new Set<number>();
  for (let index = 0; index + 1 < stretches.length; index += 2) {
    for (let each = stretches[index] as number; each <= (stretches[index + 1] as number); each += 1)
      held.add(each);
  }
  return { offset, held };
}

export function oldestNeeded(lane: LaneFloor): number {
  let oldest = Math.min(lane.offset, lane.waiting[0]?.[0] ?? Infinity);
  for (const held of lane.held) if (held < oldest) oldest = held;
  return oldest;
}

export function needs(lane: LaneFloor, offset: number): boolean {
  return offset >= lane.offset || lane.held.has(offset) || isIn(lane.waiting, offset);
}

/** Whether the bridge may have sent it: it is not evicted. */
export function isUnderWay(lane: LaneFloor, offset: number): boolean {
  return lane.held.has(offset) || (lane.handedOut.has(offset) && needs(lane, offset));
}

/** Whether a lane may need anything of a chunk: its bit is set, and it needs an offset of those. */
export function needsSome(lane: LaneFloor, row: RowSpan): boolean {
  const half = lane.bit < 31 ? row.low : row.high;
  if ((half & (1 << (lane.bit % 31))) === 0) return false;
  const end = row.first + row.count;
  if (end > lane.offset) return true;
  if (lane.waiting.some(([from, to]) => from < end && to > row.first)) return true;
  for (const offset of lane.held) if (offset >= row.first && offset < end) return true;
  return false;
}

/** How many offsets of a chunk a lane needs, at most: whose they are, only its bytes could say. */
export function neededIn(lane: LaneFloor, { first, count }: RowSpan): number {
  let needed = 0;
  for (let offset = first; offset < first + count; offset += 1) if (needs(lane, offset)) needed += 1;
  return needed;
}

function isIn(spans: readonly Span[], offset: number): boolean {
  for (const [from, to] of spans) if (offset >= from && offset < to) return true;
  return false;
}
