/**
 * One of the bridge's five ways through the journal: what of it is open, and how far it has come.
 *
 *   high      the lane `high`: before everything else
 *   normal    the lane `normal`: first in, first out
 *   live      the lane `history` (rules with `order: live-first`), from where the link came up on
 *   history   the same lane before that: the gaps which `live` has left behind, see gaps.ts
 *   replay    what was delivered before, of whatever lane, once more: see replay.ts
 */
import type { Lane } from '../core/route.js';
import { OpenRing } from './open-ring.js';

export const HIGH = 0;
export const NORMAL = 1;
export const LIVE = 2;
export const HISTORY = 3;
export const REPLAY = 4;
/** Those that read a lane, and whose Records the ledger counts. */
export type LaneStreamId = typeof HIGH | typeof NORMAL | typeof LIVE | typeof HISTORY;
export type StreamId = LaneStreamId | typeof REPLAY;
export const LANE_STREAMS: readonly LaneStreamId[] = [HIGH, NORMAL, LIVE, HISTORY];
/** In the order in which they may overtake each other. */
export const STREAMS: readonly StreamId[] = [...LANE_STREAMS, REPLAY];
export const LANE_OF: readonly Lane[] = ['high', 'normal', 'history', 'history'];

export class Stream {
  readonly id: StreamId;
  readonly ring: OpenRing;
  /** The first offset never offered. */
  next: number;
  savedNext: number;
  /** Only what lies before this is its own. */
  until = Infinity;
  /** Identifiers in use, and how many of them for QoS 2. */
  open = 0;
  openQoS2 = 0;

  constructor(id: StreamId, next: number, ringLeast: number) {
    this.id = id;
    this.ring = new OpenRing(ringLeast);
    this.next = next;
    this.savedNext = next;
  }

  /** The oldest offset that it still needs. */
  get cursor(): number {
    const { ring } = this;
    return ring.isEmpty ? this.next : ring.least;
  }

  /** Whether all that is open has its content, so that only what was never offered is of use. */
  get isFilled(): boolean {
    return this.ring.toFill === this.ring.tail;
  }
}
