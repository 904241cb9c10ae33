/** A mistake of the operator: where it is, what was found, what is allowed. */
export interface ConfigError {
  readonly file: string;
  readonly position: Position;
  /** `buses.rs485.baud_rate`; empty where it is the file as a whole. */
  readonly key: string;
  readonly message: string;
  /** The whole as it is printed: `FILE:LINE:COLUMN: key.path: message`. */
  readonly line: string;
}

/** Both count from 1; a column is a UTF-16 code unit, as editors count. */
export interface Position {
  readonly line: number;
  readonly column: number;
  /** Where it is not the file that is being read, but one that it names. */
  readonly file?: string;
}

export type Path = readonly (string | number)[];

export const FILE_START: Position = { line: 1, column: 1 };

/** A hostile or hopeless file must not fill the terminal or the memory. */
export const ERRORS_MAX = 500;
const KEY_LENGTH_MAX = 300;
const MESSAGE_LENGTH_MAX = 1000;

export function configError(file: string, position: Position, path: Path, found: string): ConfigError {
  const key = shorten(keyText(path), KEY_LENGTH_MAX);
  const message = shorten(found, MESSAGE_LENGTH_MAX);
  const named = position.file ?? file;
  const place = `${named}:${position.line}:${position.column}: `;
  return {
    file: named,
    position,
    key,
    message,
    line: oneLine(place + (key === '' ? '' : `${key}: `) + message),
  };
}

/** Each place once, in the order of the file, and no more than a person can use. */
export function sortErrors(errors: readonly ConfigError[]): ConfigError[] {
  const distinct = [...new Map(errors.map((error) => [error.line, error])).values()];
  distinct.sort(
    (a, b) =>
      a.file.localeCompare(b.file) ||
      a.position.line - b.position.line ||
      a.position.column - b.position.column,
  );
  const last = distinct[ERRORS_MAX - 1];
  if (distinct.length <= ERRORS_MAX || last === undefined) return distinct;
  const left = distinct.length - ERRORS_MAX;
  return [
    ...distinct.slice(0, ERRORS_MAX),
    configError(last.file, last.position, [], `${left} more errors follow; correct these first`),
  ];
}

export function keyText(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
}

export function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}…`;
}

/** Control characters in a value must neither break the line nor reach a terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
