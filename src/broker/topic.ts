/**
 * What the broker knows of a Topic Name: whether clients may publish on it, and who receives it. Sensors publish on the
 * same topics for ever, so the tree is asked once per topic and change, not per message.
 */
import type { Audience, Target } from './audience.js';
import { TOPIC_LEVELS_MAX } from './subscription-tree.js';
import { isSys } from './sys-topics.js';

export const NOBODY: Audience = { targets: [], groups: [], locals: [] };

export class Topic {
  readonly name: string;
  /** The change of subscriptions up to which `only` and `audience` are true; -1: never resolved. */
  generation = -1;
  /** The one who receives it, where nobody else does: most topics have one reader, and need no list. */
  only: Target | undefined;
  /** All others. */
  audience: Audience = NOBODY;
  /** How many receivers it holds on to, as counted by ResolvedTopics; 0: it is not in their list. */
  held = 0;
  /** The broker's own: clients read it and do not write it. */
  readonly isSys: boolean;
  /** It has more levels than a publisher may use. */
  readonly tooDeep: boolean;

  constructor(name: string) {
    this.name = name;
    this.isSys = isSys(name);
    this.tooDeep = levels(name) > TOPIC_LEVELS_MAX;
  }
}

export function levels(name: string): number {
  let count = 1;
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) count += 1;
  return count;
}
