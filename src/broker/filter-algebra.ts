/** What two Topic Filters have in common, and whether one includes the other. Pure; filters are valid and not shared. */

/** The filter of the topics that both match; only for filters that overlap. */
export function intersection(a: string, b: string): string {
  const levelsA = a.split('/');
  const levelsB = b.split('/');
  const both: string[] = [];
  for (let at = 0; ; at += 1) {
    const inA = levelsA[at];
    const inB = levelsB[at];
    // `a/#` and `a`: the end of the shorter one; `a/#` and `a/b/+`: the rest of the longer one.
    if (inA === undefined || inB === undefined) return both.join('/');
    if (inA === '#') return [...both, ...levelsB.slice(at)].join('/');
    if (inB === '#') return [...both, ...levelsA.slice(at)].join('/');
    both.push(inA === '+' ? inB : inA);
  }
}

/** Whether `wide` matches every Topic Name that `narrow` matches. */
export function covers(wide: string, narrow: string): boolean {
  // Only a filter that names it sees a topic that begins with $. [MQTT5-4.7.2-1]
  if (/^[+#]/.test(wide) && narrow.startsWith('$')) return false;
  const levelsWide = wide.split('/');
  const levelsNarrow = narrow.split('/');
  for (const [at, level] of levelsWide.entries()) {
    if (level === '#') return true;
    const other = levelsNarrow[at];
    // `a/#` matches `a` too, which is where `narrow` may end.
    if (other === undefined) return false;
    if (other === '#' || (level !== '+' && level !== other)) return false;
  }
  return levelsNarrow.length === levelsWide.length;
}
