/**
 * What a part may say: fields first, then one constant sentence. `pino` satisfies it, and so does a
 * test's list. A line marks a change of state; repetition goes into counters.
 */
export interface Log {
  error(fields: object, sentence: string): void;
  warn(fields: object, sentence: string): void;
  info(fields: object, sentence: string): void;
  debug(fields: object, sentence: string): void;
}

const nothing = (): void => {};

/** For a part that is used as a library and was given no log. */
export const silentLog: Log = { error: nothing, warn: nothing, info: nothing, debug: nothing };
