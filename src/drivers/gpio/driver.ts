/**
 * Lines of the header and of other chips: inputs that are told with each edge, outputs, pulse counters, frequency.
 *
 *   GpioBackend (sysfs, chardev) ─edge─▶ GpioLine ──▶ tell         polls read the level and the totals
 *
 * A line that cannot be had is bad with its reason and is tried again; the others work on.
 */
import type { GpioBusConfig, GpioPointConfig } from '../../config/schema.js';
import type { Timer } from '../../core/clock.js';
import { GodwitError, reasonOf } from '../../core/error.js';
import { makeScale } from '../../core/scale.js';
import type { Value } from '../../core/value.js';
import type { Driver, DriverContext } from '../driver.js';
import { type BusEvents, type Outcome, type Outcomes, PolledBus, type PolledSource } from '../polled-bus.js';
import { unscaled } from '../unscaled.js';
import { refuseWrite, UnfitValue, type WriteResult } from '../write-result.js';
import { asBoolean } from '../written-value.js';
import { ChardevBackend } from './chardev-port.js';
import { chooseBackend } from './choose-backend.js';
import { GpioLine, type LinePoint } from './gpio-line.js';
import type { GpioBackend } from './gpio-port.js';
import { PulseTotal } from './pulse-total.js';
import { SysfsBackend } from './sysfs-port.js';
import { SystemTools } from './tool-process.js';

/** A line that could not be opened, or was lost, is tried again after so long. */
const REOPEN_MS = 10_000;

export async function openGpioDriver(context: DriverContext, config: GpioBusConfig): Promise<Driver> {
  return gpioBus(context, config, () => backendFor(context, config));
}

