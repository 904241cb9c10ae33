/** Sockets that do as they are told, on a fake clock. */
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { ConnectRace, STAGGER_MS } from '../../../src/bridge/connect-race.js';
import { FakeClock } from '../../support/fake-clock.js';

function race(...addresses: string[]) {
  const clock = new FakeClock();
  const sockets = new Map<string, Socket>();
  const outcome: string[] = [];
  const made = new ConnectRace({
    addresses,
    connect: (address) => {
      const socket = new Socket();
      sockets.set(address, socket);
      return socket;
    },
    clock,
    won: (_socket, address) => outcome.push(`won ${address}`),
    lost: (fault) => outcome.push(`lost ${'code' in fault && String(fault.code)}`),
  });
  made.start();
  return {
    made,
    clock,
    outcome,
    tried: () => [...sockets.keys()],
    connects: (address: string) => sockets.get(address)?.emit('connect'),
    fails: (address: string, code: string) =>
      sockets.get(address)?.emit('error', Object.assign(new Error(code), { code })),
    open: () => [...sockets].filter(([, socket]) => !socket.destroyed).map(([address]) => address),
  };
}

test('the first that connects wins, and the rest is closed', () => {
  const { clock, connects, open, outcome, tried } = race('a', 'b', 'c');
  expect(tried()).toEqual(['a']);
  clock.advance(STAGGER_MS);
  expect(tried()).toEqual(['a', 'b']);
  // Slow, as by satellite, and still the first.
  connects('a');
  expect(outcome).toEqual(['won a']);
  expect(open()).toEqual(['a']);
  clock.advance(10 * STAGGER_MS);
  expect(tried()).toEqual(['a', 'b']);
  expect(clock.waiting).toBe(0);
});

test('after a failure the next is tried at once', () => {
  const { connects, fails, outcome, tried } = race('a', 'b');
  fails('a', 'ENETUNREACH');
  expect(tried()).toEqual(['a', 'b']);
  connects('b');
  expect(outcome).toEqual(['won b']);
});

test('one that swallows what is sent does not keep the others waiting', () => {
  const { clock, connects, outcome } = race('a', 'b');
  clock.advance(STAGGER_MS);
  connects('b');
  expect(outcome).toEqual(['won b']);
});

test('when all have failed, the reason that tells most is told once', () => {
  const { clock, fails, outcome } = race('a', 'b', 'c');
  fails('a', 'ENETUNREACH');
  fails('b', 'ECONNREFUSED');
  expect(outcome).toEqual([]);
  fails('c', 'EHOSTUNREACH');
  expect(outcome).toEqual(['lost ECONNREFUSED']);
  expect(clock.waiting).toBe(0);
});

test('a race that is called off tells nothing and leaves nothing open', () => {
  const { clock, made, open, outcome } = race('a', 'b');
  clock.advance(STAGGER_MS);
  made.cancel();
  expect(open()).toEqual([]);
  expect(outcome).toEqual([]);
  expect(clock.waiting).toBe(0);
});
