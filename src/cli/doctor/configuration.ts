/** The configuration as far as it can be read: its mistakes are findings, and the other checks go on with the rest. */
import type { ConfigError } from '../../config/config-error.js';
import { resolveJournalPath } from '../../config/journal-path.js';
import { type LoadedConfig, loadConfig } from '../../config/load.js';
import type { Section } from '../../config/parse.js';
import type { Config } from '../../config/schema.js';
import { GodwitError } from '../../core/error.js';
import { type Finding, findings } from './finding.js';

export interface ReadConfiguration {
  readonly found: readonly Finding[];
  readonly hasMistakes: boolean;
  readonly journalPath: string;
  /** Those of its sections that are right, the others as if they were absent; undefined where none is. */
  readonly config: Config | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What to try where the whole has mistakes, the most telling first. */
const PARTS: readonly (readonly Section[])[] = [
  ['gateway', 'journal', 'broker', 'buses', 'devices'],
  ['gateway', 'journal', 'buses', 'devices'],
  ['gateway', 'journal', 'broker', 'buses'],
  ['gateway', 'journal', 'buses'],
  ['gateway', 'journal', 'broker'],
  ['gateway', 'journal'],
];

export function readConfiguration(file: string, environment: Environment): ReadConfiguration {
  const { list, ok, fail } = findings('configuration');
  try {
    const { config, journalPath } = loadConfig(file, environment);
    ok(`${file} is right`);
    return { found: list, hasMistakes: false, journalPath, config };
  } catch (fault) {
    for (const { line, message } of errorsOf(fault)) fail(line, fixFor(message));
  }
  const part = firstRight(file, environment);
  return {
    found: list,
    hasMistakes: true,
    journalPath: part?.journalPath ?? resolveJournalPath('data/journal.db', file, environment),
    config: part?.config,
  };
}

function firstRight(file: string, environment: Environment): LoadedConfig | undefined {
  for (const only of PARTS) {
    try {
      return loadConfig(file, environment, { only });
    } catch (fault) {
      // Its mistakes are among those of the whole, which have been told.
      errorsOf(fault);
    }
  }
  return undefined;
}

/** Throws on what is no mistake of the operator. */
function errorsOf(fault: unknown): readonly ConfigError[] {
  if (fault instanceof GodwitError && fault.code === 'CONFIG') return fault.fields.errors as ConfigError[];
  throw fault;
}

function fixFor(message: string): string {
  if (message.includes('the environment has no variable')) {
    return 'set it as the service does (Environment= or EnvironmentFile= of the unit), and call godwit doctor again';
  }
  if (message.includes('cannot be read'))
    return 'name the file with -c FILE; config/minimal.yaml is one to begin with';
  return 'correct it; godwit check tells when all is right, godwit schema what is allowed';
}
