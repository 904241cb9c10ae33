/**
 * One computed point: which points it is reckoned from, and what comes of them.
 *
 *   all good ──▶ good        one bad ──▶ bad, with its reason        one stale ──▶ stale
 *   one not read yet ──▶ nothing yet                                 its time is that of the newest input
 *
 * Computations build on each other in levels, the lowest first: each is reckoned once per poll, however many of its
 * inputs were read.
 */
import { type ComputedPoint, DERIVED } from '../config/derived.js';
import { GodwitError } from '../core/error.js';
import type { Sample } from '../core/sample.js';
import type { Value } from '../core/value.js';
import { compile, type Evaluate, Muddle } from './evaluation.js';
import type { DevicePlan, PointPlan } from './point-plan.js';

export class Computation {
  readonly level: number;
  readonly plan: DevicePlan;
  readonly point: PointPlan;
  /** An input was read since it was reckoned last. */
  due = false;
  readonly #inputNames: readonly string[];
  readonly #evaluate: Evaluate;
  readonly #inputs: PointPlan[] = [];
  readonly #values: Value[];

  constructor({ level, expression, inputs }: ComputedPoint, plan: DevicePlan, point: PointPlan) {
    this.level = level;
    this.plan = plan;
    this.point = point;
    this.#inputNames = inputs;
    this.#evaluate = compile(expression, inputs);
    this.#values = new Array<Value>(inputs.length).fill(0);
  }

  /** Finds its inputs, and makes each tell it. */
  connect(plans: ReadonlyMap<string, DevicePlan>): void {
    for (const name of this.#inputNames) {
      const [device = '', point = ''] = name.split('/');
      const input = plans.get(device)?.points.get(point);
      if (input === undefined)
        throw new GodwitError('CONFIG', `${DERIVED}.${this.point.name} uses ${name}, which does not exist`);
      this.#inputs.push(input);
      input.computations.push(this);
    }
  }

  /** Undefined where there is nothing to tell yet. */
  sample(): Sample | undefined {
    let newest: Sample | undefined;
    let bad: Sample | undefined;
    let stale = false;
    for (let index = 0; index < this.#inputs.length; index += 1) {
      const { sample } = this.#inputs[index] as PointPlan;
      if (sample === undefined) return undefined;
      if (newest === undefined || sample.stamp.monotonicMs > newest.stamp.monotonicMs) newest = sample;
      if (sample.quality === 'bad') bad ??= sample;
      else if (sample.quality === 'stale') stale = true;
      this.#values[index] = sample.value ?? 0;
    }
    if (newest === undefined) return undefined;
    const value = bad === undefined ? this.#value() : new Muddle(reasonOf(bad));
    const { stamp } = newest;
    const point = this.point.name;
    if (value instanceof Muddle) {
      const { reason } = value;
      return this.point.sampleOf({ device: DERIVED, point, stamp, value: null, quality: 'bad', reason });
    }
    const sample = this.point.sampleOf({ device: DERIVED, point, stamp, value, quality: 'good' });
    return stale && sample?.quality === 'good' ? { ...sample, quality: 'stale' } : sample;
  }

  #value(): Value | Muddle {
    try {
      return this.#evaluate(this.#values);
    } catch (muddle) {
      if (muddle instanceof Muddle) return muddle;
      throw muddle;
    }
  }
}

/** A reason says where it comes from, once, however many computations it passes. */
function reasonOf({ device, point, reason = 'bad' }: Sample): string {
  return device === DERIVED ? reason : `${device}/${point}: ${reason}`;
}
