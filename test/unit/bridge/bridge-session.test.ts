/**
 * The session against a model of everything around it: a journal, a disk that commits when it likes, a network that
 * loses what is under way, a server that keeps or loses its session, and a process that dies at any step.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BridgeSession, type Save } from '../../../src/bridge/bridge-session.js';
import { decodeState, newState } from '../../../src/bridge/bridge-state.js';
import type { Limits, Wire } from '../../../src/bridge/wire.js';
import type { QoS } from '../../../src/core/message.js';
import type { Record } from '../../../src/core/record.js';
import type { Route } from '../../../src/core/route.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';

const LIMITS: Limits = { window: 8, windowQoS2: 8, maximumQoS: 2 };

function routeOf(qos: QoS): Route {
  return { bridge: 'cloud', lane: 'normal', qos, retain: 'keep', strip: '', prefix: '', properties: 'all' };
}

function recordOf(offset: number, topic = 'site/pump'): Record {
  return {
    offset,
    acceptedAtMs: 1000 + offset,
    routes: [1],
    content: { kind: 'message', message: { topic, payload: new Uint8Array(4), qos: 1, retain: false } },
  };
}

type Sent =
  | {
      readonly type: 'publish';
      readonly offset: number;
      readonly id: number;
      readonly qos: QoS;
      readonly dup: boolean;
    }
  | { readonly type: 'pubrel'; readonly id: number };

class Tape implements Wire {
  readonly sent: Sent[] = [];
  writable = true;
  verdict: (offset: number) => 'sent' | 'refused' | 'expired' = () => 'sent';

  publish(record: Record, _route: Route, qos: QoS, id: number, dup: boolean) {
    const verdict = this.verdict(record.offset);
    if (verdict === 'sent') this.sent.push({ type: 'publish', offset: record.offset, id, qos, dup });
    return verdict;
  }

  pubrel(id: number): void {
    this.sent.push({ type: 'pubrel', id });
  }

  take(): Sent[] {
    return this.sent.splice(0);
  }
}

function connected(inflight = 1000, limits = LIMITS): { session: BridgeSession; tape: Tape } {
  const session = new BridgeSession(newState, inflight);
  session.connected('mqtt://server', 'well-17', false, limits);
  session.committed(session.save([]));
  return { session, tape: new Tape() };
}

describe('QoS 2', () => {
  test('PUBLISH leaves only after the commit that names its identifier', () => {
    const { session, tape } = connected();
    session.offer(recordOf(1), routeOf(2));
    session.pump(tape);
    expect(tape.take()).toEqual([]);
    expect(session.saveNeeded).toBe('now');
    const save = session.save([]);
    session.pump(tape);
    expect(tape.take()).toEqual([]);
    session.committed(save);
    session.pump(tape);
    expect(tape.take()).toEqual([{ type: 'publish', offset: 1, id: 1, qos: 2, dup: false }]);
  });

  test('PUBREL leaves only after the commit of its release [MQTT5-4.3.3-6]', () => {
    const { session, tape } = connected();
    session.offer(recordOf(1), routeOf(2));
    session.committed(session.save([]));
    session.pump(tape);
    tape.take();
    session.pubrec(1, ReasonCode.success);
    session.pump(tape);
    expect(tape.take()).toEqual([]);
    session.committed(session.save([]));
    session.pump(tape);
    expect(tape.take()).toEqual([{ type: 'pubrel', id: 1 }]);
    expect(session.pubcomp(1)).toBe('ok');
    expect(session.inFlight).toBe(0);
    expect(session.unsaved.delivered).toBe(1);
  });

  test('after a restart the same identifiers are used again, DUP for what was published, PUBREL for what was released', () => {
    const { session, tape } = connected();
    for (const offset of [1, 2, 3]) session.offer(recordOf(offset), routeOf(2));
    session.committed(session.save([]));
    session.pump(tape);
    session.pubrec(2, ReasonCode.success);
    const state = decodeState(session.save([]).bytes);
    if (state === undefined) throw new Error('the state is readable');

    const after = new BridgeSession(state, 1000);
    expect(after.connected('mqtt://server', 'well-17', true, LIMITS)).toBe(false);
    expect(after.cursorOf()).toBe(1);
    for (const offset of [1, 2, 3, 4]) after.offer(recordOf(offset), routeOf(2));
    tape.take();
    after.pump(tape);
    expect(tape.take()).toEqual([
      { type: 'pubrel', id: 2 },
      { type: 'publish', offset: 1, id: 1, qos: 2, dup: true },
      { type: 'publish', offset: 3, id: 3, qos: 2, dup: true },
    ]);
  });

  test('an identifier is free for another only after PUBCOMP', () => {
    const { session, tape } = connected(1000, { window: 65_000, windowQoS2: 65_000, maximumQoS: 2 });
    session.offer(recordOf(1), routeOf(2));
    session.committed(session.save([]));
    session.pump(tape);
    session.pubrec(1, ReasonCode.success);
    session.committed(session.save([]));
    for (let n = 0; n < 65_534; n += 1) {
      const id = session.takeControl();
      if (id === 1) throw new Error('identifier 1 is still open');
      session.freeControl(id);
    }
    session.pubcomp(1);
    expect(session.takeControl()).not.toBe(0);
  });

  test('where the server has lost the session, nothing is sent before the new one is saved', () => {
    const { session, tape } = connected();
    session.offer(recordOf(1), routeOf(2));
    session.offer(recordOf(2), routeOf(1));
    session.committed(session.save([]));
    session.pump(tape);
    session.pubrec(1, ReasonCode.success);
    const stale = session.save([]);
    session.disconnected();
    expect(session.connected('mqtt://server', 'well-17', false, LIMITS)).toBe(true);
    // A commit of the lost session's: the identifiers in it mean nothing now.
    session.committed(stale);
    session.offer(recordOf(1), routeOf(2));
    session.offer(recordOf(2), routeOf(1));
    tape.take();
    session.pump(tape);
    expect(tape.take()).toEqual([]);
    session.committed(session.save([]));
    session.pump(tape);
    expect(tape.take().map((one) => one.type === 'publish' && [one.offset, one.dup])).toEqual([
      [1, false],
      [2, false],
    ]);
  });
});

describe('the window', () => {
  test('is never exceeded, and opens by one with each acknowledgement', () => {
    const { session, tape } = connected();
    let offset = 1;
    while (session.offer(recordOf(offset), routeOf(1)) === 'taken') offset += 1;
    expect(offset).toBe(9);
    session.pump(tape);
    expect(tape.take()).toHaveLength(8);
    session.puback(5, ReasonCode.success);
    expect(session.offer(recordOf(9), routeOf(1))).toBe('taken');
    expect(session.offer(recordOf(10), routeOf(1))).toBe('full');
  });

  test('has its own bound for QoS 2', () => {
    const { session } = connected(1000, { window: 8, windowQoS2: 2, maximumQoS: 2 });
    expect(session.offer(recordOf(1), routeOf(2))).toBe('taken');
    expect(session.offer(recordOf(2), routeOf(2))).toBe('taken');
    expect(session.offer(recordOf(3), routeOf(2))).toBe('full');
  });

  test('one missing PUBACK holds up its message, not the rest', () => {
    const { session, tape } = connected();
    let delivered = 0;
    for (let offset = 1; offset <= 4000; offset += 1) {
      expect(session.offer(recordOf(offset), routeOf(1))).toBe('taken');
      session.pump(tape);
      for (const one of tape.take()) {
        if (one.type === 'publish' && one.offset !== 3) {
          session.puback(one.id, ReasonCode.success);
          delivered += 1;
        }
      }
    }
    expect(delivered).toBe(3999);
    expect(session.cursorOf()).toBe(3);
    expect(session.inFlight).toBe(1);
  });

  test('a smaller window of the next server is kept with more than that in flight', () => {
    const { session, tape } = connected();
    for (let offset = 1; offset <= 8; offset += 1) session.offer(recordOf(offset), routeOf(1));
    session.pump(tape);
    session.disconnected();
    session.connected('mqtt://server', 'well-17', true, { window: 2, windowQoS2: 2, maximumQoS: 2 });
    for (let offset = 1; offset <= 8; offset += 1) session.offer(recordOf(offset), routeOf(1));
    tape.take();
    session.pump(tape);
    expect(tape.take()).toHaveLength(2);
    session.puback(1, ReasonCode.success);
    session.pump(tape);
    expect(tape.take()).toEqual([{ type: 'publish', offset: 3, id: 3, qos: 1, dup: true }]);
  });
});

test('a server with a lower Maximum QoS gets no more than that', () => {
  const { session, tape } = connected(1000, { window: 8, windowQoS2: 8, maximumQoS: 1 });
  session.offer(recordOf(1), routeOf(2));
  session.pump(tape);
  expect(tape.take()).toMatchObject([{ qos: 1 }]);
});

test('QoS 0 counts as delivered when written, and leaves with nothing else under way', () => {
  const { session, tape } = connected();
  for (let offset = 1; offset <= 5; offset += 1) session.offer(recordOf(offset), routeOf(0));
  session.pump(tape);
  expect(tape.take().map((one) => one.type === 'publish' && one.offset)).toEqual([1, 2, 3, 4, 5]);
  expect(session.unsaved.delivered).toBe(5);
  expect(session.cursorOf()).toBe(6);
});

describe('what cannot be delivered', () => {
  test.each([
    ['refused by the wire', 'refused' as const],
    ['expired', 'expired' as const],
  ])('%s: it is lost with its reason, and the rest goes on', (_, reason) => {
    const { session, tape } = connected();
    tape.verdict = (offset) => (offset === 2 ? reason : 'sent');
    for (const offset of [1, 2, 3]) session.offer(recordOf(offset), routeOf(1));
    session.pump(tape);
    expect(tape.take()).toHaveLength(2);
    expect(session.save([]).lost).toEqual([{ reason, topic: 'site/pump', acceptedAtMs: 1002 }]);
  });

  test.each([1, 2] as const)('refused by a Reason Code at QoS %i', (qos) => {
    const { session, tape } = connected();
    session.offer(recordOf(1), routeOf(qos));
    session.committed(session.save([]));
    session.pump(tape);
    if (qos === 1) session.puback(1, ReasonCode.notAuthorized);
    else session.pubrec(1, ReasonCode.notAuthorized);
    expect(session.save([])).toMatchObject({ delivered: 0, lost: [{ reason: 'refused' }] });
    expect(session.inFlight).toBe(0);
  });

  test.each([1, 2] as const)(
    'over the quota at QoS %i: it goes again after the pause, as a new message',
    (qos) => {
      const { session, tape } = connected();
      for (const offset of [1, 2]) session.offer(recordOf(offset), routeOf(qos));
      session.committed(session.save([]));
      session.pump(tape);
      const answer =
        qos === 1 ? session.puback(1, ReasonCode.quotaExceeded) : session.pubrec(1, ReasonCode.quotaExceeded);
      expect(answer).toBe('quota');
      tape.take();
      session.pump(tape);
      expect(tape.take()).toEqual([]);
      session.retry();
      for (const offset of [1, 2]) session.offer(recordOf(offset), routeOf(qos));
      session.pump(tape);
      // The one behind it is of its topic: it may be refused too, and then must not have been overtaken.
      expect(tape.take()).toEqual([]);
      if (qos === 1) session.puback(2, ReasonCode.quotaExceeded);
      else session.pubrec(2, ReasonCode.quotaExceeded);
      session.retry();
      for (const offset of [1, 2, 3]) session.offer(recordOf(offset), routeOf(qos));
      session.pump(tape);
      expect(tape.take()).toEqual([{ type: 'publish', offset: 1, id: 1, qos, dup: false }]);
    },
  );

  test('evicted from the journal while in flight: its identifier is released, and it is not counted here', () => {
    const { session, tape } = connected();
    for (const offset of [1, 2]) session.offer(recordOf(offset), routeOf(2));
    session.committed(session.save([]));
    session.pump(tape);
    session.disconnected();
    session.connected('mqtt://server', 'well-17', true, LIMITS);
    session.offer(recordOf(2), routeOf(2));
    session.committed(session.save([]));
    tape.take();
    session.pump(tape);
    expect(tape.take()).toEqual([
      { type: 'pubrel', id: 1 },
      { type: 'publish', offset: 2, id: 2, qos: 2, dup: true },
    ]);
    session.pubcomp(1);
    expect(session.save([])).toMatchObject({ delivered: 0, lost: [] });
  });
});

describe('acknowledgements that nobody asked for change nothing', () => {
  test.each([
    ['PUBACK', (session: BridgeSession) => session.puback(77, ReasonCode.success)],
    ['PUBREC', (session: BridgeSession) => session.pubrec(77, ReasonCode.success)],
    ['PUBCOMP', (session: BridgeSession) => session.pubcomp(77)],
    ['PUBREC for QoS 1', (session: BridgeSession) => session.pubcomp(1)],
    ['PUBCOMP before PUBREC', (session: BridgeSession) => session.pubcomp(2)],
    ['PUBACK for QoS 2', (session: BridgeSession) => session.puback(2, ReasonCode.success)],
  ])('%s', (_, acknowledge) => {
    const { session, tape } = connected();
    session.offer(recordOf(1), routeOf(1));
    session.offer(recordOf(2), routeOf(2));
    session.committed(session.save([]));
    session.pump(tape);
    expect(acknowledge(session)).toBe('unknown');
    expect(session.inFlight).toBe(2);
    expect(session.unsaved.delivered).toBe(0);
  });
});

// ---- everything at once

interface History {
  readonly seed: number;
  readonly records: number;
  readonly qosOf: (offset: number) => QoS;
  /** The server gives a QoS 2 message on with PUBREL, or at once with its first PUBLISH. */
  readonly deliversOn: 'publish' | 'pubrel';
  readonly mayLoseSession: boolean;
  /** Whether the server can be asked if its session is ours: MQTT 5.0. */
  readonly tells: boolean;
}

