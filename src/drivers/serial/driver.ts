/**
 * Devices on a serial line that speak text or frames of their own.
 *
 *   port ─bytes─▶ Framer ─frame─▶ the points that were asked for ──▶ the poll that waits
 *                            └──▶ the points that come by themselves ──▶ tell
 *
 * One request is under way at a time. After one that was not answered, the line is left alone for as long again, and
 * what comes then is no answer to anybody: a late reply is never taken for the next.
 */
import { setFlagsFromString } from 'node:v8';
import { bytesFrom } from '../../config/byte-text.js';
import type { PointConfig, SerialBusConfig, SerialTextPointConfig } from '../../config/schema.js';
import type { Timer } from '../../core/clock.js';
import { makeScale } from '../../core/scale.js';
import type { BusSnapshot } from '../../core/snapshot.js';
import type { Value } from '../../core/value.js';
import type { OpenStream } from '../byte-stream.js';
import { Connection } from '../connection.js';
import type { Driver, DriverContext } from '../driver.js';
import { type FrameListener, FrameTap } from '../frame-tap.js';
import { type BusEvents, type Outcome, type Outcomes, PolledBus, type PolledSource } from '../polled-bus.js';
import { consoleOn } from '../serial-port-advice.js';
import { serialStream } from '../serial-stream.js';
import { unscaled } from '../unscaled.js';
import { refuseWrite, type WriteResult } from '../write-result.js';
import { asBoolean } from '../written-value.js';
import { withChecksum } from './frame-checksum.js';
import type { Frame, Framer } from './framer.js';
import { framerOf } from './framer-rules.js';
import { NmeaReader, readSentence } from './nmea.js';
import { type SerialPoint, serialPoint } from './serial-point.js';

// Where an expression backtracks too long, V8 matches it in one pass: a line of noise must not stop the gateway.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

/** A value is stale first, after three polls; its device is offline once it has been silent for as long again. */
const SILENCE_FACTOR = 2;

const CONSOLE_SENTENCE = 'The serial port of this bus is used by the system too';

interface Waiting {
  readonly wanted: Map<string, SerialPoint>;
  readonly outcomes: Map<string, Outcome>;
  /** What a device says that has taken a write. */
  readonly confirm?: RegExp;
  /** Frames came, and none of them was it. */
  other: boolean;
  readonly end: (why: 'answered' | 'timeout' | 'bus down') => void;
}

export async function openSerialDriver(context: DriverContext, config: SerialBusConfig): Promise<Driver> {
  const open = serialStream({
    path: config.path,
    baudRate: config.baud_rate,
    parity: config.parity,
    dataBits: config.data_bits,
    stopBits: config.stop_bits,
    flowControl: config.flow_control,
  });
  return serialBus(context, config, open);
}

