/**
 * The Modbus driver: one bus, one request under way, several units.
 *
 *   Schedule ──Task──▶ PollLoop ──▶ UnitReader (plan, ask, decode) ──▶ DeviceWatch ──▶ sink
 *                                        └──▶ Line (exchange over TCP or serial)
 *
 * TCP and RTU differ in the stream, the framing and whether replies carry an identifier; in nothing else.
 */

import type { BusConfig } from '../../config/schema.js';
import { GodwitError, invariant } from '../../core/error.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import { DeviceWatch } from '../device-watch.js';
import type { DeviceCounters, Driver, DriverContext } from '../driver.js';
import { PollLoop } from '../poll-loop.js';
import type { RawReading } from '../raw-reading.js';
import { Schedule, type Task } from '../schedule.js';
import { serialStream } from '../serial-stream.js';
import { tcpStream } from '../tcp-stream.js';
import { refuseWrite, type WriteResult } from '../write-result.js';
import { Asker } from './asker.js';
import { Holes } from './holes.js';
import { Line, type LineSettings } from './line.js';
import { type ModbusPoint, modbusPoints } from './point.js';
import { RtuExchange } from './rtu-frame.js';
import { TcpExchange } from './tcp-frame.js';
import { UnitReader } from './unit-reader.js';

type ModbusConfig = Extract<BusConfig, { readonly driver: `modbus-${string}` }>;
type RtuConfig = Extract<BusConfig, { readonly driver: 'modbus-rtu' }>;

/** The unit of a device that names none: what most devices ship with. */
const UNIT_DEFAULT = 1;
/** On opening, whatever an earlier owner of the line had asked for is let pass; no longer, for a quick start. */
const SETTLE_MS_MAX = 500;

/** A new connection costs a TCP server nothing; opening a port anew keeps a serial bus waiting. */
const TCP_SILENCES_MAX = 3;
const SERIAL_SILENCES_MAX = 20;

interface Unit {
  readonly watch: DeviceWatch;
  readonly reader: UnitReader;
}

export async function openModbusDriver(context: DriverContext): Promise<Driver> {
  const { config } = context;
  if (config.driver !== 'modbus-tcp' && config.driver !== 'modbus-rtu') {
    throw new Error(`invariant broken: ${config.driver} is a Modbus driver`);
  }
  return new ModbusDriver(context, config, lineSettings(config, context.random));
}

export class ModbusDriver implements Driver {
  readonly name: string;
  readonly #context: DriverContext;
  readonly #config: ModbusConfig;
  readonly #line: Line;
  readonly #schedule: Schedule;
  readonly #loop: PollLoop;
  readonly #units = new Map<string, Unit>();
  #stopped = false;