interface Outcome {
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

function play(history: History): Outcome {
  const random = mulberry(history.seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const arrived: number[] = [];
  let serverSession: Map<number, number> | undefined;
  let isSubscribed = false;
  let delivered = 0;
  let lost = 0;
  let disk: Uint8Array | undefined;
  let pending: Save[] = [];
  let session = new BridgeSession(newState, 16);
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
      if (session.offer(recordOf(feedAt), routeOf(history.qosOf(feedAt))) === 'full') return;
      feedAt += 1;
    }
  };
  const serve = (): void => {
    const packet = up.shift();
    if (packet === undefined || serverSession === undefined) return;
    if (packet.type === 'pubrel') {
      const offset = serverSession.get(packet.id);
      if (offset !== undefined && history.deliversOn === 'pubrel') arrived.push(offset);
      serverSession.delete(packet.id);
      down.push({ type: 'pubcomp', id: packet.id });
    } else if (packet.qos === 2) {
      if (!serverSession.has(packet.id)) {
        serverSession.set(packet.id, packet.offset);
        if (history.deliversOn === 'publish') arrived.push(packet.offset);
      }
      down.push({ type: 'pubrec', id: packet.id });
    } else {
      arrived.push(packet.offset);
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
    session.pump(tape);
    up.push(...tape.take());
    if (session.unacknowledged > LIMITS.window) throw new Error('the window is exceeded');
  };
  const crash = (): void => {
    cut();
    pending = [];
    const state = disk === undefined ? newState : decodeState(disk);
    if (state === undefined) throw new Error('the state on disk is readable');
    session = new BridgeSession(state, 16);
  };

  for (let step = 0; step < 40 * history.records; step += 1) {
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

function firstOccurrences(offsets: readonly number[]): number[] {
  return [...new Set(offsets)];
}

const all = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('whatever dies and whenever', () => {
  const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

  test.each(['publish', 'pubrel'] as const)(
    'at QoS 2 each Record arrives exactly once, in order, while the server keeps its session (it delivers on %s)',
    (deliversOn) => {
      fc.assert(
        fc.property(seeds, (seed) => {
          const outcome = play({
            seed,
            records: 40,
            qosOf: () => 2,
            deliversOn,
            mayLoseSession: false,
            tells: true,
          });
          expect(outcome.arrived).toEqual(all(40));
          expect(outcome).toMatchObject({ delivered: 40, lost: 0 });
        }),
        { numRuns: 250 },
      );
    },
  );

  test('at QoS 1 each arrives at least once, first copies in order, and the ledger counts each once', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const outcome = play({
          seed,
          records: 40,
          qosOf: () => 1,
          deliversOn: 'publish',
          mayLoseSession: true,
          tells: false,
        });
        expect(firstOccurrences(outcome.arrived)).toEqual(all(40));
        expect(outcome).toMatchObject({ delivered: 40, lost: 0 });
      }),
      { numRuns: 200 },
    );
  });

