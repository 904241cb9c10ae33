/**
 * The small language of computed points, as a tree: `meter/voltage * meter/current / 1000`.
 *
 *   or  ||  and  &&  = ==  !=  < <= > >=  + -  * / %  - !  ^       from loose to tight; cond ? a : b is the loosest
 *   device/point      a point; [device/point] where a name begins with a digit. `-` and `/` between points need blanks
 *   12.5 'text' true false pi e abs(x) min(a, b) …
 *
 * A parser of our own, by operator precedence (Pratt): every library there is takes `meter/voltage` for a division. What
 * it makes is data, not code: nothing is looked up by name at run time, and length and depth bound what it costs.
 */

export type Expression =
  | { readonly kind: 'constant'; readonly value: number | boolean | string }
  | { readonly kind: 'point'; readonly device: string; readonly point: string; readonly at: number }
  | { readonly kind: 'unary'; readonly operator: '-' | '!'; readonly of: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'choice';
      readonly when: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
    }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly arguments: readonly Expression[] };

export type PointOf = Extract<Expression, { kind: 'point' }>;

export type ParsedExpression =
  | { readonly kind: 'expression'; readonly expression: Expression }
  /** `at` counts characters from 0. */
  | { readonly kind: 'mistake'; readonly at: number; readonly message: string };

const BINDING = {
  '||': 2,
  '&&': 3,
  '==': 4,
  '!=': 4,
  '<': 5,
  '<=': 5,
  '>': 5,
  '>=': 5,
  '+': 6,
  '-': 6,
  '*': 7,
  '/': 7,
  '%': 7,
  '^': 9,
} as const;
export type BinaryOperator = keyof typeof BINDING;
const CHOICE_BINDING = 1;
const UNARY_BINDING = 8;

/** How many arguments each function takes, at least and at most. */
const ARITY = {
  abs: [1, 1],
  min: [1, 64],
  max: [1, 64],
  sum: [1, 64],
  mean: [1, 64],
  floor: [1, 1],
  ceil: [1, 1],
  round: [1, 2],
  clamp: [3, 3],
  sqrt: [1, 1],
  exp: [1, 1],
  ln: [1, 1],
  log10: [1, 1],
  pow: [2, 2],
  sin: [1, 1],
  cos: [1, 1],
  tan: [1, 1],
  asin: [1, 1],
  acos: [1, 1],
  atan: [1, 1],
  atan2: [2, 2],
} as const;
export type FunctionName = keyof typeof ARITY;
export const FUNCTIONS = Object.keys(ARITY) as readonly FunctionName[];

const CONSTANTS: ReadonlyMap<string, number | boolean> = new Map<string, number | boolean>([
  ['true', true],
  ['false', false],
  ['pi', Math.PI],
  ['e', Math.E],
]);

/** A reading waits for all expressions that use it; what is longer is a program, not an expression. */
export const EXPRESSION_LENGTH_MAX = 4096;
const DEPTH_MAX = 64;

export function parseExpression(text: string): ParsedExpression {
  if (text.length > EXPRESSION_LENGTH_MAX) {
    return {
      kind: 'mistake',
      at: 0,
      message: `an expression of more than ${EXPRESSION_LENGTH_MAX} characters`,
    };
  }
  try {
    const parser = new Parser(text);
    return { kind: 'expression', expression: parser.whole() };
  } catch (fault) {
    if (!(fault instanceof Mistake)) throw fault;
    return { kind: 'mistake', at: fault.at, message: fault.message };
  }
}

/** Each point that it uses, once, in the order of the text. */
export function pointsOf(expression: Expression): PointOf[] {
  const found = new Map<string, PointOf>();
  const visit = (node: Expression): void => {
    if (node.kind !== 'point') partsOf(node).forEach(visit);
    else if (!found.has(`${node.device}/${node.point}`)) found.set(`${node.device}/${node.point}`, node);
  };
  visit(expression);
  return [...found.values()];
}

function partsOf(node: Exclude<Expression, PointOf>): readonly Expression[] {
  switch (node.kind) {
    case 'constant':
      return [];
    case 'unary':
      return [node.of];
    case 'binary':
      return [node.left, node.right];
    case 'choice':
      return [node.when, node.then, node.otherwise];
    case 'call':
      return node.arguments;
  }
}

class Mistake extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

interface Token {
  readonly kind: 'number' | 'text' | 'point' | 'word' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}

const TOKEN =
  /(?<blank>\s+)|(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?<text>'[^']*'|"[^"]*")|(?<bracket>\[[^\]]*\])|(?<point>[A-Za-z_][\w.-]*\/[\w.-]+)|(?<word>[A-Za-z_]\w*)|(?<sign>\|\||&&|[=!<>]=|[-+*/%^<>!?:(),])/y;
