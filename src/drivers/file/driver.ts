/**
 * A bus whose driver is a file of the user's own. Whatever that does, it is this bus that suffers: values turn bad with
 * the reason, faults are counted, the thread is begun anew.
 */
import type { DeviceConfig, DriverFileBusConfig, PointConfig } from '../../config/schema.js';
import { makeScale } from '../../core/scale.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import type { Value } from '../../core/value.js';
import type { Driver, DriverContext } from '../driver.js';
import { type BusEvents, type Outcome, type Outcomes, PolledBus, type PolledSource } from '../polled-bus.js';
import { unscaled } from '../unscaled.js';
import { refuseWrite, type WriteResult } from '../write-result.js';
import { DriverThread } from './driver-thread.js';
import type { UserDevice } from './user-driver.js';

/** A text that a driver gives is a reading, no document. */
const TEXT_MAX = 64 * 1024;
const REASON_MAX = 200;
/** More than any field device says; a driver that loops is held to it, and what is beyond is counted. */
const PUBLISHES_PER_S_MAX = 1000;
const LINES_PER_S_MAX = 20;

/** @param bodyUrl of the thread, where it is not beside this file */
export async function openFileDriver(
  context: DriverContext,
  config: DriverFileBusConfig,
  bodyUrl?: URL,
): Promise<Driver> {
  const rules = { driver: config.driver, offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
  return new PolledBus(context, rules, new FileSource(context, config, bodyUrl));
}

export class FileSource implements PolledSource {
  readonly #context: DriverContext;
  readonly #thread: DriverThread;
  #events: BusEvents | undefined;
  readonly #publishes = new PerSecond(PUBLISHES_PER_S_MAX);
  readonly #lines = new PerSecond(LINES_PER_S_MAX);
  #failed = 0;

  constructor(context: DriverContext, config: DriverFileBusConfig, bodyUrl?: URL) {
    this.#context = context;
    const { bus, log } = context;
    this.#thread = new DriverThread({
      file: config.driver,
      ...(bodyUrl === undefined ? {} : { bodyUrl }),
      start: {
        name: bus,
        options: config.options,
        devices: Object.fromEntries([...context.devices].map(([name, device]) => [name, userDevice(device)])),
      },
      timeoutMs: config.timeout,
      memoryBytesMax: config.max_memory,
      clock: context.clock,
      onPublished: (device, values) => {
        if (this.#publishes.take(context.clock.monotonicMs())) this.#published(device, values);
        else this.#failed += 1;
      },
      onLog: (level, text) => {
        if (this.#lines.take(context.clock.monotonicMs())) log[level]({ bus, text }, 'Driver says');
      },
    });
  }

  attach(events: BusEvents): void {
    this.#events = events;
  }

  async open(): Promise<void> {
    await this.#thread.open();
  }

  async close(): Promise<void> {
    await this.#thread.stop();
  }

  fault(): string | undefined {
    return this.#thread.fault;
  }

  counts(): Pick<BusSnapshot, 'timeouts' | 'errors'> {
    return { timeouts: 0, errors: this.#failed + this.#thread.crashes };
  }

  async read(device: string, points: readonly string[]): Promise<Outcomes> {
    try {
      const outcomes = outcomesOf(await this.#thread.ask({ kind: 'read', device, points }), points);
      if ([...outcomes.values()].some((outcome) => 'bad' in outcome)) this.#failed += 1;
      return outcomes;
    } catch (fault) {
      this.#failed += 1;
      throw fault;
    }
  }

  async write(device: string, point: string, value: Value): Promise<WriteResult> {
    const config = this.#context.devices.get(device)?.points[point];
    if (config === undefined) return refuseWrite('unknown', `${device}/${point} is not on this bus`);
    const held = await this.#thread.ask({ kind: 'write', device, point, value: rawOf(value, config) });
    const outcome = outcomeOf(held);
    if (held === undefined || held === null || !('value' in outcome))
      return { ok: true, value, verified: false };
    this.#events?.tell(device, new Map([[point, outcome]]));
    const scaled = makeScale(config.scale, config.offset)?.(outcome.value) ?? outcome.value;
    return { ok: true, value: scaled, verified: true };
  }

  #published(device: string, values: unknown): void {
    const known = this.#context.devices.get(device)?.points;
    if (known === undefined || typeof values !== 'object' || values === null) {
      this.#failed += 1;
      return;
    }
    const names = Object.keys(values).filter((name) => Object.hasOwn(known, name));
    if (names.length > 0) this.#events?.tell(device, outcomesOf(values, names));
  }
}

const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/;

/** What the driver gets: numbers as its own readings are, before scaling; anything else as it was written. */
function rawOf(value: Value, config: PointConfig): Value {
  const ranged = 'min' in config ? config : undefined;
  const wantsNumber = [config.scale, config.offset, config.enum, ranged?.min, ranged?.max].some(
    (key) => key !== undefined,
  );
  if (typeof value === 'number' || typeof value === 'bigint' || wantsNumber) return unscaled(value, config);
  if (value === 'true' || value === 'false') return value === 'true';
  return typeof value === 'string' && NUMBER.test(value.trim()) ? unscaled(value, config) : value;
}

/** So many in each second, whatever comes. */
class PerSecond {
  readonly #max: number;
  #secondMs = 0;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  take(nowMs: number): boolean {
    if (nowMs - this.#secondMs >= 1000) [this.#secondMs, this.#taken] = [nowMs, 0];
    this.#taken += 1;
    return this.#taken <= this.#max;
  }
}

function userDevice({ options, points }: DeviceConfig): UserDevice {
  const made = Object.entries(points).map(([name, point]) => [name, userPoint(point)]);
  return { options, points: Object.fromEntries(made) };
}

function userPoint(point: PointConfig): UserDevice['points'][string] {
  return {
    options: 'options' in point ? point.options : undefined,
    writable: 'writable' in point && point.writable === true,
  };
}

function outcomesOf(values: unknown, points: readonly string[]): Outcomes {
  if (typeof values !== 'object' || values === null) {
    throw new Error('the driver gave back no object with values');
  }
  const of = values as Readonly<Record<string, unknown>>;
  return new Map(points.map((point) => [point, outcomeOf(Object.hasOwn(of, point) ? of[point] : undefined)]));
}

function outcomeOf(value: unknown): Outcome {
  switch (typeof value) {
    case 'boolean':
      return { value };
    case 'number':
      return Number.isFinite(value) ? { value } : { bad: 'not a number' };
    case 'bigint':
      return value > -(2n ** 63n) && value < 2n ** 64n ? { value } : { bad: 'out of range' };
    case 'string':
      return value.length <= TEXT_MAX ? { value } : { bad: 'text too long' };
    case 'object':
      if (value !== null && 'bad' in value) return { bad: String(value.bad).slice(0, REASON_MAX) };
  }
  return {
    bad: value === undefined ? 'no value' : `no value but ${value === null ? 'null' : `a ${typeof value}`}`,
  };
}
