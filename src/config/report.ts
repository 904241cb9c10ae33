/** Collects what is wrong, each mistake once and at its place. */
import { type ConfigError, configError, type Path, type Position } from './config-error.js';
import { nearest } from './nearest.js';
import { keysAt } from './schema-at.js';
import { type MappingNode, nodeAt } from './tree.js';

export class Report {
  readonly tree: MappingNode;
  readonly file: string;
  readonly errors: ConfigError[] = [];

  constructor(tree: MappingNode, file: string) {
    this.tree = tree;
    this.file = file;
  }

  /** At the value; where there is none, at the mapping that lacks it. */
  at(path: Path, message: string): void {
    this.errors.push(configError(this.file, this.positionOf(path), path, message));
  }

  /** Within a text, `offset` characters on; at its beginning where its place in the file cannot be told. */
  within(path: Path, offset: number, message: string): void {
    const node = nodeAt(this.tree, path);
    const position = this.positionOf(path);
    const plain = node?.kind === 'scalar' && !node.fromEnvironment && !node.source.includes('\n');
    const column = position.column + (plain ? offset + (node.quoted ? 1 : 0) : 0);
    this.errors.push(configError(this.file, { ...position, column }, path, message));
  }

  /** At the key itself. */
  atKey(path: Path, message: string): void {
    const position = nodeAt(this.tree, path)?.keyPosition ?? this.positionOf(path);
    this.errors.push(configError(this.file, position, path, message));
  }

  /** A key that is needed and absent; silent where it is there under a wrong name, which is told already. */
  missing(path: Path, needed: string): void {
    const key = String(path.at(-1));
    const mapping = path.slice(0, -1);
    const node = nodeAt(this.tree, mapping);
    const known = keysAt(this.tree, mapping);
    const slips =
      node?.kind === 'mapping' ? [...node.entries.keys()].filter((name) => !known.includes(name)) : [];
    if (slips.some((slip) => nearest(slip, known) === key)) return;
    this.at(path, `found nothing, needed: ${needed}`);
  }

  positionOf(path: Path): Position {
    for (let length = path.length; length > 0; length -= 1) {
      const node = nodeAt(this.tree, path.slice(0, length));
      if (node !== undefined) return node.position;
    }
    return this.tree.position;
  }
}
