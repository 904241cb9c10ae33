/** What a driver needs around it, and a record of what it said. */

import { EventEmitter, once } from 'node:events';
import { busSchema, type DeviceConfig, deviceSchema } from '../../src/config/schema.js';
import { type Clock, SystemClock } from '../../src/core/clock.js';
import type { KeyValueDoor } from '../../src/core/key-value.js';
import type { Log } from '../../src/core/log.js';
import type { DeviceState, Reading } from '../../src/core/reading.js';
import type { DriverContext } from '../../src/drivers/driver.js';

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly sentence: string;
}

export class DriverBench {
  /** One entry for each call of the sink. */
  readonly polls: {
    readonly device: string;
    readonly readings: readonly Reading[];
    readonly atMs: number;
  }[] = [];
  readonly states: { readonly device: string; readonly state: DeviceState }[] = [];
  readonly lines: LogLine[] = [];
  readonly keyValue = new MemoryKeyValue();
  readonly context: DriverContext;
  /** What stamps carry as wall time; a test may count something else with it. */
  wallMs: () => number;
  readonly #changed = new EventEmitter();

  /** `bus` and `devices` as in the configuration file. */
  constructor(
    bus: object,
    devices: Readonly<Record<string, object>>,
    clock: Clock = new SystemClock(),
    seed = 1,
  ) {
    this.wallMs = () => clock.wallMs();
    const parsed = new Map<string, DeviceConfig>();
    for (const [name, device] of Object.entries(devices)) {
      parsed.set(name, deviceSchema.parse({ bus: 'test', ...device }));
    }
    this.context = {
      bus: 'test',
      config: busSchema.parse(bus),
      devices: parsed,
      clock,
      sink: {
        readings: (device, readings) => {
          this.polls.push({ device, readings, atMs: clock.monotonicMs() });
          this.#changed.emit('change');
        },
        device: (device, state) => {
          this.states.push({ device, state });
          this.#changed.emit('change');
        },
      },
      stamp: () => ({
        wallMs: this.wallMs(),
        monotonicMs: clock.monotonicMs(),
        bootId: 'test',
        trusted: true,
      }),
      log: this.#log(),
      keyValue: this.keyValue,
      random: seeded(seed),
    };
  }

  /** All readings of a point so far: its values, or the reasons why it was bad. */
  seen(device: string, point: string): (Reading['value'] | { readonly bad: string | undefined })[] {
    return this.readings(device, point).map(({ quality, reason, value }) =>
      quality === 'good' ? value : { bad: reason },
    );
  }

  readings(device: string, point: string): Reading[] {
    return this.polls
      .filter((poll) => poll.device === device)
      .flatMap((poll) => poll.readings.filter((reading) => reading.point === point));
  }

  statesOf(device: string): DeviceState['state'][] {
    return this.states.filter((entry) => entry.device === device).map((entry) => entry.state.state);
  }

  sentences(level: LogLine['level']): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.sentence);
  }

  /** Resolves once `condition` holds; it is asked again after each thing the driver says. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changed, 'change');
  }

  #log(): Log {
    const keep =
      (level: LogLine['level']) =>
      (fields: object, sentence: string): void => {
        this.lines.push({ level, fields: { ...fields }, sentence });
        this.#changed.emit('change');
      };
    return { error: keep('error'), warn: keep('warn'), info: keep('info'), debug: keep('debug') };
  }
}

export class MemoryKeyValue implements KeyValueDoor {
  readonly #pairs = new Map<string, Uint8Array>();

  get(key: string): Uint8Array | undefined {
    return this.#pairs.get(key);
  }

  put(key: string, value: Uint8Array): void {
    this.#pairs.set(key, value);
  }

  remove(key: string): void {
    this.#pairs.delete(key);
  }

  entries(): Iterable<readonly [key: string, value: Uint8Array]> {
    return this.#pairs.entries();
  }
}

/** Numbers in [0, 1) that are the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
