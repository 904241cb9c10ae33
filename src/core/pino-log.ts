/**
 * The log of a running gateway: one JSON object a line on standard output, or lines for a person where that is
 * a terminal. pino and pino-pretty stand behind this file alone.
 *
 * Writes are synchronous, so that the last line before a crash is there. A reader that went away, or a full
 * disk behind a redirection, costs lines but never the gateway.
 */
import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { type DestinationStream, destination, pino, stdTimeFunctions } from 'pino';
import { GodwitError } from './error.js';
import type { Log } from './log.js';

export interface LogOptions {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** Takes the lines instead of standard output. */
  readonly stream?: Writable;
  /** Lines that a person reads; by default where standard output is a terminal. */
  readonly readable?: boolean;
}

export function createLog(options: LogOptions): Log {
  const readable = options.readable ?? (options.stream === undefined && process.stdout.isTTY);
  return pino(
    {
      level: options.level,
      // journald adds process and host itself.
      base: undefined,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: Object.fromEntries(FAULT_FIELDS.map((field) => [field, plainFault])),
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]) },
    },
    readable ? readableLines(options.stream) : (options.stream ?? standardOutput()),
  );
}

const SECRET_FIELDS = ['password', 'passphrase', 'token', 'secret', 'authorization', 'authenticationData'];
/** Lines that wait for a full disk to take them; more are dropped. */
const WAITING_BYTES_MAX = 1024 * 1024;
const FAULT_FIELDS = ['err', 'error', 'fault', 'cause'];

function standardOutput(): DestinationStream {
  const output = destination({ fd: 1, sync: true, maxLength: WAITING_BYTES_MAX });
  // Unheard, it would end the process. What could not be written is tried again with the next line.
  output.on('error', () => undefined);
  return output;
}

/** Loaded only here: a service under systemd never needs it. */
function readableLines(stream: Writable | undefined): DestinationStream {
  const load = createRequire(import.meta.url);
  const pretty = load('pino-pretty') as typeof import('pino-pretty');
  return pretty({ colorize: true, sync: true, translateTime: 'SYS:HH:MM:ss.l', destination: stream ?? 1 });
}

/** A known fault in one line: its sentence and ids. Only a bug needs its stack. */
function plainFault(fault: unknown): unknown {
  if (!(fault instanceof Error)) return fault;
  const { message } = fault;
  const code = 'code' in fault ? fault.code : undefined;
  const cause = fault.cause === undefined ? undefined : plainFault(fault.cause);
  if (fault instanceof GodwitError) return { code, message, ...fault.fields, cause };
  return code === undefined ? { message, stack: fault.stack, cause } : { code, message, cause };
}
