import { describe, expect, test } from 'vitest';
import { Receiver } from '../../../src/mqtt/receiver.js';

const OK = 0x00;

function started(receiveMaximum = 65_535, identifiers: readonly number[] = []): Receiver {
  const receiver = new Receiver(identifiers);
  receiver.resume(receiveMaximum);
  return receiver;
}

describe('QoS 1', () => {
  test('every PUBLISH is new, the same identifier too [MQTT311-4.3.2-2] [MQTT5-4.3.2-5]', () => {
    const receiver = started();
    expect(receiver.publish(7, 1)).toBe('deliver');
    receiver.accepted(7, 1, OK);
    expect(receiver.publish(7, 1)).toBe('deliver');
  });
});

describe('QoS 2', () => {
  test('is delivered once until PUBREL [MQTT311-4.3.3-2] [MQTT5-4.3.3-10]', () => {
    const receiver = started();
    expect(receiver.publish(7, 2)).toBe('deliver');
    receiver.accepted(7, 2, OK);
    expect(receiver.publish(7, 2)).toBe('repeated');
    expect(receiver.publish(7, 2)).toBe('repeated');
  });

  test('gets no PUBREC before its commit, however often it is sent [MQTT5-4.3.3-8]', () => {
    const receiver = started();
    receiver.publish(7, 2);
    expect(receiver.publish(7, 2)).toBe('pending');
    receiver.resume(10);
    expect(receiver.publish(7, 2)).toBe('pending');
    receiver.accepted(7, 2, OK);
    expect(receiver.publish(7, 2)).toBe('repeated');
  });

  test('is new again once PUBCOMP has gone [MQTT5-4.3.3-12]', () => {
    const receiver = started();
    receiver.publish(7, 2);
    receiver.accepted(7, 2, OK);
    expect(receiver.pubrel(7)).toBe('complete');
    expect(receiver.pubrel(7)).toBe('pending');
    receiver.completed(7);
    expect(receiver.pubrel(7)).toBe('unknown');
    expect(receiver.publish(7, 2)).toBe('deliver');
  });

  test('is new again after a PUBREC of 0x80 and above [MQTT5-4.3.3-9]', () => {
    const receiver = started();
    receiver.publish(7, 2);
    receiver.accepted(7, 2, 0x97);
    expect(receiver.identifiers()).toEqual([]);
    expect(receiver.publish(7, 2)).toBe('deliver');
  });

  test('PUBREL for an unknown identifier is known as such [MQTT5-4.3.3-11]', () => {
    expect(started().pubrel(7)).toBe('unknown');
  });

  test('a stored identifier is still a repeat after a restart, and can be completed', () => {
    const before = started();
    before.publish(7, 2);
    before.accepted(7, 2, OK);
    const after = started(10, before.identifiers());
    expect(after.publish(7, 2)).toBe('repeated');
    expect(after.pubrel(7)).toBe('complete');
  });
});

describe('over connections', () => {
  test('a commit that ends late is told only to a connection that has repeated the PUBLISH', () => {
    const receiver = started();
    receiver.publish(1, 2);
    receiver.publish(2, 2);
    receiver.resume(10);
    expect(receiver.publish(2, 2)).toBe('pending');
    expect(receiver.accepted(1, 2, OK)).toBe(false);
    expect(receiver.accepted(2, 2, OK)).toBe(true);
    // The first one is answered when it comes again.
    expect(receiver.publish(1, 2)).toBe('repeated');
  });

  test('and a completion only to one that has repeated the PUBREL', () => {
    const receiver = started();
    for (const packetIdentifier of [1, 2]) {
      receiver.publish(packetIdentifier, 2);
      receiver.accepted(packetIdentifier, 2, OK);
      receiver.pubrel(packetIdentifier);
    }
    receiver.resume(10);
    expect(receiver.pubrel(2)).toBe('pending');
    expect(receiver.completed(1)).toBe(false);
    expect(receiver.completed(2)).toBe(true);
    expect(receiver.pubrel(1)).toBe('unknown');
  });

  test('what is about to be refused or completed is not remembered over a crash', () => {
    const receiver = started();
    for (const packetIdentifier of [1, 2, 3]) receiver.publish(packetIdentifier, 2);
    receiver.refused(1);
    receiver.accepted(2, 2, OK);
    receiver.pubrel(2);
    expect(receiver.identifiers()).toEqual([3]);
    // Until its PUBREC it takes its share of the window.
    expect(receiver.open).toBe(3);
  });
});

describe('Receive Maximum', () => {
  test('is exceeded by one message more, of either QoS [MQTT5-3.3.4-7]', () => {
    const receiver = started(2);
    receiver.publish(1, 1);
    receiver.publish(2, 2);
    expect(receiver.open).toBe(2);
    expect(receiver.publish(3, 1)).toBe('exceeded');
    expect(receiver.publish(3, 2)).toBe('exceeded');
    expect(receiver.identifiers()).toEqual([2]);
  });

  test('counts QoS 1 until PUBACK and QoS 2 until PUBCOMP', () => {
    const receiver = started(1);
    receiver.publish(1, 1);
    receiver.accepted(1, 1, OK);
    expect(receiver.open).toBe(0);
    receiver.publish(2, 2);
    receiver.accepted(2, 2, OK);
    receiver.pubrel(2);
    expect(receiver.open).toBe(1);
    receiver.completed(2);
    expect(receiver.open).toBe(0);
  });

  test('counts a repeat on the same connection once, on a new connection again', () => {
    const receiver = started(1);
    receiver.publish(2, 2);
    receiver.accepted(2, 2, OK);
    expect(receiver.publish(2, 2)).toBe('repeated');
    receiver.resume(1);
    expect(receiver.open).toBe(0);
    expect(receiver.publish(2, 2)).toBe('repeated');
    expect(receiver.open).toBe(1);
  });

  test('does not count what an old connection began and PUBREL ends', () => {
    const receiver = started(1);
    receiver.publish(2, 2);
    receiver.accepted(2, 2, OK);
    receiver.resume(1);
    expect(receiver.publish(3, 1)).toBe('deliver');
    receiver.pubrel(2);
    receiver.completed(2);
    expect(receiver.open).toBe(1);
  });

  test('never counts below nothing when an old connection’s commit ends late', () => {
    const receiver = started(1);
    receiver.publish(1, 1);
    receiver.resume(1);
    receiver.accepted(1, 1, OK);
    expect(receiver.open).toBe(0);
  });
});
