/**
 * The files that say who may connect and do what: read with the configuration, and again on SIGHUP. What is wrong in
 * one of them is an error of the configuration at the line of that file.
 */
import { resolve } from 'node:path';
import { type AclFile, parseAclFile } from './acl-file.js';
import { configError, FILE_START } from './config-error.js';
import { type PasswordFile, parsePasswordFile } from './password-file.js';
import { firstBadByte, readFileBounded } from './read-file.js';
import type { Report } from './report.js';
import { parseScramFile, type ScramFile } from './scram-file.js';
import { textAt } from './tree.js';
import type { LineProblem } from './user-lines.js';

/** What stands in them; a file that is not configured is undefined. */
export interface AccessFiles {
  readonly passwords?: PasswordFile;
  readonly scram?: ScramFile;
  readonly acl?: AclFile;
}

/** A hundred thousand users. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

export function readAccessFiles(report: Report, folder: string): AccessFiles {
  const passwords = readOne(report, folder, 'password_file', parsePasswordFile);
  const scram = readOne(report, folder, 'scram_file', parseScramFile);
  const acl = readOne(report, folder, 'acl_file', parseAclFile);
  return {
    ...(passwords === undefined ? {} : { passwords: passwords.users }),
    ...(scram === undefined ? {} : { scram: scram.users }),
    ...(acl === undefined
      ? {}
      : { acl: { anonymous: acl.anonymous, users: acl.users, patterns: acl.patterns } }),
  };
}

function readOne<Parsed extends { readonly problems: readonly LineProblem[] }>(
  report: Report,
  folder: string,
  key: string,
  parse: (text: string) => Parsed,
): Parsed | undefined {
  const path = ['broker', key];
  const named = textAt(report.tree, path);
  if (named === undefined || named === '') return undefined;
  const file = resolve(folder, named);
  const read = readFileBounded(file, FILE_BYTES_MAX);
  if (read.kind === 'problem') {
    report.at(path, `found ${file}, but ${read.problem}`);
    return undefined;
  }
  const bad = firstBadByte(read.bytes);
  if (bad !== undefined) {
    report.errors.push(configError(file, bad, path, 'found a byte that is not UTF-8, allowed: UTF-8'));
    return undefined;
  }
  if (read.bytes.includes(0)) {
    report.errors.push(configError(file, FILE_START, path, 'found a NUL byte, allowed: lines of text'));
    return undefined;
  }
  const parsed = parse(read.bytes.toString('utf8'));
  for (const { position, message } of parsed.problems) {
    report.errors.push(configError(file, position, path, message));
  }
  return parsed;
}
