/** Answers to commands: published here, and sent over the bridge by which the command came, whatever its rules. */
import type { Broker } from '../broker/broker.js';
import type { Clock } from '../core/clock.js';
import type { Message } from '../core/message.js';
import { validTopicName } from '../mqtt/topic.js';
import type { Storage } from '../storage/storage.js';

export interface AnswersOptions {
  readonly broker: Pick<Broker, 'publish'>;
  readonly storage: Pick<Storage, 'append' | 'routeId'>;
  readonly clock: Clock;
}

export class Answers {
  readonly #options: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** @param origin the bridge by which the command came */
  send(
    topic: string,
    answer: unknown,
    correlationData: Uint8Array | undefined,
    origin: string | undefined,
  ): void {
    const { broker, clock, storage } = this.#options;
    const message: Message = {
      topic,
      payload: Buffer.from(JSON.stringify(answer)),
      qos: 1,
      retain: false,
      ...(correlationData !== undefined && { properties: { correlationData } }),
    };
    broker.publish({ kind: 'message', message }, origin === undefined ? {} : { origin });
    if (origin === undefined) return;
    const route = storage.routeId({
      bridge: origin,
      lane: 'normal',
      qos: 1,
      retain: 'clear',
      strip: '',
      prefix: '',
      properties: 'all',
    });
    storage.append({ kind: 'message', message }, [route], clock.wallMs(), true);
  }
}

/** Where the asker wants to have it; undefined: it did not say, or what it said is no topic. */
export function responseTopicOf({ properties }: Message): string | undefined {
  const asked = properties?.responseTopic;
  return asked !== undefined && validTopicName(asked) ? asked : undefined;
}
