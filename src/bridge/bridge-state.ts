/**
 * What of a bridge must outlive the process, as one compact blob: it is rewritten in the same transaction as the
 * ledger it moves, and at 50,000 messages a second it is rewritten often.
 *
 *   format │ server │ client id │ flags │ generation │ last identifier │
 *   5 × ( next │ open: Δoffset, identifier, QoS+phase, of a batch its stretches: gap, length ) │
 *   end of the open gap │ gaps │ replay │ received
 *
 * Numbers are LEB128. Every Record of the bridge below `next` that is not listed as open is done with, gaps excepted.
 */
import type { QoS } from '../core/message.js';
import type { Gap } from './gaps.js';
import { LANE_STREAMS, NORMAL, REPLAY, STREAMS, type StreamId } from './stream.js';

export interface SavedState {
  /** Whose session this is; another server, client identifier or version means another session. '' for none yet. */
  readonly server: string;
  readonly clientId: string;
  /** Counts the server's sessions: one more for each that was lost. */
  readonly generation: number;
  /** A CONNECT may have left whose CONNACK was not heard: the session that the server has may be younger than this. */
  readonly probing: boolean;
  readonly lastPacketIdentifier: number;
  /** By StreamId. */
  readonly streams: readonly SavedStream[];
  /** Where the gap ends that history is going through. */
  readonly historyUntil: number;
  /** What history has still to go through, ascending. */
  readonly gaps: readonly Gap[];
  /** The job that the stream `replay` is of; '' for none yet. */
  readonly replay: string;
  /** QoS 2 identifiers of the server's that were accepted here and not yet released. */
  readonly received: readonly number[];
}

export interface SavedStream {
  /** The first offset never looked at. */
  readonly next: number;
  /** By offset, ascending. */
  readonly open: readonly OpenEntry[];
}

export interface OpenEntry {
  readonly offset: number;
  /** 0 at QoS 0. */
  readonly packetIdentifier: number;
  readonly qos: QoS;
  /** `published`: assigned and perhaps sent; `released`: PUBREC was there, only PUBREL is to be sent. */
  readonly phase: 'published' | 'released';
  /** Of a batch: the offsets of its messages, ascending, the first of them `offset`. One that forms has no identifier. */
  readonly batch?: readonly number[];
}

export const newState: SavedState = {
  server: '',
  clientId: '',
  generation: 0,
  probing: false,
  lastPacketIdentifier: 0,
  streams: STREAMS.map((): SavedStream => ({ next: 1, open: [] })),
  historyUntil: 1,
  gaps: [],
  replay: '',
  received: [],
};

/** 2 was without a replay. */
const FORMAT = 3;
/** Without flags, with one stream and no gaps. */
const FORMAT_1 = 1;
const PROBING = 1;
/** Beside QoS and phase of an entry. */
const BATCH = 8;
/** No batch has more; a count above it is damage. */
const MEMBERS_MAX = 1_000_000;

/** As [from, to) of offsets that follow each other. */
function stretchesOf(offsets: readonly number[]): (readonly [from: number, to: number])[] {
  const stretches: [number, number][] = [];
  for (const offset of offsets) {
    const last = stretches.at(-1);
    if (last !== undefined && last[1] === offset) last[1] = offset + 1;
    else stretches.push([offset, offset + 1]);
  }
  return stretches;
}

function stretchesIn(open: readonly OpenEntry[]): number {
  return open.reduce(
    (sum, { batch = [] }) => sum + (batch.length === 0 ? 0 : 1 + stretchesOf(batch).length),
    0,
  );
}

