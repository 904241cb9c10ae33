/** The payload of a batch from its Records, and how large it will be before it is made. */
import type { BatchMessage } from '../batch/batch.js';
import { encodeBatch } from '../batch/encode.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import type { SampleSet } from '../core/sample.js';
import { topicUpstream } from './forward.js';

export interface BatchNames {
  readonly gateway: string;
  readonly journalId: string;
}

/** As it would leave by itself. @param late a newer message of its topic was sent before: RETAIN 0 */
export function batchMessage(
  { acceptedAtMs, content, offset }: Record,
  route: Route,
  late: boolean,
  encode: (set: SampleSet) => Uint8Array,
): BatchMessage {
  const isMessage = content.kind === 'message';
  const { retain, topic } = isMessage ? content.message : content.set;
  const properties = isMessage ? content.message.properties : undefined;
  return {
    topic: topicUpstream(route, topic),
    payload: isMessage ? content.message.payload : encode(content.set),
    qos: route.qos,
    retain: retain && route.retain === 'keep' && !late,
    ...(properties !== undefined && { properties }),
    seq: offset,
    ts: Math.round(acceptedAtMs),
  };
}

export type BatchEncoder = (messages: readonly BatchMessage[], route: Route, replay?: string) => Uint8Array;

/** @param namesOf asked when there is something to encode: before, the journal may not be open */
export function batchEncoder(namesOf: () => BatchNames): BatchEncoder {
  return (messages, { batch }, replay) => {
    const { gateway, journalId } = namesOf();
    const { compress = 'none', encoding = 'json' } = batch ?? {};
    const names = { gateway, journal: journalId, ...(replay !== undefined && { replay }) };
    return encodeBatch({ ...names, messages }, encoding, compress);
  };
}
