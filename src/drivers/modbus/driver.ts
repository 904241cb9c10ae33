/**
 * The Modbus driver: one bus, its units, and as many requests under way as the bus takes (one on a serial line).
 *
 *   Schedule ──Task──▶ PollLoop ──▶ UnitReader (plan, ask, decode) ──▶ DeviceWatch ──▶ sink
 *                                        │   UnitWriter (write, read back) ──▶ WriteResult
 *                                        ▼        ▼
 *                                   Gate (who is next; what is urgent first) ──▶ Line (exchange over TCP or serial)
 *
 * TCP, RTU, ASCII and RTU over TCP differ in what `line-settings.ts` says; in nothing else.
 */

import { GodwitError, invariant } from '../../core/error.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import type { Value } from '../../core/value.js';
import { DeviceWatch } from '../device-watch.js';
import type { DeviceCounters, Driver, DriverContext } from '../driver.js';
import { type FrameListener, FrameTap } from '../frame-tap.js';
import { OutOfService } from '../out-of-service.js';
import { PollLoop } from '../poll-loop.js';
import type { RawReading } from '../raw-reading.js';
import { Schedule, type Task } from '../schedule.js';
import { refuseWrite, type WriteResult } from '../write-result.js';
import { Asker, type Wire } from './asker.js';
import { BusMeter } from './bus-meter.js';
import { findUnit, type ModbusCommissioning } from './commissioning.js';
import { Gate } from './gate.js';
import { Holes } from './holes.js';
import { Line, type LineSettings } from './line.js';
import { isModbusBus, lineSettings, type ModbusBusConfig } from './line-settings.js';
import { type ModbusPoint, modbusPoints } from './point.js';
import { limitsOf, type PlanLimits, strictest } from './read-plan.js';
import { UnitReader } from './unit-reader.js';
import { UnitWriter } from './unit-writer.js';

/** The unit of a device that names none: what most devices ship with. */
const UNIT_DEFAULT = 1;
const BROADCAST = 0;

interface Unit {
  readonly number: number;
  readonly points: readonly ModbusPoint[];
  readonly watch: DeviceWatch;
  readonly reader: UnitReader;
  readonly writer: UnitWriter;
}

export async function openModbusDriver(context: DriverContext): Promise<ModbusDriver> {
  const { config } = context;
  invariant(isModbusBus(config), `${config.driver} is a Modbus driver`);
  return new ModbusDriver(context, config, lineSettings(config, context.random));
}

export class ModbusDriver implements Driver {
  readonly name: string;
  readonly modbus: ModbusCommissioning;
  readonly #context: DriverContext;
  readonly #config: ModbusBusConfig;
  readonly #lines: readonly Line[];
  readonly #meter: BusMeter;
  readonly #gate: Gate<Wire>;
  readonly #tap: FrameTap;
  readonly #outOfService: OutOfService;
  readonly #schedule: Schedule;
  readonly #loop: PollLoop;
  readonly #units = new Map<string, Unit>();
  readonly #askers = new Map<number, Asker>();
  #writes = 0;
  #stopped = false;

