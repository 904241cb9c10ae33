/**
 * One alarm of one point. It is told when it becomes active, when it clears, and when it is acknowledged; it is known
 * across restarts, so that nothing is told twice and a clearing is not missed.
 *
 *   normal ──condition──▶ pending ──held for `delay`──▶ active ──clears──▶ cleared
 *     ▲                      │ gone before                 │                  │ acknowledged: normal again
 *     └──────────────────────┘                     acknowledge(id)     acknowledge(id)
 *
 * `high: 80` is reached at 80; it clears below 80, or, with `clear: 75`, at 75. A bad or stale value decides nothing
 * but the alarm `bad: true`.
 */
import type { AlarmConfig } from '../config/alarm-schema.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { AlarmSnapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';
import type { Value } from '../core/value.js';
import type { Destination } from './outlet.js';

interface State {
  readonly active: boolean;
  readonly sinceMs: number;
  readonly value: Value | null;
  readonly acknowledged: boolean;
}

export class Alarm {
  readonly id: string;
  readonly #config: AlarmConfig;
  readonly #unit: string | undefined;
  readonly #destination: Destination;
  readonly #door: KeyValueDoor | undefined;
  /** Undefined while there is nothing to know of it. */
  #state: State | undefined;
  /** The condition has held since; monotonic. */
  #pendingSinceMs: number | undefined;
  #sample: Sample | undefined;

  constructor(
    of: { readonly id: string; readonly unit: string | undefined },
    config: AlarmConfig,
    destination: Destination,
    door: KeyValueDoor | undefined,
  ) {
    this.id = of.id;
    this.#unit = of.unit;
    this.#config = config;
    this.#destination = destination;
    this.#door = door;
  }

  get key(): string {
    return alarmKey(this.id);
  }

  /** When a pending condition has held for long enough; monotonic. */
  get deadlineMs(): number {
    return this.#pendingSinceMs === undefined ? Infinity : this.#pendingSinceMs + this.#config.delay;
  }

  begin(): void {
    this.#state = readState(this.#door?.get(this.key));
  }

  /** @param at when this was known: read, computed, or found to be stale */
  take(sample: Sample, at: Stamp, into: SampleSet[]): void {
    this.#sample = sample;
    const holds = this.#judge(sample);
    if (holds === undefined) {
      this.#pendingSinceMs = undefined;
      return;
    }
    if (this.#state?.active === true) {
      if (holds) return;
      const { acknowledged } = this.#state;
      this.#enter({ active: false, sinceMs: at.wallMs, value: sample.value, acknowledged }, at, into);
      return;
    }
    if (!holds) {
      this.#pendingSinceMs = undefined;
      return;
    }
    this.#pendingSinceMs ??= at.monotonicMs;
    this.tick(at, into);
  }

  tick(now: Stamp, into: SampleSet[]): void {
    const sample = this.#sample;
    if (sample === undefined || now.monotonicMs < this.deadlineMs) return;
    this.#pendingSinceMs = undefined;
    this.#enter({ active: true, sinceMs: now.wallMs, value: sample.value, acknowledged: false }, now, into);
  }

  /** False: there is nothing to acknowledge. */
  acknowledge(now: Stamp, into: SampleSet[]): boolean {
    if (this.#state === undefined || this.#state.acknowledged) return false;
    this.#enter({ ...this.#state, acknowledged: true }, now, into);
    return true;
  }

  snapshot(): AlarmSnapshot | undefined {
    if (this.#state === undefined) return undefined;
    const { active, sinceMs, value, acknowledged } = this.#state;
    return {
      alarm: this.id,
      state: active ? 'active' : 'cleared',
      since: sinceMs,
      value: typeof value === 'bigint' ? value.toString() : value,
      acknowledged,
      priority: this.#config.priority,
    };
  }

  /** Whether the condition holds; undefined: this value cannot say. */
  #judge({ value, quality }: Sample): boolean | undefined {
    const { high, low, equals, bad, clear } = this.#config;
    if (bad === true) return quality !== 'good';
    if (quality !== 'good' || value === null) return undefined;
    if (equals !== undefined) return value === equals;
    if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
    const active = this.#state?.active === true;
    if (high !== undefined) return active && clear !== undefined ? value > clear : value >= high;
    if (low !== undefined) return active && clear !== undefined ? value < clear : value <= low;
    return undefined;
  }

  #enter(state: State, stamp: Stamp, into: SampleSet[]): void {
    const { topic, qos, retain, format } = this.#destination;
    into.push({ topic, qos, retain, format, grouped: true, samples: this.#fields(state, stamp) });
    // Cleared and acknowledged: all has been said, and the next time it begins anew.
    this.#state = state.active || !state.acknowledged ? state : undefined;
    if (this.#state === undefined) this.#door?.remove(this.key);
    else this.#door?.put(this.key, Buffer.from(stateJson(this.#state, topic)));
  }

  #fields({ active, sinceMs, value, acknowledged }: State, stamp: Stamp): Sample[] {
    const { high, low, equals, priority, message } = this.#config;
    const [device = ''] = this.id.split('/');
    const limit = high ?? low ?? equals;
    const field = (point: string, of: Value | null): Sample => ({
      device,
      point,
      value: of,
      quality: 'good',
      stamp,
    });
    return [
      field('alarm', this.id),
      field('state', active ? 'active' : 'cleared'),
      this.#unit === undefined ? field('value', value) : { ...field('value', value), unit: this.#unit },
      ...(limit === undefined ? [] : [field('limit', limit)]),
      field('priority', priority),
      field('since', Math.round(sinceMs)),
      field('acknowledged', acknowledged),
      ...(message === undefined ? [] : [field('message', message)]),
    ];
  }
}

const PREFIX = 'alarm ';

export function alarmKey(id: string): string {
  return PREFIX + id;
}

/** Where an alarm was told that the configuration has no more: what is retained there is to be removed. */
export function topicOfForgotten(key: string, bytes: Uint8Array): string | undefined {
  if (!key.startsWith(PREFIX)) return undefined;
  const topic = fieldsOf(bytes)?.topic;
  return typeof topic === 'string' ? topic : undefined;
}

function stateJson({ active, sinceMs, value, acknowledged }: State, topic: string): string {
  const kept = typeof value === 'bigint' ? value.toString() : value;
  return JSON.stringify({ active, sinceMs, value: kept, acknowledged, topic });
}

function readState(bytes: Uint8Array | undefined): State | undefined {
  const fields = bytes === undefined ? undefined : fieldsOf(bytes);
  if (fields === undefined) return undefined;
  const { active, sinceMs, value, acknowledged } = fields;
  if (typeof active !== 'boolean' || typeof sinceMs !== 'number' || typeof acknowledged !== 'boolean')
    return undefined;
  const known = typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean';
  return { active, sinceMs, value: known ? value : null, acknowledged };
}

/** Damaged or of another version: the alarm begins anew. */
function fieldsOf(bytes: Uint8Array): Partial<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof json === 'object' && json !== null ? (json as Partial<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
