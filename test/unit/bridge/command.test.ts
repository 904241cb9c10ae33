/** Real programs, good and bad. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Command, type CommandEnd, runCommand } from '../../../src/bridge/command.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-command-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(argv: readonly string[], more: Partial<Command> = {}): Promise<CommandEnd> {
  return new Promise((resolve) => {
    runCommand({ argv, folder, environment: {}, limitMs: 20_000, outputBytesMax: 1000, ...more }, resolve);
  });
}

const shell = (script: string): readonly string[] => ['sh', '-c', script];
const output = (end: CommandEnd): string => (end.kind === 'done' ? end.output.toString() : end.why);

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

test('its output is what it wrote; its arguments are not read by a shell', async () => {
  expect(output(await run(['printf', '%s|', 'a b', '$HOME', '*']))).toBe('a b|$HOME|*|');
});

test('it runs in its folder, with what its environment is to say, and nothing on standard input', async () => {
  const script = 'pwd; echo "$GODWIT_BRIDGE"; cat';
  expect(output(await run(shell(script), { environment: { GODWIT_BRIDGE: 'cloud' } }))).toBe(
    `${folder}\ncloud\n`,
  );
});

test('a path with a slash begins at its folder', async () => {
  writeFileSync(join(folder, 'token'), '#!/bin/sh\necho sesame\n', { mode: 0o755 });
  expect(output(await run(['./token']))).toBe('sesame\n');
});

describe('what fails says why', () => {
  test.each([
    [
      ['no-such-program'],
      'could not be started: there is no such program, or no such interpreter in its first line',
    ],
    [['./locked'], 'could not be started: it may not be executed'],
    [['sh', '-c', 'echo first >&2; echo "  the reason  " >&2; exit 3'], 'ended with status 3: the reason'],
    [['sh', '-c', 'exit 3'], 'ended with status 3'],
    [['sh', '-c', 'kill -SEGV $$'], 'was ended by SIGSEGV'],
    [['sh', '-c', 'echo s3cret; echo "wrong: s3cret" >&2; exit 1'], 'ended with status 1'],
    [['a\0b'], /^could not be started: /],
  ])('%j', async (argv, why) => {
    writeFileSync(join(folder, 'locked'), 'x', { mode: 0o644 });
    expect(output(await run(argv))).toMatch(why);
  });

  test('too much output', async () => {
    expect(output(await run(['yes']))).toBe('was ended: it wrote more than 1000 bytes');
  });

  test('too much time: it is ended, with all that it started', async () => {
    const script = 'sh -c "echo \\$\\$ > child; sleep 1000" & echo $$ > parent; sleep 1000';
    expect(output(await run(shell(script), { limitMs: 300 }))).toBe(
      'was ended after 0.3 s, the longest it may take',
    );
    for (const name of ['parent', 'child']) {
      const pid = Number(readFileSync(join(folder, name), 'utf8'));
      await until(() => !isAlive(pid));
    }
  });
});

test('output beyond the limit may be thrown away instead', async () => {
  const end = await run(shell('head -c 100000 /dev/zero; echo done >&2'), { excess: 'discard' });
  expect(end.kind).toBe('done');
});

test('one that leaves a program behind which holds its output is done all the same', async () => {
  expect(output(await run(shell('sleep 5 & echo sesame')))).toBe('sesame\n');
});

test('one that is stopped ends and tells nothing', async () => {
  const told: CommandEnd[] = [];
  const stop = runCommand(
    {
      argv: shell('echo $$ > pid; sleep 1000'),
      folder,
      environment: {},
      limitMs: 20_000,
      outputBytesMax: 1000,
    },
    (end) => told.push(end),
  );
  const file = join(folder, 'pid');
  await until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
  stop();
  stop();
  await until(() => !isAlive(Number(readFileSync(file, 'utf8'))));
  expect(told).toEqual([]);
});

/** A process that has ended and that nobody has asked for yet is a zombie: not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
