import type { QoS } from './message.js';
import type { Stamp } from './stamp.js';
import type { Value } from './value.js';

export type Quality = 'good' | 'stale' | 'bad';

/** What a reading means: scaled, named, with its unit. */
export interface Sample {
  readonly device: string;
  readonly point: string;
  readonly unit?: string;
  readonly value: Value | null;
  readonly quality: Quality;
  readonly reason?: string;
  readonly stamp: Stamp;
}

/**
 * Samples that leave as one message, still to be encoded: only so can their timestamps be repaired,
 * batches be columnar and history be thinned while they wait.
 */
export interface SampleSet {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly format: PayloadFormat;
  /** One message for all points of a poll, keyed by point, where true; else exactly one sample. */
  readonly grouped: boolean;
  readonly samples: readonly Sample[];
}

/** How a SampleSet becomes bytes when it leaves. Stored as JSON: extend, never change the meaning. */
export interface PayloadFormat {
  readonly kind: 'json' | 'value' | 'template';
  /** Of a template: its text, in which what depends on the sample still stands as {place}. */
  readonly template?: string;
  /** fields: {"ts":…,"min":1,"max":2}, each sample a field of its point's name; a/b is {"a":{"b":…}}. */
  readonly shape?: 'fields';
}
