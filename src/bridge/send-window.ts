/**
 * How much may be under way: the server's limits, what was found out of those it does not announce (pacing.ts), a
 * start over after a refusal for its quota, and the shares of the streams in it.
 *
 *   │ high ── all of it │ history ── `history_share` of it, while there is some │ replay ── its share, while there is one │
 *   │ normal and live ── what these leave, and a tenth less where a rule has priority high                 │
 */
import type { QoS } from '../core/message.js';
import type { Exchanges } from './exchanges.js';
import type { OpenRing } from './open-ring.js';
import { HIGH, HISTORY, REPLAY, type Stream, type StreamId } from './stream.js';
import { type Limits, NO_LIMITS } from './wire.js';

/** Beyond this no limit of a server is meant. */
const EAGER_MAX = 0x10000;

export interface Shares {
  /** Whether a rule has priority high: some of the window is kept for it. */
  readonly usesHigh: boolean;
  /** Per cent of the window for history, while there is some. */
  readonly historyShare: number;
}

export class SendWindow {
  readonly #shares: Shares;
  readonly #streams: Exchanges['streams'];
  #limits: Limits = NO_LIMITS;
  /** Kept free for a replay. */
  #reserved = 0;
  #most = Infinity;
  #mostQoS2 = Infinity;
  /** After a refusal for quota, growing again with each acknowledgement. */
  #eager = Infinity;
  #unacknowledged = 0;
  #unacknowledgedQoS2 = 0;
  /** PUBLISHes of the bridge's own that count against the server's Receive Maximum too. */
  #controls = 0;

  constructor(streams: Exchanges['streams'], shares: Shares) {
    this.#streams = streams;
    this.#shares = shares;
  }

  get limits(): Limits {
    return this.#limits;
  }

  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  get unacknowledgedQoS2(): number {
    return this.#unacknowledgedQoS2;
  }

  /** A connection, with nothing under way; `NO_LIMITS`: it is gone. */
  opened(limits: Limits): void {
    this.#limits = limits;
    this.#controls = 0;
    this.#unacknowledged = 0;
    this.#unacknowledgedQoS2 = 0;
    for (const { ring } of this.#streams) ring.onWire.fill(0);
  }

  narrow(most: number, mostQoS2: number): void {
    this.#most = most;
    this.#mostQoS2 = mostQoS2;
  }

  reserve(count: number): void {
    this.#reserved = count;
  }

  control(more: 1 | -1): void {
    this.#controls += more;
  }

  /** Whether the server's own limit leaves room for one more, whatever the Records' pace. */
  get hasRoomForControl(): boolean {
    return this.#unacknowledged + this.#controls < this.#limits.window;
  }

  /** Whether one more of this QoS may leave now. */
  letsOut(qos: QoS): boolean {
    if (qos === 0) return true;
    const most = Math.min(this.#limits.window, this.#most, this.#eager);
    if (this.#unacknowledged + this.#controls >= most) return false;
    return qos === 1 || this.#unacknowledgedQoS2 < Math.min(this.#limits.windowQoS2, this.#mostQoS2);
  }

  /** Whether the window has an identifier left for a new message of this stream. */
  hasRoom(stream: Stream, qos: QoS, hasHistory: boolean): boolean {
    if (qos === 0) return true;
    const [high, normal, live, history, replay] = this.#streams;
    const { id } = stream;
    const { window } = this.#limits;
    if (id === REPLAY) {
      // With a window of one, whoever comes first has it.
      if (replay.open >= Math.max(1, this.#reserved)) return false;
      return high.open + normal.open + live.open + history.open + replay.open < window;
    }
    const mine = Math.max(0, window - Math.max(this.#reserved, replay.open));
    if (!this.#fits(id, mine, high.open, normal.open + live.open, history.open, hasHistory)) return false;
    if (qos === 1) return true;
    const middleQoS2 = normal.openQoS2 + live.openQoS2;
    return this.#fits(id, this.#limits.windowQoS2, high.openQoS2, middleQoS2, history.openQoS2, hasHistory);
  }

  sent(ring: OpenRing, at: number): void {
    if (ring.onWire[at] === 1) return;
    ring.onWire[at] = 1;
    this.#unacknowledged += 1;
    if (ring.qos[at] === 2) this.#unacknowledgedQoS2 += 1;
  }

  acknowledged(ring: OpenRing, at: number): void {
    if (ring.onWire[at] === 0) return;
    ring.onWire[at] = 0;
    this.#unacknowledged -= 1;
    if (ring.qos[at] === 2) this.#unacknowledgedQoS2 -= 1;
  }

  /** What follows a message that was held back must not overtake it again: one at a time, then twice as many, and so on. */
  startOver(): void {
    this.#eager = 1;
  }

  /** An acknowledgement came. */
  heard(): void {
    if (this.#eager < EAGER_MAX) this.#eager *= 2;
    else this.#eager = Infinity;
  }

  #fits(
    id: StreamId,
    window: number,
    high: number,
    middle: number,
    history: number,
    hasHistory: boolean,
  ): boolean {
    if (high + middle + history >= window) return false;
    if (id === HIGH) return true;
    // With a window of one, whoever comes first has it.
    const share = hasHistory ? Math.max(1, Math.floor((window * this.#shares.historyShare) / 100)) : 0;
    if (id === HISTORY) return history < share;
    const reserve = this.#shares.usesHigh ? Math.ceil(window / 10) : 0;
    return middle < Math.max(1, window - reserve - share);
  }
}
