import type { Message } from './message.js';
import type { SampleSet } from './sample.js';

/** What a Record holds: a client's Message with its bytes, or samples that are encoded when they leave. */
export type Content =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'samples'; readonly set: SampleSet };

/** What the journal keeps. */
export interface Record {
  /** Dense, from 1; the `seq` that consumers see. */
  readonly offset: number;
  /** Milliseconds since the epoch, as believed when it was accepted. */
  readonly acceptedAtMs: number;
  /** Which routes it belongs to was decided when it was accepted: a configuration change orphans nothing. */
  readonly routes: readonly number[];
  readonly content: Content;
}
