import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BridgeSession } from '../../../src/bridge/bridge-session.js';
import { decodeState, newState } from '../../../src/bridge/bridge-state.js';
import type { QoS } from '../../../src/core/message.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { LIMITS, play, recordOf, routeOf, Tape } from '../../support/session-model.js';

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
            routeOf: () => routeOf(2),
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
          routeOf: () => routeOf(1),
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
          routeOf: (offset) => routeOf(qosOf(offset)),
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
            routeOf: () => routeOf(2),
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
