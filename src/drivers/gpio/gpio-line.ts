/**
 * One line with all points that look at it: levels of the wire in, what each point makes of them out. Pure but for
 * the port that it is given.
 *
 *   edge ──active_low──▶ LevelFilter ──▶ inputs        ──▶ EdgeCounter ──▶ totals, frequency
 */
import type { GpioPointConfig } from '../../config/schema.js';
import type { Outcome } from '../polled-bus.js';
import { EdgeCounter } from './edge-counter.js';
import { FrequencyMeter } from './frequency-meter.js';
import type { GpioPort, LineRequest } from './gpio-port.js';
import { LevelFilter } from './level-filter.js';
import type { PulseTotal } from './pulse-total.js';

export interface LinePoint {
  readonly device: string;
  readonly name: string;
  readonly config: GpioPointConfig;
  /** Of a counter. */
  readonly total?: PulseTotal;
}

interface Watched {
  readonly point: LinePoint;
  readonly counter?: EdgeCounter;
  readonly meter?: FrequencyMeter;
  readonly filter?: LevelFilter;
}

export class GpioLine {
  readonly points: readonly LinePoint[];
  /** Why it cannot be used at present. */
  fault: string | undefined = 'not opened yet';
  port: GpioPort | undefined;
  retryAtMs = 0;
  #watched: Watched[] = [];
  /** What each plain input was last told as. */
  readonly #told = new Map<LinePoint, boolean>();

  constructor(points: readonly LinePoint[]) {
    this.points = points;
  }

  get request(): LineRequest {
    const [first] = this.points;
    if (first === undefined) throw new Error('invariant broken: a line has a point');
    const { gpio, direction, active_low, initial } = first.config;
    const pull = this.points.find(({ config }) => config.pull !== undefined)?.config.pull;
    return {
      line: gpio,
      direction,
      ...(pull === undefined ? {} : { pull }),
      ...(initial === undefined ? {} : { initial: initial !== active_low }),
    };
  }

  /** The port is open and the wire has this level. */
  opened(port: GpioPort, high: boolean): void {
    this.port = port;
    this.fault = undefined;
    this.#watched = this.points.map((point) => {
      const { config } = point;
      const level = high !== config.active_low;
      const debounce = config.debounce ?? 0;
      const edges = config.count ?? config.frequency;
      if (edges === undefined) {
        return { point, ...(debounce > 0 && { filter: new LevelFilter(debounce, level) }) };
      }
      const counter = new EdgeCounter(edges, debounce, level);
      if (config.frequency === undefined) return { point, counter };
      return { point, counter, meter: new FrequencyMeter(config.frequency_timeout) };
    });
  }

  closed(why: string): void {
    this.port = undefined;
    this.fault = why;
    this.#told.clear();
  }

  /** What the edge changes at once. */
  edge(high: boolean, atMs: number): [LinePoint, Outcome][] {
    return this.#watched.flatMap(({ point, counter, meter, filter }): [LinePoint, Outcome][] => {
      const level = high !== point.config.active_low;
      if (counter !== undefined) {
        const count = counter.edge(level, atMs);
        meter?.edges(count, atMs);
        if (count > 0) point.total?.add(count);
        return [];
      }
      if (filter !== undefined) {
        filter.edge(level, atMs);
        return [];
      }
      return this.#tellLevel(point, level);
    });
  }

  get deadlineMs(): number {
    return Math.min(...this.#watched.map(({ filter }) => filter?.deadlineMs ?? Infinity), Infinity);
  }

  /** What has held long enough by now. */
  tick(nowMs: number): [LinePoint, Outcome][] {
    return this.#watched.flatMap(({ point, filter }) =>
      filter?.tick(nowMs) === true ? this.#tellLevel(point, filter.level) : [],
    );
  }

  /** What a poll finds; `high` is the level of the wire now. */
  value(of: LinePoint, high: boolean, nowMs: number): Outcome {
    const watched = this.#watched.find(({ point }) => point === of);
    if (of.total !== undefined) return { value: of.total.value };
    if (watched?.meter !== undefined) return { value: watched.meter.read(nowMs) };
    const level = high !== of.config.active_low;
    if (watched?.filter === undefined) {
      this.#told.set(of, level);
      return { value: level };
    }
    // An edge that nobody saw is made up for.
    if (watched.filter.deadlineMs === Infinity && watched.filter.level !== level)
      watched.filter.edge(level, nowMs);
    return { value: watched.filter.level };
  }

  #tellLevel(point: LinePoint, level: boolean): [LinePoint, Outcome][] {
    if (this.#told.get(point) === level) return [];
    this.#told.set(point, level);
    return [[point, { value: level }]];
  }
}
