/**
 * Commands to devices, by MQTT from here or from upstream:
 *
 *   cmd/<id>/<device>/<point> ──▶ refused: retained, no value, unknown, expired ─────────────────▶ result
 *                             ──▶ intent saved ──▶ Driver.write (range, type, bus, read back) ──▶ saved ──▶ result
 *
 * The result goes to `result_topic`, to the Response Topic where there is one, and over the bridge by which the command
 * came. One that comes again with the same Correlation Data is answered from the book and never written twice.
 */
import type { Broker } from '../broker/broker.js';
import type { Config, DeviceConfig } from '../config/schema.js';
import { expandTemplate, parseTemplate } from '../config/template.js';
import type { Clock } from '../core/clock.js';
import type { Message } from '../core/message.js';
import type { Part } from '../core/part.js';
import type { Value } from '../core/value.js';
import type { Driver } from '../drivers/driver.js';
import type { RawReading } from '../drivers/raw-reading.js';
import type { Storage } from '../storage/storage.js';
import { jsonAnswer, type Route } from '../web/route.js';
import { type Answers, responseTopicOf } from './answers.js';
import { parseCommand, timeLeft } from './command.js';
import { CommandBook, type CommandEntry, type CommandResult, markOf } from './command-book.js';
import type { Origin } from './origin.js';

export interface CommandDeskOptions {
  readonly gatewayId: string;
  readonly config: () => Config['commands'];
  readonly devices: () => Readonly<Record<string, Pick<DeviceConfig, 'bus' | 'points'>>>;
  readonly driver: (bus: string) => Driver | undefined;
  readonly broker: Pick<Broker, 'subscribe'>;
  readonly storage: Pick<Storage, 'keyValue' | 'afterCommit'>;
  readonly answers: Answers;
  readonly origin: Origin;
  readonly clock: Clock;
  readonly clockTrusted: () => boolean;
}

/** Where a command stands and who waits for its result. */
interface Command {
  readonly device: string;
  readonly point: string;
  readonly value: Value;
  readonly untilMs: number;
  readonly asker: Asker;
}

interface Asker {
  readonly device: string;
  readonly point: string;
  readonly responseTopic: string | undefined;
  readonly correlationData: Uint8Array | undefined;
  readonly bridge: string | undefined;
}

interface Refusal {
  readonly fault: string;
  readonly error: string;
}

const RETAINED: Refusal = {
  fault: 'retained',
  error: 'a command with RETAIN set is refused: it would be carried out with each subscription',
};

/** More than a bus can write within their age; those beyond are refused, not queued to fire late. */
const UNDER_WAY_MAX = 256;

