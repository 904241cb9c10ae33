/**
 * argv → command → exit code. Each command's code loads only when it is asked for, so that `godwit status` is quick
 * and `godwit schema` needs no native package.
 */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { describeServerUrl } from '../config/endpoint.js';
import type { ConfigError } from '../config/parse.js';
import { parsePointInTime } from '../config/point-in-time.js';
import { GodwitError, reasonOf } from '../core/error.js';
import { VERSION } from '../core/version.js';
import { validTopicFilter } from '../mqtt/topic.js';
import { ExitCode } from './exit-code.js';
import type { ReplayOptions } from './replay.js';
import type { ScanOptions } from './scan.js';
import type { UnbatchOptions } from './unbatch.js';

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

  withConfig('run', 'run the gateway in the foreground')
    .option(
      '--simulate',
      'on simulated devices: no bus is opened, values are made up, the rest is as configured',
    )
    .action(async (options: { config: string; simulate?: boolean }) => {
      const { run } = await import('./run.js');
      ends(await run(options.config, options.simulate === true));
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
  program
    .command('profiles [name]')
    .description('list the device profiles, or print one')
    .option('--json', 'print it as JSON')
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      const { profiles } = await import('./profiles.js');
      ends(profiles(name, options.json === true));
    });
  withConfig('status', 'devices, broker, bridges and backlog of the running gateway')
    .option('--json', 'print the whole Snapshot as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { status } = await import('./status.js');
      ends(await status(options.config, options.json === true));
    });
  withConfig('doctor', 'check serial ports, GPIO, clock, disk and service; say what to do about each finding')
    .option('--json', 'print it as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { doctor } = await import('./doctor.js');
      ends(await doctor(options.config, options.json === true));
    });
  addFieldCommands(withConfig, ends);
  addJournalCommands(withConfig, ends);
  addReplay(withConfig, ends);
  addUnbatch(program, ends);
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

function addFieldCommands(
  add: (name: string, what: string) => Command,
  ends: (code: ExitCode) => void,
): void {
  add('read <device/point>', 'read a device or one point once, with what the device sent for it')
    .option('--types', 'show the bytes in every plausible type and order')
    .option('--json', 'print it as JSON')
    .action(async (place: string, options: { config: string; types?: boolean; json?: boolean }) => {
      const { read } = await import('./read.js');
      ends(await read(options.config, place, options));
    });
  add('write <device/point> <value>', 'write a point once and read it back')
    .option('--json', 'print it as JSON')
    .action(async (place: string, value: string, options: { config: string; json?: boolean }) => {
      const { write } = await import('./write.js');
      ends(await write(options.config, place, value, options.json === true));
    });
  add('trace <bus>', 'show what goes over a bus, frame by frame, until Ctrl-C')
    .option('--json', 'print each frame as a line of JSON')
    .action(async (bus: string, options: { config: string; json?: boolean }) => {
      const { trace } = await import('./trace.js');
      ends(await trace(options.config, bus, options.json === true));
    });
  add('sub', 'show what the gateway publishes, until Ctrl-C')
    .argument('<filter>', 'a topic filter such as site/#', topicFilter)
    .option('--json', 'print each message as a line of JSON')
    .action(async (filter: string, options: { config: string; json?: boolean }) => {
      const { sub } = await import('./sub.js');
      ends(await sub(options.config, filter, options.json === true));
    });
  add('scan', 'find the units on a Modbus bus, identify them, and print the YAML to paste')
    .addArgument(new Argument('<protocol>', 'modbus').choices(['modbus']))
    .argument('<bus>', 'its name in the configuration')
    .option('--units <numbers>', 'unit numbers to ask, as in 1-10,20', '1-247')
    .option(
      '--speeds <bauds>',
      'speeds to try on a serial line, as in 2400,9600,19200; only while no gateway runs',
    )
    .option('--parities <parities>', 'parities to try, as in none,even; only while no gateway runs')
    .option('--json', 'print each unit as a line of JSON')
    .action(async (_protocol: string, bus: string, options: ScanOptions & { config: string }) => {
      const { scan } = await import('./scan.js');
      ends(await scan(options.config, bus, options));
    });
  add('commands', 'what was to be written by MQTT, and what became of it')
    .option('--json', 'print it as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { commands } = await import('./commands.js');
      ends(await commands(options.config, options.json === true));
    });
  add('service', 'take a device out of service, so that nothing asks it, or put it back')
    .argument('<device>', 'its name')
    .addArgument(new Argument('<state>', 'out or in').choices(['out', 'in']))
    .action(async (device: string, state: string, options: { config: string }) => {
      const { service } = await import('./service.js');
      ends(await service(options.config, device, state === 'in'));
    });
}

