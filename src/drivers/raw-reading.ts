import type { Value } from '../core/value.js';

/** One point read outside the schedule, with what the device sent for it: for commissioning. */
export interface RawReading {
  readonly point: string;
  /** Where it comes from, as the configuration says it: `holding/100 float32`. */
  readonly source: string;
  /** Scaled as the point's readings are; null where it is bad. */
  readonly value: Value | null;
  readonly quality: 'good' | 'bad';
  readonly reason?: string;
  readonly unit?: string;
  /** The bytes as the wire had them; absent where none came. */
  readonly raw?: Uint8Array;
}
