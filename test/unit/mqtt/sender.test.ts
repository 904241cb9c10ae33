import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sender, type SenderStep } from '../../../src/mqtt/sender.js';

const OK = 0x00;

function started<Item>(receiveMaximum = 65_535, sender = new Sender<Item>()): Sender<Item> {
  sender.resume(receiveMaximum);
  return sender;
}

/** `resend 3`, `pubrel 4`: what goes on the wire, in short. */
function brief(steps: readonly SenderStep<unknown>[]): string[] {
  return steps.map((step) => {
    switch (step.do) {
      case 'send':
        return `${step.packet.type} ${step.packet.packetIdentifier}`;
      case 'close':
        return 'close';
      default:
        return `${step.do} ${step.packetIdentifier}`;
    }
  });
}

describe('QoS 1', () => {
  test('a PUBACK settles its message and frees the identifier [MQTT311-2.3.1-3] [MQTT5-4.3.2-3]', () => {
    const sender = started<string>();
    const packetIdentifier = sender.publish('a', 1);
    expect(sender.puback(packetIdentifier, OK)).toEqual([
      { do: 'settle', packetIdentifier, item: 'a', reasonCode: OK },
    ]);
    expect(sender.inFlightCount).toBe(0);
    expect(sender.puback(packetIdentifier, OK)).toEqual([]);
  });

  test('a PUBACK of 0x80 and above settles it as refused [MQTT5-4.4.0-2]', () => {
    const sender = started<string>();
    expect(sender.puback(sender.publish('a', 1), 0x97)).toMatchObject([{ do: 'settle', reasonCode: 0x97 }]);
    expect(sender.resume(10)).toEqual([]);
  });

  test('answers of QoS 2 are a Protocol Error', () => {
    const sender = started<string>();
    const packetIdentifier = sender.publish('a', 1);
    expect(brief(sender.pubrec(packetIdentifier, OK))).toEqual(['close']);
    expect(brief(sender.pubcomp(packetIdentifier, OK))).toEqual(['close']);
  });
});

describe('QoS 2', () => {
  test('PUBREL leaves only after its release is saved [MQTT311-4.3.3-1] [MQTT5-4.3.3-4] [MQTT5-4.3.3-6]', () => {
    const sender = started<string>();
    const packetIdentifier = sender.publish('a', 2);
    expect(sender.pubrec(packetIdentifier, OK)).toEqual([
      { do: 'save', packetIdentifier, phase: 'released' },
      { do: 'send', packet: { type: 'pubrel', packetIdentifier, reasonCode: OK } },
    ]);
    expect(brief(sender.pubcomp(packetIdentifier, OK))).toEqual([`settle ${packetIdentifier}`]);
  });

  test('a PUBREC of 0x80 and above settles it, without PUBREL [MQTT5-4.3.3-4]', () => {
    const sender = started<string>();
    expect(sender.pubrec(sender.publish('a', 2), 0x87)).toMatchObject([{ do: 'settle', reasonCode: 0x87 }]);
  });

  test('a second PUBREC gets PUBREL again, saved first again', () => {
    const sender = started<string>();
    const packetIdentifier = sender.publish('a', 2);
    const first = sender.pubrec(packetIdentifier, OK);
    expect(sender.pubrec(packetIdentifier, OK)).toEqual(first);
  });

  test('a PUBREC for an unknown identifier gets PUBREL 0x92, so that the other side can forget it', () => {
    expect(started().pubrec(9, OK)).toEqual([
      { do: 'send', packet: { type: 'pubrel', packetIdentifier: 9, reasonCode: 0x92 } },
    ]);
    expect(started().pubrec(9, 0x80)).toEqual([]);
  });

  test('PUBCOMP 0x92 settles as delivered: an earlier PUBCOMP was lost', () => {
    const sender = started<string>();
    const packetIdentifier = sender.publish('a', 2);
    sender.pubrec(packetIdentifier, OK);
    expect(sender.pubcomp(packetIdentifier, 0x92)).toMatchObject([{ do: 'settle', reasonCode: OK }]);
  });

  test('PUBCOMP before PUBREC, and PUBACK at any time, are Protocol Errors', () => {
    const sender = started<string>();
    const packetIdentifier = sender.publish('a', 2);
    expect(brief(sender.pubcomp(packetIdentifier, OK))).toEqual(['close']);
    expect(brief(sender.puback(packetIdentifier, OK))).toEqual(['close']);
    sender.pubrec(packetIdentifier, OK);
    expect(brief(sender.puback(packetIdentifier, OK))).toEqual(['close']);
  });

  test('PUBCOMP for an unknown identifier is nothing', () => {
    expect(started().pubcomp(9, OK)).toEqual([]);
  });
});

