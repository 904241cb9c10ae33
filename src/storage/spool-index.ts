/**
 * Whom the messages of one spool chunk are for, apart from the messages: at start this is all that is read of them.
 *
 *   record     bytes varint (of its slot) │ flags u8: 1 expires │ [at f64 │ seconds varint] │ count varint │ recipient, …
 *   gone       0 varint │ count varint: so many messages that stood here are settled
 *   recipient  session varint │ bits u8: 0-1 QoS, 2 RETAIN, 3 identifiers, 4 shared │ [count, identifiers] │ [filter]
 */
import { ByteReader, damaged } from './byte-reader.js';
import type { ByteWriter } from './byte-writer.js';
import type { Recipient, SavedExpiry } from './session-store.js';

const EXPIRES = 1;
const RETAIN = 4;
const HAS_IDENTIFIERS = 8;
const IS_SHARED = 16;

export function writeIndexRecord(
  to: ByteWriter,
  bytes: number,
  expiry: SavedExpiry | undefined,
  recipients: readonly Recipient[],
): void {
  to.varint(bytes);
  to.u8(expiry === undefined ? 0 : EXPIRES);
  if (expiry !== undefined) {
    to.f64(expiry.atMs);
    to.varint(expiry.seconds);
  }
  to.varint(recipients.length);
  for (const { number, qos, retain, subscriptionIdentifiers: identifiers, sharedFilter } of recipients) {
    to.varint(number);
    to.u8(
      qos |
        (retain ? RETAIN : 0) |
        (identifiers === undefined ? 0 : HAS_IDENTIFIERS) |
        (sharedFilter === undefined ? 0 : IS_SHARED),
    );
    if (identifiers !== undefined) {
      to.varint(identifiers.length);
      for (const identifier of identifiers) to.varint(identifier);
    }
    if (sharedFilter !== undefined) to.text(sharedFilter);
  }
}

export function writeIndexGone(to: ByteWriter, count: number): void {
  to.varint(0);
  to.varint(count);
}

export interface IndexRecord {
  readonly offset: number;
  readonly bytes: number;
  readonly expiry: SavedExpiry | undefined;
  readonly recipients: readonly Recipient[];
  /** Where it stands in the index. */
  readonly start: number;
  readonly end: number;
}

/** Calls `visit` for each message that is not gone. Throws on damage. */
export function visitIndex(index: Buffer, first: number, visit: (record: IndexRecord) => void): void {
  const from = new ByteReader(index);
  let offset = first;
  while (from.left > 0) {
    const start = from.at;
    const bytes = from.varint();
    if (bytes === 0) {
      offset += from.varint();
      continue;
    }
    const expiry = (from.u8() & EXPIRES) === 0 ? undefined : { atMs: from.f64(), seconds: from.varint() };
    const count = from.varint();
    if (count > from.left) throw damaged('more recipients than bytes');
    const recipients: Recipient[] = [];
    for (let at = 0; at < count; at += 1) recipients.push(readRecipient(from));
    visit({ offset, bytes, expiry, recipients, start, end: from.at });
    offset += 1;
  }
}

function readRecipient(from: ByteReader): Recipient {
  const number = from.varint();
  const bits = from.u8();
  const qos = bits & 3;
  if (qos !== 1 && qos !== 2) throw damaged(`a recipient at QoS ${qos}`);
  let identifiers: number[] | undefined;
  if ((bits & HAS_IDENTIFIERS) !== 0) {
    const count = from.varint();
    if (count > from.left) throw damaged('more Subscription Identifiers than bytes');
    identifiers = [];
    for (let at = 0; at < count; at += 1) identifiers.push(from.varint());
  }
  const sharedFilter = (bits & IS_SHARED) === 0 ? undefined : from.text();
  return { number, qos, retain: (bits & RETAIN) !== 0, subscriptionIdentifiers: identifiers, sharedFilter };
}
