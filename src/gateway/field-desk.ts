/**
 * The hands of the engineer who puts a device into operation: reads and writes by hand, what goes over a bus, a device
 * taken out of service and put back, what is published. For the command line over the socket, beside the running polls.
 */
import { isUtf8 } from 'node:buffer';
import type { ProfileSource } from '../config/profile.js';
import type { DeviceConfig } from '../config/schema.js';
import { reasonOf } from '../core/error.js';
import type { Message } from '../core/message.js';
import type { Driver } from '../drivers/driver.js';
import type { TracedFrame } from '../drivers/frame-tap.js';
import type { RawReading } from '../drivers/raw-reading.js';
import { refuseWrite, type WriteResult } from '../drivers/write-result.js';
import { validTopicFilter } from '../mqtt/topic.js';
import { jsonAnswer, type LineSink, type Route, type StreamRoute } from '../web/route.js';
import { parse } from './replay-desk.js';
import { parseUnits, type ScanTold, scanUnits } from './unit-scan.js';

export interface FieldDeskOptions {
  readonly devices: () => Readonly<Record<string, Pick<DeviceConfig, 'bus' | 'points'>>>;
  readonly driver: (bus: string) => Driver | undefined;
  readonly buses: () => readonly string[];
  /** Read when they are asked for. */
  readonly profiles: () => ProfileSource;
  /** Resolves after the commit of what was put into the key-value table before. */
  readonly committed: () => Promise<void>;
  readonly watch: (topicFilter: string, deliver: (message: Message) => void) => () => void;
}

export type FieldAnswer<Answer> = Answer | { readonly error: string };

export class FieldDesk {
  readonly #options: FieldDeskOptions;

  constructor(options: FieldDeskOptions) {
    this.#options = options;
  }

  /** @param point all of the device's where it is absent */
  async read(
    device: unknown,
    point: unknown,
  ): Promise<FieldAnswer<{ readonly readings: readonly RawReading[] }>> {
    const found = this.#find(device);
    if ('error' in found) return found;
    if (point !== undefined && (typeof point !== 'string' || !(point in found.points))) {
      return {
        error: `${device} has no point ${String(point)}; it has ${Object.keys(found.points).join(', ')}`,
      };
    }
    return { readings: await found.driver.readRaw(found.device, point === undefined ? undefined : [point]) };
  }

  async write(device: unknown, point: unknown, value: unknown): Promise<WriteResult> {
    const found = this.#find(device);
    if ('error' in found) return refuseWrite('unknown', found.error);
    if (typeof point !== 'string' || !(point in found.points)) {
      return refuseWrite('unknown', `${found.device} has no point ${String(point)}`);
    }
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      return refuseWrite('wrong type', 'a value is a number, true, false or a text');
    }
    return found.driver.write(found.device, point, value);
  }

  /** Resolves once a restart would know of it too. */
  async setInService(device: unknown, inService: boolean): Promise<FieldAnswer<{ readonly ok: true }>> {
    const found = this.#find(device);
    if ('error' in found) return found;
    found.driver.setInService(found.device, inService);
    await this.#options.committed();
    return { ok: true };
  }

  trace(bus: string | null, tell: (frame: TracedFrame) => void): FieldAnswer<{ readonly stop: () => void }> {
    const driver = bus === null ? undefined : this.#options.driver(bus);
    if (driver === undefined) {
      return {
        error: `there is no bus ${bus ?? ''}; there are ${this.#options.buses().join(', ') || 'none'}`,
      };
    }
    if (driver.trace === undefined)
      return { error: `bus ${bus} has no frames: its driver is ${driver.snapshot().driver}` };
    return { stop: driver.trace(tell) };
  }

  /** Tells each unit as it is found, and how far it is; `done` is called at the end, with what went wrong where something did. */
  scan(
    bus: string | null,
    units: string,
    tell: (told: ScanTold) => void,
    done: (fault?: unknown) => void,
  ): FieldAnswer<{ readonly stop: () => void }> {
    const driver = bus === null ? undefined : this.#options.driver(bus);
    if (driver === undefined) {
      return {
        error: `there is no bus ${bus ?? ''}; there are ${this.#options.buses().join(', ') || 'none'}`,
      };
    }
    const { modbus } = driver;
    const name = driver.snapshot().driver;
    if (modbus === undefined) return { error: `bus ${bus} is no Modbus bus: its driver is ${name}` };
    const numbers = parseUnits(units);
    if (numbers === undefined)
      return { error: `found units ${units}, allowed: numbers up to 255, as in 1-10,20` };
    let stopped = false;
    scanUnits({ driver: name, modbus }, numbers, this.#options.profiles(), tell, () => stopped).then(
      () => done(),
      done,
    );
    return {
      stop: () => {
        stopped = true;
      },
    };
  }

  watch(filter: string | null, tell: (message: Message) => void): FieldAnswer<{ readonly stop: () => void }> {
    if (filter === null || !validTopicFilter(filter, 4))
      return { error: 'filter must be an MQTT topic filter' };
    return { stop: this.#options.watch(filter, tell) };
  }

  #find(device: unknown): { device: string; points: object; driver: Driver } | { error: string } {
    const devices = this.#options.devices();
    const config = typeof device === 'string' ? devices[device] : undefined;
    if (typeof device !== 'string' || config === undefined) {
      const known = Object.keys(devices);
      return { error: `there is no device ${String(device)}; there are ${known.join(', ') || 'none'}` };
    }
    const driver = this.#options.driver(config.bus);
    if (driver === undefined) return { error: `bus ${config.bus} of ${device} does not run` };
    return { device, points: config.points, driver };
  }
}