  test('mixed: none is missing, and none of QoS 2 comes twice', () => {
    const qosOf = (offset: number): QoS => (offset % 3 === 0 ? 2 : 1);
    fc.assert(
      fc.property(seeds, (seed) => {
        const { arrived, delivered } = play({
          seed,
          records: 40,
          qosOf,
          deliversOn: 'pubrel',
          mayLoseSession: false,
          tells: true,
        });
        expect([...new Set(arrived)].sort((a, b) => a - b)).toEqual(all(40));
        const exactlyOnce = arrived.filter((offset) => qosOf(offset) === 2);
        expect(exactlyOnce).toEqual(all(40).filter((offset) => qosOf(offset) === 2));
        expect(delivered).toBe(40);
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ['publish', true],
    ['publish', false],
    ['pubrel', true],
    ['pubrel', false],
  ] as const)(
    'a server that loses its sessions misses nothing (it delivers on %s; it tells whose session it has: %s)',
    (deliversOn, tells) => {
      fc.assert(
        fc.property(seeds, (seed) => {
          const { arrived, delivered } = play({
            seed,
            records: 40,
            qosOf: () => 2,
            deliversOn,
            mayLoseSession: true,
            tells,
          });
          expect([...new Set(arrived)].sort((a, b) => a - b)).toEqual(all(40));
          expect(delivered).toBe(40);
        }),
        { numRuns: 150 },
      );
    },
  );
});

test('a CONNECT that was never answered stays a doubt on disk, though a later one is refused', () => {
  const { session } = connected();
  session.offer(recordOf(1), routeOf(2));
  session.committed(session.save([]));
  session.pump(new Tape());
  session.pubrec(1, ReasonCode.success);
  session.committed(session.save([]));
  session.disconnected();
  session.connecting(false);
  session.committed(session.save([]));
  session.disconnected();
  session.connecting(false);
  session.refused();
  const state = decodeState(session.save([]).bytes);
  if (state === undefined) throw new Error('the state is readable');
  const after = new BridgeSession(state, 1000);
  after.connecting(false);
  expect(after.doubtful).toBe(true);
});
