/** `device/point` patterns of mapping rules: * stands for any run of characters within a name. */
export interface Pattern {
  readonly device: string;
  readonly point: string;
}

/** Undefined where the text is no DEVICE/POINT. */
export function parsePattern(text: string): Pattern | undefined {
  const [device, point, ...more] = text.split('/');
  if (device === undefined || point === undefined || device === '' || point === '' || more.length > 0) {
    return undefined;
  }
  return { device, point };
}

export function isWild(pattern: string): boolean {
  return pattern.includes('*');
}

/** A test that takes linear time whatever the pattern. */
export function matcherOf(pattern: string): (name: string) => boolean {
  if (!isWild(pattern)) return (name) => name === pattern;
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop() ?? '';
  return (name) => {
    if (name.length < first.length + last.length) return false;
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    const end = name.length - last.length;
    let from = first.length;
    for (const piece of rest) {
      const at = name.indexOf(piece, from);
      if (at === -1 || at + piece.length > end) return false;
      from = at + piece.length;
    }
    return true;
  };
}
