/**
 * Whether a sample is worth a message, for one rule and one point.
 *
 *   never told, or its quality changed ──▶ yes
 *   bad or stale, and told so ───────────▶ no, until it changes
 *   on: always ──────────────────────────▶ yes
 *   on: change ──────────────────────────▶ where it left the deadband, or `every` is near
 *   wanted within `min_interval` ────────▶ held, and told when that is over, with the newest value
 *
 * The deadband is around the value last told, not the value last read: a slow drift cannot hide in it. It is
 * left when the difference is greater than the band, as in OPC UA; a per cent is of the value last told.
 */
import type { Quality, Sample } from '../core/sample.js';
import type { Value } from '../core/value.js';

export interface ReportPolicy {
  readonly onChange: boolean;
  /** Absolute, or relative to the value last told. */
  readonly deadband?: { readonly kind: 'absolute' | 'relative'; readonly size: number };
  /** Infinity: no limit. */
  readonly everyMs: number;
  readonly pollMs: number;
  /** Between two messages at least. */
  readonly minIntervalMs?: number;
}

/** How late `every` may be: waiting so long for the next poll tells a fresh value instead of an old one. */
const EVERY_SLACK_MS_MAX = 1000;

/** No value is told later than this after the one before: `every`, and how late it may be. */
export function latestMs(everyMs: number, pollMs: number): number {
  return everyMs + Math.min(pollMs / 2, EVERY_SLACK_MS_MAX);
}

export class Report {
  readonly #policy: ReportPolicy;
  /** No value is told later than this after the one before: `every`, and how late it may be. */
  readonly latestMs: number;
  #quality: Quality | undefined;
  #value: Value | null = null;
  #toldAtMs = 0;
  #held = false;
  readonly #minIntervalMs: number;

  constructor(policy: ReportPolicy) {
    this.#policy = policy;
    this.#minIntervalMs = policy.minIntervalMs ?? 0;
    this.latestMs = latestMs(policy.everyMs, policy.pollMs);
  }

  wants(sample: Sample, nowMs: number): boolean {
    if (sample.quality !== this.#quality) return true;
    if (sample.quality !== 'good') return false;
    const wanted = this.#isDue(nowMs) || this.#hasChanged(sample.value);
    this.#held = wanted && nowMs < this.#toldAtMs + this.#minIntervalMs;
    return wanted && !this.#held;
  }

  /** When a value that came too soon is to be told; Infinity where there is none. */
  get heldUntilMs(): number {
    return this.#held ? this.#toldAtMs + this.#minIntervalMs : Infinity;
  }

  told(sample: Sample, nowMs: number): void {
    this.#quality = sample.quality;
    this.#value = sample.value;
    this.#toldAtMs = nowMs;
    this.#held = false;
  }

  /** When the last value must be told again though nothing new was read. */
  get deadlineMs(): number {
    if (this.#quality !== 'good') return Infinity;
    return Math.min(this.#toldAtMs + this.latestMs, this.heldUntilMs);
  }

  #isDue(nowMs: number): boolean {
    const { onChange, pollMs } = this.#policy;
    // The next poll would come too late for `every`, so this one speaks.
    return !onChange || nowMs - this.#toldAtMs + pollMs > this.latestMs;
  }

  #hasChanged(value: Value | null): boolean {
    const last = this.#value;
    const { deadband } = this.#policy;
    if (value === last) return false;
    if (deadband === undefined || !isNumeric(value) || !isNumeric(last)) return true;
    const here = Number(value);
    const there = Number(last);
    const distance =
      typeof value === 'bigint' && typeof last === 'bigint'
        ? Math.abs(Number(value - last))
        : Math.abs(here - there);
    const band = deadband.kind === 'absolute' ? deadband.size : deadband.size * Math.abs(there);
    // 0.8 - 0.6 is a little more than 0.2 in binary: what two roundings can add is no change.
    const dust = 2 * Number.EPSILON * Math.max(Math.abs(here), Math.abs(there), band);
    return distance > band + dust;
  }
}

function isNumeric(value: Value | null): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
