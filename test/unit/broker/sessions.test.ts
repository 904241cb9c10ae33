import { expect, test } from 'vitest';
import type { Link } from '../../../src/broker/session.js';
import { Sessions } from '../../../src/broker/sessions.js';

const link: Link = { writable: true, fits: () => true, publish: () => true, pubrel: () => {} };

interface Row {
  readonly what: string;
  /** Will Delay and Session Expiry Interval, seconds. */
  readonly delay: number;
  readonly expiry: number;
  readonly discard?: boolean;
  /** Clean Start of a new connection, and after how many seconds it comes. */
  readonly back?: { readonly cleanStart: boolean; readonly afterSeconds: number };
  /** When the Will goes out, seconds after the connection's end; undefined: never. */
  readonly publishedAt: number | undefined;
}

// The table of the standard's Will rules, [MQTT5-3.1.2-8] [MQTT5-3.1.2-10] [MQTT5-3.1.3-9].
const rows: readonly Row[] = [
  { what: 'DISCONNECT 0x00', delay: 5, expiry: 60, discard: true, publishedAt: undefined },
  { what: 'network loss without delay', delay: 0, expiry: 60, publishedAt: 0 },
  { what: 'network loss with a delay', delay: 5, expiry: 60, publishedAt: 5 },
  { what: 'a delay longer than the session', delay: 90, expiry: 60, publishedAt: 60 },
  { what: 'a session that ends with its connection', delay: 90, expiry: 0, publishedAt: 0 },
  { what: 'an endless session', delay: 5, expiry: Number.POSITIVE_INFINITY, publishedAt: 5 },
  {
    what: 'back in time with Clean Start 0',
    delay: 5,
    expiry: 60,
    back: { cleanStart: false, afterSeconds: 3 },
    publishedAt: undefined,
  },
  {
    what: 'back in time with Clean Start 1',
    delay: 5,
    expiry: 60,
    back: { cleanStart: true, afterSeconds: 3 },
    publishedAt: 3,
  },
  {
    what: 'back too late',
    delay: 5,
    expiry: 60,
    back: { cleanStart: false, afterSeconds: 8 },
    publishedAt: 5,
  },
  {
    what: 'taken over with Clean Start 0 and a delay',
    delay: 5,
    expiry: 60,
    back: { cleanStart: false, afterSeconds: 0 },
    publishedAt: undefined,
  },
  {
    what: 'taken over with Clean Start 0 and no delay',
    delay: 0,
    expiry: 60,
    back: { cleanStart: false, afterSeconds: 0 },
    publishedAt: 0,
  },
  {
    what: 'taken over with Clean Start 1',
    delay: 5,
    expiry: 60,
    back: { cleanStart: true, afterSeconds: 0 },
    publishedAt: 0,
  },
];

test.each(rows)('Will: $what [MQTT5-3.1.2-8]', ({ delay, expiry, discard, back, publishedAt }) => {
  const published: number[] = [];
  let nowMs = 0;
  const sessions = new Sessions({
    limits: { queued: 10, queuedBytes: 1000, retained: 10, budget: { bytes: 0, bytesMax: 1000 } },
    sessionsMax: 10,
    publishWill: () => published.push(nowMs / 1000),
    ended: () => {},
    dropped: () => {},
  });
  const { session } = sessions.open('one', true, 0)!;
  session.link = link;
  session.expiryIntervalSeconds = expiry;
  session.will = {
    delaySeconds: delay,
    message: { topic: 'will', payload: Buffer.from('gone'), qos: 0, retain: false },
  };
  sessions.leave(session, discard === true, nowMs);
  for (const second of [...Array(100).keys()]) {
    nowMs = second * 1000;
    sessions.tick(nowMs);
    if (back?.afterSeconds === second) sessions.open('one', back.cleanStart, nowMs);
  }
  expect(published).toEqual(publishedAt === undefined ? [] : [publishedAt]);
});

test('a session ends when its expiry has passed since its connection closed, and says when [MQTT5-4.1.0-2]', () => {
  const ended: string[] = [];
  const sessions = new Sessions({
    limits: { queued: 10, queuedBytes: 1000, retained: 10, budget: { bytes: 0, bytesMax: 1000 } },
    sessionsMax: 2,
    publishWill: () => {},
    ended: (session) => ended.push(session.clientId),
    dropped: () => {},
  });
  const { session } = sessions.open('one', true, 0)!;
  session.expiryIntervalSeconds = 10;
  expect(sessions.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  sessions.leave(session, false, 5000);
  expect(sessions.deadlineMs).toBe(15_000);
  sessions.tick(14_999);
  expect(ended).toEqual([]);
  sessions.tick(15_000);
  expect(ended).toEqual(['one']);
  expect(sessions.open('one', false, 16_000)).toMatchObject({ sessionPresent: false });
});

test('there are no more sessions than the limit; those known are still found', () => {
  const sessions = new Sessions({
    limits: { queued: 10, queuedBytes: 1000, retained: 10, budget: { bytes: 0, bytesMax: 1000 } },
    sessionsMax: 1,
    publishWill: () => {},
    ended: () => {},
    dropped: () => {},
  });
  sessions.open('one', true, 0)!.session.expiryIntervalSeconds = 10;
  expect(sessions.open('two', true, 0)).toBeUndefined();
  expect(sessions.open('one', false, 0)).toMatchObject({ sessionPresent: true });
});
