import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BridgeSession } from '../../../src/bridge/bridge-session.js';
import { decodeState, encodeState, newState } from '../../../src/bridge/bridge-state.js';
import type { QoS } from '../../../src/core/message.js';
import type { BatchPolicy, Route } from '../../../src/core/route.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import {
  type History,
  LIMITS,
  listCodec,
  play,
  recordOf,
  routeOf,
  Tape,
} from '../../support/session-model.js';

const POLICY: BatchPolicy = {
  topic: 'godwit/well-17/batch',
  encoding: 'json',
  compress: 'none',
  maxDelayMs: 60,
  maxBytes: 1000,
  maxMessages: 5,
};

/** One Route for each combination, as the journal gives out the same object for the same rule. */
const routes = new Map<string, Route>();
function batchRoute(qos: QoS, policy: Partial<BatchPolicy> = {}): Route {
  const route = { ...routeOf(qos), batch: { ...POLICY, ...policy } };
  const key = JSON.stringify(route);
  return routes.get(key) ?? (routes.set(key, route).get(key) as Route);
}

function connected(state = newState): { session: BridgeSession; tape: Tape } {
  const session = new BridgeSession(state, 1000, { batchCodec: listCodec });
  session.connected('mqtt://server', 'well-17', state !== newState, LIMITS);
  session.committed(session.save([]));
  return { session, tape: new Tape() };
}

function turn(session: BridgeSession, tape: Tape, nowMs: number) {
  session.batches.now(nowMs, 1000);
  session.batches.seal();
  session.pump(tape);
  return tape.take().map((one) => (one.type === 'publish' ? one.batch : one.type));
}

describe('a batch is sealed', () => {
  test('when it has max_messages', () => {
    const { session, tape } = connected();
    for (let offset = 1; offset <= 6; offset += 1) session.offer(recordOf(offset), batchRoute(1));
    expect(turn(session, tape, 0)).toEqual([[1, 2, 3, 4, 5]]);
  });

  test('when its first message has waited max_delay, and not before', () => {
    const { session, tape } = connected();
    session.batches.now(100, 1000);
    for (const offset of [1, 2]) session.offer(recordOf(offset), batchRoute(1));
    expect(session.batches.deadlineMs).toBe(160);
    expect(turn(session, tape, 159)).toEqual([]);
    expect(turn(session, tape, 160)).toEqual([[1, 2]]);
    expect(session.batches.deadlineMs).toBe(Infinity);
  });

  test('so that none is larger than max_bytes, whatever the guess was; what does not fit begins the next', () => {
    const { session, tape } = connected();
    const route = batchRoute(1, { maxBytes: 12, maxMessages: 1000 });
    for (let offset = 1; offset <= 9; offset += 1) session.offer(recordOf(offset), route);
    expect(turn(session, tape, 60)).toEqual([
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9],
    ]);
  });

  test("so that its packet is not larger than the server's Maximum Packet Size", () => {
    const session = new BridgeSession(newState, 1000, { batchCodec: listCodec });
    const packetBytesMax = 64 + POLICY.topic.length + 9;
    session.connected('mqtt://server', 'well-17', false, { ...LIMITS, packetBytesMax });
    session.committed(session.save([]));
    for (let offset = 1; offset <= 5; offset += 1) session.offer(recordOf(offset), batchRoute(1));
    expect(turn(session, new Tape(), 60)).toEqual([[1, 2, 3, 4], [5]]);
  });

  test('before a message of one of its topics leaves by another rule, else that would overtake it', () => {
    const { session, tape } = connected();
    session.offer(recordOf(1, 'a'), batchRoute(1));
    session.offer(recordOf(2, 'b'), routeOf(1));
    expect(turn(session, tape, 0)).toEqual([undefined]);
    session.offer(recordOf(3, 'a'), routeOf(1));
    expect(turn(session, tape, 0)).toEqual([[1], undefined]);
  });

  test('when the gap of history that it belongs to is over', () => {
    const session = new BridgeSession({ ...newState, gaps: [[1, 3]] }, 1000, { batchCodec: listCodec });
    session.connected('mqtt://server', 'well-17', false, LIMITS);
    session.committed(session.save([]));
    session.openGap();
    for (const offset of [1, 2]) session.offer(recordOf(offset), batchRoute(1), 3);
    session.passed(3, 3);
    const tape = new Tape();
    session.pump(tape);
    expect(tape.take()).toMatchObject([{ batch: [1, 2] }]);
  });
});

