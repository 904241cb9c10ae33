/**
 * What is due when on one bus. Pure: monotonic time is an argument, the caller keeps the timer.
 *
 *   next(now) ──▶ Task ──▶ answered(device) ─┐
 *        ▲                 failed(device) ───┤ offline_after failed polls: offline, one probe at a time,
 *        └───────────────────────────────────┘ doubling the wait up to retry_max
 *
 * Each device has a grid of its own, shifted against the others so that polls do not bunch; its points share the
 * grid, so that a 10 s point falls together with a 1 s point. A bus that is late serves what waits longest first
 * and leaves out the polls it missed: they are counted, never made up for in a burst.
 */

export interface ScheduledDevice {
  readonly device: string;
  readonly points: readonly { readonly point: string; readonly pollMs: number }[];
}

export interface BackOffRules {
  readonly offlineAfter: number;
  readonly retryMaxMs: number;
}

export interface Task {
  readonly device: string;
  /** Those due; all of them for a probe. */
  readonly points: readonly string[];
  /** The device is offline: one request without a repetition tells whether it is back. */
  readonly probe: boolean;
  readonly dueMs: number;
}

/** First polls start within this, however long the period: an operator wants to see every device soon. */
const FIRST_POLLS_MS = 1000;

const POLL_MS_MIN = 1;

interface Series {
  readonly pollMs: number;
  readonly points: string[];
  dueMs: number;
}

interface Device {
  readonly device: string;
  readonly series: readonly Series[];
  readonly points: readonly string[];
  readonly shortestPollMs: number;
  /** Where the grid of this device begins. */
  readonly baseMs: number;
  failedPolls: number;
  offline: boolean;
  retryAtMs: number;
  retryWaitMs: number;
  skipped: number;
  /** Out of service: never due. */
  suspended: boolean;
}

export class Schedule {
  readonly #devices: readonly Device[];
  readonly #byName = new Map<string, Device>();
  readonly #rules: BackOffRules;

