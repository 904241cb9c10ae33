/**
 * A program of the operator's own, run for a bridge: without a shell, with a limit in time and output, in a process
 * group of its own so that what it started ends with it.
 *
 *   start ──exit 0──▶ done, with its output      ──anything else──▶ failed, with why in a few words
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';

export interface Command {
  /** The program and its arguments, as they are: no shell sees them. */
  readonly argv: readonly string[];
  /** Where it runs, and where the path of a program begins. */
  readonly folder: string;
  /** Beside the gateway's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly limitMs: number;
  readonly outputBytesMax: number;
  /** What becomes of a program that writes more; `fail` where absent. */
  readonly excess?: 'fail' | 'discard';
}

export type CommandEnd =
  | { readonly kind: 'done'; readonly output: Buffer }
  | { readonly kind: 'failed'; readonly why: string };

/** `ended` is called once, unless the command was stopped by the function that is returned. */
export type RunCommand = (command: Command, ended: (end: CommandEnd) => void) => () => void;

/** After SIGTERM, for a script that has something to put right. */
const KILL_AFTER_MS = 2000;
/** A program that has ended may have left another behind that holds its output open. */
const OUTPUT_AFTER_EXIT_MS = 200;
const ERRORS_BYTES_MAX = 4096;
const ERRORS_SHOWN_MAX = 200;

export const runCommand: RunCommand = (command, ended) => {
  const run = new Run(command, ended);
  run.start();
  return () => run.stop();
};

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Processes live in real time, so that a limit holds whatever becomes of the part that set it. */
class Run {
  readonly #command: Command;
  readonly #ended: (end: CommandEnd) => void;
  #child: Child | undefined;
  #limit: NodeJS.Timeout | undefined;
  readonly #output: Buffer[] = [];
  #outputBytes = 0;
  #errors = '';
  #over = false;

  constructor(command: Command, ended: (end: CommandEnd) => void) {
    this.#command = command;
    this.#ended = ended;
  }

  start(): void {
    const { argv, environment, excess, folder, limitMs, outputBytesMax } = this.#command;
    const [program = '', ...args] = argv;
    let child: Child;
    try {
      child = spawn(program.includes('/') ? resolve(folder, program) : program, args, {
        cwd: folder,
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
    } catch (fault) {
      // Arguments that no system call takes, or too many processes.
      setImmediate(() => this.#fail(`could not be started: ${fault instanceof Error ? fault.message : ''}`));
      return;
    }
    this.#child = child;
    this.#limit = setTimeout(() => {
      this.#kill();
      this.#fail(`was ended after ${limitMs / 1000} s, the longest it may take`);
    }, limitMs);
    this.#limit.unref();
    child.stdout.on('data', (chunk: Buffer) => {
      this.#outputBytes += chunk.length;
      if (this.#outputBytes <= outputBytesMax) {
        this.#output.push(chunk);
        return;
      }
      if (excess === 'discard') return;
      this.#kill();
      this.#fail(`was ended: it wrote more than ${outputBytesMax} bytes`);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString('utf8')).slice(-ERRORS_BYTES_MAX);
    });
    child.once('error', (fault: NodeJS.ErrnoException) =>
      this.#fail(`could not be started: ${startFault(fault)}`),
    );
    child.once('exit', (code, signal) => {
      const finish = (): void => this.#exited(code, signal);
      const timer = setTimeout(finish, OUTPUT_AFTER_EXIT_MS);
      child.once('close', () => {
        clearTimeout(timer);
        finish();
      });
    });
  }

  /** Ends it; nothing is told. */
  stop(): void {
    if (this.#over) return;
    this.#finish();
    this.#kill();
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    if (code === 0) this.#end({ kind: 'done', output: Buffer.concat(this.#output) });
    else if (signal !== null) this.#fail(`was ended by ${signal}${this.#said()}`);
    else this.#fail(`ended with status ${code}${this.#said()}`);
  }

  #fail(why: string): void {
    this.#end({ kind: 'failed', why });
  }

  #end(end: CommandEnd): void {
    if (this.#over) return;
    this.#finish();
    this.#ended(end);
  }

  #finish(): void {
    this.#over = true;
    clearTimeout(this.#limit);
    this.#child?.stdout.destroy();
    this.#child?.stderr.destroy();
  }

  #kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    signal(pid, 'SIGTERM');
    setTimeout(() => signal(pid, 'SIGKILL'), KILL_AFTER_MS).unref();
  }

  /** The last line that it wrote as an error; its output may be a secret, and is not repeated even there. */
  #said(): string {
    const line = this.#errors
      .split('\n')
      .map((one) => one.replace(/[^\P{C}\t]+/gu, ' ').trim())
      .filter((one) => one !== '')
      .at(-1);
    if (line === undefined) return '';
    const secrets = Buffer.concat(this.#output)
      .toString('utf8')
      .split(/\s+/)
      .filter((word) => word !== '');
    return secrets.some((secret) => line.includes(secret)) ? '' : `: ${line.slice(0, ERRORS_SHOWN_MAX)}`;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch (fault) {
    // The whole group has ended by itself, or it runs as somebody else, whose it is then to end.
    const code = fault instanceof Error && 'code' in fault ? fault.code : undefined;
    if (code !== 'ESRCH' && code !== 'EPERM') throw fault;
  }
}

function startFault({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such program, or no such interpreter in its first line';
  return code === 'EACCES' ? 'it may not be executed' : message;
}
