/**
 * mosquitto's acl_file. Pure: text in, rules out.
 *
 *   topic read public/#              before the first user: for clients without a name
 *   user alice
 *   topic readwrite alice/#          for alice
 *   topic deny alice/secret
 *   pattern write devices/%c/#       for everyone, wherever it stands; %u the user name, %c the Client Identifier
 */
import { validTopicFilter } from '../mqtt/topic.js';
import { ERRORS_MAX } from './config-error.js';
import { didYouMean } from './nearest.js';
import { type LineProblem, linesOf } from './user-lines.js';

export type AclAccess = 'read' | 'write' | 'readwrite' | 'deny';

export interface AclRule {
  readonly access: AclAccess;
  /** In a pattern with %u and %c still in it. */
  readonly topicFilter: string;
}

export interface AclFile {
  readonly anonymous: readonly AclRule[];
  readonly users: ReadonlyMap<string, readonly AclRule[]>;
  readonly patterns: readonly AclRule[];
}

const WORDS = ['user', 'topic', 'pattern'];
const ACCESSES: readonly string[] = ['read', 'write', 'readwrite', 'deny'] satisfies AclAccess[];

export function parseAclFile(text: string): AclFile & { readonly problems: readonly LineProblem[] } {
  const anonymous: AclRule[] = [];
  const users = new Map<string, AclRule[]>();
  const patterns: AclRule[] = [];
  const problems: LineProblem[] = [];
  let section = anonymous;
  for (const [index, line] of linesOf(text)) {
    if (problems.length >= ERRORS_MAX) break;
    const tell = (column: number, message: string): void => {
      problems.push({ position: { line: index + 1, column }, message });
    };
    const [, indent = '', word = '', space = '', rest = ''] = /^(\s*)(\S+)(\s*)(.*)$/s.exec(line) ?? [];
    const column = indent.length + word.length + space.length + 1;
    if (!WORDS.includes(word)) {
      const meant = didYouMean(word, WORDS);
      tell(indent.length + 1, `found ${word}${meant === '' ? ',' : meant} allowed: user, topic or pattern`);
    } else if (rest === '') {
      tell(indent.length + 1, `found ${word} and nothing after it, needed: ${NEEDED[word] ?? ''}`);
    } else if (word === 'user') {
      section = users.get(rest) ?? [];
      // A user without a line of its own has what patterns give.
      users.set(rest, section);
    } else {
      const rule = ruleOf(rest, column, tell);
      if (rule !== undefined) (word === 'pattern' ? patterns : section).push(rule);
    }
  }
  return { anonymous, users, patterns, problems };
}

const NEEDED: Readonly<Record<string, string>> = {
  user: 'a user name',
  topic: 'read, write, readwrite or deny, and a topic filter',
  pattern: 'read, write, readwrite or deny, and a topic filter',
};

/** `[access] filter`: a filter may hold spaces, so one that stands alone must not. */
function ruleOf(
  text: string,
  column: number,
  tell: (column: number, message: string) => void,
): AclRule | undefined {
  const [, first = '', space = '', rest = ''] = /^(\S+)(\s*)(.*)$/s.exec(text) ?? [];
  if (rest !== '' && !ACCESSES.includes(first)) {
    const meant = didYouMean(first, ACCESSES);
    tell(column, `found ${first}${meant === '' ? ',' : meant} allowed: read, write, readwrite or deny`);
    return undefined;
  }
  const topicFilter = rest === '' ? first : rest;
  if (!validTopicFilter(topicFilter, 4)) {
    const at = rest === '' ? column : column + first.length + space.length;
    tell(
      at,
      `found ${JSON.stringify(topicFilter)}, allowed: a topic filter; + and # stand for whole levels, # at the end`,
    );
    return undefined;
  }
  return { access: rest === '' ? 'readwrite' : (first as AclAccess), topicFilter };
}