  constructor(devices: readonly ScheduledDevice[], rules: BackOffRules, startMs: number) {
    this.#rules = rules;
    const polled = devices.filter((device) => device.points.length > 0);
    this.#devices = polled.map((device, index) => place(device, index / polled.length, startMs));
    for (const device of this.#devices) this.#byName.set(device.device, device);
  }

  /** When `next` has something to give; Infinity where nothing is ever polled. */
  get nextDueMs(): number {
    return this.dueAfter(always);
  }

  /** The same, of those devices that `isFree` lets be asked. */
  dueAfter(isFree: (device: string) => boolean): number {
    let earliest = Infinity;
    for (const device of this.#devices) {
      const dueMs = dueOf(device);
      if (dueMs < earliest && isFree(device.device)) earliest = dueMs;
    }
    return earliest;
  }

  /** Takes the task that has waited longest of those that `isFree` lets be asked now, undefined if none is due. */
  next(nowMs: number, isFree: (device: string) => boolean = always): Task | undefined {
    let chosen: Device | undefined;
    let chosenDueMs = Infinity;
    for (const device of this.#devices) {
      const dueMs = dueOf(device);
      if (dueMs < chosenDueMs && dueMs <= nowMs && isFree(device.device)) {
        [chosen, chosenDueMs] = [device, dueMs];
      }
    }
    if (chosen === undefined) return undefined;

    if (chosen.offline) {
      // Moved on even if the caller never reports, so that one device cannot hold the bus.
      chosen.retryAtMs = nowMs + chosen.retryWaitMs;
      return { device: chosen.device, points: chosen.points, probe: true, dueMs: chosenDueMs };
    }
    const points: string[] = [];
    for (const series of chosen.series) {
      if (series.dueMs > nowMs) continue;
      points.push(...series.points);
      const missed = Math.floor((nowMs - series.dueMs) / series.pollMs);
      chosen.skipped += missed;
      series.dueMs = nextOnGrid(chosen.baseMs, series.pollMs, nowMs);
    }
    return { device: chosen.device, points, probe: false, dueMs: chosenDueMs };
  }

  /** The device answered. True: it was offline until now. */
  answered(name: string, nowMs: number): boolean {
    const device = this.#device(name);
    device.failedPolls = 0;
    if (!device.offline) return false;
    device.offline = false;
    // The probe read every point, so all of them go back to their grid.
    for (const series of device.series) series.dueMs = nextOnGrid(device.baseMs, series.pollMs, nowMs);
    return true;
  }

  /** The device did not answer a poll. True: this made it offline. */
  failed(name: string, nowMs: number): boolean {
    const device = this.#device(name);
    device.failedPolls += 1;
    if (device.offline) {
      device.retryWaitMs = Math.min(device.retryWaitMs * 2, this.#rules.retryMaxMs);
      device.retryAtMs = nowMs + device.retryWaitMs;
      return false;
    }
    if (device.failedPolls < this.#rules.offlineAfter) return false;
    device.offline = true;
    device.retryWaitMs = Math.min(device.shortestPollMs * 2, this.#rules.retryMaxMs);
    device.retryAtMs = nowMs + device.retryWaitMs;
    return true;
  }

  /** The bus is usable again: offline devices are asked at once instead of at the end of their wait. */
  askNow(nowMs: number): void {
    for (const device of this.#devices) {
      if (!device.offline) continue;
      device.retryAtMs = nowMs;
      device.retryWaitMs = Math.min(device.shortestPollMs, this.#rules.retryMaxMs);
    }
  }

  /** Never due until it is resumed. */
  suspend(name: string): void {
    this.#device(name).suspended = true;
  }

  /** Due at once; what it was before does not count. */
  resume(name: string, nowMs: number): void {
    const device = this.#device(name);
    device.suspended = false;
    device.offline = false;
    device.failedPolls = 0;
    for (const series of device.series) series.dueMs = nowMs;
  }

  /** Whether it has points that are polled at all. */
  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Polls that a late bus left out, per device. */
  skipped(name: string): number {
    return this.#byName.get(name)?.skipped ?? 0;
  }

  failedPolls(name: string): number {
    return this.#device(name).failedPolls;
  }

  #device(name: string): Device {
    const device = this.#byName.get(name);
    if (device === undefined) throw new Error(`invariant broken: device ${name} is on this bus`);
    return device;
  }
}

function place(device: ScheduledDevice, share: number, startMs: number): Device {
  const byPeriod = new Map<number, string[]>();
  for (const { point, pollMs: asked } of device.points) {
    // A period of nothing would never let the bus rest.
    const pollMs = Math.max(POLL_MS_MIN, asked);
    const points = byPeriod.get(pollMs);
    if (points === undefined) byPeriod.set(pollMs, [point]);
    else points.push(point);
  }
  const shortestPollMs = Math.min(...byPeriod.keys());
  const firstMs = startMs + share * Math.min(shortestPollMs, FIRST_POLLS_MS);
  return {
    device: device.device,
    points: device.points.map(({ point }) => point),
    series: [...byPeriod].map(([pollMs, points]) => ({ pollMs, points, dueMs: firstMs })),
    shortestPollMs,
    baseMs: startMs + share * shortestPollMs,
    failedPolls: 0,
    offline: false,
    retryAtMs: Infinity,
    retryWaitMs: 0,
    skipped: 0,
    suspended: false,
  };
}

const always = (): boolean => true;

function dueOf(device: Device): number {
  if (device.suspended) return Infinity;
  if (device.offline) return device.retryAtMs;
  let earliest = Infinity;
  for (const series of device.series) earliest = Math.min(earliest, series.dueMs);
  return earliest;
}

/** The first instant of the grid after `nowMs`. */
function nextOnGrid(baseMs: number, pollMs: number, nowMs: number): number {
  // A little more than exact: 0.1 + 0.2 must not find the place just served once more.
  return baseMs + (Math.floor((nowMs - baseMs) / pollMs + 1e-6) + 1) * pollMs;
}
