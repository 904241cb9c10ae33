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
}

export type Lane = 'high' | 'normal' | 'history';
