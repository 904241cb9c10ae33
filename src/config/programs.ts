/** Programs that the configuration names: whether they are there and may be executed, told at their place. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { Path } from './config-error.js';
import type { Report } from './report.js';
import { entriesAt, textAt } from './tree.js';

/** Within a bridge; each is a list whose first item is the program. */
const COMMANDS: readonly Path[] = [['password_command'], ['on_down', 'command']];

/** @param searchPath where a name without a slash is looked for, as in $PATH */
export function checkPrograms(report: Report, folder: string, searchPath: string | undefined): void {
  for (const [bridge] of entriesAt(report.tree, ['bridges'])) {
    for (const command of COMMANDS) {
      const path = ['bridges', bridge, ...command, 0];
      const program = textAt(report.tree, path);
      const problem =
        program === undefined || program === '' ? undefined : programProblem(program, folder, searchPath);
      if (problem !== undefined) report.at(path, problem);
    }
  }
}

function programProblem(program: string, folder: string, searchPath: string | undefined): string | undefined {
  if (program.includes('/')) {
    const file = resolve(folder, program);
    const state = stateOf(file);
    return state === 'runs' ? undefined : `found ${file}, but ${WORDS[state]}`;
  }
  const folders = (searchPath ?? '').split(delimiter).filter((one) => one !== '');
  if (folders.some((one) => stateOf(join(one, program)) === 'runs')) return undefined;
  const spaces = / /.test(program) ? '; the program and each argument are items of the list' : '';
  return `found ${program}, but no folder of $PATH has such a program${spaces}`;
}

const WORDS = {
  absent: 'there is no such file',
  folder: 'it is a directory, not a program',
  locked: 'it may not be executed (chmod +x)',
} as const;

function stateOf(file: string): 'runs' | keyof typeof WORDS {
  try {
    if (statSync(file).isDirectory()) return 'folder';
  } catch {
    // Whatever keeps it from being seen keeps it from being run.
    return 'absent';
  }
  try {
    accessSync(file, constants.X_OK);
    return 'runs';
  } catch {
    // The one thing that was asked.
    return 'locked';
  }
}