describe('the ledger counts messages, not batches', () => {
  test('delivered with its acknowledgement; what forms is not in flight', () => {
    const { session, tape } = connected();
    for (let offset = 1; offset <= 7; offset += 1) session.offer(recordOf(offset), batchRoute(1));
    turn(session, tape, 0);
    expect(session.inFlight).toBe(5);
    session.puback(1, ReasonCode.success);
    expect(session.inFlight).toBe(0);
    expect(session.save([])).toMatchObject({ delivered: 5, lost: [] });
  });

  test('a batch that the server refuses is as many messages lost, each with its topic and time', () => {
    const { session, tape } = connected();
    for (const offset of [1, 2]) session.offer(recordOf(offset, `site/${offset}`), batchRoute(1));
    turn(session, tape, 60);
    session.puback(1, ReasonCode.notAuthorized);
    expect(session.save([])).toMatchObject({
      delivered: 0,
      lost: [
        { reason: 'refused', topic: 'site/1', acceptedAtMs: 1001 },
        { reason: 'refused', topic: 'site/2', acceptedAtMs: 1002 },
      ],
    });
  });

  test('a message that expired while its batch was forming is lost alone', () => {
    const { session, tape } = connected();
    const record = recordOf(1);
    session.offer(
      {
        ...record,
        content: {
          kind: 'message',
          message: {
            ...{ topic: 'a', payload: new Uint8Array(1), qos: 1, retain: false },
            properties: { messageExpiryInterval: 1 },
          },
        },
      },
      batchRoute(1),
    );
    session.offer(recordOf(2), batchRoute(1));
    session.batches.now(60, 5000);
    session.batches.seal();
    session.pump(tape);
    expect(tape.take()).toMatchObject([{ batch: [2] }]);
    expect(session.save([])).toMatchObject({ lost: [{ reason: 'expired', topic: 'a' }] });
  });
});

describe('sent again it has the same messages and the same identifier', () => {
  test('at QoS 2 it leaves only after the commit that names all of them', () => {
    const { session, tape } = connected();
    for (const offset of [1, 2]) session.offer(recordOf(offset), batchRoute(2));
    // On disk as one that forms: with another message since.
    session.committed(session.save([]));
    session.offer(recordOf(3), batchRoute(2));
    expect(turn(session, tape, 60)).toEqual([]);
    session.committed(session.save([]));
    expect(turn(session, tape, 60)).toEqual([[1, 2, 3]]);
  });

  test('after a restart it waits for all its messages to be read again, and takes no other', () => {
    const { session, tape } = connected();
    for (const offset of [1, 2, 3]) session.offer(recordOf(offset), batchRoute(2));
    turn(session, tape, 60);
    const { bytes } = session.save([]);
    const again = connected(decodeState(bytes));
    for (const offset of [1, 2]) again.session.offer(recordOf(offset), batchRoute(2));
    expect(turn(again.session, again.tape, 0)).toEqual([]);
    for (const offset of [3, 4]) again.session.offer(recordOf(offset), batchRoute(2));
    again.session.batches.now(0, 0);
    again.session.pump(again.tape);
    expect(again.tape.take()).toMatchObject([{ batch: [1, 2, 3], id: 1, dup: true }]);
  });

  test('what the journal has evicted meanwhile is not waited for', () => {
    const { session, tape } = connected();
    for (const offset of [1, 2, 3]) session.offer(recordOf(offset), batchRoute(2));
    turn(session, tape, 60);
    const again = connected(decodeState(session.save([]).bytes));
    again.session.offer(recordOf(3), batchRoute(2));
    again.session.pump(again.tape);
    expect(again.tape.take()).toMatchObject([{ batch: [3], id: 1, dup: true }]);
    again.session.pubrec(1, ReasonCode.success);
    again.session.committed(again.session.save([]));
    again.session.pubcomp(1);
    expect(again.session.unsaved).toEqual({ delivered: 1, lost: 0 });
  });

  test('one that was forming goes on forming', () => {
    const { session } = connected();
    for (const offset of [1, 2]) session.offer(recordOf(offset), batchRoute(1));
    const again = connected(decodeState(session.save([]).bytes));
    for (const offset of [1, 2, 3]) again.session.offer(recordOf(offset), batchRoute(1));
    expect(turn(again.session, again.tape, 0)).toEqual([[1, 2, 3]]);
  });
});

