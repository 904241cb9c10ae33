/**
 * A bus whose devices are read one after the other, whatever it is that is read: files of the kernel, lines of a
 * header, a driver of the user's own. The shell that all of them share.
 *
 *   Schedule ──Task──▶ PollLoop ──▶ PolledSource.read ──▶ DeviceWatch ──▶ sink
 *   commands ──▶ write ──▶ PolledSource.write                 events ──▶ tell ──▶ sink
 *
 * A poll without one good value is a failed poll. One thing is asked at a time, and a stop waits for none of them.
 */
import { sourceOf } from '../config/point-source.js';
import type { PointConfig } from '../config/schema.js';
import { invariant, reasonOf } from '../core/error.js';
import type { Reading } from '../core/reading.js';
import { makeScale } from '../core/scale.js';
import type { BusSnapshot } from '../core/snapshot.js';
import type { Value } from '../core/value.js';
import { DeviceWatch } from './device-watch.js';
import type { DeviceCounters, Driver, DriverContext } from './driver.js';
import type { FrameListener } from './frame-tap.js';
import { OutOfService } from './out-of-service.js';
import { PollLoop } from './poll-loop.js';
import type { RawReading } from './raw-reading.js';
import { Schedule, type Task } from './schedule.js';
import { refuseWrite, UnfitValue, type WriteResult } from './write-result.js';

/** What one point was found to be: a value before scaling, or why there is none. */
export type Outcome =
  | { readonly value: Value; readonly raw?: Uint8Array }
  | BadOutcome
  /** Nothing new from a point that its device tells by itself. */
  | { readonly quiet: true };

export interface BadOutcome {
  readonly bad: string;
  /** It has been so for as long as a device may be silent. */
  readonly lasting?: boolean;
}

export type Outcomes = ReadonlyMap<string, Outcome>;

/** What a source may tell without being asked. */
export interface BusEvents {
  /** What a device said by itself, between polls. */
  tell(device: string, outcomes: Outcomes): void;
  /** The bus is usable again: devices that are offline are asked at once. */
  wake(): void;
}

export interface PolledSource {
  /** Once, before anything else. */
  attach?(events: BusEvents): void;
  /** Before the first read, and again after it failed: then the bus is down, and its devices with it. */
  open?(): Promise<void>;
  close?(): Promise<void>;
  /** Rejecting is as good as every point being bad for that reason. */
  read(device: string, points: readonly string[]): Promise<Outcomes>;
  /** Throws an UnfitValue before anything is touched. */
  write?(device: string, point: string, value: Value): Promise<WriteResult>;
  /** What is wrong with the whole bus at present, in one sentence. */
  fault?(): string | undefined;
  counts?(): Pick<BusSnapshot, 'timeouts' | 'errors' | 'discarded'>;
  trace?(listener: FrameListener): () => void;
}

export interface PolledRules {
  readonly driver: string;
  readonly offlineAfter: number;
  readonly retryMaxMs: number;
}

/** A bus that could not be opened is tried again after so long. */
const OPEN_AGAIN_MS = 10_000;

export class PolledBus implements Driver, BusEvents {
  readonly name: string;
  readonly #context: DriverContext;
  readonly #rules: PolledRules;
  readonly #source: PolledSource;
  readonly #schedule: Schedule;
  readonly #loop: PollLoop;
  readonly #watches = new Map<string, DeviceWatch>();
  readonly #outOfService: OutOfService;
  readonly #stopSignal = new AbortController();
  readonly #whenStopped: Promise<typeof STOPPED>;
  #opened = false;
  #openFault: { readonly reason: string; readonly sinceMs: number; readonly againAtMs: number } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #requests = 0;
  #errors = 0;

