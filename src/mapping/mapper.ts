/**
 * Readings to messages, by the rules of `mappings`: every rule that matches a reading publishes it.
 *
 *   Reading ──scale, unit──▶ Sample ──rule: glob, report, group──▶ SampleSet (topic, qos, retain, format)
 *
 * Pure: it is told what was read and what time it is, and says when it wants to be called next.
 */
import type { Reading } from '../core/reading.js';
import type { Sample, SampleSet } from '../core/sample.js';

export interface Mapping {
  /** All points of one poll of one device. */
  readings(device: string, readings: readonly Reading[], monotonicMs: number): SampleSet[];
  /** What has become due by time alone: values gone stale, `report.every`. */
  tick(monotonicMs: number): SampleSet[];
  /** When `tick` wants to be called, monotonic; Infinity: not before the next reading. */
  readonly deadlineMs: number;
  /** The last sample of each point, for `status`. */
  latest(device: string): ReadonlyMap<string, Sample>;
}
