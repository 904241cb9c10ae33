/**
 * A fault that a caller may branch on: by `code`, never by text. The ids that a log line needs
 * travel in `fields`, what lies beneath in `cause`.
 */
export class GodwitError extends Error {
  readonly code: string;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: { readonly cause?: unknown; readonly [field: string]: unknown } = {},
  ) {
    const { cause, ...fields } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'GodwitError';
    this.code = code;
    this.fields = fields;
  }
}

/** Guards what cannot happen. If it does, the process ends and is started again from the journal. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}

/** The text of anything thrown, for a sentence that a person reads. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