describe('the window', () => {
  test('is the Receive Maximum, and not a message more [MQTT5-3.3.4-7] [MQTT5-3.3.4-9] [MQTT5-4.9.0-2]', () => {
    const sender = started<string>(2);
    expect(sender.publish('a', 1)).toBeGreaterThan(0);
    expect(sender.publish('b', 2)).toBeGreaterThan(0);
    expect(sender.quota).toBe(0);
    expect(sender.publish('c', 1)).toBe(0);
    expect(sender.inFlightCount).toBe(2);
  });

  test('opens by PUBACK, PUBCOMP and a refusing PUBREC, not by PUBREC', () => {
    const sender = started<string>(1);
    sender.puback(sender.publish('a', 1), OK);
    const second = sender.publish('b', 2);
    sender.pubrec(second, OK);
    expect(sender.quota).toBe(0);
    sender.pubcomp(second, OK);
    expect(sender.quota).toBe(1);
    sender.pubrec(sender.publish('c', 2), 0x97);
    expect(sender.quota).toBe(1);
  });

  test('is closed until a connection has begun', () => {
    expect(new Sender().publish('a', 1)).toBe(0);
  });
});

describe('Packet Identifiers', () => {
  test('skip those in use, after the wrap too [MQTT311-2.3.1-2] [MQTT5-2.2.1-3] [MQTT5-2.2.1-4]', () => {
    const sender = started<number>();
    const held = sender.publish(0, 1);
    const lent = sender.takeIdentifier();
    const used = new Set<number>();
    for (let count = 1; count <= 70_000; count += 1) {
      const packetIdentifier = sender.publish(count, 1);
      expect(packetIdentifier > 0 && packetIdentifier <= 65_535).toBe(true);
      expect(packetIdentifier === held || packetIdentifier === lent).toBe(false);
      used.add(packetIdentifier);
      sender.puback(packetIdentifier, OK);
    }
    expect(used.size).toBe(65_533);
  });

  test('may all be in use: then there is no quota, and none is handed out twice', () => {
    const sender = started<number>();
    for (let count = 0; count < 65_535; count += 1) sender.publish(count, 1);
    expect(sender.inFlightCount).toBe(65_535);
    expect(sender.publish(0, 1)).toBe(0);
    expect(sender.takeIdentifier()).toBe(0);
    sender.puback(400, OK);
    expect(sender.publish(0, 1)).toBe(400);
  });

  test('lent to SUBSCRIBE come back once', () => {
    const sender = started();
    const packetIdentifier = sender.takeIdentifier();
    expect(sender.freeIdentifier(packetIdentifier)).toBe(true);
    expect(sender.freeIdentifier(packetIdentifier)).toBe(false);
  });
});

