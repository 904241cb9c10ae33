import type { QoS } from './message.js';

/**
 * How Records leave over one bridge: a `forward` rule as it was when the Record was accepted. The journal
 * knows each distinct Route by a small number, for ever.
 */
export interface Route {
  readonly bridge: string;
  readonly lane: Lane;
  readonly qos: QoS;
  /** `keep`: as the message has it; `clear`: always RETAIN 0. */
  readonly retain: 'keep' | 'clear';
  readonly strip: string;
  readonly prefix: string;
  /** Whether gw, j, seq and ts go along as User Properties. */
  readonly properties: 'all' | 'none';
  /** Many messages leave as one; absent: each by itself. */
  readonly batch?: BatchPolicy;
}

export interface BatchPolicy {
  /** Rendered. */
  readonly topic: string;
  readonly encoding: 'json' | 'cbor' | 'columnar';
  readonly compress: 'none' | 'deflate' | 'brotli';
  /** How long the first message waits for others. */
  readonly maxDelayMs: number;
  /** Of the payload, compressed; a message that is larger goes alone. */
  readonly maxBytes: number;
  readonly maxMessages: number;
}

export type Lane = 'high' | 'normal' | 'history';
