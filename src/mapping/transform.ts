/**
 * From what a device said to what it means, by the keys of a point, always in this order:
 *
 *   invert ▶ enum | flags ▶ rate ▶ scale, offset ▶ table ▶ raw_unit ▶ valid ▶ clamp ▶ smooth ▶ resolution
 *
 * Counting comes before scaling, since a counter runs over in its own steps; limits are in the unit that is published;
 * rounding is last. A bad reading makes smoothing begin anew; a rate goes on from the last good count.
 */
import type { PointTransform } from '../config/point-transform.js';
import { makeScale, normalInteger } from '../core/scale.js';
import { conversionOf } from '../core/unit.js';
import type { Value } from '../core/value.js';
import { CounterRate } from './counter-rate.js';
import { lookUp } from './lookup-table.js';
import { roundingTo, withoutDust } from './rounding.js';
import { Exponential, MovingWindow, meanOf, medianOf } from './smoothing.js';
import { numeric, type Step, Unfit } from './step.js';

export class Transform {
  readonly #steps: readonly Step[];

  constructor(config: PointTransform) {
    this.#steps = stepsOf(config);
  }

  apply(value: Value, atMs: number): Value | Unfit {
    let result = value;
    for (const step of this.#steps) {
      const next = step.apply(result, atMs);
      if (next instanceof Unfit) return next;
      result = next;
    }
    return typeof result === 'bigint' ? normalInteger(result) : result;
  }

  /** A bad reading came between. */
  interrupted(): void {
    for (const step of this.#steps) if (!(step instanceof CounterRate)) step.reset?.();
  }
}

/** Undefined where there is nothing to do but keep the value. */
export function makeTransform(config: PointTransform): Transform | undefined {
  return stepsOf(config).length === 0 ? undefined : new Transform(config);
}

function stepsOf(config: PointTransform): Step[] {
  const { rate, table, raw_unit: rawUnit, unit, valid, clamp, smooth, resolution } = config;
  const steps: Step[] = [];
  if (config.invert === true) steps.push({ apply: invert });
  if (config.enum !== undefined) steps.push(naming(config.enum));
  if (config.flags !== undefined) steps.push(flagging(config.flags));
  if (rate !== undefined) steps.push(new CounterRate(PER_MS[rate.per], rate.wrap));
  const scale = makeScale(config.scale, config.offset);
  if (scale !== undefined) steps.push({ apply: scale });
  if (table !== undefined) steps.push(numeric(lookUp(table.points, table.outside)));
  const convert = rawUnit === undefined || unit === undefined ? undefined : conversionOf(rawUnit, unit);
  if (convert !== undefined) steps.push(numeric((value) => withoutDust(convert(value))));
  if (valid !== undefined) {
    const { min = -Infinity, max = Infinity } = valid;
    steps.push(numericOnly((value) => (value < min || value > max ? OUT_OF_RANGE : value)));
  }
  if (clamp !== undefined) {
    const { min = -Infinity, max = Infinity } = clamp;
    steps.push(
      numericOnly((value) => {
        if (value < min) return min;
        if (value > max) return max;
        return value;
      }),
    );
  }
  if (smooth?.mean !== undefined) steps.push(new MovingWindow(smooth.mean, meanOf));
  if (smooth?.median !== undefined) steps.push(new MovingWindow(smooth.median, medianOf));
  if (smooth?.exponential !== undefined) steps.push(new Exponential(smooth.exponential));
  if (resolution !== undefined) {
    const round = roundingTo(resolution);
    steps.push({ apply: (value) => (typeof value === 'number' ? round(value) : value) });
  }
  return steps;
}

const OUT_OF_RANGE = new Unfit('out of range');
const PER_MS = { s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Limits leave an integer beyond 2^53 exact. */
function numericOnly(change: (value: number | bigint) => number | bigint | Unfit): Step {
  return {
    apply: (value) => (typeof value === 'number' || typeof value === 'bigint' ? change(value) : value),
  };
}

function invert(value: Value): Value {
  if (typeof value === 'boolean') return !value;
  return value === 0 || value === 1 ? 1 - value : value;
}

/** A number without a name stays a number: what a newer firmware says is better told than hidden. */
function naming(names: Readonly<Record<string, string>>): Step {
  const byNumber = new Map(Object.entries(names).map(([number, name]) => [Number(number), name]));
  return {
    apply: (value) => {
      if (typeof value === 'number') return byNumber.get(value) ?? value;
      return typeof value === 'boolean' ? (byNumber.get(Number(value)) ?? value) : value;
    },
  };
}

/** The names of the bits that are set, `bitN` for one without; `none` where there are none. */
function flagging(names: Readonly<Record<string, string>>): Step {
  return {
    apply: (value) => {
      if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value)))
        return value;
      let left = BigInt.asUintN(64, BigInt(value));
      const set: string[] = [];
      for (let bit = 0; left > 0n; bit += 1, left >>= 1n) {
        if ((left & 1n) === 1n) set.push(names[bit] ?? `bit${bit}`);
      }
      return set.length === 0 ? 'none' : set.join(',');
    },
  };
}
