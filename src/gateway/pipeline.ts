/**
 * Readings in, messages out: the stretch between the drivers and the broker's publish door.
 *
 *   driver ─Reading─▶ Mapper ─SampleSet─▶ broker.publish ─▶ subscribers, journal
 *          ─DeviceState─▶ godwit/<id>/devices/<device>/status
 *
 * It owns the mapper's timer and the devices' part of the Snapshot, and decides nothing.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Part } from '../core/part.js';
import type { DeviceState, Reading } from '../core/reading.js';
import type { Content } from '../core/record.js';
import type { SampleSet } from '../core/sample.js';
import type { AlarmSnapshot, PointSnapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';
import type { ReadingSink } from '../drivers/driver.js';
import type { Mapping } from '../mapping/mapper.js';

export interface PipelineOptions {
  readonly gatewayId: string;
  readonly mapping: Mapping;
  readonly clock: Clock;
  readonly stamp: () => Stamp;
  readonly publish: (content: Content, accepted: (ok: boolean) => void) => void;
  /** A message that the journal could not take: counted and told, never silent. */
  readonly refused: (topic: string, atMs: number) => void;
}

export class Pipeline implements Part, ReadingSink {
  readonly name = 'pipeline';
  readonly #options: PipelineOptions;
  readonly #states = new Map<string, DeviceState>();
  #mapping: Mapping;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #running = false;
  #readings = 0;
  #publishing = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#mapping = options.mapping;
  }

  async start(): Promise<void> {
    this.#running = true;
    this.#publish(this.#mapping.begin(this.#options.stamp()));
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** Readings taken since the start. */
  get readingsTaken(): number {
    return this.#readings;
  }

  /** What is published now is the gateway's own: taken as a reading again, it would go round for ever. */
  get publishing(): boolean {
    return this.#publishing;
  }

  /** Takes over the rules of a new configuration; report states begin anew. */
  remap(mapping: Mapping): void {
    this.#mapping = mapping;
    if (this.#running) this.#publish(mapping.begin(this.#options.stamp()));
    this.#arm();
  }

  readings(device: string, readings: readonly Reading[]): void {
    if (!this.#running) return;
    this.#readings += readings.length;
    this.#publish(this.#mapping.readings(device, readings, this.#options.clock.monotonicMs()));
    this.#arm();
  }

  /** False: there is no such alarm, or nothing to acknowledge. */
  acknowledge(alarmId: string): boolean {
    const sets = this.#mapping.acknowledge(alarmId, this.#options.stamp());
    if (sets !== undefined) this.#publish(sets);
    return sets !== undefined;
  }

  alarms(): readonly AlarmSnapshot[] {
    return this.#mapping.alarms();
  }

  device(device: string, state: DeviceState): void {
    this.#states.set(device, state);
    this.#publishState(device, state);
  }

  /** A device that left the configuration: its retained status goes with it. */
  forget(device: string): void {
    this.#states.delete(device);
    this.#publishState(device, undefined);
  }

  state(device: string): DeviceState | undefined {
    return this.#states.get(device);
  }

  points(device: string): Record<string, PointSnapshot> {
    const points: Record<string, PointSnapshot> = {};
    for (const [point, sample] of this.#mapping.latest(device)) {
      points[point] = {
        value: typeof sample.value === 'bigint' ? sample.value.toString() : sample.value,
        ...(sample.unit === undefined ? {} : { unit: sample.unit }),
        quality: sample.quality,
        ...(sample.reason === undefined ? {} : { reason: sample.reason }),
        ts: sample.stamp.wallMs,
      };
    }
    return points;
  }

  #publishState(device: string, state: DeviceState | undefined): void {
    const topic = `godwit/${this.#options.gatewayId}/devices/${device}/status`;
    const payload = state === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(state));
    this.#hand({ kind: 'message', message: { topic, payload, qos: 1, retain: true } }, topic);
  }

  #publish(sets: readonly SampleSet[]): void {
    for (const set of sets) this.#hand({ kind: 'samples', set }, set.topic);
  }

  #hand(content: Content, topic: string): void {
    this.#publishing = true;
    try {
      this.#options.publish(content, (ok) => {
        if (!ok) this.#options.refused(topic, this.#options.clock.wallMs());
      });
    } finally {
      this.#publishing = false;
    }
  }

  /** One timer, moved only when the mapper wants to be called earlier than it is set for. */
  #arm(): void {
    if (!this.#running) return;
    const atMs = this.#mapping.deadlineMs;
    if (atMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#options.clock.at(atMs, () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#publish(this.#mapping.tick(this.#options.stamp()));
      this.#arm();
    });
  }
}
