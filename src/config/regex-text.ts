/**
 * Regular expressions of the configuration, which run on whatever bytes a line carries. Backtracking without end is
 * cut short where an expression can be matched in one pass, so what cannot be is refused: looking around and
 * references back.
 */
import { reasonOf } from '../core/error.js';

const LENGTH_MAX = 1000;

/** Escapes and character classes aside. */
const BEYOND_ONE_PASS = /\(\?(=|!|<=|<!)|\\[1-9]|\\k</;

/** What is wrong with it; undefined: nothing. */
export function regexProblem(source: string): string | undefined {
  if (source.length > LENGTH_MAX) return `a regular expression of at most ${LENGTH_MAX} characters`;
  try {
    new RegExp(source);
  } catch (fault) {
    return `a regular expression; this is none: ${reasonOf(fault).replace(/^Invalid regular expression: /, '')}`;
  }
  const bare = source.replace(/\\[^1-9k]/g, '').replace(/\[[^\]]*\]/g, '');
  return BEYOND_ONE_PASS.test(bare)
    ? 'a regular expression without looking ahead or behind and without references back, which a line of noise could make run for ever'
    : undefined;
}

/** How many groups it has, and their names. */
export function groupsOf(source: string): { readonly count: number; readonly names: readonly string[] } {
  const match = new RegExp(`${source}|`).exec('');
  return { count: (match?.length ?? 1) - 1, names: Object.keys(match?.groups ?? {}) };
}
