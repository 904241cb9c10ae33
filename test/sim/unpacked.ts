/** What a PUBLISH brought: itself, or the messages of the batch that it is. */
import { openBatchNow } from '../../src/batch/container.js';
import type { PublishPacket } from '../../src/mqtt/packet.js';

export interface Brought {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** gw, j, seq, ts: of a batch they are inside, in 3.1.1 too. */
  readonly identity: ReadonlyMap<string, string>;
}

const LIMITS = { bytesMax: 2 ** 28, messagesMax: 100_000 };

export function unpacked({ topic, payload, properties, retain }: PublishPacket): Brought[] {
  if (!topic.endsWith('/batch')) {
    return [{ topic, payload, retain, identity: new Map(properties?.userProperties ?? []) }];
  }
  const { gateway, journal, messages, replay } = openBatchNow(payload, LIMITS);
  return messages.map((message) => ({
    topic: message.topic,
    payload: message.payload,
    retain: message.retain,
    identity: new Map([
      ['gw', gateway],
      ['j', journal],
      ['seq', String(message.seq)],
      ...(replay === undefined ? [] : ([['replay', replay]] as const)),
    ]),
  }));
}

/** Whether it is the one before, or what the journal has left of it: never more, and nothing else. */
export function isSameAgain(before: PublishPacket, again: PublishPacket): boolean {
  if (before.topic !== again.topic) return false;
  if (!before.topic.endsWith('/batch')) return Buffer.from(before.payload).equals(again.payload);
  const had = new Map(unpacked(before).map(({ identity, payload }) => [identity.get('seq'), payload]));
  return unpacked(again).every(({ identity, payload }) =>
    Buffer.from(had.get(identity.get('seq')) ?? []).equals(payload),
  );
}
