/**
 * A curve through given points, straight between them: a thermistor, the shape of a tank.
 *
 *   y │        ·────      hold: beyond the ends, the value of the end
 *     │     ·             bad: no value, since a broken wire reads so
 *     │ ───·              extend: the last straight goes on
 */
import { withoutDust } from './rounding.js';
import { Unfit } from './step.js';

export type Outside = 'hold' | 'bad' | 'extend';

const BEYOND = new Unfit('outside the table');

/** @param points at least two, x rising */
export function lookUp(
  points: readonly (readonly [x: number, y: number])[],
  outside: Outside,
): (value: number) => number | Unfit {
  const xs = Float64Array.from(points, ([x]) => x);
  const ys = Float64Array.from(points, ([, y]) => y);
  const last = xs.length - 1;
  return (value) => {
    if (value < (xs[0] as number) || value > (xs[last] as number)) {
      if (outside === 'bad') return BEYOND;
      if (outside === 'hold') return value < (xs[0] as number) ? (ys[0] as number) : (ys[last] as number);
    }
    // The first straight that ends at or after the value; the outer ones go on where that is wanted.
    let [low, high] = [1, last];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((xs[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    const [x0, x1] = [xs[low - 1] as number, xs[low] as number];
    const [y0, y1] = [ys[low - 1] as number, ys[low] as number];
    if (value === x1) return y1;
    return withoutDust(y0 + ((value - x0) * (y1 - y0)) / (x1 - x0));
  };
}