const NAME = /^[\w.-]{1,64}$/;

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  whole(): Expression {
    const expression = this.#expression(0);
    const token = this.#peek();
    if (token.kind !== 'end')
      throw new Mistake(token.at, `${found(token)}, needed: an operator such as + or *, or the end`);
    return expression;
  }

  #peek(): Token {
    return this.#tokens[this.#next] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#next += 1;
    return token;
  }

  #expect(sign: string): void {
    const token = this.#take();
    if (token.kind !== 'sign' || token.text !== sign)
      throw new Mistake(token.at, `${found(token)}, needed: ${sign}`);
  }

  /** All that binds tighter than `binding`. */
  #expression(binding: number): Expression {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX)
      throw new Mistake(this.#peek().at, 'an expression that is nested too deeply');
    let left = this.#operand();
    for (;;) {
      const { kind, text } = this.#peek();
      if (kind !== 'sign') break;
      if (text === '?' && CHOICE_BINDING > binding) {
        this.#take();
        const then = this.#expression(0);
        this.#expect(':');
        left = { kind: 'choice', when: left, then, otherwise: this.#expression(CHOICE_BINDING - 1) };
        continue;
      }
      const own = isBinary(text) ? BINDING[text] : 0;
      if (!isBinary(text) || own <= binding) break;
      this.#take();
      // 2 ^ 3 ^ 2 is 2 ^ (3 ^ 2); all others go from left to right.
      left = { kind: 'binary', operator: text, left, right: this.#expression(text === '^' ? own - 1 : own) };
    }
    this.#depth -= 1;
    return left;
  }

  #operand(): Expression {
    const token = this.#take();
    switch (token.kind) {
      case 'number':
        return { kind: 'constant', value: Number(token.text) };
      case 'text':
        return { kind: 'constant', value: token.text.slice(1, -1) };
      case 'point':
        return pointNamed(token);
      case 'word':
        return this.#word(token);
      default:
        break;
    }
    if (token.text === '-' || token.text === '!') {
      return { kind: 'unary', operator: token.text, of: this.#expression(UNARY_BINDING) };
    }
    if (token.text !== '(')
      throw new Mistake(token.at, `${found(token)}, needed: a number, a DEVICE/POINT, a function or (`);
    const inner = this.#expression(0);
    this.#expect(')');
    return inner;
  }

  #word(token: Token): Expression {
    const { text, at } = token;
    if (this.#peek().text !== '(') {
      // a/b-c/d was read as a/b-c, divided by d.
      const glued = this.#tokens[this.#next - 2]?.text === '/';
      const value = CONSTANTS.get(text);
      if (value !== undefined) return { kind: 'constant', value };
      throw new Mistake(
        at,
        `found ${text}, allowed: DEVICE/POINT, a function with its arguments, true, false, pi or e${glued ? '; - and / between points need blanks around them' : ''}`,
      );
    }
    const name = FUNCTIONS.find((one) => one === text);
    if (name === undefined)
      throw new Mistake(at, `found no function ${text}, allowed: ${FUNCTIONS.join(', ')}`);
    this.#take();
    const list = [this.#expression(0)];
    while (this.#peek().text === ',') {
      this.#take();
      list.push(this.#expression(0));
    }
    this.#expect(')');
    const [least, most] = ARITY[name];
    if (list.length < least || list.length > most) {
      const wanted = least === most ? `${least}` : `${least} to ${most}`;
      throw new Mistake(at, `found ${list.length} arguments of ${name}, needed: ${wanted}`);
    }
    return { kind: 'call', name, arguments: list };
  }
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new Mistake(at, `found ${JSON.stringify(text[at])}, which means nothing here`);
    const { blank, number, text: quoted, bracket, point, word, sign } = match.groups ?? {};
    if (blank !== undefined) continue;
    if (number !== undefined) tokens.push({ kind: 'number', text: number, at });
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted, at });
    else if (bracket !== undefined) tokens.push({ kind: 'point', text: bracket.slice(1, -1).trim(), at });
    else if (point !== undefined) tokens.push({ kind: 'point', text: point, at });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, at });
    else tokens.push({ kind: 'sign', text: sign as string, at });
  }
  tokens.push({ kind: 'end', text: '', at: text.length });
  return tokens;
}

function pointNamed({ text, at }: Token): Expression {
  const [device = '', point = '', ...more] = text.split('/');
  if (!NAME.test(device) || !NAME.test(point) || more.length > 0) {
    throw new Mistake(at, `found [${text}], needed: [DEVICE/POINT]`);
  }
  return { kind: 'point', device, point, at };
}

function isBinary(text: string): text is BinaryOperator {
  return Object.hasOwn(BINDING, text);
}

function found(token: Token): string {
  return token.kind === 'end' ? 'found the end' : `found ${token.text}`;
}
