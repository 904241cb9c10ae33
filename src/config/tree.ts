/**
 * The file as a tree of plain nodes, each with its place in the text. YAML ends here: behind it there are mappings,
 * lists and scalars, `${NAME}` is replaced, and a tree has bounded size and depth whatever the text says.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml';
import { reasonOf } from '../core/error.js';
import { type ConfigError, configError, FILE_START, type Path, type Position } from './config-error.js';
import { substitute } from './substitute.js';

export type Scalar = string | number | boolean | null;

export type Tree = MappingNode | ListNode | ScalarNode;

interface Placed {
  readonly position: Position;
  /** Where its key stands; its own place in a list. */
  readonly keyPosition: Position;
}

export interface MappingNode extends Placed {
  readonly kind: 'mapping';
  readonly entries: ReadonlyMap<string, Tree>;
}

export interface ListNode extends Placed {
  readonly kind: 'list';
  readonly items: readonly Tree[];
}

export interface ScalarNode extends Placed {
  readonly kind: 'scalar';
  value: Scalar;
  /** As it stands in the file, before `${NAME}` was replaced. */
  readonly source: string;
  readonly quoted: boolean;
  readonly fromEnvironment: boolean;
}

interface ParsedScalar {
  readonly value: unknown;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
}

export interface TreeSource {
  readonly text: string;
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The sections to read; all where absent. */
  readonly only?: readonly string[] | undefined;
  /** Its nodes will stand in the tree of another file, so each must say where it comes from. */
  readonly placed?: boolean;
}

/** 20,000 points of ten keys each fit; an alias bomb does not. */
const NODES_MAX = 1_000_000;
const DEPTH_MAX = 32;
/** After so many the text is no YAML at all. */
const SYNTAX_ERRORS_MAX = 50;

/** What every following line says once the reader has lost its way. */
const AFTERMATH = /^Unexpected .* in YAML stream/;