export class CommandDesk implements Part {
  readonly name = 'commands';
  readonly #options: CommandDeskOptions;
  readonly #underWay = new Map<number, Asker[]>();
  /** Asked for every retained message, so it is made once for a configuration. */
  #place: (topicName: string) => readonly [string, string] | undefined;
  #book: CommandBook | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: CommandDeskOptions) {
    this.#options = options;
    this.#place = placeOf(options.config().topic, options.gatewayId);
  }

  async start(): Promise<void> {
    this.#book = new CommandBook(this.#options.storage.keyValue('commands'));
    this.listen();
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  /** Anew, where the configuration names another topic. */
  listen(): void {
    this.#unsubscribe?.();
    const { broker, config, gatewayId } = this.#options;
    const { topic } = config();
    const place = placeOf(topic, gatewayId);
    this.#place = place;
    const filter = fill(topic, gatewayId, '+', '+');
    this.#unsubscribe = broker.subscribe(filter, (message) => {
      const [device, point] = place(message.topic) ?? [];
      // `cmd/<id>/$replay/result` is an answer of ours.
      if (device === undefined || point === undefined || device.startsWith('$')) return;
      const { bridge } = this.#options.origin;
      // Not within the delivery of the command.
      queueMicrotask(() => this.#received(message, device, point, bridge));
    });
  }

  /** Whether it is the topic of a command: nothing is retained there. */
  isCommandTopic(topicName: string): boolean {
    return this.#place(topicName)?.[0]?.startsWith('$') === false;
  }

  get entries(): readonly CommandEntry[] {
    return this.#book?.entries ?? [];
  }

  #received(message: Message, device: string, point: string, bridge: string | undefined): void {
    const { correlationData } = message.properties ?? {};
    const asker: Asker = { device, point, responseTopic: responseTopicOf(message), correlationData, bridge };
    const mark = correlationData === undefined ? undefined : markOf(message.topic, correlationData);
    const known = message.retain ? undefined : this.#book?.known(mark);
    if (known !== undefined) {
      this.#repeated(known, asker);
      return;
    }
    const judged = this.#judge(message, asker);
    if ('error' in judged) this.#tell(asker, { ok: false, ...judged });
    else this.#begin(judged, mark);
  }

  /** Whether it may go on to the device, which has its own say about range and type. */
  #judge(message: Message, asker: Asker): Command | Refusal {
    const { clock, clockTrusted, config, devices } = this.#options;
    const { device, point } = asker;
    if (message.retain) return RETAINED;
    const asked = parseCommand(message.payload);
    if (asked.kind === 'refused') return { fault: 'wrong type', error: asked.error };
    if (devices()[device]?.points[point] === undefined) {
      return { fault: 'unknown', error: `there is no point ${device}/${point}: unknown` };
    }
    const { max_age, require_expiry } = config();
    const expirySeconds = message.properties?.messageExpiryInterval;
    const left = timeLeft(
      { maxAgeMs: max_age, requireExpiry: require_expiry },
      { nowMs: clock.wallMs(), trusted: clockTrusted(), ts: asked.ts, expirySeconds },
    );
    if (typeof left === 'object') return { fault: 'expired', error: left.error };
    if (this.#underWay.size >= UNDER_WAY_MAX) {
      return { fault: 'busy', error: `${UNDER_WAY_MAX} commands wait for their bus already` };
    }
    return { device, point, value: asked.value, untilMs: clock.monotonicMs() + left, asker };
  }

  #begin(command: Command, mark: string | undefined): void {
    const { clock, storage } = this.#options;
    const { device, point, value, asker } = command;
    const entry = this.#book!.begin({
      at: clock.wallMs(),
      device,
      point,
      value: typeof value === 'bigint' ? String(value) : value,
      ...(asker.bridge === undefined ? {} : { bridge: asker.bridge }),
      ...(mark === undefined ? {} : { mark }),
    });
    this.#underWay.set(entry.id, [asker]);
    // The bus is not touched before a restart would know that it was meant to be.
    storage.afterCommit(() => void this.#carryOut(entry, command));
  }

  async #carryOut(entry: CommandEntry, { device, point, value, untilMs }: Command): Promise<void> {
    const { clock, devices, driver } = this.#options;
    const open = driver(devices()[device]?.bus ?? '');
    if (clock.monotonicMs() >= untilMs) {
      this.#end(entry, { ok: false, fault: 'expired', error: 'the command is expired: it waited too long' });
    } else if (open === undefined) {
      this.#end(entry, { ok: false, fault: 'stopped', error: `the bus of ${device} does not run` });
    } else {
      const result = await open.write(device, point, value);
      this.#end(
        entry,
        typeof result.value === 'bigint' ? { ...result, value: String(result.value) } : result,
      );
    }
  }

  #end(entry: CommandEntry, result: CommandResult): void {
    this.#book!.end(entry, result);
    const askers = this.#underWay.get(entry.id) ?? [];
    this.#underWay.delete(entry.id);
    this.#options.storage.afterCommit(() => {
      for (const asker of askers) this.#tell(asker, result);
    });
  }

  #repeated(known: CommandEntry, asker: Asker): void {
    const waiting = this.#underWay.get(known.id);
    if (known.result !== undefined) this.#tell(asker, { ...known.result, repeated: true });
    else if (waiting !== undefined) waiting.push(asker);
    else {
      this.#underWay.set(known.id, [asker]);
      void this.#findOut(known);
    }
  }

  /** The process died while it was written, perhaps before, perhaps after: the device is asked, never written again. */
  async #findOut(entry: CommandEntry): Promise<void> {
    const { device, point } = entry;
    const driver = this.#options.driver(this.#options.devices()[device]?.bus ?? '');
    const read = await driver?.readRaw(device, [point]).catch(() => undefined);
    this.#end(entry, foundOut(entry, read?.[0]));
  }

  #tell(asker: Asker, result: CommandResult & { readonly repeated?: true }): void {
    const { answers, config, gatewayId } = this.#options;
    const { device, point, responseTopic, correlationData, bridge } = asker;
    const resultTopic = fill(config().result_topic, gatewayId, device, point);
    answers.send(resultTopic, result, correlationData, bridge);
    if (responseTopic !== undefined && responseTopic !== resultTopic) {
      answers.send(responseTopic, result, correlationData, bridge);
    }
  }
}

function foundOut({ device, point, value }: CommandEntry, held: RawReading | undefined): CommandResult {
  const unknown = 'outcome unknown: the gateway was restarted while this command was under way';
  if (held === undefined || held.quality === 'bad' || held.value === null) {
    const error = `${unknown}, and ${device}/${point} cannot be read`;
    return { ok: false, fault: 'unknown outcome', error };
  }
  const holds = typeof held.value === 'bigint' ? String(held.value) : held.value;
  if (String(holds) === String(value)) return { ok: true, value: holds };
  const error = `${unknown}; ${device}/${point} holds ${holds}`;
  return { ok: false, fault: 'unknown outcome', error, value: holds };
}

export function commandRoutes(desk: CommandDesk): readonly Route[] {
  return [
    { method: 'GET', path: '/api/commands', onlySocket: true, answer: () => jsonAnswer(200, desk.entries) },
  ];
}

function fill(template: string, gateway: string, device: string, point: string): string {
  const places: Readonly<Record<string, string>> = { gateway, device, point };
  return expandTemplate(parseTemplate(template), (name) => places[name]);
}

/** The device and the point that a topic names; undefined: it is no such topic. */
function placeOf(
  template: string,
  gateway: string,
): (topicName: string) => readonly [string, string] | undefined {
  const levels = fill(template, gateway, '\0device', '\0point').split('/');
  return (topicName) => {
    const said = topicName.split('/');
    if (said.length !== levels.length) return undefined;
    let [device, point] = ['', ''];
    for (const [at, level] of levels.entries()) {
      if (level === '\0device') device = said[at] ?? '';
      else if (level === '\0point') point = said[at] ?? '';
      else if (level !== said[at]) return undefined;
    }
    return [device, point];
  };
}
