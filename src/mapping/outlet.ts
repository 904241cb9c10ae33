/**
 * Where samples leave: an Outlet is one point by one rule; outlets of a rule with `group: device` share a Group, which
 * is one message for all points of a poll.
 */
import type { QoS } from '../core/message.js';
import type { PayloadFormat, Sample, SampleSet } from '../core/sample.js';
import { Report, type ReportPolicy } from './report.js';

/** Where the samples of one point leave by one rule. */
export class Outlet {
  readonly destination: Destination;
  readonly report: Report;
  readonly group: Group | undefined;

  constructor(destination: Destination, policy: ReportPolicy, group: Group | undefined) {
    this.destination = destination;
    this.report = new Report(policy);
    this.group = group;
  }

  /** A bare value cannot say that it is stale, nor a template that does not speak of quality. */
  get tellsStale(): boolean {
    const { grouped, format } = this.destination;
    return grouped || format.kind === 'json' || (format.template?.includes('{quality}') ?? false);
  }

  /** Publishes the sample at once, or leaves it to the group. */
  publish(sample: Sample, nowMs: number, into: SampleSet[]): void {
    this.report.told(sample, nowMs);
    into.push(setOf(this.destination, [sample]));
  }
}

export interface Destination {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly format: PayloadFormat;
  readonly grouped: boolean;
}

/** Collects the samples of one poll: if one of them is worth telling, all are told. */
export class Group {
  readonly #destination: Destination;
  #pending = new Map<Outlet, Sample>();
  #poll = 0;
  #wanted = false;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  add(outlet: Outlet, sample: Sample, poll: number, wanted: boolean, nowMs: number, into: SampleSet[]): void {
    // A second reading of the same point, or one of another poll, belongs to another message.
    if (poll !== this.#poll || this.#pending.has(outlet)) this.flush(nowMs, into);
    this.#poll = poll;
    this.#pending.set(outlet, sample);
    this.#wanted ||= wanted;
  }

  flush(nowMs: number, into: SampleSet[]): void {
    if (this.#wanted) {
      for (const [outlet, sample] of this.#pending) outlet.report.told(sample, nowMs);
      into.push(setOf(this.#destination, [...this.#pending.values()]));
    }
    this.#pending.clear();
    this.#wanted = false;
  }
}

function setOf(destination: Destination, samples: readonly Sample[]): SampleSet {
  const { topic, qos, retain, format, grouped } = destination;
  return { topic, qos, retain, format, grouped, samples };
}
