/**
 * What an ACL file allows one client, as mosquitto decides it:
 *
 *   own lines (of its user, or of clients without a name): a deny that matches, else an allow that matches, decides;
 *   then patterns, with %u and %c filled in, in the same way; else no.
 *
 * A user name or Client Identifier never widens a pattern: where it holds + # or /, or would make a $-topic of one, an
 * allow that uses it gives nothing, and a deny that uses it takes everything from that level on.
 *
 * Decisions are remembered per topic: a device publishes on the same few topics for ever, and a hundred lines are asked
 * once for each.
 */
import type { AclAccess, AclFile, AclRule } from '../config/acl-file.js';
import { matches, overlap } from '../mqtt/topic.js';
import { covers, intersection } from './filter-algebra.js';

/** Both halves of a client's memory together: a thousand clients that publish on a thousand topics each stay below 50 MB. */
const REMEMBERED_MAX = 512;
/** A Topic Name may have 65,535 bytes. */
const REMEMBERED_CHARACTERS_MAX = 64 * 1024;

const READ = 1;
const WRITE = 2;

interface Line {
  readonly topicFilter: string;
  /** What a topic must begin with; most lines are ruled out by it. */
  readonly prefix: string;
  /** READ and WRITE; 0: a deny. */
  readonly gives: number;
}

interface Lines {
  readonly denies: readonly Line[];
  readonly allows: readonly Line[];
}

export class Permissions {
  readonly #own: Lines;
  readonly #patterns: Lines;
  // Two halves, as MatchCache: what is used moves to the younger, the older goes whole.
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #characters = 0;

  constructor(acl: AclFile, username: string | undefined, clientId: string) {
    const own = username === undefined ? acl.anonymous : (acl.users.get(username) ?? []);
    this.#own = linesOf(own);
    this.#patterns = linesOf(acl.patterns.flatMap((rule) => filledIn(rule, username, clientId)));
  }

  mayRead(topicName: string): boolean {
    return (this.#decide(topicName) & READ) !== 0;
  }

  mayWrite(topicName: string): boolean {
    return (this.#decide(topicName) & WRITE) !== 0;
  }

  /**
   * Whether there can be a topic that both the filter and the client's right to read include. Denies that only together
   * leave nothing are not seen through: then the subscription is granted, and nothing comes by it.
   */
  maySubscribe(topicFilter: string): boolean {
    const { denies: ownDenies, allows } = this.#own;
    const { denies, allows: patterns } = this.#patterns;
    return (
      allows.some((line) => leaves(topicFilter, line, ownDenies)) ||
      patterns.some((line) => leaves(topicFilter, line, [...ownDenies, ...denies]))
    );
  }

  #decide(topicName: string): number {
    const known = this.#young.get(topicName);
    if (known !== undefined) return known;
    let decision = this.#old.get(topicName);
    decision ??= given(this.#own, this.#patterns, topicName);
    this.#remember(topicName, decision);
    return decision;
  }

  #remember(topicName: string, decision: number): void {
    const characters = this.#characters + topicName.length;
    if (this.#young.size >= REMEMBERED_MAX || characters > REMEMBERED_CHARACTERS_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#characters = 0;
    }
    this.#young.set(topicName, decision);
    this.#characters += topicName.length;
  }
}

function given(own: Lines, patterns: Lines, topicName: string): number {
  let gives = 0;
  for (const { denies, allows } of [own, patterns]) {
    for (const line of denies) if (concerns(line, topicName)) return gives;
    for (const line of allows) {
      if ((gives | line.gives) !== gives && concerns(line, topicName)) gives |= line.gives;
    }
    if (gives === (READ | WRITE)) break;
  }
  return gives;
}

function concerns({ prefix, topicFilter }: Line, topicName: string): boolean {
  return topicName.startsWith(prefix) && matches(topicFilter, topicName);
}

function leaves(topicFilter: string, line: Line, denies: readonly Line[]): boolean {
  if ((line.gives & READ) === 0 || !overlap(topicFilter, line.topicFilter)) return false;
  const both = intersection(topicFilter, line.topicFilter);
  return !denies.some((deny) => covers(deny.topicFilter, both));
}

const GIVES: Readonly<Record<AclAccess, number>> = {
  read: READ,
  write: WRITE,
  readwrite: READ | WRITE,
  deny: 0,
};

function linesOf(rules: readonly AclRule[]): Lines {
  const lines = rules.map(({ access, topicFilter }): Line => {
    // `a/#` matches `a` too.
    const prefix = topicFilter.replace(/(?:\/?#|\+.*)$/s, '');
    return { topicFilter, prefix, gives: GIVES[access] };
  });
  return {
    denies: lines.filter(({ gives }) => gives === 0),
    allows: lines.filter(({ gives }) => gives !== 0),
  };
}

/** The pattern for this client; none where it does not concern it. */
function filledIn(rule: AclRule, username: string | undefined, clientId: string): AclRule[] {
  const { access, topicFilter } = rule;
  // As mosquitto: a pattern with %u is not for clients without a name.
  if (username === undefined && topicFilter.includes('%u')) return [];
  const levels: string[] = [];
  for (const [depth, level] of topicFilter.split('/').entries()) {
    const filled = level.replace(/%[uc]/g, (sign) => (sign === '%u' ? (username ?? '') : clientId));
    if (filled !== level) {
      const isDeny = access === 'deny';
      if (/[+#/]/.test(filled)) return isDeny ? [{ access, topicFilter: [...levels, '#'].join('/') }] : [];
      if (depth === 0 && filled.startsWith('$') && !isDeny) return [];
    }
    levels.push(filled);
  }
  const whole = levels.join('/');
  return whole === '' ? [] : [{ access, topicFilter: whole }];
}
