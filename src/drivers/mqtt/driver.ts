/**
 * Devices that publish to the gateway's own broker, as points like any others: one more local subscriber.
 *
 *   message ─▶ by topic filter: the points that want it ─▶ json, pattern or the whole ─▶ good, bad or not for this point
 *                                              all points of a device from one message are one call to the sink
 *
 * Nobody asks such a device: `poll` says how often it is expected to speak. Three times that without a message and its
 * values are stale, `offline_after` times and it is offline. A retained message from before the start is not a reading.
 */
import type { MqttPointConfig, NamedBusConfig } from '../../config/schema.js';
import type { Timer } from '../../core/clock.js';
import { GodwitError } from '../../core/error.js';
import type { Message } from '../../core/message.js';
import type { Reading } from '../../core/reading.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import type { Value } from '../../core/value.js';
import { DeviceWatch } from '../device-watch.js';
import type { DeviceCounters, Driver, DriverContext } from '../driver.js';
import { OutOfService } from '../out-of-service.js';
import type { RawReading } from '../raw-reading.js';
import { refuseWrite, type WriteResult } from '../write-result.js';
import { Payload, type PayloadValue, payloadReader } from './payload-value.js';

type MqttConfig = Extract<NamedBusConfig, { readonly driver: 'mqtt' }>;

/** A larger payload is a picture or a firmware, not a reading. */
const PAYLOAD_BYTES_MAX = 256 * 1024;
const RAW_BYTES_MAX = 1024;
const LOOKS_PER_SILENCE = 4;

interface Listener {
  readonly device: Device;
  readonly point: string;
  readonly read: (payload: Payload) => PayloadValue;
}

interface Device {
  readonly name: string;
  readonly watch: DeviceWatch;
  readonly silentAfterMs: number;
  heardAtMs: number;
}

interface Last {
  readonly result: PayloadValue;
  readonly raw: Uint8Array;
}

export async function openMqttDriver(context: DriverContext, config: MqttConfig): Promise<Driver> {
  return new MqttDriver(context, config);
}

export class MqttDriver implements Driver {
  readonly name: string;
  readonly #context: DriverContext;
  readonly #devices = new Map<string, Device>();
  readonly #listeners = new Map<string, Listener[]>();
  readonly #last = new Map<string, Last>();
  readonly #outOfService: OutOfService;
  #unsubscribe: (() => void)[] = [];
  #timer: Timer | undefined;
  #messages = 0;
  #silences = 0;
  #badPayloads = 0;

  constructor(context: DriverContext, { offline_after: offlineAfter }: MqttConfig) {
    this.name = `bus ${context.bus}`;
    this.#context = context;
    this.#outOfService = new OutOfService(context.keyValue, context.devices.keys());
    const nowMs = context.clock.monotonicMs();
    for (const [name, { points, poll }] of context.devices) {
      const names = Object.keys(points);
      const slowestMs = Math.max(poll, ...Object.values(points).map((point) => point.poll ?? poll));
      const watch = new DeviceWatch(name, names, context);
      const device = { name, watch, silentAfterMs: offlineAfter * slowestMs, heardAtMs: nowMs };
      this.#devices.set(name, device);
      for (const [point, pointConfig] of Object.entries(points)) {
        if (!('topic' in pointConfig)) {
          throw new GodwitError('CONFIG', `devices.${name}.points.${point} has no topic`, { device: name });
        }
        const filter = (pointConfig as MqttPointConfig).topic;
        const listener = { device, point, read: payloadReader(pointConfig as MqttPointConfig) };
        this.#listeners.set(filter, [...(this.#listeners.get(filter) ?? []), listener]);
      }
    }
  }

