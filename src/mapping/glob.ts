/**
 * Which points a rule takes: `device/point`, where `*` stands for any characters within its half, also as a
 * part of a name: `tank-*` / `*`. Matched when rules are planned, never per reading.
 */
export function globMatches(glob: string, device: string, point: string): boolean {
  const slash = glob.indexOf('/');
  return partMatches(glob.slice(0, slash), device) && partMatches(glob.slice(slash + 1), point);
}

/** Goes back to the last `*` only, so that a glob of many stars stays cheap. */
function partMatches(glob: string, name: string): boolean {
  let g = 0;
  let n = 0;
  let star = -1;
  let starName = 0;
  while (n < name.length) {
    if (glob[g] === '*') {
      star = g;
      starName = n;
      g += 1;
    } else if (g < glob.length && glob[g] === name[n]) {
      g += 1;
      n += 1;
    } else if (star >= 0) {
      starName += 1;
      n = starName;
      g = star + 1;
    } else {
      return false;
    }
  }
  while (glob[g] === '*') g += 1;
  return g === glob.length;
}
