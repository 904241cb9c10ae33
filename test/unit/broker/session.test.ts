import { expect, test } from 'vitest';
import { type Delivery, Publication } from '../../../src/broker/publication.js';
import { type Dropped, type Link, Session } from '../../../src/broker/session.js';

class FakeLink implements Link {
  writable = true;
  tooLarge = false;
  readonly sent: string[] = [];

  pubrel(): void {}

  fits(): boolean {
    return !this.tooLarge;
  }

  publish(delivery: Delivery, packetIdentifier: number, dup: boolean): boolean {
    if (!this.writable) return false;
    const payload = Buffer.from(delivery.publication.payload).toString();
    this.sent.push(`${payload}#${packetIdentifier}${dup ? ' dup' : ''}`);
    return true;
  }
}

function setUp(limits = { queued: 3, queuedBytes: 1_000_000 }): {
  session: Session;
  link: FakeLink;
  dropped: Dropped[];
} {
  const dropped: Dropped[] = [];
  const budget = { bytes: 0, bytesMax: 1_000_000 };
  const session = new Session('one', { ...limits, retained: 10, budget }, (_, why) => dropped.push(why));
  return { session, link: new FakeLink(), dropped };
}

function copy(payload: string, qos: 0 | 1 | 2, expirySeconds?: number): Delivery {
  const properties = expirySeconds === undefined ? undefined : { messageExpiryInterval: expirySeconds };
  return new Publication('t', Buffer.from(payload), qos, false, properties, 0).delivery(qos, false);
}

test('QoS 1 and 2 wait for an absent client, in order; QoS 0 does not [MQTT311-3.1.2-5] [MQTT5-4.5.0-1]', () => {
  const { session, link, dropped } = setUp();
  session.deliver(copy('a', 1), 0);
  session.deliver(copy('b', 0), 0);
  session.deliver(copy('c', 2), 0);
  expect(session.queued).toBe(2);
  expect(dropped).toEqual(['away']);
  session.resume(link, 10, 10);
  session.pump(0);
  expect(link.sent).toEqual(['a#1', 'c#2']);
});

test('no more than the window is unacknowledged, and nothing overtakes what waits [MQTT5-3.3.4-9] [MQTT5-4.9.0-2]', () => {
  const { session, link } = setUp();
  session.resume(link, 2, 10);
  for (const payload of ['a', 'b', 'c', 'd']) session.deliver(copy(payload, 1), 0);
  expect(link.sent).toEqual(['a#1', 'b#2']);
  session.deliver(copy('live', 0), 0);
  session.puback(1, 0);
  session.pump(0);
  expect(link.sent).toEqual(['a#1', 'b#2', 'live#0', 'c#3']);
});

test('QoS 2 takes its place in the window until PUBCOMP', () => {
  const { session, link } = setUp();
  session.resume(link, 1, 10);
  session.deliver(copy('a', 2), 0);
  session.deliver(copy('b', 2), 0);
  session.pubrec(1, 0);
  session.pump(0);
  expect(link.sent).toEqual(['a#1']);
  session.pubcomp(1, 0);
  session.pump(0);
  expect(link.sent).toEqual(['a#1', 'b#2']);
});

test('beyond its limits a session drops the new message and says so', () => {
  const { session, dropped } = setUp({ queued: 2, queuedBytes: 1_000_000 });
  for (const payload of ['a', 'b', 'c']) session.deliver(copy(payload, 1), 0);
  expect(session.queued).toBe(2);
  expect(dropped).toEqual(['queue full']);
  const byBytes = setUp({ queued: 100, queuedBytes: 1000 });
  for (let count = 0; count < 10; count += 1) byBytes.session.deliver(copy('x'.repeat(200), 1), 0);
  expect(byBytes.session.queued).toBe(2);
  expect(byBytes.dropped).toHaveLength(8);
});

test('sessions together hold no more than their budget', () => {
  const budget = { bytes: 0, bytesMax: 1000 };
  const sessions = ['one', 'two', 'three'].map(
    (clientId) =>
      new Session(clientId, { queued: 100, queuedBytes: 1_000_000, retained: 10, budget }, () => {}),
  );
  for (const session of sessions) session.deliver(copy('x'.repeat(200), 1), 0);
  expect(sessions.map((session) => session.queued)).toEqual([1, 1, 0]);
  sessions[0]!.end();
  sessions[1]!.end();
  expect(budget.bytes).toBe(0);
});

test('what expired while it waited takes no identifier [MQTT5-3.3.2-5]', () => {
  const { session, link } = setUp();
  session.deliver(copy('old', 1, 10), 0);
  session.deliver(copy('new', 1), 0);
  session.resume(link, 10, 10);
  session.pump(10_000);
  expect(link.sent).toEqual(['new#1']);
});

test('what was sent and not acknowledged is sent again under its identifier with DUP, expired or not [MQTT5-4.3.3-7]', () => {
  const { session, link } = setUp();
  session.resume(link, 10, 10);
  session.deliver(copy('a', 1, 1), 0);
  session.deliver(copy('b', 2), 0);
  session.pubrec(2, 0);
  session.link = undefined;
  const steps = session.resume(link, 10, 10);
  expect(steps.map((step) => step.do)).toEqual(['send', 'resend']);
  expect(steps[1]).toMatchObject({ packetIdentifier: 1, qos: 1 });
});

test('a message larger than the client takes is dropped as if delivered [MQTT5-3.1.2-25]', () => {
  const { session, link, dropped } = setUp();
  session.resume(link, 1, 10);
  link.tooLarge = true;
  session.deliver(copy('large', 1), 0);
  link.tooLarge = false;
  session.deliver(copy('small', 1), 0);
  expect(link.sent).toEqual(['small#1']);
  expect(dropped).toEqual(['too large']);
});

test('a client that does not read gets no QoS 0, and its QoS 1 waits', () => {
  const { session, link, dropped } = setUp();
  session.resume(link, 10, 10);
  link.writable = false;
  session.deliver(copy('lost', 0), 0);
  session.deliver(copy('kept', 1), 0);
  expect(dropped).toEqual(['slow consumer']);
  link.writable = true;
  session.pump(0);
  expect(link.sent).toEqual(['kept#1']);
});

test('retained copies for a new subscriber wait beside the queue and do not fill it', () => {
  const { session, link, dropped } = setUp({ queued: 1, queuedBytes: 1_000_000 });
  session.resume(link, 1, 10);
  for (const payload of ['a', 'b', 'c']) session.deliverRetained(copy(payload, 1), 0);
  session.deliver(copy('live', 1), 0);
  for (let packetIdentifier = 1; packetIdentifier <= 4; packetIdentifier += 1) {
    session.puback(packetIdentifier, 0);
    session.pump(0);
  }
  expect(link.sent).toEqual(['a#1', 'live#2', 'b#3', 'c#4']);
  expect(dropped).toEqual([]);
});

test('a retained copy that waited is not sent after a newer one', () => {
  const { session, link } = setUp();
  session.resume(link, 10, 10);
  link.writable = false;
  const old = copy('old', 0);
  const current = copy('current', 0);
  session.deliverRetained(old, 0);
  session.deliverRetained(current, 0);
  old.publication.superseded = true;
  link.writable = true;
  session.pump(0);
  expect(link.sent).toEqual(['current#0']);
});