const STANDARD_TAGS = new Set(
  ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`),
);

/** `root` is undefined where the text is no YAML or has no mapping at its top. */
export function readTree(source: TreeSource): {
  readonly root?: MappingNode;
  readonly errors: readonly ConfigError[];
} {
  const lineCounter = new LineCounter();
  const reader = new TreeReader(source, lineCounter);
  let document: Document.Parsed;
  try {
    // uniqueKeys compares every key with every other; the reader finds doubles at once.
    document = parseDocument(source.text, {
      lineCounter,
      strict: true,
      uniqueKeys: false,
      prettyErrors: false,
      version: '1.2',
      schema: 'core',
    });
  } catch (fault) {
    return { errors: [configError(source.file, FILE_START, [], `no valid YAML: ${reasonOf(fault)}`)] };
  }
  const syntax = syntaxErrors(document, source, lineCounter);
  if (syntax.length > 0) return { errors: syntax };
  return reader.read(document);
}

function syntaxErrors(
  document: Document.Parsed,
  source: TreeSource,
  lineCounter: LineCounter,
): ConfigError[] {
  const errors: ConfigError[] = [];
  const lines = new Set<number>();
  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    const position = positionOf(lineCounter, pos[0]);
    // One slip makes YAML stumble several times on; the first on a line is the one to correct.
    if (lines.has(position.line) || (lines.size > 0 && AFTERMATH.test(message))) continue;
    lines.add(position.line);
    errors.push(configError(source.file, position, [], syntaxMessage(message, lineAt(source.text, pos[0]))));
    if (errors.length >= SYNTAX_ERRORS_MAX) break;
  }
  if (document.directives?.yaml.version === '1.1') {
    errors.push(configError(source.file, FILE_START, [], 'found %YAML 1.1, allowed: YAML 1.2'));
  }
  return errors;
}

function syntaxMessage(message: string, line: string): string {
  if (
    /[[{,:]\s*\$\{/.test(line) &&
    /flow|Block|Missing|Unexpected/i.test(message) &&
    /[{[].*\$\{/.test(line)
  ) {
    return `no valid YAML: inside { } and [ ] a text with $\{NAME} needs quotes: "$\{NAME}"`;
  }
  if (/call stack/i.test(message)) return 'no valid YAML: nested too deeply';
  if (/multiple documents/i.test(message)) return 'found a second YAML document, allowed: one per file';
  if (/Tabs are not allowed/i.test(message)) return 'found a tab in the indentation, allowed: spaces';
  return `no valid YAML: ${message.replace(/\s+/g, ' ').trim()}`;
}

function lineAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  return text.slice(start, end === -1 ? undefined : end).slice(0, 1000);
}

function positionOf(lineCounter: LineCounter, offset: number): Position {
  const { line, col } = lineCounter.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** Thrown inside only: the tree is larger than any configuration. */
class TooLarge extends Error {}

class TreeReader {
  readonly #source: TreeSource;
  readonly #lineCounter: LineCounter;
  readonly #errors: ConfigError[] = [];
  #targets: ReadonlyMap<Alias, Node> = new Map();
  #nodes = 0;

  constructor(source: TreeSource, lineCounter: LineCounter) {
    this.#source = source;
    this.#lineCounter = lineCounter;
  }

  read(document: Document.Parsed): { root?: MappingNode; errors: readonly ConfigError[] } {
    const contents = document.contents;
    if (contents === null || (isScalar(contents) && contents.value === null)) {
      this.#fail(FILE_START, [], 'the file is empty, needed: at least gateway with its id');
      return { errors: this.#errors };
    }
    try {
      this.#targets = targetsOf(document, this.#source.text);
      const root = this.#node(contents, [], undefined, 0);
      if (root?.kind === 'mapping') return { root, errors: this.#errors };
      if (root !== undefined) {
        const found = root.kind === 'list' ? 'a list' : 'a text that is no mapping';
        this.#fail(root.position, [], `found ${found}, allowed: a mapping that begins with gateway:`);
      }
      return { errors: this.#errors };
    } catch (fault) {
      if (!(fault instanceof TooLarge || fault instanceof RangeError)) throw fault;
      this.#fail(
        FILE_START,
        [],
        fault instanceof TooLarge ? fault.message : 'no valid YAML: nested too deeply',
      );
      return { errors: this.#errors };
    }
  }

  #fail(position: Position, path: Path, message: string): void {
    this.#errors.push(configError(this.#source.file, position, path, message));
  }

  #at(node: { readonly range?: readonly [number, number, number] | null }): Position {
    const position = positionOf(this.#lineCounter, node.range?.[0] ?? 0);
    return this.#source.placed === true ? { ...position, file: this.#source.file } : position;
  }

  #node(
    node: ParsedNode | null,
    path: Path,
    keyPosition: Position | undefined,
    depth: number,
  ): Tree | undefined {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX)
      throw new TooLarge(`more than ${NODES_MAX} values (aliases repeated too often?)`);
    if (depth > DEPTH_MAX)
      throw new TooLarge(`nested more than ${DEPTH_MAX} levels deep, or an alias holds itself`);
    if (node === null) return undefined;
    if (isAlias(node)) return this.#alias(node, path, keyPosition, depth);
    const position = this.#at(node);
    if (node.tag !== undefined && !STANDARD_TAGS.has(node.tag)) {
      this.#fail(position, path, `found the YAML tag ${node.tag}, allowed: plain values without tags`);
      return undefined;
    }
    const placed = { position, keyPosition: keyPosition ?? position };
    if (isMap(node)) return { kind: 'mapping', ...placed, entries: this.#entries(node.items, path, depth) };
    if (isSeq(node)) {
      const items: Tree[] = [];
      for (const item of node.items) {
        const tree = this.#node(item as ParsedNode, [...path, items.length], undefined, depth + 1);
        // A place is kept, so that what follows keeps its number.
        items.push(tree ?? standIn(item === null ? null : UNKNOWN, position));
      }
      return { kind: 'list', ...placed, items };
    }
    return isScalar(node) ? this.#scalar(node, placed, path) : undefined;
  }

  #alias(node: Alias, path: Path, keyPosition: Position | undefined, depth: number): Tree | undefined {
    const target = this.#targets.get(node);
    if (target === undefined) {
      this.#fail(this.#at(node), path, `found *${node.source}, but there is no &${node.source} before it`);
      return undefined;
    }
    return this.#node(target as ParsedNode, path, keyPosition ?? this.#at(node), depth + 1);
  }

  #entries(pairs: readonly unknown[], path: Path, depth: number): Map<string, Tree> {
    const entries = new Map<string, Tree>();
    const only = path.length === 0 ? this.#source.only : undefined;
    const seen = new Set<string>();
    for (const pair of pairs) {
      if (!isPair(pair)) continue;
      const keyNode = pair.key as ParsedNode;
      const position = this.#at(keyNode ?? {});
      const key = keyOf(keyNode);
      if (key === undefined || key === '' || key === '__proto__') {
        this.#fail(position, path, `found ${key || 'no name'} as a key, allowed: a name`);
        continue;
      }
      if (seen.has(key)) {
        this.#fail(position, [...path, key], `found ${key} a second time in the same mapping, allowed: once`);
        continue;
      }
      seen.add(key);
      if (only !== undefined && !only.includes(key)) continue;
      const below = [...path, key];
      const value = this.#node(pair.value as ParsedNode | null, below, position, depth + 1);
      entries.set(key, value ?? standIn(pair.value === null ? null : UNKNOWN, position));
    }
    return entries;
  }

  #scalar(
    { value, source = '', type }: ParsedScalar,
    placed: { position: Position; keyPosition: Position },
    path: Path,
  ): ScalarNode | undefined {
    const quoted = type !== undefined && type !== 'PLAIN';
    const plain = { kind: 'scalar', ...placed, source, quoted, fromEnvironment: false } as const;
    if (typeof value === 'bigint') return { ...plain, value: Number(value) };
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return { ...plain, value };
    if (typeof value !== 'string') return undefined;
    const { text, fromEnvironment, problems } = substitute(value, this.#source.environment);
    for (const problem of problems) this.#fail(placed.position, path, problem);
    if (problems.length > 0) return { ...plain, value: UNKNOWN };
    if (/\p{Surrogate}/u.test(text)) {
      this.#fail(placed.position, path, 'found half of a character (a lone surrogate), allowed: valid text');
      return { ...plain, value: UNKNOWN };
    }
    return { ...plain, value: text, fromEnvironment };
  }
}

/** What each alias stands for, found in one pass: asking the document for each would take a walk every time. */
function targetsOf(document: Document.Parsed, text: string): Map<Alias, Node> {
  const targets = new Map<Alias, Node>();
  // Most files have none, and a walk through 20,000 points takes its time.
  if (!text.includes('*')) return targets;
  const anchors = new Map<string, Node>();
  visit(document, {
    Node: (_, node) => {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

/** Stands for a value that has its error already and must not be judged again; no file can hold it. */
export const UNKNOWN = '\u0000unknown\ud800';

/** For `key:` with nothing behind it, and for what could not be read. */
function standIn(value: null | typeof UNKNOWN, position: Position): ScalarNode {
  const plain = { source: '', quoted: false, fromEnvironment: false };
  return { kind: 'scalar', position, keyPosition: position, value, ...plain };
}

function keyOf(node: ParsedNode | null): string | undefined {
  if (!isScalar(node)) return undefined;
  if (typeof node.value === 'string') return node.value;
  // 17, true and 0x1 are names like any other, as they are written.
  return node.value === null ? undefined : (node.source ?? String(node.value));
}

/** The plain value of a tree, for the schema. */
export function plainValue(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(plainValue);
  return Object.fromEntries([...tree.entries].map(([key, value]) => [key, plainValue(value)]));
}

/** The node at the end of `path`, undefined where there is none. */
export function nodeAt(tree: Tree, path: Path): Tree | undefined {
  let node: Tree | undefined = tree;
  for (const step of path) {
    if (node?.kind === 'mapping') node = node.entries.get(String(step));
    else if (node?.kind === 'list') node = node.items[Number(step)];
    else return undefined;
  }
  return node;
}

/** The text at the end of `path`, undefined where there is none or it has its error already. */
export function textAt(tree: Tree | undefined, path: Path): string | undefined {
  const node = tree === undefined ? undefined : nodeAt(tree, path);
  return node?.kind === 'scalar' && typeof node.value === 'string' && node.value !== UNKNOWN
    ? node.value
    : undefined;
}

export function entriesAt(tree: Tree | undefined, path: Path): [string, Tree][] {
  const node = tree === undefined ? undefined : nodeAt(tree, path);
  return node?.kind === 'mapping' ? [...node.entries] : [];
}

export function itemsAt(tree: Tree | undefined, path: Path): readonly Tree[] {
  const node = tree === undefined ? undefined : nodeAt(tree, path);
  return node?.kind === 'list' ? node.items : [];
}
