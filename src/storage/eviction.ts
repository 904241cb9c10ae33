/**
 * Takes from one chunk what may go: whom each Record still concerns decides whether it stays, is dropped, or is
 * dropped and counted as lost.
 */
import type { Lane } from '../core/route.js';
import { ByteWriter } from './byte-writer.js';
import type { Names } from './dictionary.js';
import { isUnderWay, type LaneFloor, needs } from './lane-floor.js';
import { LOSS_TOPICS_MAX } from './loss.js';
import {
  CHUNK_VERSION,
  readAcceptedAt,
  readRoutes,
  readTopic,
  type Slot,
  visitSlots,
  writeGone,
} from './record-codec.js';
import type { Loss } from './storage.js';

/** Topics are looked for in so many Records of a chunk; a loss needs a few names, not all. */
const TOPICS_LOOKED_AT = 64;

export interface Eviction {
  /** What is left of the chunk, undefined where nothing is. */
  readonly bytes: Buffer | undefined;
  readonly lanesLow: number;
  readonly lanesHigh: number;
  readonly removed: number;
  readonly losses: readonly Loss[];
}

/** Why a Record goes, undefined where it stays. Asked only of those that may go. */
export type Verdict = (chunk: Buffer, slot: Slot) => Loss['reason'] | undefined;

/** `spare` names the lane whose waiting Records stay; those under way stay in any case. */
export function evict(
  chunk: Buffer,
  first: number,
  laneOf: (route: number) => LaneFloor | undefined,
  spare: Lane | undefined,
  names: Names,
  verdict: Verdict = () => 'evicted',
): Eviction {
  const rest = new ByteWriter(new ArrayBuffer(chunk.length));
  rest.u8(CHUNK_VERSION);
  const losses = new Map<
    string,
    {
      reason: Loss['reason'];
      bridge: string;
      lost: number;
      from: number;
      to: number;
      topics: Set<string>;
      looked: number;
    }
  >();
  let lanesLow = 0;
  let lanesHigh = 0;
  let removed = 0;
  let kept = 0;
  let next = first;
  let gone = 0;
  visitSlots(chunk, first, (slot) => {
    gone += slot.offset - next;
    next = slot.offset + 1;
    const lanes = readRoutes(chunk, slot).map(laneOf);
    const stays = lanes.some(
      (lane) =>
        lane !== undefined &&
        (isUnderWay(lane, slot.offset) || (lane.lane === spare && slot.offset >= lane.offset)),
    );
    // What nobody needs any more goes without being asked for.
    const isNeeded = lanes.some((lane) => lane !== undefined && needs(lane, slot.offset));
    const reason = isNeeded && !stays ? verdict(chunk, slot) : 'evicted';
    if (stays || reason === undefined) {
      if (gone > 0) writeGone(rest, gone);
      gone = 0;
      rest.raw(chunk.subarray(slot.start, slot.end));
      kept += 1;
      for (const lane of lanes) {
        if (lane === undefined) continue;
        if (lane.bit < 31) lanesLow |= 1 << lane.bit;
        else lanesHigh |= 1 << (lane.bit - 31);
      }
      return true;
    }
    gone += 1;
    removed += 1;
    for (const lane of lanes) {
      if (lane === undefined || !needs(lane, slot.offset)) continue;
      const atMs = readAcceptedAt(chunk, slot);
      const key = `${reason} ${lane.bridge}`;
      let loss = losses.get(key);
      if (loss === undefined) {
        const { bridge } = lane;
        loss = { reason, bridge, lost: 0, from: atMs, to: atMs, topics: new Set(), looked: 0 };
        losses.set(key, loss);
      }
      loss.lost += 1;
      loss.from = Math.min(loss.from, atMs);
      loss.to = Math.max(loss.to, atMs);
      if (loss.looked < TOPICS_LOOKED_AT && loss.topics.size < LOSS_TOPICS_MAX) {
        loss.looked += 1;
        loss.topics.add(readTopic(chunk, slot, names));
      }
    }
    return true;
  });
  return {
    bytes: kept === 0 ? undefined : rest.bytes(),
    lanesLow,
    lanesHigh,
    removed,
    losses: [...losses.values()].map(({ lost, reason, bridge, from, to, topics }) => ({
      lost,
      reason,
      bridge,
      from,
      to,
      topics: [...topics],
    })),
  };
}