describe('after a reconnection', () => {
  test('PUBRELs go first, in order of their PUBRECs, then PUBLISHes in order of sending [MQTT311-4.4.0-1] [MQTT5-4.4.0-1] [MQTT311-4.6.0-1] [MQTT5-4.6.0-1]', () => {
    const sender = started<string>();
    for (const [item, qos] of [
      ['a', 1],
      ['b', 2],
      ['c', 2],
      ['d', 1],
      ['e', 2],
    ] as const)
      sender.publish(item, qos);
    sender.pubrec(5, OK);
    sender.pubrec(2, OK);
    expect(brief(sender.resume(100))).toEqual(['pubrel 5', 'pubrel 2', 'resend 1', 'resend 3', 'resend 4']);
  });

  test('a smaller window lets the rest wait for acks, and new messages behind them', () => {
    const sender = started<string>();
    for (const item of ['a', 'b', 'c', 'd']) sender.publish(item, 1);
    expect(brief(sender.resume(2))).toEqual(['resend 1', 'resend 2']);
    expect(sender.quota).toBe(0);
    expect(brief(sender.puback(1, OK))).toEqual(['settle 1', 'resend 3']);
    expect(sender.publish('e', 1)).toBe(0);
    expect(brief(sender.puback(2, OK))).toEqual(['settle 2', 'resend 4']);
    expect(brief(sender.puback(3, OK))).toEqual(['settle 3']);
    expect(sender.publish('e', 1)).toBe(5);
  });

  test('more PUBRELs than the window has room for all go out, and their PUBCOMPs open it', () => {
    const sender = started<string>();
    for (const item of ['a', 'b', 'c']) sender.publish(item, 2);
    sender.pubrec(1, OK);
    sender.pubrec(2, OK);
    expect(brief(sender.resume(1))).toEqual(['pubrel 1', 'pubrel 2']);
    expect(brief(sender.pubcomp(1, OK))).toEqual(['settle 1']);
    expect(brief(sender.pubcomp(2, OK))).toEqual(['settle 2', 'resend 3']);
  });

  test('what is answered before it was sent again is not sent again', () => {
    const sender = started<string>();
    for (const item of ['a', 'b', 'c']) sender.publish(item, 1);
    sender.resume(1);
    sender.puback(2, OK);
    expect(brief(sender.puback(1, OK))).toEqual(['settle 1', 'resend 3']);
  });

  test('a state that was stored goes on where it was left', () => {
    const before = started<string>();
    for (const item of ['a', 'b', 'c']) before.publish(item, 2);
    before.pubrec(2, OK);
    const state: unknown = JSON.parse(JSON.stringify(before.state()));
    expect(state).toEqual({
      lastPacketIdentifier: 3,
      inFlight: [
        { packetIdentifier: 2, qos: 2, phase: 'released', item: 'b' },
        { packetIdentifier: 1, qos: 2, phase: 'published', item: 'a' },
        { packetIdentifier: 3, qos: 2, phase: 'published', item: 'c' },
      ],
    });
    const after = new Sender<string>(before.state());
    expect(brief(after.resume(10))).toEqual(['pubrel 2', 'resend 1', 'resend 3']);
    expect(after.publish('d', 1)).toBe(4);
  });

  test('a session lost by the peer gives everything back', () => {
    const sender = started<string>();
    sender.publish('a', 1);
    sender.publish('b', 2);
    sender.pubrec(2, OK);
    expect(sender.reset().map(({ item, phase }) => `${phase} ${item}`)).toEqual([
      'released b',
      'published a',
    ]);
    expect(sender.resume(10)).toEqual([]);
    expect(sender.inFlightCount).toBe(0);
  });
});

test('whatever the peer answers and however often it reconnects, the window holds and nothing is settled twice', () => {
  const action = fc.record({
    kind: fc.constantFrom(
      'publish1',
      'publish2',
      'puback',
      'pubrec',
      'pubrefuse',
      'pubcomp',
      'resume',
      'reload',
    ),
    pick: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120 }), fc.integer({ min: 1, max: 5 }), (actions, window) => {
      let sender = started<number>(window);
      let items = 0;
      /** Sent on this connection and not answered for good. */
      let open = new Map<number, 'published' | 'released'>();
      const settled = new Set<number>();
      const carryOut = (steps: readonly SenderStep<number>[]): void => {
        for (const step of steps) {
          if (step.do === 'settle') {
            expect(settled.has(step.item)).toBe(false);
            settled.add(step.item);
            open.delete(step.packetIdentifier);
          } else if (step.do === 'resend') {
            expect(open.has(step.packetIdentifier)).toBe(false);
            open.set(step.packetIdentifier, 'published');
          } else if (step.do === 'send' && step.packet.reasonCode === 0) {
            open.set(step.packet.packetIdentifier, 'released');
          }
        }
        const published = [...open.values()].filter((phase) => phase === 'published').length;
        expect(published).toBeLessThanOrEqual(window);
      };
      for (const { kind, pick } of actions) {
        const packetIdentifier = [...open.keys()][pick] ?? pick + 1;
        if (kind === 'publish1' || kind === 'publish2') {
          const fresh = sender.publish(items, kind === 'publish1' ? 1 : 2);
          if (fresh === 0) continue;
          items += 1;
          expect(open.has(fresh)).toBe(false);
          open.set(fresh, 'published');
          carryOut([]);
        } else if (kind === 'puback') carryOut(sender.puback(packetIdentifier, OK));
        else if (kind === 'pubrec') carryOut(sender.pubrec(packetIdentifier, OK));
        else if (kind === 'pubrefuse') carryOut(sender.pubrec(packetIdentifier, 0x80));
        else if (kind === 'pubcomp') carryOut(sender.pubcomp(packetIdentifier, OK));
        else {
          if (kind === 'reload') sender = new Sender<number>(sender.state());
          open = new Map();
          carryOut(sender.resume(window));
        }
      }
      expect(settled.size + sender.inFlightCount).toBe(items);
    }),
    { numRuns: 400 },
  );
});
