/**
 * The password for the next CONNECT: fixed, from a file that may be replaced at any time, or from a program, for tokens
 * that age. Never logged, and never in a sentence.
 *
 *   password          ──▶ as it is
 *   password_file     ──▶ read again; where that fails, as it was read last, said once
 *   password_command  ──▶ run again, unless its last output is younger than `password_max_age` and was not refused
 */
import { PASSWORD_BYTES_MAX, passwordIn } from '../config/password-text.js';
import { readFileBounded } from '../config/read-file.js';
import type { Clock } from '../core/clock.js';
import type { Log } from '../core/log.js';
import type { CommandEnd, RunCommand } from './command.js';
import type { Fault } from './fault.js';

export interface CredentialsOptions {
  readonly bridge: string;
  readonly gatewayId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Its absolute path; `password` is what it held at the start. */
  readonly file: string | undefined;
  readonly command: readonly string[] | undefined;
  readonly maxAgeMs: number;
  readonly folder: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly run: RunCommand;
  readonly clock: Clock;
  readonly log: Log;
}

export type Answer =
  | {
      readonly kind: 'credentials';
      /** For CONNECT. */
      readonly password: string | undefined;
      /** For the request of a WebSocket. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'fault'; readonly fault: Fault };

/** A token may have to be fetched over the very link that is slow. */
export const COMMAND_MS_MAX = 30_000;
/** One attempt asks twice (the first connection throws an old session away), and so does the next server of the list. */
const SAME_ATTEMPT_MS = 10_000;
const FILE_BYTES_MAX = 1024 * 1024;
/** Stands for the password in a header. */
const PLACE = '{password}';

export class Credentials {
  readonly #options: CredentialsOptions;
  #output: { readonly password: string; readonly atMs: number } | undefined;
  #fromFile: string | undefined;
  #fileFails = false;
  #stopCommand: () => void = () => undefined;
  /** Who wants what the program that runs will write. */
  #waiting: ((answer: Answer) => void)[] = [];

  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#fromFile = options.password;
  }

  /** Calls back once, at once where nothing has to be waited for; not after `stop`. */
  get(then: (answer: Answer) => void): void {
    const { command, file, password } = this.#options;
    if (command !== undefined) this.#ask(command, then);
    else then(this.#answer(file === undefined ? password : this.#read(file)));
  }

  /** The server did not take it: what was kept is not used again. */
  refused(): void {
    this.#output = undefined;
  }

  stop(): void {
    this.#waiting = [];
    this.#stopCommand();
  }

  #ask(argv: readonly string[], then: (answer: Answer) => void): void {
    const { bridge, clock, folder, gatewayId, maxAgeMs, run } = this.#options;
    const known = this.#output;
    if (known !== undefined && clock.monotonicMs() - known.atMs < Math.max(maxAgeMs, SAME_ATTEMPT_MS)) {
      then(this.#answer(known.password));
      return;
    }
    this.#output = undefined;
    this.#waiting.push(then);
    if (this.#waiting.length > 1) return;
    this.#stopCommand = run(
      {
        argv,
        folder,
        environment: { GODWIT_BRIDGE: bridge, GODWIT_GATEWAY: gatewayId },
        limitMs: COMMAND_MS_MAX,
        // With room for the end of its line.
        outputBytesMax: PASSWORD_BYTES_MAX + 1024,
      },
      (end) => {
        this.#stopCommand = () => undefined;
        const answer = this.#written(end);
        for (const waiting of this.#waiting.splice(0)) waiting(answer);
      },
    );
  }

  #written(end: CommandEnd): Answer {
    if (end.kind === 'failed') return passwordFault(`password_command ${end.why}`);
    const text = passwordIn(end.output);
    if (text.kind === 'problem') {
      return passwordFault(`password_command wrote ${text.problem}; its first line must be the password`);
    }
    this.#output = { password: text.password, atMs: this.#options.clock.monotonicMs() };
    return this.#answer(text.password);
  }

  #read(file: string): string | undefined {
    const { bridge, log } = this.#options;
    const read = readFileBounded(file, FILE_BYTES_MAX);
    const text = read.kind === 'bytes' ? passwordIn(read.bytes) : read;
    if (text.kind === 'password') {
      this.#fromFile = text.password;
      if (this.#fileFails) log.info({ bridge, file }, 'The password file can be read again');
      this.#fileFails = false;
      return text.password;
    }
    if (!this.#fileFails) {
      log.warn(
        { bridge, file, reason: text.problem },
        'The password file cannot be used; the password that it had last is',
      );
    }
    this.#fileFails = true;
    return this.#fromFile;
  }

  #answer(password: string | undefined): Answer {
    const { headers, username } = this.#options;
    const wanting = Object.values(headers).some((value) => value.includes(PLACE));
    if (!wanting) return { kind: 'credentials', password, headers };
    if (password === undefined || !/^[\x20-\x7e]*$/.test(password)) {
      return passwordFault('the password cannot stand in a header: it must be printable ASCII');
    }
    const filled = Object.entries(headers).map(([name, value]) => [
      name,
      value.replaceAll(PLACE, () => password),
    ]);
    return {
      kind: 'credentials',
      // A gateway before the server checks it, and the server would not know what to do with it.
      password: username === undefined ? undefined : password,
      headers: Object.fromEntries(filled),
    };
  }
}

function passwordFault(sentence: string): Answer {
  return { kind: 'fault', fault: { kind: 'password', sentence } };
}
