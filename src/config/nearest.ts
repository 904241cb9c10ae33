import { distance } from 'fastest-levenshtein';

/** The known name that a wrong one was probably meant to be; undefined where nothing is near. */
export function nearest(wrong: string, known: readonly string[]): string | undefined {
  const plain = normal(wrong.slice(0, 100));
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const other = normal(name);
    // Two letters changed about are one slip.
    const away =
      letters(plain) === letters(other) ? Math.min(1, distance(plain, other)) : distance(plain, other);
    if (away < bestDistance) [best, bestDistance] = [name, away];
  }
  // A third of the word wrong is still a slip of the finger; more is another word.
  const near = bestDistance < plain.length && bestDistance <= Math.max(1, Math.floor(plain.length / 3));
  return near ? best : undefined;
}

/** `, did you mean NAME?` or nothing. */
export function didYouMean(wrong: string, known: readonly string[]): string {
  const name = nearest(wrong, known);
  return name === undefined ? '' : `, did you mean ${name}?`;
}

function letters(name: string): string {
  return [...name].sort().join('');
}

/** baudRate, Baud-Rate and baud_rate are the same slip away. */
function normal(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
}

const NAMES_SHOWN_MAX = 12;

/** Names of an operator's own may be many. */
export function shortList(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(', ');
  return names.length > NAMES_SHOWN_MAX ? `${shown}, … (${names.length})` : shown;
}
