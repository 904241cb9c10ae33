/**
 * Devices that are not there: for the demo and for trying out a configuration. A poll that drops out is a poll
 * without an answer, so devices go offline and return exactly as real ones do.
 */

import type { PointConfig, SimulatorPointConfig } from '../../config/schema.js';
import { GodwitError, invariant } from '../../core/error.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import type { Value } from '../../core/value.js';
import { DeviceWatch } from '../device-watch.js';
import type { DeviceCounters, Driver, DriverContext } from '../driver.js';
import { heldBoolean, heldNumber, worth } from '../meaning.js';
import { OutOfService } from '../out-of-service.js';
import { PollLoop } from '../poll-loop.js';
import type { RawReading } from '../raw-reading.js';
import { Schedule, type Task } from '../schedule.js';
import { refuseWrite, UnfitValue, type WriteResult } from '../write-result.js';
import { Wave } from './wave.js';

/** As a Modbus bus has them by default; a simulated device is asked more often, so that its return can be watched. */
const BACK_OFF = { offlineAfter: 3, retryMaxMs: 10_000 };

interface SimulatedPoint {
  readonly config: SimulatorPointConfig;
  readonly wave: Wave;
  /** In the place of the wave. */
  written: number | boolean | undefined;
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
        simulated.set(name, { config: point, wave: new Wave(simulate, context.random), written: undefined });
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

  /** What is written stays, as a setpoint does. */
  async write(device: string, point: string, value: Value): Promise<WriteResult> {
    const simulated = this.#devices.get(device)?.points.get(point);
    if (simulated === undefined) {
      return refuseWrite('unknown', `${device}/${point} is not on bus ${this.#context.bus}`);
    }
    const { config } = simulated;
    if (!config.writable) return refuseWrite('not writable', `${device}/${point} is not writable`);
    if (this.#outOfService.has(device)) return refuseWrite('out of service', `${device} is out of service`);
    try {
      const held =
        config.simulate.type === 'boolean' ? heldBoolean(config, value) : Number(heldNumber(config, value));
      simulated.written = held;
      return { ok: true, value: worth(config, held), verified: true };
    } catch (fault) {
      if (fault instanceof UnfitValue) return refuseWrite(fault.fault, fault.message);
      throw fault;
    }
  }

  async readRaw(device: string, points?: readonly string[]): Promise<readonly RawReading[]> {
    const simulated = this.#devices.get(device)?.points ?? new Map<string, SimulatedPoint>();
    return (points ?? [...simulated.keys()]).map((name) => {
      const point = simulated.get(name);
      if (point === undefined)
        return { point: name, source: 'simulated', value: null, quality: 'bad', reason: 'unknown' };
      const { unit } = point.config;
      return {
        point: name,
        source: 'simulated',
        ...(unit === undefined ? {} : { unit }),
        value: worth(point.config, this.#held(point)),
        quality: 'good',
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
      const point = points.get(name);
      return point === undefined ? [] : [watch.good(name, this.#held(point))];
    });
    watch.answered(readings);
  }

  #held({ wave, written }: SimulatedPoint): number | boolean {
    return written ?? wave.at(this.#context.clock.monotonicMs() - this.#startMs);
  }

  #dropsOut(task: Task, points: ReadonlyMap<string, SimulatedPoint>): boolean {
    let dropout = 0;
    for (const name of task.points)
      dropout = Math.max(dropout, points.get(name)?.config.simulate.dropout ?? 0);
    return dropout > 0 && this.#context.random() < dropout;
  }
}

function isSimulated(point: PointConfig): point is SimulatorPointConfig {
  return 'simulate' in point;
}
