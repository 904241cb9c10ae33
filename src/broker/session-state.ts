/**
 * What of a kept session changes with its traffic, as one small blob: it is rewritten with every commit that the
 * session has a part in.
 *
 *   format │ flags │ expiry │ [left at f64] │ next │ last identifier │ open: offset, identifier, QoS+phase │ received │ [user]
 *
 * Messages of the spool below `next` that are not listed as open are done with; those from `next` on wait. Its
 * subscriptions and its Will stand in rows of their own.
 */
import { ByteReader, damaged } from '../storage/byte-reader.js';
import { ByteWriter } from '../storage/byte-writer.js';

export interface SessionState {
  /** Seconds; Infinity: never ends. */
  readonly expiryIntervalSeconds: number;
  /** When its connection ended, as WallTime has it; undefined: it is connected. */
  readonly leftAt: number | undefined;
  /** It is over; what a shared subscription gave it is still being handed on. */
  readonly ending: boolean;
  readonly username: string | undefined;
  /** Spool offset. */
  readonly next: number;
  readonly lastPacketIdentifier: number;
  /** As the Sender gives them: released first, then published, each in their order. */
  readonly open: readonly OpenDelivery[];
  /** QoS 2 identifiers of the client's that were accepted and not yet released. */
  readonly received: readonly number[];
}

export interface OpenDelivery {
  readonly offset: number;
  /** 0 where it is `ending`. */
  readonly packetIdentifier: number;
  readonly qos: 1 | 2;
  readonly phase: 'published' | 'released';
}

const FORMAT = 1;
const CONNECTED = 1;
const ENDING = 2;
const NAMED = 4;
const RELEASED = 4;
/** As CONNECT says it. */
const ENDLESS = 0xffff_ffff;

export function encodeSessionState(state: SessionState): Uint8Array {
  const { expiryIntervalSeconds, leftAt, ending, username, open, received } = state;
  const to = new ByteWriter(new ArrayBuffer(64 + 12 * open.length + 3 * received.length));
  to.u8(FORMAT);
  to.u8(
    (leftAt === undefined ? CONNECTED : 0) | (ending ? ENDING : 0) | (username === undefined ? 0 : NAMED),
  );
  to.varint(Math.min(expiryIntervalSeconds, ENDLESS));
  if (leftAt !== undefined) to.f64(leftAt);
  to.varint(state.next);
  to.varint(state.lastPacketIdentifier);
  to.varint(open.length);
  for (const { offset, packetIdentifier, qos, phase } of open) {
    to.varint(offset);
    to.varint(packetIdentifier);
    to.u8(qos | (phase === 'released' ? RELEASED : 0));
  }
  to.varint(received.length);
  for (const packetIdentifier of received) to.varint(packetIdentifier);
  if (username !== undefined) to.text(username);
  return to.bytes();
}

/** Throws a GodwitError where the bytes are not what `encodeSessionState` writes: damaged, or of a later version. */
export function decodeSessionState(bytes: Uint8Array): SessionState {
  const from = new ByteReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const format = from.u8();
  if (format !== FORMAT) throw damaged(`a session's state of format ${format}`);
  const flags = from.u8();
  const expiry = from.varint();
  const leftAt = (flags & CONNECTED) === 0 ? from.f64() : undefined;
  const next = from.varint();
  const lastPacketIdentifier = identifier(from.varint());
  const open: OpenDelivery[] = [];
  for (let left = count(from); left > 0; left -= 1) {
    const offset = from.varint();
    const packetIdentifier = identifier(from.varint());
    const kind = from.u8();
    const qos = kind & 3;
    if ((qos !== 1 && qos !== 2) || kind > 6) throw damaged('a delivery that is none');
    open.push({ offset, packetIdentifier, qos, phase: (kind & RELEASED) === 0 ? 'published' : 'released' });
  }
  const received: number[] = [];
  for (let left = count(from); left > 0; left -= 1) received.push(identifier(from.varint()));
  const username = (flags & NAMED) === 0 ? undefined : from.text();
  return {
    expiryIntervalSeconds: expiry === ENDLESS ? Number.POSITIVE_INFINITY : expiry,
    leftAt,
    ending: (flags & ENDING) !== 0,
    username,
    next,
    lastPacketIdentifier,
    open,
    received,
  };
}

function identifier(value: number): number {
  if (value > 0xffff) throw damaged(`Packet Identifier ${value}`);
  return value;
}

function count(from: ByteReader): number {
  const value = from.varint();
  if (value > from.left) throw damaged('more entries than bytes');
  return value;
}