export function serialBus(context: DriverContext, config: SerialBusConfig, open: OpenStream): PolledBus {
  const rules = { driver: 'serial', offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
  return new PolledBus(context, rules, new SerialSource(context, config, open));
}

export class SerialSource implements PolledSource {
  readonly #context: DriverContext;
  readonly #config: SerialBusConfig;
  readonly #connection: Connection;
  readonly #framer: Framer;
  readonly #tap: FrameTap;
  readonly #nmea = new NmeaReader();
  readonly #decode: (bytes: Uint8Array) => string;
  readonly #points = new Map<string, ReadonlyMap<string, SerialPoint>>();
  /** When each point that comes by itself was last told, by `device/point`. */
  readonly #toldAtMs = new Map<string, number>();
  #events: BusEvents | undefined;
  #started = false;
  #stopped = false;
  #upSinceMs = 0;
  /** Nothing is sent before. */
  #holdUntilMs = 0;
  #waiting: Waiting | undefined;
  #frameTimer: Timer | undefined;
  #holdTimer: Timer | undefined;
  #endHold: (() => void) | undefined;
  #timeouts = 0;

  constructor(context: DriverContext, config: SerialBusConfig, open: OpenStream) {
    this.#context = context;
    this.#config = config;
    this.#framer = framerOf(config);
    this.#tap = new FrameTap(context.clock);
    const decoder = new TextDecoder(config.encoding);
    this.#decode = (bytes) => decoder.decode(bytes);
    for (const [device, { points }] of context.devices) {
      const made = Object.entries(points).map(
        ([name, point]) => [name, serialPoint(device, name, point)] as const,
      );
      this.#points.set(device, new Map(made));
    }
    this.#connection = new Connection(open, context, {
      onUp: () => this.#up(),
      onBytes: (bytes) => this.#bytes(bytes),
      onLost: () => this.#lost(),
    });
  }

  attach(events: BusEvents): void {
    this.#events = events;
  }

  async open(): Promise<void> {
    if (!this.#started) {
      this.#started = true;
      this.#connection.start();
      void this.#warnOfConsole();
    }
    await this.#connection.settled();
  }

  async #warnOfConsole(): Promise<void> {
    const problem = await consoleOn(this.#config.path);
    if (problem !== undefined)
      this.#context.log.warn({ bus: this.#context.bus, reason: problem }, CONSOLE_SENTENCE);
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#connection.stop();
    this.#frameTimer?.cancel();
    this.#holdTimer?.cancel();
    this.#endHold?.();
    this.#waiting?.end('bus down');
  }

  fault(): string | undefined {
    return this.#connection.state === 'down' ? this.#connection.reason : undefined;
  }

  counts(): Pick<BusSnapshot, 'timeouts' | 'errors' | 'discarded'> {
    return {
      timeouts: this.#timeouts,
      errors: this.#framer.corrupt,
      discarded: this.#framer.discarded,
    };
  }

  trace(listener: FrameListener): () => void {
    return this.#tap.listen(listener);
  }

  async read(device: string, names: readonly string[]): Promise<Outcomes> {
    await this.#connection.settled();
    if (this.#connection.state !== 'up') {
      return new Map(names.map((name) => [name, { bad: 'bus down' }]));
    }
    const outcomes = new Map<string, Outcome>();
    const requests = new Map<string, SerialPoint[]>();
    for (const name of names) {
      const point = this.#points.get(device)?.get(name);
      if (point === undefined) continue;
      if (point.request === undefined) outcomes.set(name, this.#heard(device, name));
      else {
        const key = Buffer.from(point.request).toString('hex');
        requests.set(key, [...(requests.get(key) ?? []), point]);
      }
    }
    for (const points of requests.values()) {
      const answer = await this.#ask(points[0]?.request as Uint8Array, points);
      for (const [name, outcome] of answer.outcomes) outcomes.set(name, outcome);
    }
    return outcomes;
  }

  async write(device: string, name: string, value: Value): Promise<WriteResult> {
    const config = this.#context.devices.get(device)?.points[name];
    const point = this.#points.get(device)?.get(name);
    if (config === undefined || point === undefined || !('match' in config) || config.write === undefined) {
      return refuseWrite('not writable', `${device}/${name} has no write`);
    }
    const text = textOf(value, config);
    if (this.#connection.state !== 'up') {
      return refuseWrite('bus down', this.#connection.reason ?? 'the port is not open');
    }
    const template = Buffer.from(bytesFrom(config.write)).toString('latin1');
    const bytes = Uint8Array.from(
      Buffer.from(
        template.replaceAll('{value}', () => text),
        'latin1',
      ),
    );
    if (config.confirm === undefined) await this.#send(bytes);
    else {
      const { why } = await this.#ask(bytes, [], new RegExp(config.confirm));
      if (why !== 'answered') {
        return refuseWrite(
          why,
          `${device}/${name}: the device did not confirm within ${this.#config.timeout} ms`,
        );
      }
    }
    return this.#readBack(device, point, config, value);
  }

  async #readBack(
    device: string,
    point: SerialPoint,
    config: SerialTextPointConfig,
    value: Value,
  ): Promise<WriteResult> {
    if (point.request === undefined) return { ok: true, value, verified: false };
    const outcome = (await this.#ask(point.request, [point])).outcomes.get(point.name);
    if (outcome === undefined || !('value' in outcome)) {
      return refuseWrite('timeout', `${device}/${point.name} was sent, but could not be read back`);
    }
    this.#events?.tell(device, new Map([[point.name, outcome]]));
    const held = makeScale(config.scale, config.offset)?.(outcome.value) ?? outcome.value;
    if (String(outcome.value) === textOf(value, config) || String(held) === String(value)) {
      return { ok: true, value: held, verified: true };
    }
    return {
      ok: false,
      fault: 'mismatch',
      error: `${device}/${point.name} holds ${held} after the write`,
      value: held,
    };
  }

  /** A point that comes by itself is told as it comes; a poll only finds that it no longer does. */
  #heard(device: string, name: string): Outcome {
    const config = this.#context.devices.get(device);
    const pollMs = config?.points[name]?.poll ?? config?.poll ?? 0;
    const sinceMs = Math.max(this.#toldAtMs.get(`${device}/${name}`) ?? 0, this.#upSinceMs);
    const silentMs = this.#context.clock.monotonicMs() - sinceMs;
    const limitMs = pollMs * this.#config.offline_after * SILENCE_FACTOR;
    return silentMs > limitMs ? { bad: 'silent', lasting: true } : { quiet: true };
  }

  async #ask(
    request: Uint8Array,
    points: readonly SerialPoint[],
    confirm?: RegExp,
  ): Promise<{ readonly why: 'answered' | 'timeout' | 'bus down'; readonly outcomes: Outcomes }> {
    const { clock } = this.#context;
    const outcomes = new Map<string, Outcome>();
    await this.#quietLine();
    if (this.#connection.state !== 'up' || this.#stopped) {
      for (const { name } of points) outcomes.set(name, { bad: 'bus down' });
      return { why: 'bus down', outcomes };
    }
    const why = await new Promise<'answered' | 'timeout' | 'bus down'>((resolve) => {
      const timer = clock.at(clock.monotonicMs() + this.#config.timeout, () => this.#waiting?.end('timeout'));
      this.#waiting = {
        wanted: new Map(points.map((point) => [point.name, point])),
        outcomes,
        ...(confirm === undefined ? {} : { confirm }),
        other: false,
        end: (how) => {
          timer.cancel();
          const missing = how === 'timeout' && this.#waiting?.other === true ? 'unexpected answer' : how;
          for (const name of this.#waiting?.wanted.keys() ?? []) outcomes.set(name, { bad: missing });
          this.#waiting = undefined;
          resolve(how);
        },
      };
      this.#write(request);
    });
    if (why === 'timeout') this.#timeouts += 1;
    const pauseMs = why === 'timeout' ? this.#config.timeout : this.#config.request_gap;
    this.#holdUntilMs = clock.monotonicMs() + pauseMs;
    return { why, outcomes };
  }

  async #send(bytes: Uint8Array): Promise<void> {
    await this.#quietLine();
    this.#write(bytes);
    this.#holdUntilMs = this.#context.clock.monotonicMs() + this.#config.request_gap;
  }

  #write(bytes: Uint8Array): void {
    const sent = withChecksum(bytes, this.#config.checksum);
    this.#tap.tell('sent', sent);
    this.#connection.write(sent);
  }

  #quietLine(): Promise<void> {
    const { clock } = this.#context;
    if (this.#stopped || clock.monotonicMs() >= this.#holdUntilMs) return Promise.resolve();
    return new Promise((resolve) => {
      this.#endHold = resolve;
      this.#holdTimer = clock.at(this.#holdUntilMs, resolve);
    });
  }

  #up(): void {
    const nowMs = this.#context.clock.monotonicMs();
    this.#framer.reset();
    this.#upSinceMs = nowMs;
    this.#holdUntilMs = nowMs + this.#config.settle;
    this.#events?.wake();
  }

  #lost(): void {
    this.#frameTimer?.cancel();
    this.#waiting?.end('bus down');
  }

  #bytes(bytes: Uint8Array): void {
    this.#tap.tell('received', bytes);
    const nowMs = this.#context.clock.monotonicMs();
    for (const frame of this.#framer.push(bytes, nowMs)) this.#frame(frame, nowMs);
    this.#armFrameTimer();
  }

  #armFrameTimer(): void {
    this.#frameTimer?.cancel();
    const atMs = this.#framer.deadlineMs;
    if (atMs === Infinity || this.#stopped) return;
    this.#frameTimer = this.#context.clock.at(atMs, () => {
      const nowMs = this.#context.clock.monotonicMs();
      for (const frame of this.#framer.tick(nowMs)) this.#frame(frame, nowMs);
      this.#armFrameTimer();
    });
  }

  #frame(frame: Frame, nowMs: number): void {
    const text = this.#decode(frame.body);
    const fields = this.#config.protocol === 'nmea-0183' ? this.#sentence(text, nowMs) : undefined;
    if (fields === 'garbage') return;
    this.#connection.proved();
    let taken = this.#answer(frame, text);
    for (const [device, points] of this.#points) {
      const outcomes = new Map<string, Outcome>();
      for (const point of points.values()) {
        if (point.request !== undefined) continue;
        const outcome = point.nmea === undefined ? point.take(frame, text) : fields?.get(point.nmea);
        if (outcome === undefined) continue;
        taken = true;
        if (this.#isDue(`${device}/${point.name}`, point.everyMs, nowMs)) outcomes.set(point.name, outcome);
      }
      if (outcomes.size > 0) this.#events?.tell(device, outcomes);
    }
    // A sentence that no point is made of is a sentence all the same.
    if (!taken && fields === undefined) this.#framer.discarded += frame.bytes.length;
  }

  #sentence(text: string, nowMs: number): ReadonlyMap<string, Outcome> | 'garbage' {
    const sentence = readSentence(text);
    if (sentence.kind === 'sentence') return this.#nmea.take(sentence, nowMs);
    this.#framer.corrupt += 1;
    return 'garbage';
  }

  /** Whether the frame is what someone waits for, or a part of it. */
  #answer(frame: Frame, text: string): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined) return false;
    let taken = waiting.confirm?.test(text) === true;
    for (const [name, point] of waiting.wanted) {
      const outcome = point.take(frame, text);
      if (outcome === undefined) continue;
      taken = true;
      waiting.wanted.delete(name);
      waiting.outcomes.set(name, outcome);
    }
    if (!taken) waiting.other = true;
    else if (waiting.wanted.size === 0) waiting.end('answered');
    return taken;
  }

  #isDue(key: string, everyMs: number, nowMs: number): boolean {
    const before = this.#toldAtMs.get(key);
    if (before !== undefined && nowMs - before < everyMs) return false;
    this.#toldAtMs.set(key, nowMs);
    return true;
  }
}

/** As it stands in the place of {value}. Throws an UnfitValue. */
function textOf(value: Value, config: PointConfig & SerialTextPointConfig): string {
  const written = Object.entries(config.texts ?? {}).find(
    ([, meant]) => String(meant) === String(value),
  )?.[0];
  if (written !== undefined) return written;
  switch (config.type) {
    case 'string':
      return String(value);
    case 'bool':
      return asBoolean(value) ? '1' : '0';
    case 'hex':
      return BigInt(unscaled(value, config)).toString(16).toUpperCase();
    case 'number': {
      const text = String(unscaled(value, config));
      return config.decimal === 'comma' ? text.replace('.', ',') : text;
    }
  }
}