  async start(): Promise<void> {
    const { subscribe } = this.#context;
    if (subscribe === undefined) throw new GodwitError('CONFIG', 'There is no broker to take messages from');
    for (const [filter, listeners] of this.#listeners) {
      this.#unsubscribe.push(subscribe(filter, (message) => this.#take(message, listeners)));
    }
    for (const { name, watch } of this.#devices.values())
      if (this.#outOfService.has(name)) watch.outOfService();
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
  }

  snapshot(): BusSnapshot {
    return {
      driver: 'mqtt',
      state: this.#unsubscribe.length > 0 ? 'up' : 'connecting',
      requests: this.#messages,
      timeouts: this.#silences,
      errors: this.#badPayloads,
    };
  }

  counters(device: string): DeviceCounters {
    const watch = this.#devices.get(device)?.watch;
    return { polls: watch?.polls ?? 0, failures: watch?.failures ?? 0 };
  }

  async write(device: string, point: string, _value: Value): Promise<WriteResult> {
    if (this.#context.devices.get(device)?.points[point] === undefined) {
      return refuseWrite('unknown', `${device}/${point} is not on bus ${this.#context.bus}`);
    }
    return refuseWrite(
      'not writable',
      `${device}/${point} comes in over MQTT; publish to the device's own topic to set it`,
    );
  }

  /** What was heard last: such a device cannot be asked. */
  async readRaw(device: string, points?: readonly string[]): Promise<readonly RawReading[]> {
    const configs = this.#context.devices.get(device)?.points ?? {};
    return (points ?? Object.keys(configs)).map((point): RawReading => {
      const config = configs[point] as MqttPointConfig | undefined;
      const last = this.#last.get(`${device}/${point}`);
      const source = config === undefined ? 'nothing' : `topic ${config.topic}`;
      const unit = config?.raw_unit ?? config?.unit;
      const common = { point, source, ...(unit === undefined ? {} : { unit }) };
      if (last === undefined)
        return {
          ...common,
          value: null,
          quality: 'bad',
          reason: config === undefined ? 'unknown' : 'nothing heard yet',
        };
      const { result, raw } = last;
      if (result.kind === 'value') return { ...common, value: result.value, quality: 'good', raw };
      return {
        ...common,
        value: null,
        quality: 'bad',
        reason: result.kind === 'bad' ? result.reason : 'absent',
        raw,
      };
    });
  }

  setInService(device: string, inService: boolean): void {
    const known = this.#devices.get(device);
    if (known === undefined || !this.#outOfService.set(device, inService)) return;
    known.heardAtMs = this.#context.clock.monotonicMs();
    if (inService) known.watch.inService();
    else known.watch.outOfService();
  }

  #take({ payload: bytes }: Message, listeners: readonly Listener[]): void {
    this.#messages += 1;
    const payload = new Payload(bytes.length > PAYLOAD_BYTES_MAX ? new Uint8Array(0) : bytes);
    const raw = new Uint8Array(bytes.subarray(0, RAW_BYTES_MAX));
    const byDevice = new Map<Device, Reading[]>();
    let isBad = false;
    let found = 0;
    for (const { device, point, read } of listeners) {
      if (this.#outOfService.has(device.name)) continue;
      const result: PayloadValue = bytes.length > PAYLOAD_BYTES_MAX ? TOO_LARGE : read(payload);
      if (result.kind === 'absent') continue;
      found += 1;
      this.#last.set(`${device.name}/${point}`, { result, raw });
      const { watch } = device;
      isBad ||= result.kind === 'bad';
      const reading =
        result.kind === 'value' ? watch.good(point, result.value) : watch.bad(point, result.reason);
      const readings = byDevice.get(device);
      if (readings === undefined) byDevice.set(device, [reading]);
      else readings.push(reading);
    }
    // Not a single point found anything in it: it is not what the configuration takes it for.
    if (isBad || found === 0) this.#badPayloads += 1;
    const nowMs = this.#context.clock.monotonicMs();
    for (const [device, readings] of byDevice) {
      device.heardAtMs = nowMs;
      device.watch.answered(readings);
    }
  }

  /** One look now and then: a silence need not be found to the millisecond. */
  #arm(): void {
    const { clock } = this.#context;
    const shortest = Math.min(...[...this.#devices.values()].map(({ silentAfterMs }) => silentAfterMs));
    if (shortest === Infinity) return;
    this.#timer = clock.at(clock.monotonicMs() + shortest / LOOKS_PER_SILENCE, () => {
      this.#look(clock.monotonicMs());
      this.#arm();
    });
  }

  #look(nowMs: number): void {
    for (const device of this.#devices.values()) {
      if (nowMs - device.heardAtMs < device.silentAfterMs || this.#outOfService.has(device.name)) continue;
      device.heardAtMs = nowMs;
      this.#silences += 1;
      device.watch.failed();
      device.watch.offline('silent');
    }
  }
}

const TOO_LARGE: PayloadValue = { kind: 'bad', reason: 'payload is too large' };
