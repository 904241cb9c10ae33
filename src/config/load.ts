/**
 * The configuration from disk, with the files that it names: the thin shell around `parse.ts`. Either everything is
 * right, or one fault carries all that is wrong.
 */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { GodwitError } from '../core/error.js';
import { type AccessFiles, readAccessFiles } from './access-files.js';
import { checkDriverFiles } from './check-driver-files.js';
import { type ConfigError, configError, FILE_START, sortErrors } from './config-error.js';
import { isDriverFile } from './driver-file-schema.js';
import { journalPathProblem, resolveJournalPath } from './journal-path.js';
import { CONFIG_BYTES_MAX, readConfig, type Section } from './parse.js';
import { profileFiles } from './profile-files.js';
import { checkPrograms } from './programs.js';
import { firstBadByte, readFileBounded } from './read-file.js';
import type { Report } from './report.js';
import type { Config } from './schema.js';
import { NO_SECRETS, readSecrets, type Secrets } from './secrets.js';
import { nodeAt, textAt } from './tree.js';

export type { AccessFiles } from './access-files.js';
export type { BridgeSecrets, ListenerSecrets, Secrets } from './secrets.js';

export interface LoadedConfig {
  readonly config: Config;
  /** As it was named, for messages. */
  readonly file: string;
  /** Where relative paths in the file begin. */
  readonly folder: string;
  readonly journalPath: string;
  /** What stands in the files that bridges name. */
  readonly secrets: Secrets;
  /** What stands in the files that say who may use the broker; absent: none is named. */
  readonly access?: AccessFiles;
}

/** Throws a GodwitError `CONFIG` whose field `errors` is a list of ConfigError. */
export function loadConfig(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
  options: { readonly only?: readonly Section[] } = {},
): LoadedConfig {
  const folder = dirname(resolve(file));
  const { config, errors, report } = readConfig(
    readText(file),
    file,
    environment,
    options.only,
    options.only === undefined ? profileFiles(folder) : undefined,
  );
  if (report === undefined) throw fault(file, errors);
  const journalPath = checkJournalPath(report, environment);
  const secrets = options.only === undefined ? readSecrets(report, folder) : NO_SECRETS;
  if (options.only === undefined) checkPrograms(report, folder, environment.PATH);
  const access = options.only === undefined ? readAccessFiles(report, folder) : {};
  if (options.only === undefined) checkDriverFiles(report, folder);
  const all = [...new Set([...errors, ...report.errors])];
  if (config === undefined || all.length > 0) throw fault(file, all);
  return { config: withDriverFiles(config, folder), file, folder, journalPath, secrets, access };
}

/** A driver of the user's own is named from where the configuration is, and looked for there whoever opens it. */
function withDriverFiles(config: Config, folder: string): Config {
  const buses = Object.entries(config.buses).map(([name, bus]) => [
    name,
    isDriverFile(bus.driver) ? { ...bus, driver: resolve(folder, bus.driver) } : bus,
  ]);
  return { ...config, buses: Object.fromEntries(buses) as Config['buses'] };
}

function readText(file: string): string {
  const read = readFileBounded(file, CONFIG_BYTES_MAX);
  if (read.kind === 'problem')
    throw fileFault(file, `the configuration cannot be read: ${read.problem}; name another with -c FILE`);
  const bad = firstBadByte(read.bytes);
  if (bad === undefined) return read.bytes.toString('utf8');
  if (
    (read.bytes[0] === 0xff && read.bytes[1] === 0xfe) ||
    (read.bytes[0] === 0xfe && read.bytes[1] === 0xff)
  ) {
    throw fileFault(file, 'found UTF-16, allowed: UTF-8; save it as that');
  }
  throw fault(file, [configError(file, bad, [], 'found a byte that is not UTF-8, allowed: UTF-8')]);
}

function checkJournalPath(report: Report, environment: Readonly<Record<string, string | undefined>>): string {
  const key = ['journal', 'path'];
  const named = textAt(report.tree, key);
  const journalPath = resolveJournalPath(named ?? 'data/journal.db', report.file, environment);
  // A path that is no text has its own error.
  if (named === undefined && nodeAt(report.tree, key) !== undefined) return journalPath;
  const problem = journalPathProblem(journalPath) ?? (isFolder(journalPath) ? FOLDER : undefined);
  if (problem !== undefined) report.at(key, problem);
  return journalPath;
}

const FOLDER = 'found a directory, allowed: the path of a file';

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    // Whether it can be used is the journal's to find out; here it is only known not to be a directory.
    return false;
  }
}

function fileFault(file: string, message: string): GodwitError {
  return fault(file, [configError(file, FILE_START, [], message)]);
}

function fault(file: string, errors: readonly ConfigError[]): GodwitError {
  const sorted = sortErrors(errors);
  const words = sorted.length === 1 ? 'a mistake' : `${sorted.length} mistakes`;
  return new GodwitError('CONFIG', `The configuration ${file} has ${words}: ${sorted[0]?.line ?? ''}`, {
    errors: sorted,
  });
}
