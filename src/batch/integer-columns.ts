/**
 * Columns of integers, each told by a prediction and by what is left of it.
 *
 *   0 grid             base + index × step                  what comes at a steady pace, or stays about the same
 *   1 delta            the one before                       what drifts
 *   2 delta of delta   the one before, and once more as far what comes at a pace that drifts
 *   3 constant         base, and nothing is left
 *   4 level            the level of those before            what drifts less than it is noisy
 *
 *   level    in eighths: 8 × base at first; predicted floor((level + 4) / 8), then level += 3 × what is left
 *   column   prediction │ base │ step of a grid (delta of delta: of the first to the second) │ what is left, one by one:
 *            of a grid from the first on, of delta and level from the second, of delta of delta from the third
 *
 * Columns alike have the same `slot`, and with it the models of their numbers (number-model.ts), one each for
 * prediction, base, step and rest. Base and step are told as the difference to the last ones in the slot.
 */
import { damaged } from './batch.js';
import { NumberModel } from './number-model.js';
import type { RangeSink, RangeSource } from './range-coder.js';

const GRID = 0;
const DELTA = 1;
const DELTA_OF_DELTA = 2;
const CONSTANT = 3;
const LEVEL = 4;

class Slot {
  readonly kinds = new NumberModel();
  readonly bases = new NumberModel();
  readonly steps = new NumberModel();
  readonly rests = new NumberModel();
  base = 0;
  step = 0;
}

class Slots {
  readonly #slots: Slot[] = [];

  at(number: number): Slot {
    let slot = this.#slots[number];
    if (slot === undefined) {
      slot = new Slot();
      this.#slots[number] = slot;
    }
    return slot;
  }
}

export class IntegerColumnSink {
  readonly #to: RangeSink;
  readonly #slots = new Slots();

  constructor(to: RangeSink) {
    this.#to = to;
  }

  /** @param values integers within ±2^49 */
  write(values: readonly number[], number: number): void {
    const slot = this.#slots.at(number);
    const { base, kind, rest, step } = predict(values);
    slot.kinds.write(this.#to, kind);
    slot.bases.write(this.#to, base - slot.base);
    slot.base = base;
    if (kind === GRID || kind === DELTA_OF_DELTA) {
      slot.steps.write(this.#to, step - slot.step);
      slot.step = step;
    }
    for (const value of rest) slot.rests.write(this.#to, value);
  }
}

export class IntegerColumnSource {
  readonly #from: RangeSource;
  readonly #slots = new Slots();

  constructor(from: RangeSource) {
    this.#from = from;
  }

  read(count: number, number: number): number[] {
    const from = this.#from;
    const slot = this.#slots.at(number);
    const kind = slot.kinds.readCount(from, LEVEL);
    const base = safe(slot.base + slot.bases.read(from));
    slot.base = base;
    if (kind === GRID || kind === DELTA_OF_DELTA) slot.step = safe(slot.step + slot.steps.read(from));
    const { rests, step } = slot;
    const values: number[] = [];
    let value = base;
    let pace = kind === DELTA_OF_DELTA ? step : 0;
    let level = 8 * base;
    for (let index = 0; index < count; index += 1) {
      if (kind === GRID) value = base + index * step + rests.read(from);
      else if (index > 0 && kind === LEVEL) {
        const rest = rests.read(from);
        value = Math.floor((level + 4) / 8) + rest;
        level += 3 * rest;
      } else if (index > 0 && kind !== CONSTANT) {
        if (kind === DELTA) pace = rests.read(from);
        else if (index > 1) pace += rests.read(from);
        value += pace;
      }
      values.push(safe(value));
    }
    return values;
  }
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw damaged('a number is too large');
  return value;
}

interface Prediction {
  readonly kind: number;
  readonly base: number;
  readonly step: number;
  readonly rest: readonly number[];
}

function predict(values: readonly number[]): Prediction {
  const base = values[0] ?? 0;
  if (values.every((value) => value === base)) return { kind: CONSTANT, base, step: 0, rest: [] };
  const delta: number[] = [];
  const pace: number[] = [];
  const smooth: number[] = [];
  let level = 8 * base;
  let before = 0;
  for (let index = 1; index < values.length; index += 1) {
    const value = values[index] as number;
    const step = value - (values[index - 1] as number);
    delta.push(step);
    if (index > 1) pace.push(step - before);
    before = step;
    const rest = value - Math.floor((level + 4) / 8);
    smooth.push(rest);
    level += 3 * rest;
  }
  const grid = predictGrid(values);
  let best: Prediction = { kind: DELTA, base, step: 0, rest: delta };
  let least = weight(delta);
  const consider = (one: Prediction, extra: number): void => {
    const bits = weight(one.rest) + extra;
    if (bits >= least) return;
    least = bits;
    best = one;
  };
  consider({ kind: LEVEL, base, step: 0, rest: smooth }, 0);
  consider(grid, 1);
  consider({ kind: DELTA_OF_DELTA, base, step: delta[0] as number, rest: pace }, 1);
  return best;
}

function predictGrid(values: readonly number[]): Prediction {
  const { length } = values;
  const first = values[0] as number;
  const step = Math.round(((values[length - 1] as number) - first) / (length - 1));
  let sum = 0;
  for (let index = 0; index < length; index += 1) sum += (values[index] as number) - first - index * step;
  const base = first + Math.round(sum / length);
  return { kind: GRID, base, step, rest: values.map((value, index) => value - base - index * step) };
}

/** About as many bits as they take. */
function weight(rest: readonly number[]): number {
  let sum = 0;
  for (const value of rest) sum += Math.abs(value);
  return rest.length * (1.5 + Math.log2(0.5 + sum / Math.max(1, rest.length)));
}
