/** Computed points: what each is reckoned from, and in which order. */
import { GodwitError } from '../core/error.js';
import { type Expression, parseExpression, pointsOf } from './expression.js';
import type { Config, DerivedConfig } from './schema.js';

/** They belong to a device of their own, of this name. */
export const DERIVED = 'derived';

export interface ComputedPoint {
  readonly name: string;
  readonly config: DerivedConfig;
  readonly expression: Expression;
  /** `device/point` of each input. */
  readonly inputs: readonly string[];
  /** 0: of points that are read; else one more than the highest it builds on. */
  readonly level: number;
  /** Of the input that is read most often. */
  readonly pollMs: number;
}

/** In an order in which each comes after those it builds on. Circles and unknown points were refused before. */
export function computedPoints(
  derived: { readonly [name: string]: DerivedConfig },
  devices: Config['devices'],
): ComputedPoint[] {
  const computed = new Map<string, ComputedPoint>();
  const visit = (name: string): ComputedPoint | undefined => {
    const config = derived[name];
    const known = computed.get(name);
    if (known !== undefined || config === undefined) return known;
    const parsed = parseExpression(config.expr);
    if (parsed.kind === 'mistake') throw new GodwitError('CONFIG', `${DERIVED}.${name}: ${parsed.message}`);
    const points = pointsOf(parsed.expression);
    let level = 0;
    let pollMs = Infinity;
    for (const { device, point } of points) {
      const below = device === DERIVED ? visit(point) : undefined;
      if (below !== undefined) level = Math.max(level, below.level + 1);
      const read = devices[device]?.points[point];
      pollMs = Math.min(pollMs, below?.pollMs ?? read?.poll ?? devices[device]?.poll ?? Infinity);
    }
    const inputs = points.map(({ device, point }) => `${device}/${point}`);
    const made = { name, config, expression: parsed.expression, inputs, level, pollMs };
    computed.set(name, made);
    return made;
  };
  for (const name of Object.keys(derived)) visit(name);
  return [...computed.values()];
}
