/**
 * Tells systemd how the service is: READY, STATUS, WATCHDOG, STOPPING. Node cannot open the datagram socket
 * itself, so each message is a child process `systemd-notify`, which needs `NotifyAccess=all` in the unit.
 *
 * One child at a time; what waits is the newest message of each kind. Nothing here is ever waited for by the
 * gateway's work, and without NOTIFY_SOCKET nothing happens at all. From `ready` to `stopping` the watchdog is
 * fed by a timer: while the loop turns, and while `isAlive` agrees.
 */
import { execFile } from 'node:child_process';
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';

export interface SystemdNotifierOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the watchdog deserves its food. */
  readonly isAlive?: () => boolean;
  /** process.env, replaced in tests. */
  readonly environment?: { readonly [name: string]: string | undefined };
  /** Runs `systemd-notify` with these arguments; replaced in tests. */
  readonly run?: (args: readonly string[]) => Promise<void>;
}

export class SystemdNotifier {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #isAlive: () => boolean;
  readonly #run: (args: readonly string[]) => Promise<void>;
  readonly #enabled: boolean;
  readonly #watchdogMs: number;
  readonly #waiting = new Map<string, string>();
  #timer: Timer | undefined;
  #busy: Promise<void> | undefined;
  #failing = false;

  constructor(options: SystemdNotifierOptions) {
    const environment = options.environment ?? process.env;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#isAlive = options.isAlive ?? (() => true);
    this.#run = options.run ?? runSystemdNotify;
    this.#enabled = (environment.NOTIFY_SOCKET ?? '') !== '';
    this.#watchdogMs = this.#enabled ? watchdogMs(environment) : Infinity;
  }

  /** Each resolves when systemd was told, or could not be: await it only where the process is about to end. */
  ready(): Promise<void> {
    this.#armWatchdog();
    return this.#tell('READY', '1');
  }

  stopping(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.#tell('STOPPING', '1');
  }

  /** One line for `systemctl status`. */
  status(sentence: string): Promise<void> {
    return this.#tell('STATUS', sentence.replaceAll(/\s+/g, ' '));
  }

  #armWatchdog(): void {
    if (this.#watchdogMs === Infinity) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + this.#watchdogMs, () => {
      if (this.#isAlive()) void this.#tell('WATCHDOG', '1');
      this.#armWatchdog();
    });
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

/** A third of systemd's limit, so that two late calls are no hang; Infinity where systemd does not ask for it. */
function watchdogMs(environment: { readonly [name: string]: string | undefined }): number {
  const limitUs = Number(environment.WATCHDOG_USEC);
  const isOurs = environment.WATCHDOG_PID === undefined || Number(environment.WATCHDOG_PID) === process.pid;
  return isOurs && limitUs > 0 ? limitUs / 3000 : Infinity;
}
