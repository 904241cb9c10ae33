/**
 * What is known of one span of time of one point: least, greatest, sum, spread, last, and how long it was in which
 * state. It can be put into bytes and taken up again by another process.
 *
 * Sums keep what doubles would drop (Neumaier), spreads are updated without squares of large numbers (Welford).
 */
import type { Value } from '../core/value.js';
import { withoutDust } from './rounding.js';

/** A point that says ever new texts must not fill the memory; the rest of its states share one name. */
const STATES_MAX = 64;
const OTHER_STATES = 'other';

export class Window {
  /** Wall time, aligned to its length. */
  readonly startMs: number;
  count = 0;
  last: Value | undefined;
  /** Why the last bad reading was bad. */
  badReason: string | undefined;
  readonly states = new Map<string, number>();
  #numbers = 0;
  #min: number | bigint = 0;
  #max: number | bigint = 0;
  #sum = 0;
  #lowSum = 0;
  #mean = 0;
  #squares = 0;

  constructor(startMs: number) {
    this.startMs = startMs;
  }

  add(value: Value): void {
    this.count += 1;
    this.last = value;
    if (typeof value !== 'number' && typeof value !== 'bigint') return;
    if (this.#numbers === 0 || value < this.#min) this.#min = value;
    if (this.#numbers === 0 || value > this.#max) this.#max = value;
    this.#numbers += 1;
    const number = Number(value);
    const sum = this.#sum + number;
    this.#lowSum +=
      Math.abs(this.#sum) >= Math.abs(number) ? this.#sum - sum + number : number - sum + this.#sum;
    this.#sum = sum;
    const away = number - this.#mean;
    this.#mean += away / this.#numbers;
    this.#squares += away * (number - this.#mean);
  }

  spent(state: string, ms: number): void {
    const name = this.states.has(state) || this.states.size < STATES_MAX ? state : OTHER_STATES;
    this.states.set(name, (this.states.get(name) ?? 0) + ms);
  }

  get min(): Value | undefined {
    return this.#numbers === 0 ? undefined : this.#min;
  }

  get max(): Value | undefined {
    return this.#numbers === 0 ? undefined : this.#max;
  }

  get sum(): number | undefined {
    return this.#numbers === 0 ? undefined : withoutDust(this.#sum + this.#lowSum);
  }

  get mean(): number | undefined {
    return this.#numbers === 0 ? undefined : withoutDust((this.#sum + this.#lowSum) / this.#numbers);
  }

  /** Of the readings as a sample of what was; 0 of a single one. */
  get stddev(): number | undefined {
    if (this.#numbers === 0) return undefined;
    return this.#numbers === 1 ? 0 : withoutDust(Math.sqrt(this.#squares / (this.#numbers - 1)));
  }

  toJson(): unknown {
    return [
      this.startMs,
      this.count,
      this.#numbers,
      plain(this.last),
      plain(this.#min),
      plain(this.#max),
      this.#sum,
      this.#lowSum,
      this.#mean,
      this.#squares,
      this.badReason ?? null,
      [...this.states],
    ];
  }

  /** Undefined where it is none: of an older version, or damaged. */
  static fromJson(json: unknown): Window | undefined {
    if (!Array.isArray(json) || json.length !== 12) return undefined;
    const [startMs, count, numbers, last, min, max, sum, lowSum, mean, squares, badReason, states] = json;
    const figures: unknown[] = [startMs, count, numbers, sum, lowSum, mean, squares];
    if (!figures.every((one) => typeof one === 'number') || !Array.isArray(states)) return undefined;
    const window = new Window(startMs);
    window.count = count;
    window.last = value(last);
    window.badReason = typeof badReason === 'string' ? badReason : undefined;
    window.#numbers = numbers;
    window.#min = number(value(min));
    window.#max = number(value(max));
    window.#sum = sum;
    window.#lowSum = lowSum;
    window.#mean = mean;
    window.#squares = squares;
    for (const state of states) {
      if (Array.isArray(state) && typeof state[1] === 'number') window.spent(String(state[0]), state[1]);
    }
    return window;
  }
}

/** JSON has no bigint. */
function plain(of: Value | undefined): unknown {
  return typeof of === 'bigint' ? { integer: of.toString() } : (of ?? null);
}

function value(json: unknown): Value | undefined {
  if (typeof json === 'number' || typeof json === 'string' || typeof json === 'boolean') return json;
  const integer = typeof json === 'object' && json !== null && 'integer' in json ? json.integer : undefined;
  return typeof integer === 'string' && /^-?\d+$/.test(integer) ? BigInt(integer) : undefined;
}

function number(of: Value | undefined): number | bigint {
  return typeof of === 'number' || typeof of === 'bigint' ? of : 0;
}
