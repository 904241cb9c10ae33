/**
 * Devices that are not there: for the demo and for trying out a configuration. A poll that drops out is a poll
 * without an answer, so devices go offline and return exactly as real ones do.
 */

import type { PointConfig, SimulatorPointConfig } from '../../config/schema.js';
import { GodwitError, invariant } from '../../core/error.js';
import { makeScale } from '../../core/scale.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import { DeviceWatch } from '../device-watch.js';
import type { DeviceCounters, Driver, DriverContext } from '../driver.js';
import { OutOfService } from '../out-of-service.js';
import { PollLoop } from '../poll-loop.js';
import type { RawReading } from '../raw-reading.js';
import { Schedule, type Task } from '../schedule.js';
import { refuseWrite, type WriteResult } from '../write-result.js';
import { Wave } from './wave.js';

/** As a Modbus bus has them by default; a simulated device is asked more often, so that its return can be watched. */
const BACK_OFF = { offlineAfter: 3, retryMaxMs: 10_000 };

interface SimulatedPoint {
  readonly wave: Wave;
  readonly dropout: number;
}

interface SimulatedDevice {
  readonly watch: DeviceWatch;
  readonly points: ReadonlyMap<string, SimulatedPoint>;
}

export async function openSimulator(context: DriverContext): Promise<Driver> {
  return new Simulator(context);
}

export class Simulator implements Driver {
  readonly name: string;
  readonly #context: DriverContext;
  readonly #schedule: Schedule;
  readonly #loop: PollLoop;
  readonly #devices = new Map<string, SimulatedDevice>();
  readonly #startMs: number;
  readonly #outOfService: OutOfService;
  #state: BusSnapshot['state'] = 'connecting';
  #requests = 0;
  #timeouts = 0;

  constructor(context: DriverContext) {
    this.name = `bus ${context.bus}`;
    this.#context = context;
    this.#startMs = context.clock.monotonicMs();
    this.#outOfService = new OutOfService(context.keyValue, context.devices.keys());
    const scheduled = [...context.devices].map(([device, { poll, points }]) => {
      const names = Object.keys(points);
      const simulated = new Map<string, SimulatedPoint>();
      for (const [name, point] of Object.entries(points)) {
        if (!isSimulated(point)) {
          throw new GodwitError('CONFIG', `devices.${device}.points.${name} has nothing to simulate`, {
            device,
          });
        }
        const { simulate } = point;
        simulated.set(name, { wave: new Wave(simulate, context.random), dropout: simulate.dropout });
      }
      this.#devices.set(device, { watch: new DeviceWatch(device, names, context), points: simulated });
      return { device, points: names.map((point) => ({ point, pollMs: points[point]?.poll ?? poll })) };
    });
    this.#schedule = new Schedule(scheduled, BACK_OFF, this.#startMs);
    this.#loop = new PollLoop(context.clock, this.#schedule, async (task) => this.#poll(task));
  }

  async start(): Promise<void> {
    this.#state = 'up';
    for (const [device, { watch }] of this.#devices) {
      if (!this.#outOfService.has(device)) continue;
      if (this.#schedule.has(device)) this.#schedule.suspend(device);
      watch.outOfService();
    }
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  snapshot(): BusSnapshot {
    return {
      driver: 'simulator',
      state: this.#state,
      requests: this.#requests,
      timeouts: this.#timeouts,
      errors: 0,
    };
  }

  counters(device: string): DeviceCounters {
    const watch = this.#devices.get(device)?.watch;
    const skipped = this.#schedule.skipped(device);
    return { polls: watch?.polls ?? 0, failures: watch?.failures ?? 0, skipped };
  }

  async write(device: string, point: string): Promise<WriteResult> {
    if (this.#devices.get(device)?.points.has(point) !== true) {
      return refuseWrite('unknown', `${device}/${point} is not on bus ${this.#context.bus}`);
    }
    return refuseWrite('not writable', `${device}/${point} is simulated, and so it cannot be written`);
  }

  async readRaw(device: string, points?: readonly string[]): Promise<readonly RawReading[]> {
    const simulated = this.#devices.get(device)?.points ?? new Map<string, SimulatedPoint>();
    const config = this.#context.devices.get(device)?.points ?? {};
    const afterMs = this.#context.clock.monotonicMs() - this.#startMs;
    return (points ?? [...simulated.keys()]).map((point) => {
      const value = simulated.get(point)?.wave.at(afterMs);
      const { scale, offset, unit } = config[point] ?? {};
      return {
        point,
        source: 'simulated',
        ...(unit === undefined ? {} : { unit }),
        ...(value === undefined
          ? { value: null, quality: 'bad', reason: 'unknown' }
          : { value: makeScale(scale, offset)?.(value) ?? value, quality: 'good' }),
      };
    });
  }

  setInService(device: string, inService: boolean): void {
    const watch = this.#devices.get(device)?.watch;
    if (watch === undefined || !this.#outOfService.set(device, inService)) return;
    if (inService) {
      watch.inService();
      if (this.#schedule.has(device)) this.#schedule.resume(device, this.#context.clock.monotonicMs());
      this.#loop.wake();
    } else {
      if (this.#schedule.has(device)) this.#schedule.suspend(device);
      watch.outOfService();
    }
  }

  #poll(task: Task): void {
    const device = this.#devices.get(task.device);
    invariant(device !== undefined, 'a scheduled device is simulated');
    const { watch, points } = device;
    const nowMs = this.#context.clock.monotonicMs();
    this.#requests += 1;
    if (this.#dropsOut(task, points)) {
      this.#timeouts += 1;
      watch.failed();
      if (this.#schedule.failed(task.device, nowMs)) watch.offline('timeout');
      return;
    }
    this.#schedule.answered(task.device, nowMs);
    const readings = task.points.flatMap((name) => {
      const value = points.get(name)?.wave.at(nowMs - this.#startMs);
      return value === undefined ? [] : [watch.good(name, value)];
    });
    watch.answered(readings);
  }

  #dropsOut(task: Task, points: ReadonlyMap<string, SimulatedPoint>): boolean {
    let dropout = 0;
    for (const name of task.points) dropout = Math.max(dropout, points.get(name)?.dropout ?? 0);
    return dropout > 0 && this.#context.random() < dropout;
  }
}

function isSimulated(point: PointConfig): point is SimulatorPointConfig {
  return 'simulate' in point;
}
