/**
 * Topic Filters by level: what matches a Topic Name is found in the depth of the name, however many filters there are.
 *
 *   root ─ "site" ─ "+" ─ "temp"      a node's `entries` end exactly there,
 *        └ "#"                        its `below` are those whose filter goes on with "#"
 *
 * Entries are kept by key (a session, a group's name), so the same filter by the same key replaces [MQTT5-3.8.4-3].
 */

import { SmallMap } from '../core/small-map.js';

/** As mosquitto's limit: a name is matched recursively, and 65,535 slashes fit into one. */
export const TOPIC_LEVELS_MAX = 200;

interface Node<Key, Entry extends object | string> {
  children: SmallMap<string, Node<Key, Entry>> | undefined;
  entries: SmallMap<Key, Entry> | undefined;
  below: SmallMap<Key, Entry> | undefined;
}

export class SubscriptionTree<Key, Entry extends object | string> {
  readonly #root: Node<Key, Entry> = node();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whether any filter begins with this level. */
  hasBelow(level: string): boolean {
    return this.#root.children?.get(level) !== undefined;
  }

  /** Returns the entry that was replaced. */
  add(topicFilter: string, key: Key, entry: Entry): Entry | undefined {
    let at = this.#root;
    const levels = topicFilter.split('/');
    const endsBelow = levels.at(-1) === '#';
    if (endsBelow) levels.pop();
    for (const level of levels) {
      at.children ??= new SmallMap();
      let child = at.children.get(level);
      if (child === undefined) {
        child = node();
        at.children.set(level, child);
      }
      at = child;
    }
    if (endsBelow) at.below ??= new SmallMap();
    else at.entries ??= new SmallMap();
    const kept = (endsBelow ? at.below : at.entries) as SmallMap<Key, Entry>;
    const previous = kept.get(key);
    kept.set(key, entry);
    if (previous === undefined) this.#size += 1;
    return previous;
  }

  get(topicFilter: string, key: Key): Entry | undefined {
    let at: Node<Key, Entry> | undefined = this.#root;
    const levels = topicFilter.split('/');
    const endsBelow = levels.at(-1) === '#';
    if (endsBelow) levels.pop();
    for (const level of levels) {
      at = at?.children?.get(level);
      if (at === undefined) return undefined;
    }
    return (endsBelow ? at.below : at.entries)?.get(key);
  }

  /** Returns the entry that was removed. Nodes that hold nothing more go with it. */
  remove(topicFilter: string, key: Key): Entry | undefined {
    const levels = topicFilter.split('/');
    const endsBelow = levels.at(-1) === '#';
    if (endsBelow) levels.pop();
    const path: Node<Key, Entry>[] = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children?.get(level);
      if (child === undefined) return undefined;
      path.push(child);
    }
    const last = path.at(-1) as Node<Key, Entry>;
    const kept = endsBelow ? last.below : last.entries;
    const removed = kept?.get(key);
    if (kept === undefined || removed === undefined) return undefined;
    kept.delete(key);
    if (kept.size === 0) {
      if (endsBelow) last.below = undefined;
      else last.entries = undefined;
    }
    for (let depth = levels.length; depth > 0; depth -= 1) {
      const here = path[depth] as Node<Key, Entry>;
      if (here.children !== undefined || here.entries !== undefined || here.below !== undefined) break;
      const parent = path[depth - 1] as Node<Key, Entry>;
      parent.children?.delete(levels[depth - 1] as string);
      if (parent.children?.size === 0) parent.children = undefined;
    }
    this.#size -= 1;
    return removed;
  }

  /** Adds every entry whose filter matches the Topic Name to `found`. */
  match(topicName: string, found: Entry[]): void {
    const levels = topicName.split('/');
    // A filter that begins with a wildcard does not see names that begin with $. [MQTT5-4.7.2-1]
    if (topicName.charCodeAt(0) !== 0x24) {
      descend(this.#root, levels, 0, found);
      return;
    }
    const child = this.#root.children?.get(levels[0] as string);
    if (child !== undefined) descend(child, levels, 1, found);
  }
}

function node<Key, Entry extends object | string>(): Node<Key, Entry> {
  return { children: undefined, entries: undefined, below: undefined };
}

function descend<Key, Entry extends object | string>(
  at: Node<Key, Entry>,
  levels: string[],
  depth: number,
  found: Entry[],
): void {
  // "sport/#" matches "sport" too: what is below a node includes the node itself.
  at.below?.addValuesTo(found);
  if (depth === levels.length) {
    at.entries?.addValuesTo(found);
    return;
  }
  if (at.children === undefined) return;
  const exact = at.children.get(levels[depth] as string);
  if (exact !== undefined) descend(exact, levels, depth + 1, found);
  const any = at.children.get('+');
  if (any !== undefined && any !== exact) descend(any, levels, depth + 1, found);
}