test('the saved state keeps which messages a batch has, in few bytes where they follow each other', () => {
  const open = (batch: readonly number[]) => ({
    ...{ offset: batch[0] as number, packetIdentifier: 7, qos: 2 as const, phase: 'published' as const },
    batch,
  });
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { minLength: 1 }), (numbers) => {
      const batch = numbers.sort((a, b) => a - b);
      const state = {
        ...newState,
        streams: newState.streams.map((one) => ({ ...one, next: 501, open: [open(batch)] })),
      };
      expect(decodeState(encodeState(state))).toEqual(state);
    }),
  );
  const long = Array.from({ length: 10_000 }, (_, index) => index + 1);
  const streams = newState.streams.map((one) => ({ ...one, next: 10_001, open: [open(long)] }));
  expect(encodeState({ ...newState, streams }).length).toBeLessThan(80);
});

describe('whatever dies and whenever', () => {
  const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const all = Array.from({ length: 40 }, (_, index) => index + 1);
  const history = (seed: number, rest: Partial<History> & Pick<History, 'routeOf'>): History => ({
    ...{ seed, records: 40, deliversOn: 'pubrel', mayLoseSession: false, tells: true, ...rest },
  });

  test.each(['publish', 'pubrel'] as const)(
    'at QoS 2 each message of a batch arrives exactly once, in order (it delivers on %s)',
    (deliversOn) => {
      fc.assert(
        fc.property(seeds, fc.constantFrom(1000, 14), (seed, maxBytes) => {
          const outcome = play(history(seed, { deliversOn, routeOf: () => batchRoute(2, { maxBytes }) }));
          expect(outcome).toEqual({ arrived: all, delivered: 40, lost: 0 });
        }),
        { numRuns: 25 },
      );
    },
  );

  test('at QoS 1 each arrives at least once, and the ledger counts each once', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const outcome = play(history(seed, { mayLoseSession: true, routeOf: () => batchRoute(1) }));
        expect([...new Set(outcome.arrived)]).toEqual(all);
        expect(outcome).toMatchObject({ delivered: 40, lost: 0 });
      }),
      { numRuns: 25 },
    );
  });

  test('beside messages that go alone and batches of other rules, each topic keeps its order', () => {
    // A rule for each remainder, two of them batched, and topics that some of them share.
    const kinds = [batchRoute(2), routeOf(2), batchRoute(2, { maxMessages: 3, maxDelayMs: 20 })];
    const topicOf = (offset: number): string => `site/${offset % 4}`;
    fc.assert(
      fc.property(seeds, (seed) => {
        const { arrived, delivered } = play(
          history(seed, { topicOf, routeOf: (offset) => kinds[offset % 3] as Route }),
        );
        for (const topic of [0, 1, 2, 3]) {
          expect(arrived.filter((offset) => offset % 4 === topic)).toEqual(
            all.filter((offset) => offset % 4 === topic),
          );
        }
        expect(delivered).toBe(40);
      }),
      { numRuns: 25 },
    );
  });
});
