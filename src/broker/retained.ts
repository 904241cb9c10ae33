/**
 * The retained message of each topic: one, the newest [MQTT5-3.3.1-5]. Kept by level, so that a wildcard filter finds
 * its topics without asking all of them. Bounded by count and bytes: `fits` says so before anything is accepted.
 */
import { Deadlines } from './deadlines.js';
import type { Publication } from './publication.js';

export interface RetainedLimits {
  readonly messages: number;
  readonly bytes: number;
}

interface Node {
  children: Map<string, Node> | undefined;
  publication: Publication | undefined;
}

export class Retained {
  readonly #limits: RetainedLimits;
  readonly #expired: (topic: string) => void;
  readonly #expiries = new Deadlines<string>();
  readonly #root: Node = { children: undefined, publication: undefined };
  #size = 0;
  #bytes = 0;

  /** `expired` is told of each topic whose message ran out of time, to forget it on disk too. */
  constructor(limits: RetainedLimits, expired: (topic: string) => void = () => {}) {
    this.#limits = limits;
    this.#expired = expired;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(topic: string, nowMs: number): Publication | undefined {
    this.#forgetExpired(nowMs);
    return this.#find(topic)?.publication;
  }

  fits(publication: Publication, nowMs: number): boolean {
    if (publication.payload.length === 0) return true;
    this.#forgetExpired(nowMs);
    const replaced = this.#find(publication.topic)?.publication;
    const size = this.#size + (replaced === undefined ? 1 : 0);
    const bytes = this.#bytes + publication.bytes - (replaced?.bytes ?? 0);
    return size <= this.#limits.messages && bytes <= this.#limits.bytes;
  }

  /** An empty payload removes and is never kept [MQTT5-3.3.1-6] [MQTT5-3.3.1-7]. */
  set(publication: Publication, nowMs: number): void {
    this.#forgetExpired(nowMs);
    if (publication.payload.length === 0) {
      this.#remove(publication.topic);
      return;
    }
    let at = this.#root;
    for (const level of publication.topic.split('/')) {
      at.children ??= new Map();
      let child = at.children.get(level);
      if (child === undefined) {
        child = { children: undefined, publication: undefined };
        at.children.set(level, child);
      }
      at = child;
    }
    if (at.publication === undefined) this.#size += 1;
    else {
      at.publication.superseded = true;
      this.#bytes -= at.publication.bytes;
    }
    publication.own();
    at.publication = publication;
    this.#bytes += publication.bytes;
    this.#expiries.set(publication.topic, publication.expiresAtMs);
  }

  /** Adds every retained message whose topic the filter matches. */
  match(topicFilter: string, nowMs: number, found: Publication[]): void {
    this.#forgetExpired(nowMs);
    const levels = topicFilter.split('/');
    descend(this.#root, levels, 0, found);
  }

  #find(topic: string): Node | undefined {
    let at: Node | undefined = this.#root;
    for (const level of topic.split('/')) {
      at = at?.children?.get(level);
      if (at === undefined) return undefined;
    }
    return at;
  }

  #remove(topic: string): void {
    const levels = topic.split('/');
    const path: Node[] = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children?.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    const last = path.at(-1) as Node;
    if (last.publication === undefined) return;
    last.publication.superseded = true;
    this.#bytes -= last.publication.bytes;
    this.#size -= 1;
    last.publication = undefined;
    this.#expiries.delete(topic);
    for (let depth = levels.length; depth > 0; depth -= 1) {
      const here = path[depth] as Node;
      if (here.children !== undefined || here.publication !== undefined) break;
      const parent = path[depth - 1] as Node;
      parent.children?.delete(levels[depth - 1] as string);
      if (parent.children?.size === 0) parent.children = undefined;
    }
  }

  #forgetExpired(nowMs: number): void {
    if (this.#expiries.size === 0) return;
    for (
      let topic = this.#expiries.shiftDue(nowMs);
      topic !== undefined;
      topic = this.#expiries.shiftDue(nowMs)
    ) {
      this.#remove(topic);
      this.#expired(topic);
    }
  }
}

function descend(at: Node, levels: string[], depth: number, found: Publication[]): void {
  if (depth === levels.length) {
    if (at.publication !== undefined) found.push(at.publication);
    return;
  }
  const level = levels[depth] as string;
  if (level === '#') {
    everything(at, depth === 0, found);
  } else if (level === '+') {
    if (at.children === undefined) return;
    for (const [name, child] of at.children) {
      if (depth === 0 && name.startsWith('$')) continue; // [MQTT5-4.7.2-1]
      descend(child, levels, depth + 1, found);
    }
  } else {
    const child = at.children?.get(level);
    if (child !== undefined) descend(child, levels, depth + 1, found);
  }
}

function everything(at: Node, isRoot: boolean, found: Publication[]): void {
  if (at.publication !== undefined) found.push(at.publication);
  if (at.children === undefined) return;
  for (const [name, child] of at.children) {
    if (isRoot && name.startsWith('$')) continue; // [MQTT5-4.7.2-1]
    everything(child, false, found);
  }
}
