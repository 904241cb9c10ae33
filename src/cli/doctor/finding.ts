/** What a check of `godwit doctor` found: as it should be, worth a look, or wrong; and what to do about it. */
export interface Finding {
  /** What was looked at: `configuration`, `serial`, `clock`. */
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly what: string;
  readonly fix?: string;
}

export interface Findings {
  ok(what: string): void;
  warn(what: string, fix: string): void;
  fail(what: string, fix: string): void;
  readonly list: readonly Finding[];
}

/** Gathers what one check finds. Whatever is not as it should be has a fix. */
export function findings(check: string): Findings {
  const list: Finding[] = [];
  return {
    list,
    ok: (what) => void list.push({ check, state: 'ok', what }),
    warn: (what, fix) => void list.push({ check, state: 'warn', what, fix }),
    fail: (what, fix) => void list.push({ check, state: 'fail', what, fix }),
  };
}

/** Our sentences name the trouble first and what to do behind a semicolon. */
export function troubleAndFix(sentence: string, otherwise: string): [what: string, fix: string] {
  const at = sentence.indexOf('; ');
  return at < 0 ? [sentence, otherwise] : [sentence.slice(0, at), sentence.slice(at + 2)];
}
