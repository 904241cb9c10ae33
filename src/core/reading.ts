import type { Stamp } from './stamp.js';
import type { Value } from './value.js';

/** What the device said at one instant, before scaling or naming. */
export interface Reading {
  readonly device: string;
  readonly point: string;
  readonly stamp: Stamp;
  /** null where `quality` is bad. */
  readonly value: Value | null;
  readonly quality: 'good' | 'bad';
  /** Why it is bad, for a person and a dashboard alike: `timeout`, `illegal data address`, … */
  readonly reason?: string;
}

/** The state of a device as `godwit/<id>/devices/<device>/status` tells it. */
export interface DeviceState {
  readonly state: 'online' | 'offline';
  readonly reason?: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}
