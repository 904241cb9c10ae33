/**
 * A tool that runs beside the gateway for as long as a line is held. It must not outlive the gateway, whatever ends
 * that: an orphan would hold the line against the next start. setpriv, which every Debian has, sees to it.
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync, readlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A tool that does not answer hangs in the kernel. */
const ANSWER_MS_MAX = 3000;
const STOP_MS_MAX = 1000;
const ERROR_BYTES_MAX = 2000;
const LINE_BYTES_MAX = 4096;
/** `anon_inode:gpio-linehandle`, `gpio-event`, `gpio-line`: as the interface is older or newer. */
const LINE_FILE = /gpio-?(line|event)/;

export interface Tools {
  /** What a tool prints; rejects with what it said on standard error. */
  run(tool: string, args: readonly string[]): Promise<string>;
  start(tool: string, args: readonly string[], listener: ToolListener): ToolProcess;
  has(tool: string): boolean;
}

export interface ToolListener {
  onText(text: string): void;
  /** It ended by itself. */
  onEnd(why: string): void;
}

export class SystemTools implements Tools {
  run(tool: string, args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(tool, [...args], { timeout: ANSWER_MS_MAX }, (fault, stdout, stderr) => {
        if (fault === null) resolve(stdout);
        else reject(new Error(firstLine(stderr) || fault.message));
      });
    });
  }

  start(tool: string, args: readonly string[], listener: ToolListener): ToolProcess {
    return this.has('setpriv')
      ? new ToolProcess('setpriv', ['--pdeathsig', 'KILL', tool, ...args], listener)
      : new ToolProcess(tool, args, listener);
  }

  has(tool: string): boolean {
    return (process.env.PATH ?? '').split(delimiter).some((folder) => {
      try {
        accessSync(join(folder, tool), constants.X_OK);
        return true;
      } catch {
        // Not in this folder.
        return false;
      }
    });
  }
}

export class ToolProcess {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  #errors = '';
  #stopping = false;

  constructor(command: string, args: readonly string[], listener: ToolListener) {
    this.#process = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (!this.#stopping) listener.onText(text);
    });
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(0, ERROR_BYTES_MAX);
    });
    // A pipe to a tool that has just ended; its end is told below.
    this.#process.stdin.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      let told = false;
      const end = (why: string): void => {
        resolve();
        if (!told && !this.#stopping) listener.onEnd(why);
        told = true;
      };
      this.#process.on('error', (fault) => end(fault.message));
      this.#process.on('close', (code, signal) =>
        end(firstLine(this.#errors) || `ended with ${signal ?? code}`),
      );
    });
  }

  /** Whether it has its line by now: the kernel shows that among its open files. */
  get holdsLine(): boolean {
    const folder = `/proc/${this.#process.pid}/fd`;
    try {
      return readdirSync(folder).some((name) => LINE_FILE.test(readlinkSync(join(folder, name))));
    } catch {
      // It has just ended, or has just closed the file that was looked at.
      return false;
    }
  }

  write(text: string): void {
    this.#process.stdin.write(text);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#process.kill('SIGTERM');
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX);
    await this.#ended;
    clearTimeout(killer);
  }
}

/** Text in pieces to whole lines; a line that never ends is dropped. */
export class Lines {
  #rest = '';

  take(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LINE_BYTES_MAX) this.#rest = '';
    return lines;
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]?.trim() ?? '';
}
