/**
 * Tells systemd how the service is: READY, STATUS, WATCHDOG, STOPPING. Node cannot open the datagram socket
 * itself, so each message is a child process `systemd-notify`, which needs `NotifyAccess=all` in the unit.
 *
 * One child at a time; what waits is the newest message of each kind. Nothing here is ever waited for by the
 * gateway's work, and without NOTIFY_SOCKET nothing happens at all.
 */
import { execFile } from 'node:child_process';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';

export interface SdNotifyOptions {
  readonly environment: { readonly [name: string]: string | undefined };
  readonly log: Log;
  /** Runs `systemd-notify` with these arguments; replaced in tests. */
  readonly run?: (args: readonly string[]) => Promise<void>;
}

export class SdNotify {
  readonly #log: Log;
  readonly #run: (args: readonly string[]) => Promise<void>;
  readonly #enabled: boolean;
  readonly #waiting = new Map<string, string>();
  #busy: Promise<void> | undefined;
  #failing = false;
  /** Call `watchdog()` this often while the gateway makes progress; undefined: systemd does not ask for it. */
  readonly watchdogMs: number | undefined;

  constructor({ environment, log, run = runSystemdNotify }: SdNotifyOptions) {
    this.#log = log;
    this.#run = run;
    this.#enabled = (environment.NOTIFY_SOCKET ?? '') !== '';
    this.watchdogMs = this.#enabled ? watchdogMs(environment) : undefined;
  }

  /** Each resolves when systemd was told, or could not be: await it only where the process is about to end. */
  ready(): Promise<void> {
    return this.#tell('READY', '1');
  }

  stopping(): Promise<void> {
    return this.#tell('STOPPING', '1');
  }

  watchdog(): Promise<void> {
    return this.#tell('WATCHDOG', '1');
  }

  /** One line for `systemctl status`. */
  status(sentence: string): Promise<void> {
    return this.#tell('STATUS', sentence.replaceAll(/\s+/g, ' '));
  }

  #tell(name: string, value: string): Promise<void> {
    if (!this.#enabled) return Promise.resolve();
    this.#waiting.set(name, value);
    this.#busy ??= this.#send();
    return this.#busy;
  }

  async #send(): Promise<void> {
    // One turn later, so that READY and its STATUS leave together.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const args = [...this.#waiting].map(([name, value]) => `${name}=${value}`);
      this.#waiting.clear();
      try {
        await this.#run(args);
        this.#failing = false;
      } catch (fault) {
        if (!this.#failing) this.#log.warn({ reason: reasonOf(fault) }, 'systemd could not be notified');
        this.#failing = true;
      }
    }
    this.#busy = undefined;
  }
}

/** A child that hangs would keep every later message waiting. */
const CHILD_TIMEOUT_MS = 5000;

function runSystemdNotify(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('systemd-notify', [...args], { timeout: CHILD_TIMEOUT_MS }, (fault) => {
      if (fault === null) resolve();
      else reject(fault);
    });
  });
}

/** A third of systemd's limit, so that two late calls are no hang. */
function watchdogMs(environment: SdNotifyOptions['environment']): number | undefined {
  const limitUs = Number(environment.WATCHDOG_USEC);
  const isOurs = environment.WATCHDOG_PID === undefined || Number(environment.WATCHDOG_PID) === process.pid;
  return isOurs && limitUs > 0 ? limitUs / 3000 : undefined;
}
