/**
 * A bridge's session against a model of everything around it: a journal, a disk that commits when it likes, a network
 * that loses what is under way, a server that keeps or loses its session, and a process that dies at any step.
 */
import type { BatchCodec } from '../../src/bridge/batches.js';
import { BridgeSession, type Save } from '../../src/bridge/bridge-session.js';
import { decodeState, newState } from '../../src/bridge/bridge-state.js';
import type { Limits, Wire } from '../../src/bridge/wire.js';
import type { QoS } from '../../src/core/message.js';
import type { Record } from '../../src/core/record.js';
import type { Route } from '../../src/core/route.js';
import { ReasonCode } from '../../src/mqtt/reason-code.js';

export const LIMITS: Limits = { window: 8, windowQoS2: 8, maximumQoS: 2 };

export function routeOf(qos: QoS): Route {
  return { bridge: 'cloud', lane: 'normal', qos, retain: 'keep', strip: '', prefix: '', properties: 'all' };
}

export function recordOf(offset: number, topic = 'site/pump'): Record {
  return {
    offset,
    acceptedAtMs: 1000 + offset,
    routes: [1],
    content: { kind: 'message', message: { topic, payload: new Uint8Array(4), qos: 1, retain: false } },
  };
}

export type Sent =
  | {
      readonly type: 'publish';
      readonly offset: number;
      readonly id: number;
      readonly qos: QoS;
      readonly dup: boolean;
      /** Of a batch, all that it has; else absent. */
      readonly batch?: readonly number[];
    }
  | { readonly type: 'pubrel'; readonly id: number };

export class Tape implements Wire {
  readonly sent: Sent[] = [];
  writable = true;
  verdict: (offset: number) => 'sent' | 'refused' | 'expired' = () => 'sent';

  publish(record: Record, _route: Route, qos: QoS, id: number, dup: boolean) {
    const verdict = this.verdict(record.offset);
    const { content } = record;
    const batch =
      content.kind === 'message' && content.message.properties?.contentType !== undefined
        ? (JSON.parse(Buffer.from(content.message.payload).toString()) as number[])
        : undefined;
    if (verdict === 'sent') {
      this.sent.push({ type: 'publish', offset: record.offset, id, qos, dup, ...(batch && { batch }) });
    }
    return verdict;
  }

  pubrel(id: number): void {
    this.sent.push({ type: 'pubrel', id });
  }

  take(): Sent[] {
    return this.sent.splice(0);
  }
}

/** A batch is the list of its offsets, as text. */
export const listCodec: BatchCodec = {
  encode: () => new Uint8Array(0),
  encodeBatch: (messages) => Buffer.from(JSON.stringify(messages.map(({ seq }) => seq))),
};

export interface History {
  readonly seed: number;
  readonly records: number;
  readonly routeOf: (offset: number) => Route;
  readonly topicOf?: (offset: number) => string;
  /** The server gives a QoS 2 message on with PUBREL, or at once with its first PUBLISH. */
  readonly deliversOn: 'publish' | 'pubrel';
  readonly mayLoseSession: boolean;
  /** Whether the server can be asked if its session is ours: MQTT 5.0. */
  readonly tells: boolean;
}

