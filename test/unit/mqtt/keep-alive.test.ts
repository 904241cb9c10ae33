import { describe, expect, test } from 'vitest';
import { ClientKeepAlive, ServerKeepAlive } from '../../../src/mqtt/keep-alive.js';

describe('the server', () => {
  test('waits one and a half times Keep Alive [MQTT311-3.1.2-24] [MQTT5-3.1.2-22]', () => {
    const keepAlive = new ServerKeepAlive(10, 1000);
    expect(keepAlive.deadlineMs).toBe(16_000);
    expect(keepAlive.expired(15_999)).toBe(false);
    expect(keepAlive.expired(16_000)).toBe(true);
  });

  test('counts from the last packet received', () => {
    const keepAlive = new ServerKeepAlive(10, 0);
    keepAlive.received(14_000);
    expect(keepAlive.deadlineMs).toBe(29_000);
  });

  test('waits for ever at Keep Alive 0', () => {
    const keepAlive = new ServerKeepAlive(0, 0);
    expect(keepAlive.deadlineMs).toBe(Infinity);
    expect(keepAlive.expired(Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});

describe('the client', () => {
  test('pings when it has sent nothing for Keep Alive [MQTT311-3.1.2-23] [MQTT5-3.1.2-20]', () => {
    const keepAlive = new ClientKeepAlive(10, 5000, 0);
    keepAlive.sent(3000);
    expect(keepAlive.deadlineMs).toBe(13_000);
    expect(keepAlive.due(12_999)).toBe('nothing');
    expect(keepAlive.due(13_000)).toBe('ping');
  });

  test('takes the link for dead when PINGRESP does not come, whatever else it sends', () => {
    const keepAlive = new ClientKeepAlive(10, 5000, 0);
    keepAlive.pingreqSent(10_000);
    keepAlive.sent(14_000);
    expect(keepAlive.deadlineMs).toBe(15_000);
    expect(keepAlive.due(14_999)).toBe('nothing');
    expect(keepAlive.due(15_000)).toBe('dead');
  });

  test('goes on after PINGRESP', () => {
    const keepAlive = new ClientKeepAlive(10, 5000, 0);
    keepAlive.pingreqSent(10_000);
    keepAlive.pingrespReceived();
    expect(keepAlive.due(15_000)).toBe('nothing');
    expect(keepAlive.deadlineMs).toBe(20_000);
  });

  test('sends no second PINGREQ while one is out', () => {
    const keepAlive = new ClientKeepAlive(1, 60_000, 0);
    keepAlive.pingreqSent(1000);
    expect(keepAlive.due(30_000)).toBe('nothing');
  });

  test('never pings at Keep Alive 0', () => {
    const keepAlive = new ClientKeepAlive(0, 5000, 0);
    expect(keepAlive.deadlineMs).toBe(Infinity);
    expect(keepAlive.due(1e12)).toBe('nothing');
  });
});
