/**
 * `on_down`: a program of the operator's that runs when the link has been down for long, such as one that switches the
 * modem off and on.
 *
 *   down ──after──▶ run ──every──▶ run …        up for a minute ──▶ the outage is over
 *
 * A session that is shorter than that ends no outage: a modem that is half dead connects now and then. Never two at a
 * time. A stop of the bridge lets a run finish, since one that is cut half-way may leave the modem without power.
 */
import type { BridgeConfig } from '../config/schema.js';
import type { Clock, Timer } from '../core/clock.js';
import type { Log } from '../core/log.js';
import type { DownHookSnapshot } from '../core/snapshot.js';
import { LASTED_MS } from './backoff.js';
import type { CommandEnd, RunCommand } from './command.js';
import type { Fault } from './fault.js';

export interface DownHookOptions {
  readonly bridge: string;
  readonly gatewayId: string;
  readonly config: NonNullable<BridgeConfig['on_down']>;
  readonly folder: string;
  readonly run: RunCommand;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the program is told; an environment variable holds no more in practice. */
const REASON_LENGTH_MAX = 1000;
const OUTPUT_BYTES_MAX = 16 * 1024;
const OUTPUT_SHOWN_MAX = 200;

export class DownHook {
  readonly #options: DownHookOptions;
  /** Of this outage, in monotonic time. */
  #downAtMs: number | undefined;
  #ranAtMs: number | undefined;
  #isDown = false;
  #timer: Timer | undefined;
  #fault: Fault | undefined;
  #server: string | undefined;
  #runs = 0;
  #runsOfOutage = 0;
  #running = false;
  #last: { readonly at: number; readonly ok: boolean; readonly result: string } | undefined;
  #stopped = false;

  constructor(options: DownHookOptions) {
    this.#options = options;
  }

  /** An attempt failed, a session ended, or there was none yet. */
  down(server: string | undefined, fault: Fault | undefined): void {
    this.#server = server;
    this.#fault = fault ?? this.#fault;
    if (this.#isDown || this.#stopped) return;
    this.#isDown = true;
    this.#downAtMs ??= this.#options.clock.monotonicMs();
    this.#arm();
  }

  /** A session is in use. */
  up(): void {
    const { clock } = this.#options;
    this.#isDown = false;
    this.#timer?.cancel();
    this.#timer = clock.at(clock.monotonicMs() + LASTED_MS, () => {
      this.#downAtMs = undefined;
      this.#ranAtMs = undefined;
      this.#runsOfOutage = 0;
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  get snapshot(): DownHookSnapshot {
    return { runs: this.#runs, running: this.#running, ...(this.#last && { last: this.#last }) };
  }

  #arm(): void {
    const { clock, config } = this.#options;
    this.#timer?.cancel();
    if (!this.#isDown || this.#running || this.#stopped || this.#downAtMs === undefined) return;
    if (this.#ranAtMs !== undefined && config.every === undefined) return;
    const dueMs =
      this.#ranAtMs === undefined ? this.#downAtMs + config.after : this.#ranAtMs + (config.every ?? 0);
    this.#timer = clock.at(Math.max(dueMs, clock.monotonicMs()), () => this.#run());
  }

  #run(): void {
    const { bridge, clock, config, folder, gatewayId, log, run } = this.#options;
    const nowMs = clock.monotonicMs();
    const downMs = nowMs - (this.#downAtMs ?? nowMs);
    this.#ranAtMs = nowMs;
    this.#runs += 1;
    this.#runsOfOutage += 1;
    this.#running = true;
    const begun = { bridge, downMs: Math.round(downMs), run: this.#runsOfOutage };
    log.warn(begun, 'Link has been down for long; on_down.command runs');
    run(
      {
        argv: config.command,
        folder,
        environment: {
          GODWIT_GATEWAY: gatewayId,
          GODWIT_BRIDGE: bridge,
          GODWIT_SERVER: this.#server ?? '',
          GODWIT_DOWN_SINCE: new Date(clock.wallMs() - downMs).toISOString(),
          GODWIT_DOWN_SECONDS: String(Math.round(downMs / 1000)),
          GODWIT_FAULT: this.#fault?.kind ?? '',
          GODWIT_REASON: (this.#fault?.sentence ?? '').slice(0, REASON_LENGTH_MAX),
          GODWIT_RUN: String(this.#runsOfOutage),
        },
        limitMs: config.timeout,
        outputBytesMax: OUTPUT_BYTES_MAX,
        excess: 'discard',
      },
      (end) => this.#ended(end, nowMs),
    );
  }

  #ended(end: CommandEnd, begunAtMs: number): void {
    const { bridge, clock, log } = this.#options;
    const tookMs = Math.round(clock.monotonicMs() - begunAtMs);
    this.#running = false;
    if (end.kind === 'done') {
      const output = lastLine(end.output);
      this.#last = { at: clock.wallMs(), ok: true, result: output === '' ? 'done' : output };
      log.info({ bridge, tookMs, output }, 'on_down.command is done');
    } else {
      this.#last = { at: clock.wallMs(), ok: false, result: end.why };
      log.warn({ bridge, tookMs, reason: end.why }, 'on_down.command failed');
    }
    this.#arm();
  }
}

function lastLine(output: Buffer): string {
  const lines = output.toString('utf8').split('\n');
  const shown = lines.map((line) => line.replace(/\p{C}+/gu, ' ').trim()).filter((line) => line !== '');
  return (shown.at(-1) ?? '').slice(0, OUTPUT_SHOWN_MAX);
}
