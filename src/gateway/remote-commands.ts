/**
 * Commands to the gateway itself, by MQTT from here or from upstream:
 *
 *   cmd/<id>/$status   answered with the Snapshot
 *   cmd/<id>/$acknowledge   DEVICE/POINT/ALARM: answered with {"ok":true}, or with why not
 *   cmd/<id>/$replay   {"bridge":"cloud","since":"2h","until":…,"filter":…,"rate":…}: as godwit replay; answered with the job
 *
 * The answer goes to the Response Topic with its Correlation Data, else to `…/result`; over the bridge too by which the
 * command came. A retained one is no command: it would be carried out with each subscription.
 */
import type { Broker } from '../broker/broker.js';
import type { Message } from '../core/message.js';
import type { Part } from '../core/part.js';
import type { Snapshot } from '../core/snapshot.js';
import { type Answers, responseTopicOf } from './answers.js';
import type { Origin } from './origin.js';
import { parse, type ReplayDesk } from './replay-desk.js';

export interface RemoteCommandsOptions {
  readonly gatewayId: string;
  readonly broker: Pick<Broker, 'subscribe'>;
  readonly answers: Answers;
  readonly origin: Origin;
  readonly desk: Pick<ReplayDesk, 'begin'>;
  readonly snapshot: () => Snapshot;
  /** False: there is no such alarm, or nothing to acknowledge. */
  readonly acknowledge: (alarmId: string) => boolean;
}

/** Three names of 64 characters. */
const ALARM_ID_BYTES_MAX = 194;

export class RemoteCommands implements Part {
  readonly name = 'remote-commands';
  readonly #options: RemoteCommandsOptions;
  #unsubscribe: (() => void)[] = [];

  constructor(options: RemoteCommandsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { acknowledge, broker, desk, gatewayId, snapshot } = this.#options;
    const on = (name: string, carryOut: (message: Message) => unknown): void => {
      const topic = `cmd/${gatewayId}/${name}`;
      this.#unsubscribe.push(
        broker.subscribe(topic, (message) => {
          if (!message.retain) this.#answer(message, carryOut(message), this.#options.origin.bridge);
        }),
      );
    };
    on('$status', () => snapshot());
    on('$acknowledge', ({ payload }) => {
      const alarm = Buffer.from(payload.subarray(0, ALARM_ID_BYTES_MAX)).toString('utf8').trim();
      return acknowledge(alarm)
        ? { ok: true, alarm }
        : { ok: false, error: `${alarm} is no alarm that waits for it` };
    });
    on('$replay', (message) => desk.begin(parse(message.payload)));
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
  }

  #answer(command: Message, answer: unknown, bridge: string | undefined): void {
    const topic = responseTopicOf(command) ?? `${command.topic}/result`;
    // Not within the delivery of the command.
    queueMicrotask(() =>
      this.#options.answers.send(topic, answer, command.properties?.correlationData, bridge),
    );
  }
}
