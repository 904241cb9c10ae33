/** A mapper whose state lasts in a table of its own, read and ticked by a test. */
import { type Config, configSchema } from '../../../src/config/schema.js';
import type { KeyValueDoor } from '../../../src/core/key-value.js';
import type { Reading } from '../../../src/core/reading.js';
import type { SampleSet } from '../../../src/core/sample.js';
import type { Stamp } from '../../../src/core/stamp.js';
import type { Value } from '../../../src/core/value.js';
import { encodePayload } from '../../../src/mapping/payload.js';
import { Mapper } from '../../../src/mapping/rule-mapper.js';

/** A whole minute of the clock. */
export const MINUTE = Date.UTC(2026, 10, 20, 12, 0, 0);

export class Bench {
  readonly pairs = new Map<string, Uint8Array>();
  readonly #config: Config;
  mapper: Mapper;
  /** Wall minus monotonic. */
  wallOffsetMs = MINUTE;
  bootId = 'boot';

  constructor(config: { devices?: object; mappings?: readonly object[]; alarms?: object; derived?: object }) {
    this.#config = configSchema.parse({
      gateway: { id: 'g' },
      buses: { s: { driver: 'simulator' } },
      ...config,
    });
    this.mapper = this.#make();
  }

  /** The process ends without a word, and another begins; what it tells at once comes back. */
  restart(atMs: number): string[] {
    this.mapper = this.#make();
    return shown(this.mapper.begin(this.stamp(atMs)));
  }

  read(values: Readonly<Record<string, Value | null>>, atMs: number): string[] {
    const told = this.ticks(atMs);
    const readings = Object.entries(values).map(([point, value]): Reading => {
      const common = { device: 'd', point, stamp: this.stamp(atMs) };
      if (value === null) return { ...common, value, quality: 'bad', reason: 'timeout' };
      return { ...common, value, quality: 'good' };
    });
    return [...told, ...shown(this.mapper.readings('d', readings, atMs))];
  }

  /** Calls `tick` whenever it is due. */
  ticks(untilMs: number): string[] {
    const told: string[] = [];
    while (this.mapper.deadlineMs <= untilMs)
      told.push(...shown(this.mapper.tick(this.stamp(this.mapper.deadlineMs))));
    return told;
  }

  stamp(atMs: number): Stamp {
    return { wallMs: this.wallOffsetMs + atMs, monotonicMs: atMs, bootId: this.bootId, trusted: true };
  }

  #make(): Mapper {
    const { pairs } = this;
    const keyValue: KeyValueDoor = {
      get: (key) => pairs.get(key),
      put: (key, value) => void pairs.set(key, new Uint8Array(value)),
      remove: (key) => void pairs.delete(key),
      entries: () => pairs.entries(),
    };
    return new Mapper({ gatewayId: 'g', tags: {}, ...this.#config, keyValue });
  }
}

/** Times as seconds since the whole minute. */
function shown(sets: readonly SampleSet[]): string[] {
  return sets.map((set) => {
    const payload = Buffer.from(encodePayload(set)).toString();
    return `${set.topic} ${payload.replace(/"(ts|since)":(\d+)/g, (_, key, ms) => `"${key}":${(Number(ms) - MINUTE) / 1000}`)}`;
  });
}
