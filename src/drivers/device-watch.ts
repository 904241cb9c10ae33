/**
 * What the world is told about one device, whatever the bus: each change once, repetition never.
 *
 *   unknown ──answered──▶ online ◀──answered── offline          good ──▶ bad: one bad reading, then silence
 *      └────────────────────┴──────offline(reason)──▶           bad ──▶ good: readings again
 */

import type { DeviceState, Reading } from '../core/reading.js';
import type { Stamp } from '../core/stamp.js';
import type { Value } from '../core/value.js';
import type { DriverContext } from './driver.js';

interface Bad {
  readonly reason: string;
  readonly sinceMs: number;
  /** Part of the device's being offline, which has log lines of its own. */
  readonly withDevice: boolean;
}

const OUT_OF_SERVICE = 'out of service';

export class DeviceWatch {
  polls = 0;
  failures = 0;
  readonly #device: string;
  readonly #points: readonly string[];
  readonly #context: DriverContext;
  readonly #bad = new Map<string, Bad>();
  #state: DeviceState['state'] | 'unknown' = 'unknown';
  #stateSinceMs = 0;
  #stateReason: string | undefined;
  #failedPolls = 0;

  constructor(device: string, points: readonly string[], context: DriverContext) {
    this.#device = device;
    this.#points = points;
    this.#context = context;
  }

  /** The instant, for all points that came at it. */
  stamp(): Stamp {
    return this.#context.stamp();
  }

  /** `stamp`: that of the answer, where several points came with it. */
  good(point: string, value: Value, stamp = this.#context.stamp()): Reading {
    return { device: this.#device, point, stamp, value, quality: 'good' };
  }

  bad(point: string, reason: string): Reading {
    return { device: this.#device, point, stamp: this.#context.stamp(), value: null, quality: 'bad', reason };
  }

  /** The device answered a poll with these readings. */
  answered(readings: readonly Reading[]): void {
    this.polls += 1;
    this.told(readings);
  }

  /** The device said this by itself, between polls. */
  told(readings: readonly Reading[]): void {
    this.#online();
    const fresh = readings.filter(
      ({ point, quality, reason }) => quality === 'good' || this.#bad.get(point)?.reason !== reason,
    );
    this.#note(fresh);
    if (fresh.length > 0) this.#context.sink.readings(this.#device, fresh);
  }

  /** The device did not answer a poll, as far as that alone goes. */
  failed(): void {
    this.polls += 1;
    this.failures += 1;
    this.#failedPolls += 1;
  }

  /** The device has not answered for too many polls. */
  offline(reason: string, detail: string = reason): void {
    if (this.#state === 'offline') return;
    this.#enter('offline', detail);
    const { bus, log } = this.#context;
    log.warn({ bus, device: this.#device, reason: detail }, 'Device stopped answering');
    this.#turnAll(reason);
  }

  /** Nobody asks it any more, because somebody said so. */
  outOfService(): void {
    this.#enter('offline', OUT_OF_SERVICE);
    const { bus, log } = this.#context;
    log.info({ bus, device: this.#device }, 'Device was taken out of service');
    this.#turnAll(OUT_OF_SERVICE);
  }

  inService(): void {
    const { bus, log } = this.#context;
    log.info({ bus, device: this.#device }, 'Device was put back into service');
  }

  #turnAll(reason: string): void {
    const { sink } = this.#context;
    const turned = this.#points.filter((point) => !this.#bad.has(point));
    const nowMs = this.#context.clock.monotonicMs();
    for (const point of turned) this.#bad.set(point, { reason, sinceMs: nowMs, withDevice: true });
    if (turned.length > 0) {
      sink.readings(
        this.#device,
        turned.map((point) => this.bad(point, reason)),
      );
    }
  }

  #online(): void {
    const was = this.#stateReason === OUT_OF_SERVICE ? 'unknown' : this.#state;
    const failedPolls = this.#failedPolls;
    this.#failedPolls = 0;
    if (was === 'online') return;
    const offlineMs = this.#context.clock.monotonicMs() - this.#stateSinceMs;
    this.#enter('online');
    if (was !== 'offline') return;
    const { bus, log } = this.#context;
    log.info(
      { bus, device: this.#device, durationMs: Math.round(offlineMs), failedPolls },
      'Device answers again',
    );
  }

  #enter(state: DeviceState['state'], reason?: string): void {
    this.#state = state;
    this.#stateReason = reason;
    this.#stateSinceMs = this.#context.clock.monotonicMs();
    const since = this.#context.clock.wallMs();
    this.#context.sink.device(
      this.#device,
      reason === undefined ? { state, since } : { state, reason, since },
    );
  }

  /** Remembers which points are bad and logs what changed, in one line for each reason. */
  #note(readings: readonly Reading[]): void {
    const nowMs = this.#context.clock.monotonicMs();
    const { bus, log } = this.#context;
    const turned = new Map<string, string[]>();
    const healed: string[] = [];
    let longestMs = 0;
    for (const { point, quality, reason = 'bad' } of readings) {
      const was = this.#bad.get(point);
      if (quality === 'bad') {
        this.#bad.set(point, { reason, sinceMs: was?.sinceMs ?? nowMs, withDevice: false });
        const points = turned.get(reason);
        if (points === undefined) turned.set(reason, [point]);
        else points.push(point);
      } else if (was !== undefined) {
        this.#bad.delete(point);
        if (was.withDevice) continue;
        healed.push(point);
        longestMs = Math.max(longestMs, nowMs - was.sinceMs);
      }
    }
    for (const [reason, points] of turned) {
      log.warn({ bus, device: this.#device, points, reason }, 'Points turned bad');
    }
    if (healed.length > 0) {
      const durationMs = Math.round(longestMs);
      log.info({ bus, device: this.#device, points: healed, durationMs }, 'Points are good again');
    }
  }
}
