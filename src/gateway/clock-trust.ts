/**
 * Whether the wall clock can be believed. A Pi without a clock battery starts with the time at which it was
 * switched off, which looks plausible; so plausible is not enough where a time daemon will set it right.
 *
 *   date before this version was built ─────────▶ never trusted
 *   systemd-timesyncd says synchronised ────────▶ trusted        looked for every 5 s
 *   the kernel's clock is disciplined ──────────▶ trusted        asked of timedatectl every 60 s; chrony, ntpd
 *   no time daemon on this machine at all ──────▶ trusted        containers, laptops: nothing would ever say so
 *   a time daemon that has not synchronised yet ▶ not yet
 *
 * Once trusted, it stays so until the machine restarts: losing the network does not make a set clock wrong.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Part } from '../core/part.js';

/** No clock that is right shows less. */
export const BUILT_AT_MS = Date.UTC(2026, 0, 1);

export interface ClockTrustOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly builtAtMs?: number;
  /** What the machine says; replaced in tests. */
  readonly machine?: TimeSource;
}

export interface TimeSource {
  exists(path: string): boolean;
  /** The output of `timedatectl show`; rejects where there is none. */
  timedatectl(): Promise<string>;
}

export class ClockTrust implements Part {
  readonly name = 'clock-trust';
  readonly bootId: string = readBootId();
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #builtAtMs: number;
  readonly #machine: TimeSource;
  #timer: Timer | undefined;
  #running = false;
  #synchronised = false;
  #saidWaiting = false;
  #askAtMs = 0;

  constructor({ clock, log, builtAtMs = BUILT_AT_MS, machine = thisMachine }: ClockTrustOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#builtAtMs = builtAtMs;
    this.#machine = machine;
  }

  get trusted(): boolean {
    return this.#synchronised && this.#clock.wallMs() >= this.#builtAtMs;
  }

  /** Waits for the first answer, so that the first readings are stamped rightly, but not for long. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    let late: Timer | undefined;
    const patience = new Promise<void>((resolve) => {
      late = this.#clock.at(this.#clock.monotonicMs() + FIRST_ANSWER_MS_MAX, resolve);
    });
    await Promise.race([this.#look(), patience]);
    late?.cancel();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const why = this.#machine.exists(SYNCHRONISED_FILE) ? 'systemd-timesyncd' : await this.#ask();
    if (!this.#running) return;
    if (why !== undefined) {
      this.#synchronised = true;
      const fields = { by: why, date: new Date(this.#clock.wallMs()).toISOString() };
      if (this.trusted) this.#log.info(fields, 'The clock is trusted');
      else this.#log.warn(fields, 'The clock is not trusted: its date is before this version was built');
      return;
    }
    if (!this.#saidWaiting) this.#log.info({}, 'The clock is not trusted yet: waiting for synchronisation');
    this.#saidWaiting = true;
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + LOOK_EVERY_MS, () => void this.#look());
  }

  async #ask(): Promise<string | undefined> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#askAtMs) return undefined;
    this.#askAtMs = nowMs + ASK_EVERY_MS;
    let answer = '';
    try {
      answer = await this.#machine.timedatectl();
    } catch (fault) {
      this.#log.debug({ reason: reasonOf(fault) }, 'timedatectl gave no answer');
    }
    switch (synchronisation(answer, (path) => this.#machine.exists(path))) {
      case 'synchronised':
        return 'kernel';
      case 'waiting':
        return undefined;
      case 'no daemon':
        return 'date alone: there is no time daemon';
    }
  }
}

/** @param answer of `timedatectl show`; empty where there is none */
export function synchronisation(
  answer: string,
  exists: (path: string) => boolean,
): 'synchronised' | 'waiting' | 'no daemon' {
  if (/^NTPSynchronized=yes$/m.test(answer)) return 'synchronised';
  return /^NTP=yes$/m.test(answer) || DAEMON_TRACES.some(exists) ? 'waiting' : 'no daemon';
}

export const SYNCHRONISED_FILE = '/run/systemd/timesync/synchronized';
/** A daemon that timedatectl does not know of, or a machine without timedatectl. */
const DAEMON_TRACES = ['/run/systemd/timesync', '/run/chrony', '/run/ntpd.pid', '/run/openntpd.pid'];
const LOOK_EVERY_MS = 5000;
const ASK_EVERY_MS = 60_000;
const FIRST_ANSWER_MS_MAX = 300;
const CHILD_TIMEOUT_MS = 5000;

const thisMachine: TimeSource = {
  exists: existsSync,
  timedatectl: () =>
    new Promise((resolve, reject) => {
      execFile(
        'timedatectl',
        ['show', '--property=NTPSynchronized', '--property=NTP'],
        // It would tell systemd of its own failure in our name.
        { timeout: CHILD_TIMEOUT_MS, env: { ...process.env, NOTIFY_SOCKET: undefined } },
        (fault, stdout) => (fault === null ? resolve(stdout) : reject(fault)),
      );
    }),
};

/** Names this boot of the machine. Where the kernel's own is hidden, one that is only valid for this process. */
export function readBootId(path = '/proc/sys/kernel/random/boot_id'): string {
  try {
    const id = readFileSync(path, 'utf8').trim();
    return id === '' ? randomUUID() : id;
  } catch {
    return randomUUID();
  }
}
