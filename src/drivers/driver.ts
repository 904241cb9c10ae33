/**
 * What a driver is: it owns one bus, polls the devices on it by their own cadence, and tells what they said.
 *
 *   schedule (pure: what is due) ──▶ driver (socket, port, timers) ──▶ sink.readings / sink.device
 *
 * A device that does not answer is the driver's business alone: it backs off, says `offline` once with the
 * reason, turns each point bad once, and comes back by itself. `start()` never waits for hardware.
 */

import type { BusConfig, DeviceConfig } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { Log } from '../core/log.js';
import type { Part } from '../core/part.js';
import type { DeviceState, Reading } from '../core/reading.js';
import type { BusSnapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';

export interface Driver extends Part {
  snapshot(): BusSnapshot;
  /** Polls and failed polls of one device since the start. */
  counters(device: string): { readonly polls: number; readonly failures: number };
}

/** Where readings go. All points of one poll of one device arrive in one call. */
export interface ReadingSink {
  readings(device: string, readings: readonly Reading[]): void;
  device(device: string, state: DeviceState): void;
}

export interface DriverContext {
  readonly bus: string;
  readonly config: BusConfig;
  /** The devices on this bus, by name. */
  readonly devices: ReadonlyMap<string, DeviceConfig>;
  readonly sink: ReadingSink;
  readonly clock: Clock;
  /** The instant of a reading, taken when its answer arrives. */
  readonly stamp: () => Stamp;
  readonly log: Log;
  readonly keyValue: KeyValueDoor;
  /** In [0, 1): seeded in tests. */
  readonly random: () => number;
}

/** A driver's file exports one of these; native packages load inside it, only when a bus needs them. */
export type DriverFactory = (context: DriverContext) => Promise<Driver>;