  constructor(context: DriverContext, rules: PolledRules, source: PolledSource) {
    this.name = `bus ${context.bus}`;
    this.#context = context;
    this.#rules = rules;
    this.#source = source;
    this.#outOfService = new OutOfService(context.keyValue, context.devices.keys());
    this.#whenStopped = new Promise((resolve) => {
      this.#stopSignal.signal.addEventListener('abort', () => resolve(STOPPED), { once: true });
    });
    const scheduled = [...context.devices].map(([device, { poll, points }]) => {
      this.#watches.set(device, new DeviceWatch(device, Object.keys(points), context));
      return {
        device,
        points: Object.entries(points).map(([point, config]) => ({ point, pollMs: config.poll ?? poll })),
      };
    });
    const backOff = { offlineAfter: rules.offlineAfter, retryMaxMs: rules.retryMaxMs };
    this.#schedule = new Schedule(scheduled, backOff, context.clock.monotonicMs());
    this.#loop = new PollLoop(context.clock, this.#schedule, (task) => this.#poll(task));
    source.attach?.(this);
  }

  async start(): Promise<void> {
    for (const [device, watch] of this.#watches) {
      if (!this.#outOfService.has(device)) continue;
      if (this.#schedule.has(device)) this.#schedule.suspend(device);
      watch.outOfService();
    }
    this.#loop.start();
  }

  async stop(): Promise<void> {
    if (this.#stopSignal.signal.aborted) return;
    this.#stopSignal.abort();
    await this.#loop.stop();
    await this.#source.close?.();
  }

  snapshot(): BusSnapshot {
    const { driver } = this.#rules;
    const own = this.#source.counts?.() ?? { timeouts: 0, errors: this.#errors };
    const counts = { requests: this.#requests, ...own };
    const reason = this.#openFault?.reason ?? this.#source.fault?.();
    if (reason !== undefined) return { driver, state: 'down', reason, ...counts };
    return { driver, state: this.#opened ? 'up' : 'connecting', ...counts };
  }

  counters(device: string): DeviceCounters {
    const watch = this.#watches.get(device);
    const skipped = this.#schedule.has(device) ? this.#schedule.skipped(device) : 0;
    return { polls: watch?.polls ?? 0, failures: watch?.failures ?? 0, skipped };
  }

  trace(listener: FrameListener): () => void {
    return this.#source.trace?.(listener) ?? (() => undefined);
  }

  wake(): void {
    this.#schedule.askNow(this.#context.clock.monotonicMs());
    this.#loop.wake();
  }

  tell(device: string, outcomes: Outcomes): void {
    const watch = this.#watches.get(device);
    if (watch === undefined || this.#outOfService.has(device) || this.#stopSignal.signal.aborted) return;
    if (this.#schedule.has(device)) this.#schedule.answered(device, this.#context.clock.monotonicMs());
    watch.told(readingsOf(watch, outcomes));
  }

  async write(device: string, point: string, value: Value): Promise<WriteResult> {
    const config = this.#context.devices.get(device)?.points[point];
    const name = `${device}/${point}`;
    if (config === undefined) return refuseWrite('unknown', `${name} is not on bus ${this.#context.bus}`);
    const { write } = this.#source;
    if (write === undefined || !('writable' in config && config.writable)) {
      return refuseWrite('not writable', `${name} is not writable`);
    }
    if (this.#outOfService.has(device)) return refuseWrite('out of service', `${device} is out of service`);
    return this.#inTurn(async () => {
      try {
        const fault = await this.#open();
        if (fault !== undefined) return refuseWrite('bus down', fault);
        const written = await this.#unlessStopped(write.call(this.#source, device, point, value));
        return written === STOPPED ? refuseWrite('stopped', 'the gateway stops') : written;
      } catch (problem) {
        if (problem instanceof UnfitValue) return refuseWrite(problem.fault, `${name}: ${problem.message}`);
        this.#errors += 1;
        return refuseWrite('refused', `${name}: ${reasonOf(problem)}`);
      }
    });
  }

  async readRaw(device: string, points?: readonly string[]): Promise<readonly RawReading[]> {
    const configs = this.#context.devices.get(device)?.points ?? {};
    const names = points ?? Object.keys(configs);
    const outcomes = await this.#inTurn(() => this.#read(device, names));
    if (outcomes === STOPPED) return [];
    return names.map((point) => rawReading(point, configs[point], outcomes.get(point)));
  }

  setInService(device: string, inService: boolean): void {
    const watch = this.#watches.get(device);
    if (watch === undefined || !this.#outOfService.set(device, inService)) return;
    const scheduled = this.#schedule.has(device);
    if (inService) {
      watch.inService();
      if (scheduled) this.#schedule.resume(device, this.#context.clock.monotonicMs());
      this.#loop.wake();
    } else {
      if (scheduled) this.#schedule.suspend(device);
      watch.outOfService();
    }
  }

  async #poll(task: Task): Promise<void> {
    const watch = this.#watches.get(task.device);
    invariant(watch !== undefined, 'a scheduled device is watched');
    this.#requests += 1;
    const outcomes = await this.#inTurn(() => this.#read(task.device, task.points));
    if (outcomes === STOPPED || this.#outOfService.has(task.device)) return;
    const nowMs = this.#context.clock.monotonicMs();
    const said = [...outcomes.values()].filter((one) => !('quiet' in one));
    const [first] = said;
    if (first === undefined) return;
    if (said.length === outcomes.size && said.every((one) => 'bad' in one)) {
      this.#failed(task.device, watch, first as BadOutcome, nowMs);
      return;
    }
    // What comes by itself is no answer to a poll, and what is bad beside it tells nothing of the device.
    if (!said.some((one) => 'value' in one)) return;
    this.#schedule.answered(task.device, nowMs);
    watch.answered(readingsOf(watch, outcomes));
  }

  #failed(device: string, watch: DeviceWatch, first: BadOutcome, nowMs: number): void {
    this.#errors += 1;
    watch.failed();
    let offline = this.#schedule.failed(device, nowMs);
    const left = first.lasting === true ? this.#rules.offlineAfter : 0;
    for (let missed = 1; missed < left && !offline; missed += 1)
      offline = this.#schedule.failed(device, nowMs);
    if (!offline) return;
    const fault = this.#openFault?.reason ?? this.#source.fault?.();
    watch.offline(first.bad, fault === undefined ? first.bad : `bus down: ${fault}`);
  }

  /** Every point that was asked for has an Outcome. */
  async #read(device: string, points: readonly string[]): Promise<Outcomes | typeof STOPPED> {
    const allBad = (bad: string): Outcomes => new Map(points.map((point) => [point, { bad }]));
    try {
      const fault = await this.#unlessStopped(this.#open());
      if (fault === STOPPED) return STOPPED;
      if (fault !== undefined) return allBad(fault);
      const outcomes = await this.#unlessStopped(this.#source.read(device, points));
      if (outcomes === STOPPED) return STOPPED;
      return new Map(points.map((point) => [point, outcomes.get(point) ?? { bad: 'no value' }]));
    } catch (fault) {
      return allBad(reasonOf(fault));
    }
  }

  /** Why the bus cannot be used; undefined: it can. */
  async #open(): Promise<string | undefined> {
    if (this.#opened) return undefined;
    const { clock, log, bus } = this.#context;
    const nowMs = clock.monotonicMs();
    const before = this.#openFault;
    if (before !== undefined && nowMs < before.againAtMs) return before.reason;
    try {
      await this.#source.open?.();
      this.#opened = true;
      this.#openFault = undefined;
      if (before !== undefined) {
        log.info({ bus, durationMs: Math.round(nowMs - before.sinceMs) }, 'Bus is up again');
      }
      return undefined;
    } catch (fault) {
      const reason = reasonOf(fault);
      if (before === undefined) log.warn({ bus, reason }, 'Bus is down');
      this.#openFault = { reason, sinceMs: before?.sinceMs ?? nowMs, againAtMs: nowMs + OPEN_AGAIN_MS };
      return reason;
    }
  }

  /** One after the other, in the order of asking. */
  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #unlessStopped<Result>(work: Promise<Result>): Promise<Result | typeof STOPPED> {
    return Promise.race([work, this.#whenStopped]);
  }
}

const STOPPED = Symbol('stopped');

function readingsOf(watch: DeviceWatch, outcomes: Outcomes): Reading[] {
  return [...outcomes].flatMap(([point, outcome]) => {
    if ('quiet' in outcome) return [];
    return ['bad' in outcome ? watch.bad(point, outcome.bad) : watch.good(point, outcome.value)];
  });
}

export function rawReading(
  point: string,
  config: PointConfig | undefined,
  outcome: Outcome | undefined,
): RawReading {
  const unit = config?.unit;
  const head = {
    point,
    source: config === undefined ? 'unknown' : sourceOf(config),
    ...(unit === undefined ? {} : { unit }),
  };
  if (config === undefined) return { ...head, value: null, quality: 'bad', reason: 'unknown' };
  if (outcome === undefined || !('value' in outcome)) {
    const reason =
      outcome !== undefined && 'bad' in outcome ? outcome.bad : 'nothing new since the poll before';
    return { ...head, value: null, quality: 'bad', reason };
  }
  const { value, raw } = outcome;
  const scaled = makeScale(config.scale, config.offset)?.(value) ?? value;
  return { ...head, value: scaled, quality: 'good', ...(raw === undefined ? {} : { raw }) };
}
