import { expect, test } from 'vitest';
import { Suspicion } from '../../../src/bridge/suspicion.js';
import { WindowFinder } from '../../../src/bridge/window-finder.js';

const closed = (onWire: number, sole?: number, byServer = true) => ({ byServer, broke: true, onWire, sole });

test('three closes without an acknowledgement narrow, two more on the same message refuse it', () => {
  const suspicion = new Suspicion();
  expect(suspicion.closed(closed(100))).toBe('nothing');
  expect(suspicion.closed(closed(100))).toBe('nothing');
  expect(suspicion.closed(closed(100))).toBe('narrow');
  expect(suspicion.narrow).toBe(true);
  expect(suspicion.closed(closed(1, 7))).toBe('nothing');
  expect(suspicion.closed(closed(1, 7))).toBe('refuse');
});

test('an acknowledgement in between begins the count again', () => {
  const suspicion = new Suspicion();
  for (let n = 0; n < 10; n += 1) {
    expect(suspicion.closed(closed(100))).toBe('nothing');
    expect(suspicion.closed(closed(100))).toBe('nothing');
    suspicion.acknowledged(1);
    expect(suspicion.closed(closed(100))).toBe('nothing');
  }
});

test('a link that breaks narrows, and refuses nothing', () => {
  const suspicion = new Suspicion();
  for (let n = 0; n < 3; n += 1) suspicion.closed(closed(100, undefined, false));
  for (let n = 0; n < 100; n += 1) expect(suspicion.closed(closed(1, 7, false))).toBe('nothing');
});

test('closes with nothing under way say nothing', () => {
  const suspicion = new Suspicion();
  for (let n = 0; n < 100; n += 1) expect(suspicion.closed(closed(0))).toBe('nothing');
});

test('as many acknowledged as were suspected widen again', () => {
  const suspicion = new Suspicion();
  for (let n = 0; n < 3; n += 1) suspicion.closed(closed(3));
  expect(suspicion.acknowledged(2)).toBe(false);
  expect(suspicion.acknowledged(1)).toBe(true);
  expect(suspicion.narrow).toBe(false);
});

class Door {
  readonly map = new Map<string, Uint8Array>();
  readonly get = (key: string) => this.map.get(key);
  readonly put = (key: string, value: Uint8Array) => void this.map.set(key, value);
  readonly remove = (key: string) => void this.map.delete(key);
  readonly entries = () => this.map.entries();
}

/** A server that closes with more than `limit` unacknowledged. */
function drain(finder: WindowFinder, limit: number, turns: number): number {
  let closes = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    if (finder.window > limit) {
      finder.seen(finder.window, 0);
      finder.closed();
      closes += 1;
      continue;
    }
    finder.seen(finder.window, 0);
    finder.seen(0, finder.window);
  }
  return closes;
}

test.each([1, 3, 7, 20, 40, 100, 1000])('a limit of %i is found, kept under, and kept', (limit) => {
  const door = new Door();
  const finder = new WindowFinder(door, 'mqtt://server', 1000);
  drain(finder, limit, 200);
  expect(finder.window).toBeLessThanOrEqual(limit);
  expect(finder.window * 2).toBeGreaterThan(Math.min(limit, 1000) / 2);
  expect(drain(finder, limit, 200)).toBe(0);
  // From the second time on nothing has to be found out.
  const again = new WindowFinder(door, 'mqtt://server', 1000);
  expect(drain(again, limit, 200)).toBeLessThanOrEqual(limit < 20 && !door.map.has('mqtt://server') ? 5 : 0);
});

test('a server that goes down with no more under way than worked before teaches nothing', () => {
  const finder = new WindowFinder(new Door(), 'mqtt://server', 1000);
  drain(finder, 1000, 100);
  expect(finder.window).toBe(1000);
  finder.seen(900, 0);
  expect(finder.closed()).toBeUndefined();
  expect(finder.window).toBe(1000);
});