export interface Outcome {
  readonly arrived: number[];
  readonly delivered: number;
  readonly lost: number;
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Reply = { readonly type: 'puback' | 'pubrec' | 'pubcomp'; readonly id: number };

export function play(history: History): Outcome {
  const random = mulberry(history.seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const arrived: number[] = [];
  let serverSession: Map<number, readonly number[]> | undefined;
  let isSubscribed = false;
  let delivered = 0;
  let lost = 0;
  let disk: Uint8Array | undefined;
  let pending: Save[] = [];
  let nowMs = 0;
  const open = (state: typeof newState): BridgeSession => {
    const opened = new BridgeSession(state, 16, { batchCodec: listCodec });
    opened.batches.now(nowMs, nowMs);
    return opened;
  };
  let session = open(newState);
  let isConnected = false;
  let isReady = false;
  let feedAt = 1;
  let head = 0;
  let controls: number[] = [];
  const tape = new Tape();
  let up: Sent[] = [];
  let down: Reply[] = [];

  const save = (): void => {
    if (session.saveNeeded !== 'no') pending.push(session.save([]));
  };
  const commit = (): void => {
    const [first] = pending;
    if (first === undefined) return;
    pending = pending.slice(1);
    disk = first.bytes;
    delivered += first.delivered;
    lost += first.lost.length;
    session.committed(first);
  };
  const cut = (): void => {
    // What was under way arrives up to some point, then nothing.
    for (let left = below(up.length + 1); left > 0; left -= 1) serve();
    up = [];
    down = [];
    isConnected = false;
    isReady = false;
    session.disconnected();
    for (const id of controls) session.freeControl(id);
  };
  const connect = (): void => {
    const known = session.hasSessionWith('mqtt://server', 'well-17');
    if (known && session.connecting(false)) {
      save();
      while (pending.length > 0) commit();
      if (random() < 0.02) {
        crash();
        return;
      }
    }
    const present = known && serverSession !== undefined;
    if (!present) {
      serverSession = new Map();
      isSubscribed = false;
    }
    // CONNACK does not arrive, or finds nobody.
    if (random() < 0.1) {
      if (random() < 0.5) crash();
      return;
    }
    const ours = !present || !session.doubtful ? present : history.tells ? isSubscribed : 'unsure';
    session.connected('mqtt://server', 'well-17', ours, LIMITS);
    isConnected = true;
    // As the shell does: a new session is on disk before anything is sent in it.
    isReady = session.saveNeeded !== 'now';
    feedAt = session.cursorOf();
    // The status and a subscription take identifiers too, so that a Record's is not a function of its offset.
    controls = Array.from({ length: below(4) }, () => session.takeControl());
  };
  const feed = (most: number): void => {
    for (let left = most; left > 0; left -= 1) {
      if (feedAt > head) {
        session.passed(head + 1);
        return;
      }
      const record = recordOf(feedAt, history.topicOf?.(feedAt));
      if (session.offer(record, history.routeOf(feedAt)) === 'full') return;
      feedAt += 1;
    }
  };
  const serve = (): void => {
    const packet = up.shift();
    if (packet === undefined || serverSession === undefined) return;
    if (packet.type === 'pubrel') {
      if (history.deliversOn === 'pubrel') arrived.push(...(serverSession.get(packet.id) ?? []));
      serverSession.delete(packet.id);
      down.push({ type: 'pubcomp', id: packet.id });
    } else if (packet.qos === 2) {
      if (!serverSession.has(packet.id)) {
        serverSession.set(packet.id, offsetsOf(packet));
        if (history.deliversOn === 'publish') arrived.push(...offsetsOf(packet));
      }
      down.push({ type: 'pubrec', id: packet.id });
    } else {
      arrived.push(...offsetsOf(packet));
      if (packet.qos === 1) down.push({ type: 'puback', id: packet.id });
    }
  };
  const hear = (): void => {
    const reply = down.shift();
    if (reply?.type === 'puback') session.puback(reply.id, ReasonCode.success);
    if (reply?.type === 'pubrec') session.pubrec(reply.id, ReasonCode.success);
    if (reply?.type === 'pubcomp') session.pubcomp(reply.id);
  };
  const pump = (): void => {
    if (!isConnected) return;
    if (!isReady) {
      save();
      while (pending.length > 0) commit();
      isReady = true;
    }
    // SUBSCRIBE leaves first and arrives with what follows it.
    isSubscribed = true;
    session.batches.now(nowMs, nowMs);
    session.batches.seal();
    session.pump(tape);
    up.push(...tape.take());
    if (session.unacknowledged > LIMITS.window) throw new Error('the window is exceeded');
  };
  const crash = (): void => {
    cut();
    pending = [];
    const state = disk === undefined ? newState : decodeState(disk);
    if (state === undefined) throw new Error('the state on disk is readable');
    session = open(state);
  };

  for (let step = 0; step < 40 * history.records; step += 1) {
    nowMs += below(10);
    if (head < history.records && random() < 0.2) head += 1 + below(3);
    head = Math.min(head, history.records);
    const dice = random();
    if (dice < 0.15) save();
    else if (dice < 0.35) commit();
    else if (dice < 0.375) crash();
    else if (dice < 0.4) cut();
    else if (dice < 0.41 && history.mayLoseSession && !isConnected && pending.length === 0)
      serverSession = undefined;
    else if (!isConnected) connect();
    else if (dice < 0.55) feed(1 + below(6));
    else if (dice < 0.7) pump();
    else if (dice < 0.85) serve();
    else hear();
  }
  // The weather clears: what is left drains.
  for (
    let round = 0;
    round < 50 * history.records && (round < 50 || session.cursorOf() <= history.records);
    round += 1
  ) {
    head = history.records;
    nowMs += 100;
    if (!isConnected) connect();
    if (isConnected) feed(100);
    save();
    while (pending.length > 0) commit();
    pump();
    while (up.length > 0) serve();
    while (down.length > 0) hear();
  }
  save();
  while (pending.length > 0) commit();
  return { arrived, delivered, lost };
}

function offsetsOf({
  batch,
  offset,
}: {
  readonly batch?: readonly number[];
  readonly offset: number;
}): readonly number[] {
  return batch ?? [offset];
}