export function gpioBus(
  context: DriverContext,
  config: GpioBusConfig,
  backend: () => GpioBackend,
): PolledBus {
  const rules = { driver: 'gpio', offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
  return new PolledBus(context, rules, new GpioSource(context, backend));
}

/** Throws a sentence where this machine offers no way. */
function backendFor(context: DriverContext, config: GpioBusConfig): GpioBackend {
  const { bus, clock, log } = context;
  const tools = new SystemTools();
  const wantsPull = [...context.devices.values()].some(({ points }) =>
    Object.values(points).some((point) => 'gpio' in point && point.pull !== undefined),
  );
  const choice = chooseBackend({ backend: config.backend, root: config.root, wantsPull }, tools);
  if (choice.kind === 'none') throw new GodwitError('BUS_DOWN', choice.why, { bus });
  log.info({ bus, backend: choice.kind, reason: choice.why }, 'GPIO lines are reached');
  if (choice.but !== undefined)
    log.warn({ bus, reason: choice.but }, 'GPIO pull resistors are left as they are');
  return choice.kind === 'sysfs' ? new SysfsBackend(config.root, clock) : new ChardevBackend(tools, clock);
}

export class GpioSource implements PolledSource {
  readonly #context: DriverContext;
  readonly #makeBackend: () => GpioBackend;
  readonly #lines: readonly GpioLine[];
  readonly #byPoint = new Map<string, { readonly line: GpioLine; readonly point: LinePoint }>();
  #backend: GpioBackend | undefined;
  #events: BusEvents | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(context: DriverContext, backend: () => GpioBackend) {
    this.#context = context;
    this.#makeBackend = backend;
    const lines = new Map<string, LinePoint[]>();
    for (const [device, { points }] of context.devices) {
      for (const [name, config] of Object.entries(points)) {
        if (!('gpio' in config)) {
          throw new GodwitError('CONFIG', `devices.${device}.points.${name} has no gpio`, { device });
        }
        const key = JSON.stringify(config.gpio);
        lines.set(key, [...(lines.get(key) ?? []), this.#point(device, name, config)]);
      }
    }
    this.#lines = [...lines.values()].map((points) => new GpioLine(points));
    for (const line of this.#lines) {
      for (const point of line.points) this.#byPoint.set(`${point.device}/${point.name}`, { line, point });
    }
  }

  attach(events: BusEvents): void {
    this.#events = events;
  }

  async open(): Promise<void> {
    this.#backend ??= this.#makeBackend();
    for (const line of this.#lines) {
      if (this.#closed) return;
      if (line.port === undefined) await this.#openLine(line);
      // Opening a line can hold the loop for a tenth of a second; others get their turn in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const { bus, log } = this.#context;
    for (const line of this.#lines) {
      const { port } = line;
      const [point] = line.points;
      line.closed('stopped');
      try {
        if (port !== undefined && point?.config.safe !== undefined) {
          await port.write(point.config.safe !== point.config.active_low);
        }
        await port?.close();
      } catch (fault) {
        log.warn(
          { bus, device: point?.device, point: point?.name, reason: reasonOf(fault) },
          'GPIO line did not close cleanly',
        );
      }
    }
  }

  async read(device: string, names: readonly string[]): Promise<Outcomes> {
    const outcomes = new Map<string, Outcome>();
    const nowMs = this.#context.clock.monotonicMs();
    for (const name of names) {
      const found = this.#byPoint.get(`${device}/${name}`);
      if (found === undefined) continue;
      const { line, point } = found;
      if (line.port === undefined && nowMs >= line.retryAtMs) await this.#openLine(line);
      outcomes.set(name, await this.#value(line, point));
    }
    this.#arm();
    return outcomes;
  }

  async write(device: string, name: string, value: Value): Promise<WriteResult> {
    const found = this.#byPoint.get(`${device}/${name}`);
    if (found === undefined) return refuseWrite('unknown', `${device}/${name} is no GPIO point`);
    const { line, point } = found;
    if (point.total !== undefined) return this.#setTotal(point, point.total, value);
    const wanted = asBoolean(value);
    if (line.port === undefined) return refuseWrite('bus down', `${device}/${name}: ${line.fault}`);
    const { active_low, invert = false } = point.config;
    const logical = wanted !== invert;
    await line.port.write(logical !== active_low);
    const held = (await line.port.read()) !== active_low;
    this.#events?.tell(device, new Map([[name, { value: held }]]));
    if (held === logical) return { ok: true, value: wanted, verified: true };
    return {
      ok: false,
      fault: 'mismatch',
      error: `${device}/${name} reads back ${held !== invert} after the write; something else drives the line`,
      value: held !== invert,
    };
  }

  /** The total is set to what the meter's dial says. */
  #setTotal(point: LinePoint, total: PulseTotal, value: Value): WriteResult {
    const pulses = Math.round(Number(unscaled(value, point.config)));
    if (!Number.isSafeInteger(pulses) || pulses < 0) {
      throw new UnfitValue('out of range', `${String(value)} is no total of this counter, allowed: from 0`);
    }
    total.set(pulses);
    this.#events?.tell(point.device, new Map([[point.name, { value: pulses }]]));
    const { scale, offset } = point.config;
    return { ok: true, value: makeScale(scale, offset)?.(pulses) ?? pulses, verified: true };
  }

  #point(device: string, name: string, config: GpioPointConfig): LinePoint {
    if (config.count === undefined) return { device, name, config };
    return { device, name, config, total: new PulseTotal(this.#context.keyValue, device, name) };
  }

  async #value(line: GpioLine, point: LinePoint): Promise<Outcome> {
    // A total is what it is, also while the line is lost: but it must not look as if it counted.
    const { port } = line;
    if (port === undefined) return { bad: line.fault ?? 'not open' };
    try {
      return line.value(point, await port.read(), this.#context.clock.monotonicMs());
    } catch (fault) {
      return { bad: reasonOf(fault) };
    }
  }

  async #openLine(line: GpioLine): Promise<void> {
    const { clock } = this.#context;
    const backend = this.#backend;
    if (backend === undefined) return;
    line.retryAtMs = clock.monotonicMs() + REOPEN_MS;
    try {
      const port = await backend.open(line.request, {
        onEdge: (high, atMs) => this.#edge(line, high, atMs),
        onLost: (why) => this.#lost(line, why),
      });
      if (this.#closed) await port.close();
      else line.opened(port, await port.read());
    } catch (fault) {
      line.closed(reasonOf(fault));
    }
  }

  #lost(line: GpioLine, why: string): void {
    const { port } = line;
    line.closed(why);
    line.retryAtMs = this.#context.clock.monotonicMs() + REOPEN_MS;
    void port?.close().catch(() => undefined);
    this.#tell(line.points.map((point) => [point, { bad: why }]));
  }

  #edge(line: GpioLine, high: boolean, atMs: number): void {
    this.#tell(line.edge(high, atMs));
    this.#arm();
  }

  #tell(changes: readonly (readonly [LinePoint, Outcome])[]): void {
    for (const [{ device, name }, outcome] of changes) this.#events?.tell(device, new Map([[name, outcome]]));
  }

  #arm(): void {
    this.#timer?.cancel();
    const atMs = Math.min(...this.#lines.map((line) => line.deadlineMs), Infinity);
    if (atMs === Infinity || this.#closed) return;
    this.#timer = this.#context.clock.at(atMs, () => {
      const nowMs = this.#context.clock.monotonicMs();
      for (const line of this.#lines) this.#tell(line.tick(nowMs));
      this.#arm();
    });
  }
}