function addJournalCommands(
  add: (name: string, what: string) => Command,
  ends: (code: ExitCode) => void,
): void {
  add('journal', 'size, span, backlog per bridge, losses')
    .option('--json', 'print it as JSON')
    .option(
      '--audit',
      'count the Records anew; exit 1 if produced is not delivered + in flight + waiting + lost',
    )
    .action(async ({ config, ...options }: { config: string; json?: boolean; audit?: boolean }) => {
      const { journal } = await import('./journal.js');
      ends(await journal(config, options));
    });
  withRange(add('export', 'write journalled history to standard output'))
    .addOption(
      new Option('--format <format>', 'JSON Lines or CSV')
        .choices(['jsonl', 'csv'] as const)
        .default('jsonl'),
    )
    .action(async ({ config, since, until, filter, format }: RangeOptions & { format: 'jsonl' | 'csv' }) => {
      const { exportHistory } = await import('./export.js');
      const range = { fromMs: since, toMs: until ?? Number.POSITIVE_INFINITY, filter };
      ends(await exportHistory(config, range, format));
    });
}

function addReplay(add: (name: string, what: string) => Command, ends: (code: ExitCode) => void): void {
  const command = withRange(
    add('replay', 'send journalled history over a bridge again, beside what is new'),
    false,
  )
    .option('--bridge <name>', 'over this bridge')
    .option('--rate <number>', 'so many messages a second: 50 or 50/s', rate)
    .option('--list', 'show the replays, those that are over too')
    .option('--cancel <id>', 'end one')
    .option('--json', 'with --list: print them as JSON');
  command.action(async ({ config, ...options }: { config: string } & ReplayOptions) => {
    if (options.list !== true && options.cancel === undefined) {
      if (options.bridge === undefined)
        command.error("error: required option '--bridge <name>' not specified");
      if (options.since === undefined) command.error("error: required option '--since <time>' not specified");
    }
    const { replay } = await import('./replay.js');
    ends(await replay(config, options));
  });
}

function addUnbatch(program: Command, ends: (code: ExitCode) => void): void {
  program
    .command('unbatch')
    .description("on the server's side: publish again, message by message, what came in batches")
    .addOption(serverOption('--from <url>', 'the server that has the batches'))
    .addOption(serverOption('--to <url>', 'the server that gets the messages; it may be the same'))
    .option('--filter <filter>', 'where batches come', topicFilter, 'godwit/+/batch')
    .option(
      '--state <folder>',
      'where its journal is kept; $STATE_DIRECTORY or ./godwit-unbatch where absent',
    )
    .option('--client-id <id>', 'client identifier, with -from and -to behind it', 'godwit-unbatch')
    .option('--from-user <name>', 'user name there; the password in $GODWIT_FROM_PASSWORD')
    .option('--to-user <name>', 'user name there; the password in $GODWIT_TO_PASSWORD')
    .option('--ca <file>', 'PEM file of the authorities to trust, for mqtts://')
    .addOption(new Option('--protocol <version>', 'of MQTT').choices(['5', '3.1.1'] as const).default('5'))
    .addOption(
      new Option('--log-level <level>', 'what is logged')
        .choices(['debug', 'info', 'warn', 'error'] as const)
        .default('info'),
    )
    .action(async (options: UnbatchOptions) => {
      const { unbatch } = await import('./unbatch.js');
      ends(await unbatch(options));
    });
}

function serverOption(flags: string, what: string): Option {
  return new Option(flags, what).makeOptionMandatory().argParser((url: string): string => {
    const why = describeServerUrl(url);
    if (why !== undefined) throw new InvalidArgumentError(why);
    return url;
  });
}

function rate(text: string): number {
  const number = /^(\d+(\.\d+)?)(\/s)?$/.exec(text)?.[1];
  if (number !== undefined && Number(number) > 0) return Number(number);
  throw new InvalidArgumentError('Allowed: messages a second, such as 50/s.');
}

interface RangeOptions {
  readonly config: string;
  readonly since: number;
  readonly until?: number;
  readonly filter?: string;
}

/** @param mandatory false where another option may stand in for --since */
function withRange(command: Command, mandatory = true): Command {
  const since = new Option('--since <time>', 'from then on: ISO 8601, ms since the epoch, or an age (2h)');
  return command
    .addOption(since.argParser(pointInTime).makeOptionMandatory(mandatory))
    .option('--until <time>', 'up to then', pointInTime)
    .option('--filter <filter>', 'topics that match this filter', topicFilter);
}

function pointInTime(text: string): number {
  const ms = parsePointInTime(text, Date.now());
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError(
    'Allowed: 2026-11-20T12:00:00Z, milliseconds since the epoch, or an age such as 2h.',
  );
}

function topicFilter(text: string): string {
  if (validTopicFilter(text, 4)) return text;
  throw new InvalidArgumentError('Allowed: an MQTT topic filter such as site/+/level or site/#.');
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
