/**
 * Where the samples of one point leave by a rule with `report: { on: trend }`: those that trend.ts chooses, later than
 * they were read and with the time at which they were.
 *
 * What is held back is kept on disk as it would be told, in the transaction of what was told before: a kill loses none
 * of it, and the next process tells it first.
 */
import type { KeyValueDoor } from '../core/key-value.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { Destination } from './outlet.js';
import { Trend, type TrendPolicy } from './trend.js';

/** With more than that held, what would be told is worked out once a second, not for each reading. */
const HELD_SMALL = 64;
const SAVE_EVERY_MS = 1000;

export class TrendOutlet {
  readonly key: string;
  readonly #destination: Destination;
  readonly #door: KeyValueDoor | undefined;
  readonly #trend: Trend;
  #latest: Sample | undefined;
  #isKept = false;
  #savedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    destination: Destination,
    policy: TrendPolicy,
    of: { readonly device: string; readonly point: string },
    door: KeyValueDoor | undefined,
  ) {
    this.#destination = destination;
    this.#door = door;
    this.key = `trend ${JSON.stringify([of.device, of.point, destination.topic])}`;
    this.#trend = new Trend(policy);
  }

  /** Tells what another process held back. */
  begin(into: SampleSet[]): void {
    this.#tell(readSamples(this.#door?.get(this.key)), into);
    this.#door?.remove(this.key);
  }

  take(sample: Sample, nowMs: number, into: SampleSet[]): void {
    // A bare value cannot say that it is stale, but what was held until then can be told.
    const isUntold = sample.quality === 'stale' && this.#destination.format.kind === 'value';
    const told = this.#trend.take(sample, nowMs).filter((one) => !isUntold || one !== sample);
    this.#latest = sample;
    this.#tell(told, into);
    this.#save(nowMs, told.length > 0);
  }

  /** `every` is over and nothing was read. */
  tick(nowMs: number, into: SampleSet[]): void {
    if (nowMs < this.deadlineMs || this.#latest === undefined) return;
    const told = this.#trend.flush(nowMs);
    this.#trend.repeated(nowMs);
    this.#tell(told.length > 0 ? told : [this.#latest], into);
    this.#save(nowMs, true);
  }

  get deadlineMs(): number {
    return this.#trend.deadlineMs;
  }

  #tell(samples: readonly Sample[], into: SampleSet[]): void {
    const { format, grouped, qos, retain, topic } = this.#destination;
    for (const sample of samples) into.push({ topic, qos, retain, format, grouped, samples: [sample] });
  }

  #save(nowMs: number, isNew: boolean): void {
    if (this.#door === undefined) return;
    const { heldCount } = this.#trend;
    if (heldCount === 0) {
      if (this.#isKept) this.#door.remove(this.key);
      this.#isKept = false;
      return;
    }
    if (!isNew && heldCount > HELD_SMALL && nowMs < this.#savedAtMs + SAVE_EVERY_MS) return;
    this.#savedAtMs = nowMs;
    this.#isKept = true;
    this.#door.put(this.key, samplesBytes(this.#trend.unsaid));
  }
}

function samplesBytes(samples: readonly Sample[]): Uint8Array {
  // JSON knows no bigint.
  return Buffer.from(
    JSON.stringify(samples, (_key, value: unknown) =>
      typeof value === 'bigint' ? { bigint: String(value) } : value,
    ),
  );
}

function readSamples(bytes: Uint8Array | undefined): readonly Sample[] {
  if (bytes === undefined) return [];
  const samples = JSON.parse(Buffer.from(bytes).toString()) as readonly (Omit<Sample, 'value'> & {
    readonly value: Sample['value'] | { readonly bigint: string };
  })[];
  return samples.map((sample) => {
    const { value } = sample;
    return { ...sample, value: typeof value === 'object' && value !== null ? BigInt(value.bigint) : value };
  });
}
