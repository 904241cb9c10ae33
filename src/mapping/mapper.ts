/**
 * Readings to messages, by the rules of `mappings`: every rule that matches a reading publishes it.
 *
 *   Reading ──transform──▶ Sample ──rule: pattern, report, group──▶ SampleSet (topic, qos, retain, format)
 *                            ├──▶ window of an aggregate ──▶ SampleSet when it ends
 *                            ├──▶ alarm ──▶ SampleSet when it changes
 *                            └──▶ computed points ──▶ Sample …
 *
 * Pure: it is told what was read and what time it is, and says when it wants to be called next.
 */
import type { Reading } from '../core/reading.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { AlarmSnapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';

export interface Mapping {
  /** Takes up what another process, or the configuration before, left: windows that are open, alarms. */
  begin(now: Stamp): SampleSet[];
  /** All points of one poll of one device. */
  readings(device: string, readings: readonly Reading[], monotonicMs: number): SampleSet[];
  /** What has become due by time alone: values gone stale, `report.every`, windows that end, alarms that were delayed. */
  tick(now: Stamp): SampleSet[];
  /** When `tick` wants to be called, monotonic; Infinity: not before the next reading. */
  readonly deadlineMs: number;
  /** The message that says so; undefined: there is no such alarm, or nothing to acknowledge. */
  acknowledge(alarmId: string, now: Stamp): SampleSet[] | undefined;
  /** Alarms that are active, or cleared and not acknowledged. */
  alarms(): readonly AlarmSnapshot[];
  /** The last sample of each point, for `status`. */
  latest(device: string): ReadonlyMap<string, Sample>;
}