  constructor(context: DriverContext, config: ModbusConfig, settings: LineSettings) {
    this.name = `bus ${context.bus}`;
    this.#context = context;
    this.#config = config;
    const nowMs = context.clock.monotonicMs();
    const tellsApart = config.driver === 'modbus-tcp';
    this.#line = new Line(settings, context, () => this.#up());

    const scheduled: { device: string; points: { point: string; pollMs: number }[] }[] = [];
    const askers = new Map<number, Asker>();
    for (const [device, deviceConfig] of context.devices) {
      const unit = deviceConfig.unit ?? UNIT_DEFAULT;
      if (unit === 0 && !tellsApart) {
        throw new GodwitError(
          'CONFIG',
          `devices.${device}.unit is 0, the broadcast address: no unit answers it`,
          {
            device,
          },
        );
      }
      // Two devices may be two views of one unit: what was asked for one may be answered to the other.
      const asker = askers.get(unit) ?? new Asker(unit, this.#line, context.clock, tellsApart);
      askers.set(unit, asker);
      const points = modbusPoints(device, deviceConfig);
      this.#units.set(device, this.#unit(device, points, asker));
      scheduled.push({ device, points: points.map(({ name, pollMs }) => ({ point: name, pollMs })) });
    }
    const rules = { offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
    this.#schedule = new Schedule(scheduled, rules, nowMs);
    this.#loop = new PollLoop(context.clock, this.#schedule, (task) => this.#poll(task));
  }

  async start(): Promise<void> {
    this.#line.start();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#line.stop();
    await this.#loop.stop();
  }

  snapshot(): BusSnapshot {
    const { state, reason } = this.#line.connection;
    const counts = this.#line.counts();
    const { driver } = this.#config;
    return reason === undefined ? { driver, state, ...counts } : { driver, state, reason, ...counts };
  }

  counters(device: string): DeviceCounters {
    const watch = this.#units.get(device)?.watch;
    const skipped = this.#schedule.skipped(device);
    return { polls: watch?.polls ?? 0, failures: watch?.failures ?? 0, skipped };
  }

  async write(device: string, point: string): Promise<WriteResult> {
    return refuseWrite('not writable', `${device}/${point} is not writable`);
  }

  async readRaw(): Promise<readonly RawReading[]> {
    return [];
  }

  setInService(): void {
    return;
  }

  async #poll(task: Task): Promise<void> {
    await this.#line.connection.settled();
    if (this.#stopped) return;
    const unit = this.#units.get(task.device);
    invariant(unit !== undefined, 'a scheduled device is on this bus');
    if (this.#line.connection.state !== 'up') return this.#failed(task, unit, 'bus down');
    const result = await unit.reader.read(task.points, task.probe);
    if (this.#stopped) return;
    if (result.kind === 'answered') {
      this.#schedule.answered(task.device, this.#context.clock.monotonicMs());
      unit.watch.answered(result.readings);
    } else if (result.kind === 'failed') this.#failed(task, unit, result.why);
  }

  #failed(task: Task, unit: Unit, reason: string): void {
    unit.watch.failed();
    if (!this.#schedule.failed(task.device, this.#context.clock.monotonicMs())) return;
    const { state, reason: busReason } = this.#line.connection;
    unit.watch.offline(
      reason,
      state === 'down' && busReason !== undefined ? `bus down: ${busReason}` : reason,
    );
  }

  #up(): void {
    this.#schedule.askNow(this.#context.clock.monotonicMs());
    this.#loop.wake();
  }

  #unit(device: string, points: readonly ModbusPoint[], asker: Asker): Unit {
    const context = this.#context;
    const nowMs = context.clock.monotonicMs();
    const watch = new DeviceWatch(
      device,
      points.map((point) => point.name),
      context,
    );
    const reader = new UnitReader({
      points,
      asker,
      holes: new Holes(context.keyValue, `modbus/${context.bus}/${device}/cuts`, nowMs),
      watch,
      clock: context.clock,
      retries: this.#config.retries,
      offlineAfter: this.#config.offline_after,
      retryMaxMs: this.#config.retry_max,
    });
    return { watch, reader };
  }
}

export function lineSettings(config: ModbusConfig, random: () => number): LineSettings {
  if (config.driver === 'modbus-tcp') {
    return {
      open: tcpStream(config.host, config.port),
      exchange: () => new TcpExchange(config.timeout, Math.floor(random() * 0x1_0000)),
      silencesMax: TCP_SILENCES_MAX,
    };
  }
  const characterMs = msPerCharacter(config);
  return {
    open: serialStream({
      path: config.path,
      baudRate: config.baud_rate,
      parity: config.parity,
      dataBits: config.data_bits,
      stopBits: config.stop_bits,
    }),
    exchange: (nowMs) => {
      const times = {
        timeoutMs: config.timeout,
        gapMs: config.frame_gap ?? frameGapMs(config),
        characterMs,
      };
      return new RtuExchange(times, nowMs + Math.min(config.timeout, SETTLE_MS_MAX));
    },
    silencesMax: SERIAL_SILENCES_MAX,
  };
}

/** 3.5 characters; above 19200 baud the specification fixes 1.75 ms. */
export function frameGapMs(config: RtuConfig): number {
  return config.baud_rate > 19_200 ? 1.75 : 3.5 * msPerCharacter(config);
}

/** A start bit, the data, parity where there is one, the stop bits. */
function msPerCharacter(config: RtuConfig): number {
  const bits = 1 + config.data_bits + (config.parity === 'none' ? 0 : 1) + config.stop_bits;
  return (bits * 1000) / config.baud_rate;
}