export function fieldRoutes(desk: FieldDesk): readonly (Route | StreamRoute)[] {
  const post = (path: string, answer: (asked: Readonly<Record<string, unknown>>) => unknown): Route => ({
    method: 'POST',
    path,
    onlySocket: true,
    answer: async ({ body }) => {
      const asked = parse(body);
      if (typeof asked !== 'object' || asked === null)
        return jsonAnswer(400, { error: 'the body must be a JSON object' });
      const answered = (await answer(asked as Readonly<Record<string, unknown>>)) as object;
      return jsonAnswer('error' in answered ? 400 : 200, answered);
    },
  });
  const stream = (
    path: string,
    open: (query: URLSearchParams, lines: LineSink) => FieldAnswer<{ readonly stop: () => void }>,
  ): StreamRoute => ({
    method: 'GET',
    path,
    onlySocket: true,
    stream: ({ query }, lines) => open(query, lines),
  });
  return [
    post('/api/read', async ({ device, point }) => {
      const answer = await desk.read(device, point);
      return 'error' in answer ? answer : { readings: answer.readings.map(plainReading) };
    }),
    post('/api/write', async ({ device, point, value }) =>
      plainWrite(await desk.write(device, point, value)),
    ),
    post('/api/service', ({ device, inService }) => desk.setInService(device, inService === true)),
    stream('/api/trace', (query, lines) =>
      desk.trace(query.get('bus'), (frame) => lines.say(plainFrame(frame))),
    ),
    stream('/api/scan', (query, lines) =>
      desk.scan(
        query.get('bus'),
        query.get('units') ?? '1-247',
        (told) => lines.say(told),
        (fault) => {
          if (fault !== undefined) lines.say({ error: reasonOf(fault) });
          lines.end();
        },
      ),
    ),
    stream('/api/watch', (query, lines) =>
      desk.watch(query.get('filter'), (message) => lines.say(plainMessage(message))),
    ),
  ];
}

/** As JSON has it: bytes in hex, whole numbers beyond 2^53 as text. */
export type PlainReading = Omit<RawReading, 'raw' | 'value'> & {
  readonly value: string | number | boolean | null;
  readonly raw?: string;
};

export function plainReading({ raw, value, ...reading }: RawReading): PlainReading {
  const said = typeof value === 'bigint' ? String(value) : value;
  return raw === undefined
    ? { ...reading, value: said }
    : { ...reading, value: said, raw: Buffer.from(raw).toString('hex') };
}

export type PlainWrite = {
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: string;
  readonly fault?: string;
  readonly verified?: boolean;
};

export function plainWrite(result: WriteResult): PlainWrite {
  return typeof result.value === 'bigint' ? { ...result, value: String(result.value) } : result;
}

export interface PlainFrame {
  readonly ts: number;
  readonly atMs: number;
  readonly direction: TracedFrame['direction'];
  readonly bytes: string;
}

export function plainFrame({ wallMs, monotonicMs, direction, bytes }: TracedFrame): PlainFrame {
  return { ts: wallMs, atMs: monotonicMs, direction, bytes: Buffer.from(bytes).toString('hex') };
}

export interface PlainMessage {
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload?: string;
  readonly payload_base64?: string;
}

function plainMessage({ topic, qos, retain, payload }: Message): PlainMessage {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const head = { topic, qos, retain };
  return isUtf8(bytes)
    ? { ...head, payload: bytes.toString('utf8') }
    : { ...head, payload_base64: bytes.toString('base64') };
}
