/**
 * What a driver is: it owns one bus, polls the devices on it by their own cadence, and tells what they said.
 *
 *   schedule (pure: what is due) ──▶ driver (socket, port, timers) ──▶ sink.readings / sink.device
 *
 * A device that does not answer is the driver's business alone: it backs off, says `offline` once with the
 * reason, turns each point bad once, and comes back by itself. `start()` never waits for hardware.
 *
 *   commands, godwit write ──▶ write ──▶ before the next poll's request ──▶ read back ──▶ WriteResult
 */

import type { BusConfig, DeviceConfig } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import type { Part } from '../core/part.js';
import type { DeviceState, Reading } from '../core/reading.js';
import type { BusSnapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';
import type { Value } from '../core/value.js';
import type { FrameListener } from './frame-tap.js';
import type { ModbusCommissioning } from './modbus/commissioning.js';
import type { RawReading } from './raw-reading.js';
import type { WriteResult } from './write-result.js';

export interface Driver extends Part {
  snapshot(): BusSnapshot;
  counters(device: string): DeviceCounters;
  /**
   * The one door for whoever wants something written. `value` is the point's own, scaled as its readings are, or
   * text that says it (`on`, `21.5`, an enum's name). It waits for the request under way and goes before the next
   * one; what cannot be right is refused before any byte reaches the bus. Never rejects.
   */
  write(device: string, point: string, value: Value): Promise<WriteResult>;
  /** Reads these points (all where none is named) once, now, whatever the schedule says; publishes nothing. */
  readRaw(device: string, points?: readonly string[]): Promise<readonly RawReading[]>;
  /** Takes a device out of service, so that nothing asks it, or puts it back; kept over restarts. */
  setInService(device: string, inService: boolean): void;
  /** Every frame from now on, both ways, until the function that comes back is called; absent where there are none. */
  trace?(listener: FrameListener): () => void;
  /** What only a Modbus bus has: units that no device of the configuration names. */
  readonly modbus?: ModbusCommissioning;
}

/** Since the start of the process. */
export interface DeviceCounters {
  readonly polls: number;
  readonly failures: number;
  /** Polls that a late bus left out. */
  readonly skipped?: number;
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
  /** What is published on the gateway's own broker, but for what the gateway maps itself. Returns the way to end it. */
  readonly subscribe?: (topicFilter: string, deliver: (message: Message) => void) => () => void;
  /** In [0, 1): seeded in tests. */
  readonly random: () => number;
}

/** A driver's file exports one of these; native packages load inside it, only when a bus needs them. */
export type DriverFactory = (context: DriverContext) => Promise<Driver>;
