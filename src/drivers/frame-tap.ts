/** What goes over a bus, for a person to look at: costs nothing while nobody does. */

import type { Clock } from '../core/clock.js';

export interface TracedFrame {
  readonly direction: 'sent' | 'received';
  /** Milliseconds since the epoch, and since boot: differences are those of the latter. */
  readonly wallMs: number;
  readonly monotonicMs: number;
  /** As much as was sent at once, or came in at once: a reply may come in pieces. */
  readonly bytes: Uint8Array;
}

export type FrameListener = (frame: TracedFrame) => void;

export class FrameTap {
  readonly #clock: Clock;
  readonly #listeners = new Set<FrameListener>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(listener: FrameListener): () => void {
    // A set keeps one of equals, so each call gets a listener of its own.
    const own: FrameListener = (frame) => listener(frame);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  tell(direction: TracedFrame['direction'], bytes: Uint8Array): void {
    if (this.#listeners.size === 0) return;
    const frame: TracedFrame = {
      direction,
      wallMs: this.#clock.wallMs(),
      monotonicMs: this.#clock.monotonicMs(),
      // The stream may use its buffer again.
      bytes: Uint8Array.from(bytes),
    };
    for (const listener of this.#listeners) listener(frame);
  }
}
