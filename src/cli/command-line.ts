/**
 * argv → command → exit code. Each command's code loads only when it is asked for, so that `godwit status` is quick
 * and `godwit schema` needs no native package.
 */
import { Command, CommanderError } from 'commander';
import type { ConfigError } from '../config/parse.js';
import { GodwitError, reasonOf } from '../core/error.js';
import { VERSION } from '../core/version.js';
import { ExitCode } from './exit-code.js';

export const DEFAULT_CONFIG = '/etc/godwit/godwit.yaml';

export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let exitCode: number = ExitCode.done;
  const program = build((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (fault) {
    return tell(fault);
  }
}

function build(ends: (code: ExitCode) => void): Command {
  const program = new Command('godwit')
    .description(
      'Edge gateway: polls field devices, serves their topics from its own MQTT broker, loses nothing upstream.',
    )
    .version(VERSION)
    .showHelpAfterError('(godwit --help lists the commands)')
    .exitOverride();
  const withConfig = (name: string, what: string): Command =>
    program
      .command(name)
      .description(what)
      .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG);

  withConfig('run', 'run the gateway in the foreground').action(async (options: { config: string }) => {
    const { run } = await import('./run.js');
    ends(await run(options.config));
  });
  program
    .command('demo')
    .description('run it on simulated devices: no hardware, no configuration')
    .action(async () => {
      const { demo } = await import('./demo.js');
      ends(await demo());
    });
  withConfig('check', 'validate the configuration; print what would be polled and published')
    .option('--json', 'print it as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { check } = await import('./check.js');
      ends(check(options.config, options.json === true));
    });
  program
    .command('schema')
    .description('print the JSON Schema of the configuration')
    .action(async () => {
      const { jsonSchema } = await import('../config/json-schema.js');
      process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    });
  withConfig('status', 'devices, broker, bridges and backlog of the running gateway')
    .option('--json', 'print the whole Snapshot as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { status } = await import('./status.js');
      ends(await status(options.config, options.json === true));
    });
  program
    .command('passwd <file> <user>')
    .description(
      'add, change or remove a user in a password file; the password is asked for, or read from a pipe',
    )
    .option('-D, --delete', 'remove the user')
    .option('--scram', 'FILE is a SCRAM file (broker.scram_file), not a password file')
    .action(async (file: string, user: string, options: { delete?: boolean; scram?: boolean }) => {
      const { passwd } = await import('./passwd.js');
      ends(await passwd(file, user, { remove: options.delete === true, scram: options.scram === true }));
    });
  return program;
}

/** One clear sentence on standard error; a stack trace only for a bug. */
function tell(fault: unknown): ExitCode {
  if (fault instanceof CommanderError) return fault.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  if (fault instanceof GodwitError && fault.code === 'CONFIG') {
    const errors = (fault.fields.errors ?? []) as readonly ConfigError[];
    for (const error of errors) process.stderr.write(`${error.line}\n`);
    if (errors.length === 0) process.stderr.write(`godwit: ${fault.message}\n`);
    return ExitCode.configuration;
  }
  if (fault instanceof GodwitError) {
    process.stderr.write(`godwit: ${fault.message}\n`);
    return ExitCode.failed;
  }
  process.stderr.write(
    `godwit: unexpected fault: ${fault instanceof Error ? fault.stack : reasonOf(fault)}\n`,
  );
  return ExitCode.failed;
}