export function encodeState(state: SavedState): Uint8Array {
  const server = Buffer.from(state.server);
  const clientId = Buffer.from(state.clientId);
  const replay = Buffer.from(state.replay);
  // 10 bytes hold any number, 3 an identifier.
  const bytes = Buffer.allocUnsafe(
    100 +
      server.length +
      clientId.length +
      replay.length +
      state.streams.reduce((bytes, { open }) => bytes + 20 + open.length * 14 + stretchesIn(open) * 20, 0) +
      state.gaps.length * 20 +
      state.received.length * 3,
  );
  let at = 0;
  const put = (value: number): void => {
    let rest = value;
    // Not by shifts: an offset may pass 2^32.
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
  };
  const putText = (text: Buffer): void => {
    put(text.length);
    at += text.copy(bytes, at);
  };
  put(FORMAT);
  putText(server);
  putText(clientId);
  put(state.probing ? PROBING : 0);
  put(state.generation);
  put(state.lastPacketIdentifier);
  for (const { next, open } of state.streams) {
    put(next);
    put(open.length);
    let previous = 0;
    for (const { offset, packetIdentifier, qos, phase, batch = [] } of open) {
      put(offset - previous);
      put(packetIdentifier);
      put(qos | (phase === 'released' ? 4 : 0) | (batch.length > 0 ? BATCH : 0));
      previous = offset;
      if (batch.length === 0) continue;
      const stretches = stretchesOf(batch);
      put(stretches.length);
      let end = offset;
      for (const [from, to] of stretches) {
        put(from - end);
        put(to - from);
        end = to;
      }
    }
  }
  put(state.historyUntil);
  put(state.gaps.length);
  for (const [from, to] of state.gaps) {
    put(from);
    put(to);
  }
  putText(replay);
  put(state.received.length);
  for (const packetIdentifier of state.received) put(packetIdentifier);
  return new Uint8Array(bytes.subarray(0, at));
}

/** Undefined where the bytes are not what `encodeState` writes: damaged, or of a later version. */
export function decodeState(bytes: Uint8Array): SavedState | undefined {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let intact = true;
  const take = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = source[at++];
      if (byte === undefined || scale > 2 ** 49) {
        intact = false;
        return 0;
      }
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  };
  const text = (): string => {
    const length = take();
    const end = at + length;
    if (end > source.length) intact = false;
    const value = source.toString('utf8', at, end);
    at = end;
    return value;
  };
  const format = take();
  if (format < FORMAT_1 || format > FORMAT) return undefined;
  const server = text();
  const clientId = text();
  const flags = format === FORMAT_1 ? 0 : take();
  if (flags > PROBING) return undefined;
  const generation = take();
  const lastPacketIdentifier = take();
  const members = (first: number, next: number): number[] => {
    const offsets: number[] = [];
    let end = first;
    for (let left = take(); intact && left > 0; left -= 1) {
      const from = end + take();
      end = from + take();
      if (end > next || offsets.length + end - from > MEMBERS_MAX) intact = false;
      for (let offset = from; intact && offset < end; offset += 1) offsets.push(offset);
    }
    if (offsets[0] !== first) intact = false;
    return offsets;
  };
  const stream = (): SavedStream => {
    const next = take();
    const open: OpenEntry[] = [];
    let offset = 0;
    for (let left = take(); intact && left > 0; left -= 1) {
      offset += take();
      const packetIdentifier = take();
      const kind = take();
      const qos = kind & 3;
      if (qos === 3 || kind > 15 || packetIdentifier > 0xffff || offset >= next) intact = false;
      const batch = (kind & BATCH) === 0 ? undefined : members(offset, next);
      open.push({
        offset,
        packetIdentifier,
        qos: qos as QoS,
        phase: (kind & 4) === 0 ? 'published' : 'released',
        ...(batch !== undefined && { batch }),
      });
    }
    return { next, open };
  };
  const gaps: Gap[] = [];
  let { historyUntil } = newState;
  let streams: SavedStream[];
  if (format === FORMAT_1) {
    const normal = stream();
    streams = newState.streams.map((one, id) => ((id as StreamId) === NORMAL ? normal : one));
  } else {
    streams = LANE_STREAMS.map(stream);
    streams.push(format === FORMAT ? stream() : (newState.streams[REPLAY] as SavedStream));
    historyUntil = take();
    for (let left = take(); intact && left > 0; left -= 1) gaps.push([take(), take()]);
    if (gaps.some(([from, to], index) => from >= to || from < (gaps[index - 1]?.[1] ?? 0))) intact = false;
  }
  const replay = format === FORMAT ? text() : newState.replay;
  const received: number[] = [];
  for (let left = take(); intact && left > 0; left -= 1) received.push(take());
  if (!intact || at !== source.length) return undefined;
  const probing = flags === PROBING;
  return {
    server,
    clientId,
    generation,
    probing,
    lastPacketIdentifier,
    streams,
    historyUntil,
    gaps,
    replay,
    received,
  };
}