  constructor(context: DriverContext, config: ModbusBusConfig, settings: LineSettings) {
    this.name = `bus ${context.bus}`;
    this.#context = context;
    this.#config = config;
    const { clock } = context;
    const lanes = config.driver === 'modbus-tcp' ? config.concurrency : 1;
    this.#meter = new BusMeter(lanes, clock.monotonicMs());
    this.#tap = new FrameTap(clock);
    this.#lines = Array.from({ length: lanes }, (_, index) => this.#line(settings, index));
    this.#gate = new Gate<Wire>(this.#lines);
    this.#outOfService = new OutOfService(context.keyValue, context.devices.keys());
    this.#addUnits();
    const rules = { offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
    const polled = [...this.#units].map(([device, unit]) => ({
      device,
      points: this.#isBroadcast(unit) ? [] : unit.points.map(({ name, pollMs }) => ({ point: name, pollMs })),
    }));
    this.#schedule = new Schedule(polled, rules, clock.monotonicMs());
    this.#loop = new PollLoop(clock, this.#schedule, (task) => this.#poll(task), {
      concurrency: lanes,
      groupOf: (device) => this.#units.get(device)?.number,
    });
    this.modbus = {
      find: (unit) => findUnit(unit, this.#asker(unit, [])),
      read: (unit, range) => this.#asker(unit, []).read(range, { retries: config.retries, urgent: true }),
    };
  }

  async start(): Promise<void> {
    for (const [device, { watch }] of this.#units) {
      if (!this.#outOfService.has(device)) continue;
      if (this.#schedule.has(device)) this.#schedule.suspend(device);
      watch.outOfService();
    }
    for (const line of this.#lines) line.start();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const line of this.#lines) line.stop();
    await this.#loop.stop();
  }

  snapshot(): BusSnapshot {
    // What the bus is: the best of its lines.
    const connections = this.#lines.map((line) => line.connection);
    const best =
      connections.find(({ state }) => state === 'up') ??
      connections.find(({ state }) => state === 'connecting') ??
      connections[0];
    const sum = (count: (line: Line) => number): number =>
      this.#lines.reduce((total, line) => total + count(line), 0);
    const lateness = this.#loop.lateness.snapshot();
    const nowMs = this.#context.clock.monotonicMs();
    return {
      driver: this.#config.driver,
      state: best?.state ?? 'down',
      ...(best?.reason === undefined ? {} : { reason: best.reason }),
      requests: sum((line) => line.requests),
      timeouts: sum((line) => line.timeouts),
      errors: sum((line) => line.errors),
      writes: this.#writes,
      echoes: sum((line) => line.echoes),
      busySeconds: Math.round(this.#meter.busyMs) / 1000,
      utilisation: Math.round(this.#meter.utilisation(nowMs) * 1000) / 1000,
      ...(lateness === undefined ? {} : { lateness }),
    };
  }

  counters(device: string): DeviceCounters {
    const watch = this.#units.get(device)?.watch;
    const skipped = this.#schedule.skipped(device);
    return { polls: watch?.polls ?? 0, failures: watch?.failures ?? 0, skipped };
  }

  async write(device: string, point: string, value: Value): Promise<WriteResult> {
    const unit = this.#units.get(device);
    if (unit === undefined)
      return refuseWrite('unknown', `there is no device ${device} on bus ${this.#context.bus}`);
    if (this.#outOfService.has(device)) return refuseWrite('out of service', `${device} is out of service`);
    if (this.#stopped) return refuseWrite('stopped', `bus ${this.#context.bus} is stopped`);
    await this.#settled();
    this.#writes += 1;
    return unit.writer.write(point, value);
  }

  async readRaw(device: string, points?: readonly string[]): Promise<readonly RawReading[]> {
    const unit = this.#units.get(device);
    if (unit === undefined) {
      throw new GodwitError('UNKNOWN_DEVICE', `there is no device ${device} on bus ${this.#context.bus}`, {
        device,
      });
    }
    await this.#settled();
    return unit.reader.readRaw(points ?? unit.points.map(({ name }) => name));
  }

  setInService(device: string, inService: boolean): void {
    const watch = this.#units.get(device)?.watch;
    if (watch === undefined || !this.#outOfService.set(device, inService)) return;
    const isPolled = this.#schedule.has(device);
    if (inService) {
      watch.inService();
      if (isPolled) this.#schedule.resume(device, this.#context.clock.monotonicMs());
      this.#loop.wake();
    } else {
      if (isPolled) this.#schedule.suspend(device);
      watch.outOfService();
    }
  }

  trace(listener: FrameListener): () => void {
    return this.#tap.listen(listener);
  }

  async #poll(task: Task): Promise<void> {
    await this.#settled();
    if (this.#stopped) return;
    const unit = this.#units.get(task.device);
    invariant(unit !== undefined, 'a scheduled device is on this bus');
    if (!this.#isUp) return this.#failed(task, unit, 'bus down');
    const result = await unit.reader.read(task.points, task.probe);
    // It may have been taken out of service while it was asked.
    if (this.#stopped || this.#outOfService.has(task.device)) return;
    if (result.kind === 'answered') {
      this.#schedule.answered(task.device, this.#context.clock.monotonicMs());
      unit.watch.answered(result.readings);
    } else if (result.kind === 'failed') this.#failed(task, unit, result.why);
  }

  #failed(task: Task, unit: Unit, reason: string): void {
    unit.watch.failed();
    if (!this.#schedule.failed(task.device, this.#context.clock.monotonicMs())) return;
    const { state, reason: busReason } = this.snapshot();
    unit.watch.offline(
      reason,
      state === 'down' && busReason !== undefined ? `bus down: ${busReason}` : reason,
    );
  }

  get #isUp(): boolean {
    return this.#lines.some((line) => line.isUp);
  }

  /** Resolves once it is known whether the bus can be used: one line is enough. */
  async #settled(): Promise<void> {
    while (!this.#isUp && !this.#stopped) {
      const connecting = this.#lines.filter((line) => line.connection.state === 'connecting');
      if (connecting.length === 0) return;
      await Promise.race(connecting.map((line) => line.connection.settled()));
    }
  }

  #line(settings: LineSettings, index: number): Line {
    const { bus, clock, log, random } = this.#context;
    // A device may take fewer connections than `concurrency` says; the first one tells of the bus.
    const tell = log.debug.bind(log);
    const quiet = { error: log.error.bind(log), warn: tell, info: tell, debug: tell };
    const around = { bus, clock, log: index === 0 ? log : quiet, random, tap: this.#tap };
    return new Line(settings, around, this.#meter, (isUp) => {
      const wasDown = !this.#lines.some((line, other) => other !== index && line.isUp);
      if (isUp && wasDown) this.#schedule.askNow(clock.monotonicMs());
      this.#gate.grant();
      if (isUp) this.#loop.wake();
    });
  }

  #addUnits(): void {
    const { bus, clock, devices, keyValue } = this.#context;
    const limits = new Map<number, PlanLimits[]>();
    for (const { unit = UNIT_DEFAULT, ...config } of devices.values()) {
      limits.set(unit, [...(limits.get(unit) ?? []), limitsOf(config)]);
    }
    for (const [device, config] of devices) {
      const number = config.unit ?? UNIT_DEFAULT;
      const points = modbusPoints(device, config);
      const asker = this.#asker(number, limits.get(number) ?? [], config.frame_gap);
      const watch = new DeviceWatch(
        device,
        points.map((point) => point.name),
        this.#context,
      );
      const reader = new UnitReader({
        points,
        asker,
        holes: new Holes(keyValue, `modbus/${bus}/${device}/cuts`, clock.monotonicMs()),
        watch,
        clock,
        limits: limitsOf(config),
        retries: this.#config.retries,
        offlineAfter: this.#config.offline_after,
        retryMaxMs: this.#config.retry_max,
      });
      const writer = new UnitWriter({ device, points, asker, retries: this.#config.retries });
      const unit = { number, points, watch, reader, writer };
      if (this.#isBroadcast(unit) && points.some((point) => point.config.writable !== true)) {
        throw new GodwitError(
          'CONFIG',
          `devices.${device}.unit is 0, the broadcast address: no unit answers it`,
          {
            device,
          },
        );
      }
      this.#units.set(device, unit);
    }
  }

  /** Two devices may be two views of one unit: what was asked for one may be answered to the other. */
  #asker(unit: number, limits: readonly PlanLimits[], gapMs = 0): Asker {
    const known = this.#askers.get(unit);
    if (known !== undefined) return known;
    const asker = new Asker({
      unit,
      gate: this.#gate,
      clock: this.#context.clock,
      tellsApart: this.#config.driver === 'modbus-tcp',
      limits: strictest(limits),
      gapMs,
    });
    this.#askers.set(unit, asker);
    return asker;
  }

  #isBroadcast({ number }: Pick<Unit, 'number'>): boolean {
    return number === BROADCAST && this.#config.driver !== 'modbus-tcp';
  }
}
