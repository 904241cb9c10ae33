/**
 * An expression as a function of the values of its points. Each node becomes a closure once; nothing is parsed or looked
 * up by name when readings come. true and false count as 1 and 0; what cannot be reckoned is thrown as a Muddle.
 */
import type { BinaryOperator, Expression, FunctionName } from '../config/expression.js';
import type { Value } from '../core/value.js';
import { roundingTo, withoutDust } from './rounding.js';

/** The value of one point, by its number. */
export type Inputs = readonly Value[];
export type Evaluate = (inputs: Inputs) => Value;

/** Why there is no value: a reason for people. No stack is taken, it happens with every reading. */
export class Muddle {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** @param inputs `device/point` of each input, in the order of the values */
export function compile(expression: Expression, inputs: readonly string[]): Evaluate {
  const evaluate = closureOf(expression, inputs);
  return (values) => {
    const value = evaluate(values);
    return typeof value === 'number' ? withoutDust(value) : value;
  };
}

function closureOf(node: Expression, inputs: readonly string[]): Evaluate {
  switch (node.kind) {
    case 'constant': {
      const { value } = node;
      return () => value;
    }
    case 'point': {
      const index = inputs.indexOf(`${node.device}/${node.point}`);
      return (values) => values[index] as Value;
    }
    case 'unary': {
      const of = closureOf(node.of, inputs);
      return node.operator === '-' ? (values) => -number(of(values)) : (values) => !truth(of(values));
    }
    case 'choice': {
      const when = closureOf(node.when, inputs);
      const then = closureOf(node.then, inputs);
      const otherwise = closureOf(node.otherwise, inputs);
      return (values) => (truth(when(values)) ? then(values) : otherwise(values));
    }
    case 'binary':
      return binary(node.operator, closureOf(node.left, inputs), closureOf(node.right, inputs));
    case 'call':
      return call(
        node.name,
        node.arguments.map((argument) => closureOf(argument, inputs)),
      );
  }
}

function binary(operator: BinaryOperator, left: Evaluate, right: Evaluate): Evaluate {
  switch (operator) {
    case '+':
      return (values) => number(left(values)) + number(right(values));
    case '-':
      return (values) => number(left(values)) - number(right(values));
    case '*':
      return (values) => number(left(values)) * number(right(values));
    case '/':
      return (values) => number(left(values)) / number(right(values));
    case '%':
      return (values) => number(left(values)) % number(right(values));
    case '^':
      return (values) => number(left(values)) ** number(right(values));
    case '<':
      return (values) => withoutDust(number(left(values))) < withoutDust(number(right(values)));
    case '<=':
      return (values) => withoutDust(number(left(values))) <= withoutDust(number(right(values)));
    case '>':
      return (values) => withoutDust(number(left(values))) > withoutDust(number(right(values)));
    case '>=':
      return (values) => withoutDust(number(left(values))) >= withoutDust(number(right(values)));
    case '==':
      return (values) => equal(left(values), right(values));
    case '!=':
      return (values) => !equal(left(values), right(values));
    case '&&':
      return (values) => truth(left(values)) && truth(right(values));
    case '||':
      return (values) => truth(left(values)) || truth(right(values));
  }
}

function call(name: FunctionName, of: readonly Evaluate[]): Evaluate {
  const [first, second, third] = of as readonly [Evaluate, Evaluate, Evaluate];
  const one =
    (change: (value: number) => number): Evaluate =>
    (values) =>
      change(number(first(values)));
  const all = (values: Inputs): number[] => of.map((argument) => number(argument(values)));
  switch (name) {
    case 'min':
      return (values) => Math.min(...all(values));
    case 'max':
      return (values) => Math.max(...all(values));
    case 'sum':
      return (values) => all(values).reduce((sum, value) => sum + value, 0);
    case 'mean':
      return (values) => all(values).reduce((sum, value) => sum + value, 0) / of.length;
    case 'round': {
      if (of.length === 1) return one(roundingTo(1));
      return (values) => {
        const resolution = number(second(values));
        if (!(resolution > 0)) throw new Muddle(`round to ${resolution}`);
        return roundingTo(resolution)(number(first(values)));
      };
    }
    case 'clamp':
      return (values) =>
        Math.min(Math.max(number(first(values)), number(second(values))), number(third(values)));
    case 'pow':
      return (values) => number(first(values)) ** number(second(values));
    case 'atan2':
      return (values) => Math.atan2(number(first(values)), number(second(values)));
    case 'ln':
      return one(Math.log);
    default:
      return one(Math[name]);
  }
}

function number(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string')
    throw new Muddle(`found ${JSON.stringify(value.slice(0, 40))} where a number is needed`);
  return Number(value);
}

function truth(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string')
    throw new Muddle(`found ${JSON.stringify(value.slice(0, 40))} where true or false is needed`);
  return Number(value) !== 0;
}

/** 0.1 + 0.2 is 0.3 here, as on paper. */
function equal(left: Value, right: Value): boolean {
  if (typeof left === 'string' || typeof right === 'string') return left === right;
  if (typeof left === 'bigint' && typeof right === 'bigint') return left === right;
  return withoutDust(Number(left)) === withoutDust(Number(right));
}
