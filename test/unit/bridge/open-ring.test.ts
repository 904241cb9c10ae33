import { expect, test } from 'vitest';
import { AGAIN, DONE, OpenRing, SENT, WAITING } from '../../../src/bridge/open-ring.js';
import type { Record } from '../../../src/core/record.js';
import type { Route } from '../../../src/core/route.js';

const route: Route = {
  bridge: 'cloud',
  lane: 'normal',
  qos: 1,
  retain: 'keep',
  strip: '',
  prefix: '',
  properties: 'all',
};

function recordOf(offset: number, bytes = 4): Record {
  const message = { topic: 'site/pump', payload: new Uint8Array(bytes), qos: 1 as const, retain: false };
  return { offset, acceptedAtMs: 1000 + offset, routes: [1], content: { kind: 'message', message } };
}

test('entries keep their place while the ring goes round, and what is done at the front makes room', () => {
  const ring = new OpenRing(1);
  for (let offset = 1; offset <= 3 * ring.capacity; offset += 1) {
    const index = ring.push(offset, 1, SENT, offset & 0xffff);
    expect(ring.offset[ring.at(index)]).toBe(offset);
    ring.done(ring.at(index));
    ring.trim();
    expect(ring.isEmpty).toBe(true);
  }
});

test('one that is not done holds its place until the ring is full', () => {
  const ring = new OpenRing(1);
  ring.push(1, 1, SENT, 1);
  while (!ring.isFull) ring.done(ring.at(ring.push(2, 1, WAITING, 2)));
  ring.trim();
  expect(ring.tail - ring.head).toBe(ring.capacity);
  ring.done(ring.at(ring.head));
  ring.trim();
  expect(ring.isEmpty).toBe(true);
  expect(ring.toSend).toBe(ring.tail);
});

test('content is bounded by its bytes, and its room comes back with its release', () => {
  const ring = new OpenRing(1);
  while (!ring.isFull) ring.hold(ring.at(ring.push(1, 1, WAITING, 1)), recordOf(1, 1_000_000), route);
  expect(ring.tail).toBe(5);
  expect(ring.isHeavy).toBe(true);
  ring.release(ring.at(0));
  ring.release(ring.at(0));
  expect(ring.isHeavy).toBe(false);
  expect(ring.phase[ring.at(0)]).toBe(WAITING);
  expect(ring.topic[ring.at(0)]).toBe('site/pump');
});

test('an entry that takes the place of an older one inherits nothing of it', () => {
  const ring = new OpenRing(1);
  const old = ring.at(ring.push(1, 2, AGAIN, 9));
  ring.onWire[old] = 1;
  ring.credit[old] = 0;
  ring.hold(old, recordOf(1), route);
  ring.done(old);
  expect(ring.phase[old]).toBe(DONE);
  ring.trim();
  while (ring.at(ring.tail) !== old) ring.done(ring.at(ring.push(2, 1, SENT, 2)));
  ring.trim();
  const at = ring.at(ring.push(3, 1, WAITING, 3));
  expect(at).toBe(old);
  expect([ring.onWire[at], ring.credit[at], ring.record[at], ring.topic[at]]).toEqual([
    0,
    1,
    undefined,
    undefined,
  ]);
});
